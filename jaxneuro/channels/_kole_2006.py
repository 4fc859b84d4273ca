"""Hyperpolarisation-activated cation current (h) of layer 5 pyramidal cells (Kole, Hallermann & Stuart 2006)."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractTransitionChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import bounded_exp, x_over_expm1
from jaxneuro.params import param

__all__ = ["HCurrent"]


class HCurrent(AbstractTransitionChannel):
    """Mixed cation current that opens with hyperpolarisation (h), at 34 degC: i = g_max m (V - E_rev)   [uA/cm^2]

    alpha_m = 0.00643 (V+154.9) / (e^{(V+154.9)/11.9} - 1),  beta_m = 0.193 e^{V/33.1}    [1/ms]

    Gate: m [1], same shape as V [mV]. It pulls the cell back to rest after a hyperpolarisation (sag).

    References: Kole, Hallermann & Stuart (2006), J Neurosci 26:1677. doi:10.1523/JNEUROSCI.3664-05.2006
    (no temperature dependence).
    """

    ion: ClassVar[str] = ""
    source: ClassVar[Source] = Source(
        "rat",
        "layer 5 pyramidal cell",
        34.0,
        "Kole, Hallermann & Stuart (2006), J Neurosci 26:1677",
        "10.1523/JNEUROSCI.3664-05.2006",
    )
    q10: ClassVar[float] = 1.0
    g_max: Array = param(0.15, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(-45.0, unit="mV", doc="Reversal potential.")
    powers: tuple = gate_powers(m=1)

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        alpha_m = 0.00643 * 11.9 * x_over_expm1((V + 154.9) / 11.9)
        return {"m": alpha_m}, {"m": 0.193 * bounded_exp(V / 33.1)}
