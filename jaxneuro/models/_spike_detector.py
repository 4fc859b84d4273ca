"""Makes a smooth cell a spiking one: its upward crossings are events, nothing is reset."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from jaxneuro.models._base import AbstractModel, AbstractSpikingModel, rk4_flow
from jaxneuro.params import param

__all__ = ["SpikeDetector"]


class SpikeDetector(AbstractSpikingModel):
    """A smooth cell whose upward crossings of `threshold` count as spikes; its state is the cell's.

    The flow is one RK4 step, so ExactSpikes(dt) needs dt <= 0.025 ms for Hodgkin-Huxley cells.

    >>> SpikeDetector(HodgkinHuxley())
    """

    cell: AbstractModel
    threshold: Array = param(0.0, unit="mV", doc="Voltage whose upward crossing is a spike.")
    spike_threshold: float = eqx.field(static=True, default=0.0)
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False

    @property
    def input_unit(self) -> str:
        return self.cell.input_unit

    @property
    def t_ref(self) -> Float[Array, "*c"]:
        return jnp.zeros_like(self.threshold)

    @property
    def dt_default(self) -> float:
        return 0.025

    def init_state(self) -> Any:
        return self.cell.init_state()

    def dynamics(self, y: Any, i_app: PyTree) -> Any:
        return self.cell.dynamics(y, i_app)

    def voltage(self, y: Any) -> Float[Array, "..."]:
        return self.cell.voltage(y)

    def gap(self, y: Any) -> Float[Array, "*c"]:
        return self.cell.voltage(y) - self.threshold

    def reset(self, y: Any, s: Float[Array, "*c"]) -> Any:
        return y

    def flow(self, y: Any, i_app: PyTree, h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool) -> Any:
        return rk4_flow(lambda state: self.dynamics(state, i_app), y, jax.tree.map(lambda leaf: h, y))
