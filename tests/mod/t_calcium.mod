: Low-threshold calcium current of Huguenard & McCormick (1992), doi:10.1152/jn.1992.68.4.1373, in the form of
: Pospischil et al. (2008): activation at once, Nernst potential of the calcium that is there. Written for the tests of
: jaxneuro from the printed formulas.

NEURON {
    SUFFIX t_calcium
    USEION ca READ cai, cao WRITE ica
    RANGE g_max, V_x
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (mM) = (milli/liter)
    (S) = (siemens)
}

PARAMETER {
    g_max = 4e-4 (S/cm2)
    V_x = 2 (mV)
    celsius (degC)
}

ASSIGNED {
    v (mV)
    ica (mA/cm2)
    cai (mM)
    cao (mM)
    E_ca (mV)
    s_inf
    u_inf
    tau_u (ms)
}

STATE { u }

INITIAL {
    relax(v)
    u = u_inf
}

BREAKPOINT {
    SOLVE gates METHOD cnexp
    relax(v)
    UNITSOFF
    E_ca = 1000 * 8.31446261815324 * (celsius + 273.15) / (2 * 96485.33212331001) * log(cao / cai)
    UNITSON
    ica = g_max * s_inf * s_inf * u * (v - E_ca)
}

DERIVATIVE gates {
    relax(v)
    u' = (u_inf - u) / tau_u
}

PROCEDURE relax(V (mV)) {
    LOCAL x
    UNITSOFF
    x = V + V_x
    s_inf = 1 / (1 + exp(-(x + 57) / 6.2))
    u_inf = 1 / (1 + exp((x + 81) / 4))
    tau_u = 30.8 + (211.4 + exp((x + 113.2) / 5)) / (1 + exp((x + 84) / 3.2))
    tau_u = tau_u / 3 ^ ((celsius - 24) / 10)
    UNITSON
}
