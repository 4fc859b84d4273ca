: Calcium in a shell under the membrane, removed at first order; as in Destexhe, Babloyantz & Sejnowski (1993),
: doi:10.1016/S0006-3495(93)81190-1, without their clipping of outward currents. Written for the tests of jaxneuro.

NEURON {
    SUFFIX calcium_pool
    USEION ca READ ica, cai WRITE cai
    RANGE depth, tau, c_inf
}

UNITS {
    (mA) = (milliamp)
    (mM) = (milli/liter)
    (um) = (micron)
}

PARAMETER {
    depth = 0.1 (um)
    tau = 5 (ms)
    c_inf = 2.4e-4 (mM)
}

ASSIGNED { ica (mA/cm2) }

STATE { cai (mM) }

INITIAL { cai = c_inf }

BREAKPOINT { SOLVE pool METHOD derivimplicit }

: mA/cm2 over C/mol and um: 1e-3 C/(s cm2) / 1e-4 cm is 10 C/(s cm3), 1 mol/cm3 is 1e6 mM, 1 s is 1e3 ms
DERIVATIVE pool {
    UNITSOFF
    cai' = -1e4 * ica / (2 * 96485.33212331001 * depth) - (cai - c_inf) / tau
    UNITSON
}
