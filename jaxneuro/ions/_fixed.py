"""Concentrations that never change."""

import equinox as eqx
from jaxtyping import Array, Float

from jaxneuro.electrochemistry import as_ion
from jaxneuro.ions._base import AbstractIonPool, Concentration, shared_ions
from jaxneuro.params import param

__all__ = ["FixedConcentration"]


class FixedConcentration(AbstractIonPool):
    """Concentrations held by the experimenter: E = (RT / zF) ln(outside / inside)   [mV]

    The reversal potential of the ion's channels follows its Nernst potential, and so the cell's temperature.

    **Arguments:** `inside`, `outside` [mM]; `ion`, "na", "k", "cl" or "ca".

    >>> FixedConcentration(inside=100.0, outside=5.0, ion="k")

    References: Hille (2001), Ion Channels of Excitable Membranes, 3rd ed., Sinauer, ch. 1.
    """

    inside: Array = param(unit="mM", bounds=(0, None), is_open=True, doc="Concentration inside.")
    outside: Array = param(unit="mM", bounds=(0, None), is_open=True, doc="Concentration outside.")
    ion: str = eqx.field(static=True, kw_only=True, converter=as_ion)
    has_nernst: bool = eqx.field(static=True, default=True)

    def init(self) -> Concentration:
        return {}

    def shared(self, concentration: Concentration, celsius: Float[Array, ""] | None) -> dict[str, Array]:
        return shared_ions(self.ion, self.inside, self.outside, celsius if self.has_nernst else None)

    def dynamics(self, concentration: Concentration, i: Float[Array, "*c"]) -> Concentration:
        return {}
