"""A run as a sequence of steps, and what is kept of it while it runs."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxneuro.results import RESULTS
from jaxneuro.solvers._grid import InputWithin, SplitGrid
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["AbstractProgram", "Edge", "Reducer", "Span"]


class Edge(NamedTuple):
    """What a step on a fixed grid is told: where it runs and which grid points are at its ends."""

    left: Float[Array, ""]
    right: Float[Array, ""]
    length: Float[Array, ""]
    """right - left, without its rounding error."""
    index: Int[Array, ""]
    """Index on the regular grid of the last regular point at or before `left`."""
    is_regular: Bool[Array, ""]
    """Whether `left` is a point of the regular grid."""
    is_end_regular: Bool[Array, ""]
    """Whether `right` is."""
    row: Int[Array, ""]
    """Index among the saving times of `right`; the number of saving times if it is none."""

    def input(self, stimulus: AbstractStimulus) -> InputWithin:
        """The stimulus in this step, a function of the time after its start."""
        return InputWithin(stimulus, self.left, self.right, origin=self.left)


class Span(NamedTuple):
    """What one step did. Reducers see every step of a run as one of these."""

    left: Float[Array, ""]
    """Start of the step [ms]."""
    right: Float[Array, ""]
    """End of the step [ms]."""
    before: Any
    """State at the start."""
    after: Any
    """State at the end."""
    has_spiked: Bool[Array, "*n_cell"]
    offset: Float[Array, "*n_cell"]
    """Time of the spike in it after `left` [ms]; inf without one."""
    row: Int[Array, ""]
    """Index among the saving times of `right`; their number if it is none."""
    spike: Float[Array, "*n_cell"] | None = None
    """1 where a neuron has spiked and 0 elsewhere, with the derivative of a surrogate; None without surrogate."""

    @property
    def spike_time(self) -> Float[Array, "*n_cell"]:
        """Time of the spike in it [ms]; inf without one."""
        return self.left + self.offset


class Reducer(NamedTuple):
    """A number kept of a simulation while it runs, so that no trace needs memory.

    `init(y)` gives what is carried, from the state at the start; `update(carried, span)` is called at every step with
    a `Span` (left, right, before, after, has_spiked, spike_time); `finish(carried)` gives the result. Written for one
    simulation, in jax.numpy. `unit` and `doc` label the result.

    >>> Reducer(lambda y: y.gates["na"]["h"], lambda low, s: jnp.minimum(low, s.after.gates["na"]["h"]), name="h_min")
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Span], Any]
    finish: Callable[[Any], Any] = lambda carried: carried
    name: str = "reduced"
    unit: str = "1"
    doc: str = "Kept by the user's reducer."
    needs_steps: bool = True
    """Whether it must see every step of the grid; if not, it may be shown spikes and the end alone."""


class AbstractProgram(eqx.Module):
    """Steps on a split grid: what a solver makes of a model, an input and a start."""

    split: eqx.AbstractVar[SplitGrid]
    stimulus: eqx.AbstractVar[AbstractStimulus]

    @abc.abstractmethod
    def init(self) -> Any:
        """What is carried from step to step, at the start: a NamedTuple whose field `y` is the model's state."""

    @abc.abstractmethod
    def step(self, carry: Any, edge: Edge) -> tuple[Any, Span]:
        """One step."""

    @abc.abstractmethod
    def outcome(self, carry: Any) -> RESULTS:
        """How the run ended, but for lost spikes."""

    @property
    def n_steps(self) -> int:
        """Steps of the run, those of length 0 at jumps on the grid included."""
        return self.split.edges.shape[-1] - 1

    def scan(self, step: Callable[[Any, Edge], tuple[Any, Any]], start: Any) -> tuple[Any, Any]:
        """`jax.lax.scan` of `step` over all steps."""
        edges, length = self.edges(), self.split.common_length
        if length is None:
            return jax.lax.scan(step, start, edges)
        common = jnp.asarray(length, edges.length.dtype)
        return jax.lax.scan(
            lambda carry, edge: step(carry, edge._replace(length=common)), start, edges._replace(length=None)
        )

    def edges(self) -> Edge:
        """All steps, each field (n_step,)."""
        split = self.split
        return Edge(
            split.edges[:-1],
            split.edges[1:],
            split.lengths,
            split.regular_index[:-1],
            split.is_regular[:-1],
            split.is_regular[1:],
            split.save_rows[1:],
        )


def is_finite(y: Any) -> Bool[Array, ""]:
    """Whether every number of a state is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(y)]))
