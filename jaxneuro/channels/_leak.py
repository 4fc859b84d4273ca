"""Ohmic leak."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractOhmicChannel, AbstractUngatedChannel, Gates, Ions, Source, ion_or_mixture
from jaxneuro.params import param

__all__ = ["Leak"]


class Leak(AbstractUngatedChannel, AbstractOhmicChannel):
    """Ohmic leak, a resistor and a battery: i = g_max (V - E_rev) [uA/cm^2]; no gates.

    **Arguments:** `g_max` [mS/cm^2], `E_rev` [mV]; `ion`, "na", "k", "cl" or "ca" where it is carried by one ion that
    a pool follows.

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    (conductance as there; E_rev = -54.3 mV as in NEURON's `hh`, which puts rest at -65 mV).
    """

    source: ClassVar[Source] = Source(
        "any", "any", None, "Hodgkin & Huxley (1952), J Physiol 117:500", "10.1113/jphysiol.1952.sp004764"
    )
    g_max: Array = param(0.3, unit="mS/cm^2", bounds=(0, None), doc="Leak conductance.")
    E_rev: Array = param(-54.3, unit="mV", doc="Leak reversal potential.")
    ion: str = eqx.field(static=True, default="", converter=ion_or_mixture)

    def open_fraction(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        return jnp.ones_like(V)
