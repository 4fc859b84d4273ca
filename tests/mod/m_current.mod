: Slow potassium current of Yamada, Koch & Adams (1989), in the form of Pospischil et al. (2008),
: doi:10.1007/s00422-008-0263-8. Written for the tests of jaxneuro from the printed formulas.

NEURON {
    SUFFIX m_current
    USEION k READ ek WRITE ik
    RANGE g_max, tau_max
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S) = (siemens)
}

PARAMETER {
    g_max = 7e-5 (S/cm2)
    tau_max = 1000 (ms)
    celsius (degC)
}

ASSIGNED {
    v (mV)
    ek (mV)
    ik (mA/cm2)
    p_inf
    tau_p (ms)
}

STATE { p }

INITIAL {
    relax(v)
    p = p_inf
}

BREAKPOINT {
    SOLVE gates METHOD cnexp
    ik = g_max * p * (v - ek)
}

DERIVATIVE gates {
    relax(v)
    p' = (p_inf - p) / tau_p
}

PROCEDURE relax(V (mV)) {
    UNITSOFF
    p_inf = 1 / (1 + exp(-(V + 35) / 10))
    tau_p = tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20)) / 2.3 ^ ((celsius - 36) / 10)
    UNITSON
}
