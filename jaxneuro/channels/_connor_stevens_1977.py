"""Sodium, potassium and A currents of crab walking-leg axons (Connor, Walter & McKown 1977)."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import bounded_exp, exp, sigmoid, x_over_expm1
from jaxneuro.params import param

__all__ = ["ConnorStevensA", "ConnorStevensPotassium", "ConnorStevensSodium"]

_SOURCE = Source(
    "crab", "walking-leg axon", 18.0, "Connor, Walter & McKown (1977), Biophys J 18:81", "10.1016/S0006-3495(77)85598-7"
)


class ConnorStevensSodium(AbstractTransitionChannel):
    """Fast sodium current of the Connor-Stevens model: i = g_max m^3 h (V - E_rev)   [uA/cm^2]

    alpha_m = 0.38 (V+29.7) / (1 - e^{-(V+29.7)/10}),  beta_m = 15.2 e^{-0.0556 (V+54.7)}      [1/ms]
    alpha_h = 0.266 e^{-(V+48)/20},                    beta_h = 3.8 / (1 + e^{-(V+18)/10})     [1/ms]

    Gates: m, h [1], same shape as V [mV].

    References: Connor, Walter & McKown (1977), Biophys J 18:81. doi:10.1016/S0006-3495(77)85598-7; in the form of
    Dayan & Abbott (2001), Theoretical Neuroscience, MIT Press, ch. 6.6 (at 18 degC, with Q10 = 3).
    """

    ion: ClassVar[str] = "na"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(120.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal sodium conductance.")
    E_rev: Array = param(55.0, unit="mV", doc="Sodium reversal potential.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(m=3, h=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        alpha = {"m": 3.8 * x_over_expm1(-(V + 29.7) / 10), "h": 0.266 * bounded_exp(-(V + 48) / 20)}
        return alpha, {"m": 15.2 * bounded_exp(-0.0556 * (V + 54.7)), "h": 3.8 * sigmoid((V + 18) / 10)}


class ConnorStevensPotassium(AbstractTransitionChannel):
    """Delayed-rectifier potassium current of the Connor-Stevens model: i = g_max n^4 (V - E_rev)   [uA/cm^2]

    alpha_n = 0.02 (V+45.7) / (1 - e^{-(V+45.7)/10}),  beta_n = 0.25 e^{-(V+55.7)/80}    [1/ms]

    Gate: n [1], same shape as V [mV].

    References: Connor, Walter & McKown (1977), Biophys J 18:81. doi:10.1016/S0006-3495(77)85598-7; in the form of
    Dayan & Abbott (2001), Theoretical Neuroscience, MIT Press, ch. 6.6 (at 18 degC, with Q10 = 3).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(20.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-72.0, unit="mV", doc="Potassium reversal potential.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(n=4)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        return {"n": 0.2 * x_over_expm1(-(V + 45.7) / 10)}, {"n": 0.25 * bounded_exp(-(V + 55.7) / 80)}


class ConnorStevensA(AbstractGatedChannel):
    """Transient potassium current (A): i = g_max a^3 b (V - E_rev)   [uA/cm^2]

    a_inf = (0.0761 e^{0.0314 (V+94.22)} / (1 + e^{0.0346 (V+1.17)}))^{1/3},  b_inf = (1 + e^{0.0688 (V+53.3)})^{-4}
    tau_a = 0.3632 + 1.158 / (1 + e^{0.0497 (V+55.96)}),  tau_b = 1.24 + 2.678 / (1 + e^{0.0624 (V+50)})   [ms]

    Gates: a, b [1], same shape as V [mV]; a_inf is held at 1, which the fit exceeds by 1 % above 45 mV. The
    current delays the first spike and lets the cell fire at any low rate.

    References: Connor, Walter & McKown (1977), Biophys J 18:81. doi:10.1016/S0006-3495(77)85598-7; in the form of
    Dayan & Abbott (2001), Theoretical Neuroscience, MIT Press, ch. 6.6 (at 18 degC, with Q10 = 3).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    g_max: Array = param(47.7, unit="mS/cm^2", bounds=(0, None), doc="Maximal A conductance.")
    E_rev: Array = param(-75.0, unit="mV", doc="Potassium reversal potential.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(a=3, b=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        a_inf = exp((math.log(0.0761) + 0.0314 * (V + 94.22) - jax.nn.softplus(0.0346 * (V + 1.17))) / 3)
        a_inf = jnp.where(a_inf > 1, 1.0, a_inf)
        tau_a = 0.3632 + 1.158 * sigmoid(-0.0497 * (V + 55.96))
        tau_b = 1.24 + 2.678 * sigmoid(-0.0624 * (V + 50))
        return {"a": a_inf, "b": sigmoid(-0.0688 * (V + 53.3)) ** 4}, {"a": tau_a, "b": tau_b}
