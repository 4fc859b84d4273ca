: High-threshold calcium current of Reuveni et al. (1993), doi:10.1523/JNEUROSCI.13-11-04609.1993, with a reversal
: potential that stays as it is. Written for the tests of jaxneuro from the printed formulas.

NEURON {
    SUFFIX l_calcium
    USEION ca WRITE ica
    RANGE g_max, E_rev
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S) = (siemens)
}

PARAMETER {
    g_max = 1e-4 (S/cm2)
    E_rev = 120 (mV)
}

ASSIGNED {
    v (mV)
    ica (mA/cm2)
    a_q (/ms)
    b_q (/ms)
    a_r (/ms)
    b_r (/ms)
}

STATE { q r }

INITIAL {
    rates(v)
    q = a_q / (a_q + b_q)
    r = a_r / (a_r + b_r)
}

BREAKPOINT {
    SOLVE gates METHOD cnexp
    ica = g_max * q * q * r * (v - E_rev)
}

DERIVATIVE gates {
    rates(v)
    q' = a_q * (1 - q) - b_q * q
    r' = a_r * (1 - r) - b_r * r
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
    UNITSOFF
    a_q = 0.055 * linoid(-27 - V, 3.8)
    b_q = 0.94 * exp((-75 - V) / 17)
    a_r = 0.000457 * exp((-13 - V) / 50)
    b_r = 0.0065 / (1 + exp((-15 - V) / 28))
    UNITSON
}
