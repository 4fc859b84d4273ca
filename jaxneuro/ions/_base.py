"""What an ion pool is: the concentration of one ion inside the cell, moved by the currents that carry it."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from jaxneuro.electrochemistry import FARADAY, ION_VALENCE, nernst
from jaxneuro.params import AbstractParametrised

__all__ = ["AbstractIonPool", "Concentration", "influx", "shared_ions"]

Concentration = dict[str, Float[Array, "*c"]]
"""{"inside": concentration [mM]}; {} where it never changes."""


class AbstractIonPool(AbstractParametrised):
    """The concentrations of one ion at a membrane; channels find them, and what follows from them, in `ions`."""

    ion: eqx.AbstractVar[str]
    """ "na", "k", "ca" or "cl"."""

    has_nernst: eqx.AbstractVar[bool]
    """Whether the reversal potential of the ion's channels is its Nernst potential, which needs a temperature."""

    @abc.abstractmethod
    def init(self) -> Concentration:
        """Concentration at the start."""

    @abc.abstractmethod
    def shared(self, concentration: Concentration, celsius: Float[Array, ""] | None) -> dict[str, Array]:
        """What channels are told: "ca_i", "ca_o" [mM] and, with `has_nernst`, "E_ca" [mV], for calcium."""

    @abc.abstractmethod
    def dynamics(self, concentration: Concentration, i: Float[Array, "*c"]) -> Concentration:
        """Its time derivative [mM/ms] under the ion's total current i [uA/cm^2], outward positive."""


def influx(ion: str, i: Float[Array, "*c"], depth: Float[Array, ""]) -> Float[Array, "*c"]:
    """Rise of the inside concentration, -i / (z F depth) [mM/ms], of a current i [uA/cm^2] into a volume `depth` [um]
    times the membrane's area; 10 turns uA/cm^2 / (C/mol um) into mM/ms."""
    return -10 * i / (ION_VALENCE[ion] * FARADAY * depth)


def shared_ions(
    ion: str, inside: Float[Array, "*c"], outside: Float[Array, "*c"], celsius: Float[Array, ""] | None
) -> dict[str, Array]:
    """Both concentrations and, at a temperature, the Nernst potential."""
    found = {f"{ion}_i": inside, f"{ion}_o": outside}
    return found if celsius is None else found | {f"E_{ion}": nernst(ION_VALENCE[ion], outside, inside, celsius)}
