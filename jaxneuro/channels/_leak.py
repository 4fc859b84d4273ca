"""Ohmic leak."""

from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions
from jaxneuro.params import param

__all__ = ["Leak"]


class Leak(AbstractGatedChannel):
    """Ohmic leak: i = g_max (V - E_rev) [uA/cm^2]; no gates.

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    (conductance as there; E_rev = -54.3 mV as in NEURON's `hh`, which puts rest at -65 mV).
    """

    g_max: Array = param(0.3, unit="mS/cm^2", bounds=(0, None), doc="Leak conductance.")
    E_rev: Array = param(-54.3, unit="mV", doc="Leak reversal potential.")

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        return {}, {}

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        return self.g_max * (V - self.E_rev)
