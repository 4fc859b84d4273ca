"""Mechanically gated transduction channel of hair cells (Howard & Hudspeth 1988)."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractOhmicChannel, AbstractUngatedChannel, Gates, Ions, Source
from jaxneuro.numerics import sigmoid
from jaxneuro.params import param

__all__ = ["MechanicallyGated"]


class MechanicallyGated(AbstractUngatedChannel, AbstractOhmicChannel):
    """Transduction channel opened by displacement of the hair bundle: i = g_max P(x) (V - E_rev)   [uA/cm^2]

    P(x) = 1 / (1 + e^{-(x - x_half) / width}),  width = k_B T / gating force   [um]

    No gates: the two states are in Boltzmann equilibrium. The model must give the displacement x [um], as HairCell
    does.

    References: Howard & Hudspeth (1988), Neuron 1:189. doi:10.1016/0896-6273(88)90139-0
    (a gating force of 40 fN makes the width 0.104 um; x_half puts 15 % open at rest).
    """

    ion: ClassVar[str] = ""
    source: ClassVar[Source] = Source(
        "bullfrog", "saccular hair cell", None, "Howard & Hudspeth (1988), Neuron 1:189", "10.1016/0896-6273(88)90139-0"
    )
    needs: ClassVar[tuple[str, ...]] = ("displacement",)
    g_max: Array = param(0.5, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(0.0, unit="mV", doc="Reversal potential.")
    x_half: Array = param(0.18, unit="um", doc="Displacement that opens half of them.")
    width: Array = param(0.104, unit="um", bounds=(0, None), is_open=True, doc="Displacement per e-fold.")

    def open_fraction(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        return jnp.broadcast_to(sigmoid((ions["displacement"] - self.x_half) / self.width), V.shape)
