"""Persistent sodium current of entorhinal stellate cells (Magistretti & Alonso 1999)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import sigmoid, x_over_expm1
from jaxneuro.params import param

__all__ = ["PersistentSodium"]


class PersistentSodium(AbstractGatedChannel):
    """Persistent sodium current at 21 degC: i = g_max m_inf h (V - E_rev)   [uA/cm^2]

    m_inf = 1 / (1 + e^{-(V+52.6)/4.6}),  h_inf = 1 / (1 + e^{(V+48.8)/10})
    1 / tau_h = 2.88e-6 (V+17) / (e^{(V+17)/4.63} - 1) + 6.94e-6 (V+64.4) / (1 - e^{-(V+64.4)/2.63})   [1/ms]

    Gate: h [1], same shape as V [mV], with a time constant of seconds; m is always in its steady state.

    References: Magistretti & Alonso (1999), J Gen Physiol 114:491. doi:10.1085/jgp.114.4.491
    (rates in the form of Hay et al. (2011), with Q10 = 2.3; one instantaneous activation gate).
    """

    ion: ClassVar[str] = "na"
    source: ClassVar[Source] = Source(
        "rat",
        "entorhinal layer 2 stellate cell",
        21.0,
        "Magistretti & Alonso (1999), J Gen Physiol 114:491",
        "10.1085/jgp.114.4.491",
    )
    instantaneous: ClassVar[tuple[str, ...]] = ("m",)
    g_max: Array = param(0.1, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(50.0, unit="mV", doc="Sodium reversal potential.")
    q10: Array = param(2.3, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(m=1, h=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        closing = 2.88e-6 * 4.63 * x_over_expm1((V + 17) / 4.63)
        opening = 6.94e-6 * 2.63 * x_over_expm1(-(V + 64.4) / 2.63)
        x_inf = {"m": sigmoid((V + 52.6) / 4.6), "h": sigmoid(-(V + 48.8) / 10)}
        return x_inf, {"h": 1 / (closing + opening)}
