"""Permeation by the Goldman-Hodgkin-Katz equation instead of Ohm's law."""

from typing import Any, ClassVar

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractChannel, AbstractOhmicChannel, Gates, Ions, Source
from jaxneuro.electrochemistry import ION_VALENCE, ghk_current
from jaxneuro.params import param

__all__ = ["GHKChannel"]


class GHKChannel(AbstractChannel):
    """The gates of another channel, with a permeability in place of its conductance and reversal potential.

    i = permeability open_fraction z^2 (V F^2 / RT) (c_i - c_o e^{-z F V / RT}) / (1 - e^{-z F V / RT})   [uA/cm^2]

    State: the gates of `channel`, same shape as V [mV]. Needs a pool of the channel's ion and a temperature.

    **Arguments:** `channel`, an ohmic channel of one ion, whose g_max and E_rev play no part; `permeability` [cm/s].

    >>> from jaxneuro.channels import TTypeCalcium
    >>> GHKChannel(TTypeCalcium(), permeability=1e-4)

    References: Goldman (1943), J Gen Physiol 27:37. doi:10.1085/jgp.27.1.37;
    Hodgkin & Katz (1949), J Physiol 108:37. doi:10.1113/jphysiol.1949.sp004310
    """

    source: ClassVar[Source] = Source(
        "any", "any", None, "Hodgkin & Katz (1949), J Physiol 108:37", "10.1113/jphysiol.1949.sp004310"
    )
    channel: AbstractOhmicChannel
    permeability: Array = param(1e-4, unit="cm/s", bounds=(0, None), doc="Maximal permeability.")

    def __check_init__(self):
        if not (isinstance(self.channel, AbstractOhmicChannel) and self.channel.ion):
            raise ValueError(
                f"Argument `channel` must be an ohmic channel of one ion, but is {type(self.channel).__name__}; use "
                "e.g. TTypeCalcium()."
            )

    @property
    def ion(self) -> str:
        """The ion of `channel`."""
        return self.channel.ion

    @property
    def needs(self) -> tuple[str, ...]:
        """Both concentrations, the temperature, and what `channel` needs."""
        return (*self.channel.needs, f"{self.ion}_i", f"{self.ion}_o", "celsius")

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        return self.channel.init(V, ions)

    def linearised(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> tuple[Gates, Any]:
        return self.channel.linearised(V, gates, ions)

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        inside, outside = ions[f"{self.ion}_i"], ions[f"{self.ion}_o"]
        full = ghk_current(
            self.permeability, ION_VALENCE[self.ion], V, inside=inside, outside=outside, celsius=ions["celsius"]
        )
        return full * self.channel.open_fraction(V, gates, ions)

    def carried(self, i: Float[Array, "*c"]) -> dict[str, Float[Array, "*c"]]:
        return {self.ion: i}
