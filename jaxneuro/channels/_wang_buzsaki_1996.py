"""Sodium and potassium currents of fast-spiking hippocampal interneurons (Wang & Buzsaki 1996)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import bounded_exp, sigmoid, x_over_expm1
from jaxneuro.params import param

__all__ = ["WangBuzsakiPotassium", "WangBuzsakiSodium"]

_SOURCE = Source(
    "rat",
    "hippocampal interneuron",
    None,
    "Wang & Buzsaki (1996), J Neurosci 16:6402",
    "10.1523/JNEUROSCI.16-20-06402.1996",
)


class WangBuzsakiSodium(AbstractTransitionChannel):
    """Fast sodium current of interneurons: i = g_max m_inf^3 h (V - E_rev)   [uA/cm^2]

    alpha_m = 0.1 (V+35) / (1 - e^{-(V+35)/10}),  beta_m = 4 e^{-(V+60)/18}                  [1/ms]
    alpha_h = 0.07 phi e^{-(V+58)/20},            beta_h = phi / (1 + e^{-(V+28)/10})        [1/ms]

    Gate: h [1], same shape as V [mV]; m is always in its steady state. phi [1] stands for the temperature.

    References: Wang & Buzsaki (1996), J Neurosci 16:6402. doi:10.1523/JNEUROSCI.16-20-06402.1996
    """

    ion: ClassVar[str] = "na"
    source: ClassVar[Source] = _SOURCE
    q10: ClassVar[float] = 1.0
    instantaneous: ClassVar[tuple[str, ...]] = ("m",)
    g_max: Array = param(35.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal sodium conductance.")
    E_rev: Array = param(55.0, unit="mV", doc="Sodium reversal potential.")
    phi: Array = param(5.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates of h.")
    powers: tuple = gate_powers(m=3, h=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        alpha = {"m": x_over_expm1(-(V + 35) / 10), "h": 0.07 * self.phi * bounded_exp(-(V + 58) / 20)}
        return alpha, {"m": 4 * bounded_exp(-(V + 60) / 18), "h": self.phi * sigmoid((V + 28) / 10)}


class WangBuzsakiPotassium(AbstractTransitionChannel):
    """Delayed-rectifier potassium current of interneurons: i = g_max n^4 (V - E_rev)   [uA/cm^2]

    alpha_n = 0.01 phi (V+34) / (1 - e^{-(V+34)/10}),  beta_n = 0.125 phi e^{-(V+44)/80}    [1/ms]

    Gate: n [1], same shape as V [mV]. phi [1] stands for the temperature.

    References: Wang & Buzsaki (1996), J Neurosci 16:6402. doi:10.1523/JNEUROSCI.16-20-06402.1996
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = _SOURCE
    q10: ClassVar[float] = 1.0
    g_max: Array = param(9.0, unit="mS/cm^2", bounds=(0, None), doc="Maximal potassium conductance.")
    E_rev: Array = param(-90.0, unit="mV", doc="Potassium reversal potential.")
    phi: Array = param(5.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates.")
    powers: tuple = gate_powers(n=4)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        alpha_n = 0.1 * self.phi * x_over_expm1(-(V + 34) / 10)
        return {"n": alpha_n}, {"n": 0.125 * self.phi * bounded_exp(-(V + 44) / 80)}
