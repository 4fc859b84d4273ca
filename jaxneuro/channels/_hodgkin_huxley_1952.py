"""Sodium and potassium channels of the squid giant axon (Hodgkin & Huxley 1952)."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import exp, x_over_expm1
from jaxneuro.params import param

__all__ = ["HHPotassium", "HHSodium"]

# Below it the rates stay as they are, so that no power of an exponential that they share overflows in float32 [mV].
_LOWEST = -400.0

_SOURCE = Source(
    "squid", "giant axon", 6.3, "Hodgkin & Huxley (1952), J Physiol 117:500", "10.1113/jphysiol.1952.sp004764"
)


class HHSodium(AbstractTransitionChannel):
    """Fast sodium current of the squid axon at 6.3 degC: i = g_max m^3 h (V - E_rev)   [uA/cm^2]

    alpha_m = 0.1 (V+40) / (1 - e^{-(V+40)/10}),  beta_m = 4 e^{-(V+65)/18}             [1/ms]
    alpha_h = 0.07 e^{-(V+65)/20},                beta_h = 1 / (1 + e^{-(V+35)/10})     [1/ms]

    Gates: m, h [1], same shape as V [mV]. Finite in value and gradient at V = -40 mV.

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    (voltages shifted so that rest is -65 mV and depolarisation is positive; published at 6.3 degC, with
    Q10 = 3).
    """

    ion: ClassVar[str] = "na"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(120.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal sodium conductance.")
    E_rev: Array = param(50.0, unit="mV", doc="Sodium reversal potential.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(m=3, h=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        V = jnp.where(V < _LOWEST, _LOWEST, V)
        q = exp(-(V + 40) / 20)  # serves alpha_m and beta_h by its square, and alpha_h
        alpha_m, beta_m = x_over_expm1(-(V + 40) / 10, q**2), 4 * exp(-(V + 65) / 18)
        alpha_h, beta_h = 0.07 * math.exp(-25 / 20) * q, 1 / (1 + math.exp(5 / 10) * q**2)
        return {"m": alpha_m, "h": alpha_h}, {"m": beta_m, "h": beta_h}


class HHPotassium(AbstractTransitionChannel):
    """Delayed-rectifier potassium current of the squid axon at 6.3 degC: i = g_max n^4 (V - E_rev)   [uA/cm^2]

    alpha_n = 0.01 (V+55) / (1 - e^{-(V+55)/10}),  beta_n = 0.125 e^{-(V+65)/80}                     [1/ms]

    Gate: n [1], same shape as V [mV]. Finite in value and gradient at V = -55 mV.

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    (voltages shifted so that rest is -65 mV and depolarisation is positive; published at 6.3 degC, with
    Q10 = 3).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(36.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-77.0, unit="mV", doc="Potassium reversal potential.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(n=4)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        V = jnp.where(V < _LOWEST, _LOWEST, V)
        q = exp(-(V + 65) / 80)  # serves beta_n, and alpha_n by its eighth power
        alpha_n = 0.1 * x_over_expm1(-(V + 55) / 10, math.exp(10 / 10) * q**8)
        return {"n": alpha_n}, {"n": 0.125 * q}
