"""Low-threshold (T-type) calcium current of thalamic relay cells (Huguenard & McCormick 1992)."""

from typing import ClassVar

import jax
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import exp, sigmoid
from jaxneuro.params import param

__all__ = ["TTypeCalcium"]


class TTypeCalcium(AbstractGatedChannel):
    """Low-threshold calcium current (T type) at 24 degC: i = g_max s^2 u (V - E_rev)   [uA/cm^2]

    With v = V + V_x, and s always in its steady state:
    s_inf = 1 / (1 + e^{-(v+57)/6.2}),  u_inf = 1 / (1 + e^{(v+81)/4})
    tau_u = 30.8 + (211.4 + e^{(v+113.2)/5}) / (1 + e^{(v+84)/3.2})   [ms]

    Gate: u [1], same shape as V [mV]. V_x [mV] shifts both gates. It carries the low-threshold spike and its burst.

    References: Huguenard & McCormick (1992), J Neurophysiol 68:1373. doi:10.1152/jn.1992.68.4.1373; in the form of
    Pospischil et al. (2008), Biol Cybern 99:427. doi:10.1007/s00422-008-0263-8 (Q10 = 3, from 24 degC).
    """

    ion: ClassVar[str] = "ca"
    source: ClassVar[Source] = Source(
        "rat",
        "thalamic relay cell",
        24.0,
        "Huguenard & McCormick (1992), J Neurophysiol 68:1373",
        "10.1152/jn.1992.68.4.1373",
    )
    instantaneous: ClassVar[tuple[str, ...]] = ("s",)
    g_max: Array = param(0.4, unit="mS/cm^2", bounds=(0, None), doc="Maximal calcium conductance.")
    E_rev: Array = param(120.0, unit="mV", doc="Calcium reversal potential.")
    V_x: Array = param(2.0, unit="mV", doc="Shift of the gates by surface charge.")
    q10: Array = param(3.0, unit="1", bounds=(0, None), is_open=True, doc="Factor of the rates per 10 degC.")
    powers: tuple = gate_powers(s=2, u=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        v = V + self.V_x
        x_inf = {"s": sigmoid((v + 57) / 6.2), "u": sigmoid(-(v + 81) / 4)}
        closing = jax.nn.softplus((v + 84) / 3.2)  # ln(1 + e^...), so that the quotient never is inf / inf
        return x_inf, {"u": 30.8 + 211.4 * exp(-closing) + exp((v + 113.2) / 5 - closing)}
