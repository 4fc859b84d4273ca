"""Small-conductance calcium-activated potassium channel (Koehler et al. 1996)."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractGatedChannel, Gates, Ions, Source, gate_powers
from jaxneuro.numerics import sigmoid
from jaxneuro.params import param

__all__ = ["SKChannel"]


class SKChannel(AbstractGatedChannel):
    """Small potassium channel, opened by calcium alone: i = g_max z (V - E_rev)   [uA/cm^2]

    z_inf = 1 / (1 + (EC50 / [Ca])^4.8),  tau_z = tau   [ms]

    Gate: z [1], same shape as V [mV]; needs a calcium pool, [Ca] and EC50 in mM. It carries the slow
    after-hyperpolarisation.

    References: Koehler, Hirschberg, Bond, Kinzie, Marrion, Maylie & Adelman (1996), Science 273:1709.
    doi:10.1126/science.273.5282.1709 (time constant of 1 ms as in Hay et al. (2011); no temperature dependence).
    """

    ion: ClassVar[str] = "k"
    source: ClassVar[Source] = Source(
        "rat", "brain, in oocytes", None, "Koehler et al. (1996), Science 273:1709", "10.1126/science.273.5282.1709"
    )
    needs: ClassVar[tuple[str, ...]] = ("ca_i",)
    q10: ClassVar[float] = 1.0
    g_max: Array = param(0.1, unit="mS/cm^2", bounds=(0, None), doc="Maximal conductance.")
    E_rev: Array = param(-90.0, unit="mV", doc="Potassium reversal potential.")
    EC50: Array = param(4.3e-4, unit="mM", bounds=(0, None), is_open=True, doc="Calcium that opens half of them.")
    tau: Array = param(1.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant.")
    powers: tuple = gate_powers(z=1)

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        ca = jnp.maximum(ions["ca_i"], 1e-12)  # so that none at all still has a logarithm
        z_inf = sigmoid(4.8 * jnp.log(ca / self.EC50))
        return {"z": jnp.broadcast_to(z_inf, V.shape)}, {"z": jnp.broadcast_to(self.tau, V.shape)}
