"""What a model is: an autonomous right-hand side at a constant input. Nothing here knows a solver."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxneuro.params import AbstractParametrised

__all__ = [
    "AbstractConductanceModel",
    "AbstractModel",
    "AbstractNetwork",
    "AbstractNoisyModel",
    "AbstractSolvableModel",
    "AbstractSpikingModel",
    "rk4_flow",
]

State = Any
"""A NamedTuple of arrays with a field `V`; gates and synapses are dicts inside it."""


class AbstractModel(AbstractParametrised):
    """Any neuron or network: dy/dt = dynamics(y, i_app)."""

    input_unit: eqx.AbstractVar[str]
    """Unit of `i_app`: "uA/cm^2" for membranes, "nA" for point neurons, "1" for dimensionless models."""

    spike_threshold: eqx.AbstractVar[float]
    """Voltage whose upward crossing counts as a spike of a smooth model [mV]."""

    @abc.abstractmethod
    def init_state(self) -> State:
        """State at the start of a simulation."""

    @abc.abstractmethod
    def dynamics(self, y: State, i_app: PyTree) -> State:
        """Time derivative of y [per ms] at the input i_app."""

    @abc.abstractmethod
    def voltage(self, y: State) -> Float[Array, "..."]:
        """Membrane potential of a state [mV]; also of a state with leading time or batch axes."""

    def vector_field(self, t: Float[Array, ""], y: State, args: Any) -> State:
        """The same right-hand side as diffrax calls it; `args` is the stimulus."""
        return self.dynamics(y, args(t))


class AbstractConductanceModel(AbstractModel):
    """A model that is linear in each of its variables when the others are held: dx/dt = A x + B, elementwise.

    Its state is a NamedTuple of V, `gates` and `ions` (concentrations by ion; both may be empty). Exponential solvers
    use `linearised`. With the derivative itself and A there is no need for B, and where A is 0 or
    large nothing cancels.
    """

    @abc.abstractmethod
    def linearised(self, y: State, i_app: PyTree) -> tuple[State, State]:
        """(dy, A), each shaped like the state: dy/dt and the rate of each variable [1/ms], -g_total / C_m for V; a
        matrix for the occupancies of a Markov scheme."""

    def dynamics(self, y: State, i_app: PyTree) -> State:
        """The first of `linearised`."""
        return self.linearised(y, i_app)[0]


class AbstractNoisyModel(AbstractModel):
    """A stochastic differential equation in the sense of Ito: dy = dynamics(y, i_app) dt + diffusion(y) dW.

    `seed` names the path of the noise: the same seed gives the same path, whatever the step.
    """

    seed: eqx.AbstractVar[Float[Array, ""]]

    @property
    @abc.abstractmethod
    def n_motions(self) -> int:
        """Number of independent Brownian motions."""

    @abc.abstractmethod
    def diffuse(self, y: State, dW: Float[Array, " n_motions"]) -> State:
        """diffusion(y) dW: what increments dW [sqrt(ms)] of the Brownian motions add to y; linear in dW."""


class AbstractSpikingModel(AbstractModel):
    """A model with a threshold and a reset. `shape` is () for one neuron and (n_cell,) for a network."""

    t_ref: eqx.AbstractVar[Float[Array, "*shape"]]
    """Absolute refractory period [ms], >= 0, during which the held variables (V) do not move."""

    is_simple: eqx.AbstractVar[bool]
    """Whether the flow is a few operations, so that a solver may write it down many times; others it puts into loops,
    since fused with one another they would compile for minutes."""

    is_solved: eqx.AbstractVar[bool]
    """Whether the flow is exact over any time at a constant input, and the gap has at most one extremum in it, so that
    a solver may go from spike to spike."""

    dt_default: eqx.AbstractVar[float]
    """Step at which the flow's own error is negligible [ms]."""

    @abc.abstractmethod
    def gap(self, y: State) -> Float[Array, "*shape"]:
        """Signed distance to threshold [mV]; a spike is its upward crossing of 0."""

    @abc.abstractmethod
    def reset(self, y: State, s: Float[Array, "*shape"]) -> State:
        """State after the spike; affine in s in [0, 1]: s = 1 is the full reset, s = 0 leaves y as it is."""

    @abc.abstractmethod
    def flow(
        self, y: State, i_app: PyTree, h: Float[Array, "*shape"], *, is_held: Bool[Array, "*shape"] | bool
    ) -> State:
        """State a time h [ms] later at constant input, without spikes; differentiable in h, exact at h = 0.

        Where `is_held`, the voltage has zero derivative while the other variables go on.
        """


class AbstractSolvableModel(AbstractSpikingModel):
    """A spiking model whose firing at a constant input is known without simulating it."""

    @property
    @abc.abstractmethod
    def rheobase(self) -> Float[Array, ""]:
        """Constant input above which it fires for ever."""

    @abc.abstractmethod
    def rate(self, i_app: Float[Array, "*c"] | float) -> Float[Array, "*c"]:
        """Firing rate [Hz] at a constant input, without adaptation; 0 up to the rheobase."""


class AbstractNetwork(AbstractSpikingModel):
    """Spiking neurons whose spikes arrive at synapses after a delay; the solver keeps the spikes on their way."""

    pre: eqx.AbstractVar[Int[Array, " n_syn"]]
    """Index of the presynaptic neuron of every synapse."""

    delay: eqx.AbstractVar[Float[Array, " n_syn"]]
    """Delay of every synapse [ms]."""

    max_delay: eqx.AbstractVar[float]
    """Longest delay that a run may use [ms]; sets the size of the solver's buffer."""

    @abc.abstractmethod
    def deliver(self, y: State, arrivals: Float[Array, " n_syn"]) -> State:
        """State after `arrivals` spikes (may be fractions of one) have reached each synapse."""


def rk4_flow(vector_field: Any, y: State, h: PyTree) -> State:
    """One classical Runge-Kutta step of dy/dt = vector_field(y) over h, a tree of steps [ms] shaped like y.

    The stages are a loop, not unrolled: fused with one another they would compile for minutes.
    """

    def stage(carry: tuple[State, State], weights: Float[Array, " 2"]) -> tuple[tuple[State, State], None]:
        moved, total = carry
        share, shift = weights
        k = vector_field(moved)
        total = jax.tree.map(lambda x, dx, step: x + share * step * dx, total, k, h)
        return (jax.tree.map(lambda x, dx, step: x + shift * step * dx, y, k, h), total), None

    table = jnp.array([[1 / 6, 0.5], [1 / 3, 0.5], [1 / 3, 1.0], [1 / 6, 0.0]])
    y = jax.tree.map(lambda x, step: x + 0 * step, y, h)  # the stages must have the shape of the result
    return jax.lax.scan(stage, (y, y), table)[0][1]
