"""A sensory cell that is driven by displacement instead of current."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels import Leak, MechanicallyGated
from jaxneuro.models._base import AbstractConductanceModel
from jaxneuro.models._membrane import Membrane, MembraneState

__all__ = ["HairCell"]


class HairCell(AbstractConductanceModel):
    """Hair cell: a membrane whose transduction channels open when the hair bundle is displaced by x.

    C_m dV/dt = -i_membrane(V, gates) - g_max P(x) (V - E_rev)        [uA/cm^2]

    State: that of the membrane, V [mV] at rest with the bundle at x = 0 for the defaults. The input is the displacement
    of the bundle [um], positive towards its tall edge.

    **Arguments:** `transducer`, the mechanically gated channel; `membrane`, the rest of the cell, a Membrane.

    >>> HairCell()

    References: Howard & Hudspeth (1988), Neuron 1:189. doi:10.1016/0896-6273(88)90139-0
    """

    transducer: MechanicallyGated = eqx.field(default_factory=MechanicallyGated)
    membrane: Membrane = eqx.field(
        default_factory=lambda: Membrane({"leak": Leak(g_max=0.25, E_rev=-70.0)}, V_init=-53.805658)
    )
    input_unit: ClassVar[str] = "um"
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def init_state(self) -> MembraneState:
        return self.membrane.init_state()

    def voltage(self, y: MembraneState) -> Float[Array, "..."]:
        return y.V

    def transduction(self, V: Float[Array, "..."], displacement: Float[Array, "..."]) -> Float[Array, "..."]:
        """Current of the transduction channels [uA/cm^2], outward positive, at V [mV] and displacement [um]."""
        return self.transducer.current(V, {}, {"displacement": displacement})

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        dy, A = self.membrane.linearised(y, jnp.zeros_like(y.V))
        i, g = jax.jvp(lambda V: self.transduction(V, i_app), (y.V,), (jnp.ones_like(y.V),))
        per_C = 1 / self.membrane.C_m
        return dy._replace(V=dy.V - i * per_C), A._replace(V=A.V - g * per_C)
