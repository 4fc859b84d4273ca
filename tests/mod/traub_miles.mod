: Sodium and delayed-rectifier potassium currents of Traub & Miles (1991), in the form of Pospischil et al. (2008),
: doi:10.1007/s00422-008-0263-8. Written for the tests of jaxneuro from the printed formulas: a second program of them.

NEURON {
    SUFFIX traub_miles
    USEION na READ ena WRITE ina
    USEION k READ ek WRITE ik
    RANGE g_na, g_k, V_T
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S) = (siemens)
}

PARAMETER {
    g_na = 0.1 (S/cm2)
    g_k = 0.03 (S/cm2)
    V_T = -63 (mV)
    celsius (degC)
}

ASSIGNED {
    v (mV)
    ena (mV)
    ek (mV)
    ina (mA/cm2)
    ik (mA/cm2)
    a_m (/ms)
    b_m (/ms)
    a_h (/ms)
    b_h (/ms)
    a_n (/ms)
    b_n (/ms)
}

STATE { m h n }

INITIAL {
    rates(v)
    m = a_m / (a_m + b_m)
    h = a_h / (a_h + b_h)
    n = a_n / (a_n + b_n)
}

BREAKPOINT {
    SOLVE gates METHOD cnexp
    ina = g_na * m * m * m * h * (v - ena)
    ik = g_k * n * n * n * n * (v - ek)
}

DERIVATIVE gates {
    rates(v)
    m' = a_m * (1 - m) - b_m * m
    h' = a_h * (1 - h) - b_h * h
    n' = a_n * (1 - n) - b_n * n
}

: x / (e^(x / k) - 1), and the beginning of its series where the quotient is 0 / 0
FUNCTION linoid(x (mV), k (mV)) (mV) {
    if (fabs(x / k) < 1e-5) {
        linoid = k - x / 2
    } else {
        linoid = x / (exp(x / k) - 1)
    }
}

PROCEDURE rates(V (mV)) {
    LOCAL u, faster
    UNITSOFF
    faster = 3 ^ ((celsius - 36) / 10)
    u = V - V_T
    a_m = faster * 0.32 * linoid(13 - u, 4)
    b_m = faster * 0.28 * linoid(u - 40, 5)
    a_h = faster * 0.128 * exp((17 - u) / 18)
    b_h = faster * 4 / (1 + exp((40 - u) / 5))
    a_n = faster * 0.032 * linoid(15 - u, 5)
    b_n = faster * 0.5 * exp((10 - u) / 40)
    UNITSON
}
