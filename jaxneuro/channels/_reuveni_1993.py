"""High-threshold (L-type) calcium current (Reuveni et al. 1993)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import bounded_exp, sigmoid, x_over_expm1
from jaxneuro.params import param

__all__ = ["LTypeCalcium"]


class LTypeCalcium(AbstractTransitionChannel):
    """High-threshold calcium current (L type) at 36 degC: i = g_max q^2 r (V - E_rev)   [uA/cm^2]

    alpha_q = 0.055 (-27 - V) / (e^{(-27-V)/3.8} - 1),  beta_q = 0.94 e^{(-75-V)/17}              [1/ms]
    alpha_r = 0.000457 e^{(-13-V)/50},                  beta_r = 0.0065 / (1 + e^{(-15-V)/28})    [1/ms]

    Gates: q, r [1], same shape as V [mV].

    References: Reuveni, Friedman, Amitai & Gutnick (1993), J Neurosci 13:4609.
    doi:10.1523/JNEUROSCI.13-11-04609.1993; conductance and E_Ca = 120 mV of Pospischil et al. (2008), Biol Cybern
    99:427. doi:10.1007/s00422-008-0263-8 (no temperature dependence).
    """

    ion: ClassVar[str] = "ca"
    source: ClassVar[Source] = Source(
        "rat",
        "neocortical pyramidal cell",
        None,
        "Reuveni, Friedman, Amitai & Gutnick (1993), J Neurosci 13:4609",
        "10.1523/JNEUROSCI.13-11-04609.1993",
    )
    q10: ClassVar[float] = 1.0
    g_max: Array = param(0.1, unit="mS/cm^2", bounds=(0, None), doc="Maximal calcium conductance.")
    E_rev: Array = param(120.0, unit="mV", doc="Calcium reversal potential.")
    powers: tuple = gate_powers(q=2, r=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        alpha = {"q": 0.055 * 3.8 * x_over_expm1((-27 - V) / 3.8), "r": 0.000457 * bounded_exp((-13 - V) / 50)}
        return alpha, {"q": 0.94 * bounded_exp((-75 - V) / 17), "r": 0.0065 * sigmoid((V + 15) / 28)}
