"""Calcium and potassium currents of the barnacle giant muscle fibre (Morris & Lecar 1981)."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import sigmoid
from jaxneuro.params import param

__all__ = ["MorrisLecarCalcium", "MorrisLecarPotassium"]

_SOURCE = Source(
    "barnacle", "giant muscle fibre", None, "Morris & Lecar (1981), Biophys J 35:193", "10.1016/S0006-3495(81)84782-0"
)


class MorrisLecarCalcium(AbstractGatedChannel):
    """Instantaneous calcium current: i = g_max m_inf (V - E_rev)   [uA/cm^2]

    m_inf = (1 + tanh((V - V_1) / V_2)) / 2

    No state: m is always in its steady state. Voltages in mV.

    References: Morris & Lecar (1981), Biophys J 35:193. doi:10.1016/S0006-3495(81)84782-0
    (defaults of the Hopf case of Rinzel & Ermentrout (1989), in Methods in Neuronal Modeling, MIT Press).
    """

    ion: ClassVar[str] = "ca"
    source: ClassVar[Source] = _SOURCE
    q10: ClassVar[float] = 1.0
    instantaneous: ClassVar[tuple[str, ...]] = ("m",)
    g_max: Array = param(4.4, unit="mS/cm^2", bounds=(0, None), doc="Maximal calcium conductance.")
    E_rev: Array = param(120.0, unit="mV", doc="Calcium reversal potential.")
    V_1: Array = param(-1.2, unit="mV", doc="Voltage of half activation.")
    V_2: Array = param(18.0, unit="mV", bounds=(0, None), is_open=True, doc="Width of the activation.")
    powers: tuple = gate_powers(m=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        return {"m": sigmoid(2 * (V - self.V_1) / self.V_2)}, {}


class MorrisLecarPotassium(AbstractGatedChannel):
    """Delayed-rectifier potassium current: i = g_max w (V - E_rev)   [uA/cm^2]

    w_inf = (1 + tanh((V - V_3) / V_4)) / 2,  tau_w = 1 / (phi cosh((V - V_3) / (2 V_4)))   [ms]

    Gate: w [1], same shape as V [mV].

    References: Morris & Lecar (1981), Biophys J 35:193. doi:10.1016/S0006-3495(81)84782-0
    (defaults of the Hopf case of Rinzel & Ermentrout (1989), in Methods in Neuronal Modeling, MIT Press).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    q10: ClassVar[float] = 1.0
    g_max: Array = param(8.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-84.0, unit="mV", doc="Potassium reversal potential.")
    V_3: Array = param(2.0, unit="mV", doc="Voltage of half activation.")
    V_4: Array = param(30.0, unit="mV", bounds=(0, None), is_open=True, doc="Width of the activation.")
    phi: Array = param(0.04, unit="1/ms", bounds=(0, None), is_open=True, doc="Rate at half activation.")
    powers: tuple = gate_powers(w=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        x = (V - self.V_3) / self.V_4
        return {"w": sigmoid(2 * x)}, {"w": 1 / (self.phi * jnp.cosh(x / 2))}
