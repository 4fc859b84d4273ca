"""Concentrations that the currents move, in a closed volume."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxneuro.electrochemistry import as_ion
from jaxneuro.ions._base import AbstractIonPool, Concentration, influx, shared_ions
from jaxneuro.params import param

__all__ = ["IonPool"]


class IonPool(AbstractIonPool):
    """Concentrations on both sides of the membrane, moved by the ion's currents and conserved in all.

    dc_i/dt = -i_ion / (z F depth),   c_o = outside + volume_ratio (inside - c_i)        [mM/ms], [mM]
    E       = (RT / zF) ln(c_o / c_i)                                                    [mV]

    State: inside concentration [mM]. What leaves the cell is found outside: c_i + c_o / volume_ratio never changes.

    **Arguments:** `inside`, `outside`, concentrations at the start [mM]; `depth`, volume per membrane area [um], a
    sixth of the diameter for a sphere, a quarter for a cylinder; `volume_ratio`, volume inside / outside, 0 for a
    large bath; `ion`, "na", "k", "cl" or "ca"; `has_nernst`, whether the channels' reversal potential follows.

    >>> IonPool(inside=15.0, outside=145.0, depth=1.0, volume_ratio=7.0, ion="na")

    References: Cressman, Ullah, Ziburkus, Schiff & Barreto (2009), J Comput Neurosci 26:159.
    doi:10.1007/s10827-008-0132-4
    """

    inside: Array = param(unit="mM", bounds=(0, None), is_open=True, doc="Concentration inside at the start.")
    outside: Array = param(unit="mM", bounds=(0, None), is_open=True, doc="Concentration outside at the start.")
    depth: Array = param(1.0, unit="um", bounds=(0, None), is_open=True, doc="Volume inside per membrane area.")
    volume_ratio: Array = param(0.0, unit="1", bounds=(0, None), doc="Volume inside / outside.")
    ion: str = eqx.field(static=True, kw_only=True, converter=as_ion)
    has_nernst: bool = eqx.field(static=True, default=True)

    def init(self) -> Concentration:
        return {"inside": self.inside}

    def shared(self, concentration: Concentration, celsius: Float[Array, ""] | None) -> dict[str, Array]:
        inside = concentration["inside"]
        outside = self.outside + self.volume_ratio * (self.inside - inside)
        return shared_ions(self.ion, inside, outside, celsius if self.has_nernst else None)

    def dynamics(self, concentration: Concentration, i: Float[Array, "*c"]) -> Concentration:
        return {"inside": influx(self.ion, i, self.depth)}
