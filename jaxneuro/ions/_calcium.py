"""Calcium in a thin shell under the membrane, taken away at first order."""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from jaxneuro.ions._base import AbstractIonPool, Concentration, influx, shared_ions
from jaxneuro.params import param

__all__ = ["CalciumPool"]


class CalciumPool(AbstractIonPool):
    """First-order calcium pool in a shell below the membrane.

    dc/dt = -i_Ca / (2 F depth) - (c - c_inf) / tau        [mM/ms]

    State: inside concentration [mM], at rest (c_inf) at the start.

    **Arguments:** `c_inf`, resting concentration [mM]; `tau`, time constant of removal [ms]; `depth` of the shell
    [um]; `outside` [mM]; `has_nernst`, whether the calcium channels' reversal potential is the Nernst potential.

    >>> CalciumPool(tau=5.0, depth=0.1)

    References: Destexhe, Babloyantz & Sejnowski (1993), Biophys J 65:1538. doi:10.1016/S0006-3495(93)81190-1
    (without its clipping of outward currents:
    valid while calcium flows in, as it does below its reversal potential).
    """

    ion: ClassVar[str] = "ca"
    c_inf: Array = param(2.4e-4, unit="mM", bounds=(0, None), is_open=True, doc="Resting concentration inside.")
    tau: Array = param(5.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of removal.")
    depth: Array = param(0.1, unit="um", bounds=(0, None), is_open=True, doc="Depth of the shell.")
    outside: Array = param(2.0, unit="mM", bounds=(0, None), is_open=True, doc="Concentration outside.")
    has_nernst: bool = eqx.field(static=True, default=False)

    def init(self) -> Concentration:
        return {"inside": self.c_inf}

    def shared(self, concentration: Concentration, celsius: Float[Array, ""] | None) -> dict[str, Array]:
        return shared_ions(self.ion, concentration["inside"], self.outside, celsius if self.has_nernst else None)

    def dynamics(self, concentration: Concentration, i: Float[Array, "*c"]) -> Concentration:
        return {"inside": influx(self.ion, i, self.depth) - (concentration["inside"] - self.c_inf) / self.tau}
