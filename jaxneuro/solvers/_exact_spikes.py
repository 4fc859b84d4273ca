"""Exact spikes on a grid: the crossing is found inside the step, so times and derivatives do not depend on dt."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro.few_lanes import where_needed
from jaxneuro.models import AbstractModel, AbstractNetwork, AbstractSpikingModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import Trajectory
from jaxneuro.solvers._fixed_step import check_dt, check_memory
from jaxneuro.solvers._grid import SplitGrid, TimeGrid, split_grid
from jaxneuro.solvers._program import AbstractProgram, Edge, Reducer, Span, is_finite
from jaxneuro.solvers._run import AbstractFixedSolver, reduce_steps, run_steps
from jaxneuro.solvers._spike_to_spike import goes_spike_to_spike, reduced, simulated
from jaxneuro.solvers._threshold import find_crossing, gap_and_slope, may_cross, polished, smaller
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["ExactSpikes"]


class ExactSpikes(AbstractFixedSolver):
    """Grid of step `dt` with spikes located inside the step; the default for integrate-and-fire models and networks.

    In each step a neuron (1) stays refractory for what is left of t_ref, (2) flows freely up to the first instant
    with gap >= 0, (3) is reset there, (4) is held for t_ref and (5) flows on to the end of the step. The instant is
    found by a bracketed search and then polished by two differentiable Newton steps, which makes spike times and
    their first and second derivatives those of the continuous model (with a closed-form `flow`) for any t_ref >= 0.
    The input counts with its value in the middle of each step. Two spikes of a neuron within one step are reported in
    `result`.

    A LIF neuron under a current that is constant in pieces needs no steps: its flow is exact over any time, so it goes
    from spike to spike, whatever `dt`.

    In a network every delay must be at least `dt`. A spike that arrives between two grid points is shared between them
    in proportion, which keeps its weight and its mean time and is differentiable in spike time and delay.

    **Arguments:** `dt`, step [ms]; `memory`, as in `FixedStep`.

    >>> ExactSpikes(dt=0.1)
    """

    dt: float = eqx.field(static=True, default=0.1)
    memory: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_dt(self.dt)
        check_memory(self.memory)

    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Refuse models without a reset, and saving times off the grid."""
        if not isinstance(model, AbstractSpikingModel):
            raise ValueError(
                f"Argument `solver` must suit the model, but ExactSpikes needs a threshold and a reset and "
                f"{type(model).__name__} has none; use Adaptive() or FixedStep(dt={self.dt:g})."
            )
        grid.save_indices(self.dt)
        if isinstance(model, AbstractNetwork) and not isinstance(model.delay, jax.core.Tracer):
            shortest = float(np.asarray(model.delay).min(initial=np.inf))
            if shortest < self.dt * (1 - 1e-6):
                raise ValueError(
                    f"Argument `dt` must not exceed the shortest delay of the network, but is dt={self.dt:g} ms with a "
                    f"delay of {shortest:g} ms; use a smaller dt."
                )

    def integrate(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, max_spikes: int
    ) -> Trajectory:
        if goes_spike_to_spike(model, stimulus, y0):
            return simulated(model, stimulus, y0, grid, self.dt, max_spikes)
        return run_steps(self, model, stimulus, y0, grid, max_spikes)

    def reduce(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, reducers: tuple[Reducer, ...]
    ) -> tuple[tuple, RESULTS]:
        if goes_spike_to_spike(model, stimulus, y0) and not any(reducer.needs_steps for reducer in reducers):
            return reduced(model, stimulus, y0, grid, self.dt, reducers)
        return reduce_steps(self.program(model, stimulus, y0, grid), reducers)

    def program(
        self, model: AbstractSpikingModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid
    ) -> AbstractProgram:
        """Steps that find the spikes inside them."""
        mail = _Mail.empty(model, grid, self.dt) if isinstance(model, AbstractNetwork) else None
        return _ExactProgram(model, stimulus, y0, split_grid(grid, self.dt, stimulus), mail)


class _Carry(NamedTuple):
    y: Any
    refractory: Float[Array, "*shape"]  # what is left of it [ms]
    is_armed: Bool[Array, "*shape"]  # has been below threshold since the last spike
    is_crowded: Bool[Array, ""]
    mail: "_Mail | None"


class _ExactProgram(AbstractProgram):
    model: AbstractSpikingModel
    stimulus: AbstractStimulus
    y0: Any
    split: SplitGrid
    mail: "_Mail | None"

    def init(self) -> _Carry:
        gap = self.model.gap(self.y0)
        armed = jnp.ones_like(gap, dtype=bool)
        return _Carry(self.y0, jnp.zeros_like(gap), armed, jnp.asarray(False), self.mail)

    def step(self, carry: _Carry, edge: Edge) -> tuple[_Carry, Span]:
        y, mail = carry.y, carry.mail
        if mail is not None:
            arrivals, mail = mail.take(edge.index, edge.is_regular)
            y = self.model.deliver(y, arrivals)
        i_app = edge.input(self.stimulus).midpoint()
        moved = _advance(self.model, y, i_app, edge.length, carry)
        offset = jnp.where(moved.has_spiked, moved.offset, jnp.inf)
        if mail is not None:
            mail = mail.send(edge.index, moved.has_spiked, edge.left + moved.offset)
        is_crowded = carry.is_crowded | jnp.any(moved.is_crowded)
        after = _Carry(moved.y, moved.refractory, moved.is_armed, is_crowded, mail)
        return after, Span(edge.left, edge.right, carry.y, moved.y, moved.has_spiked, offset, edge.row)

    def outcome(self, carry: _Carry) -> RESULTS:
        return first_failure(
            (~is_finite(carry.y), RESULTS.nonfinite), (carry.is_crowded, RESULTS.several_spikes_in_step)
        )


class _Moved(NamedTuple):
    y: Any
    refractory: Float[Array, "*shape"]
    is_armed: Bool[Array, "*shape"]
    has_spiked: Bool[Array, "*shape"]
    offset: Float[Array, "*shape"]  # of the spike from the step's start [ms]
    is_crowded: Bool[Array, "*shape"]


class _Free(NamedTuple):
    """A neuron that has just become free of its refractory period, if it was in one."""

    model: AbstractSpikingModel
    y: Any
    i_app: Any
    held: Float[Array, "*shape"]  # how long V was held in this step [ms]
    h: Float[Array, "*shape"]  # what is left of the step [ms]
    refractory: Float[Array, "*shape"]  # what is left of it [ms]
    is_armed: Bool[Array, "*shape"]


def _advance(model: AbstractSpikingModel, y: Any, i_app: Any, h: Array, carry: _Carry) -> _Moved:
    """One step of every neuron of the model: refractory, free, spike, refractory, free.

    The last three only where there may be a spike, which in most steps is nowhere.
    """
    h = jnp.broadcast_to(h, carry.refractory.shape)
    held = smaller(carry.refractory, h)
    # over threshold still, or again, when the refractory time runs out: that is a spike
    is_armed = carry.is_armed | ((carry.refractory > 0) & (carry.refractory <= h))
    y = model.flow(y, i_app, held, is_held=True)
    free = _Free(model, y, i_app, held, h - held, carry.refractory - held, is_armed)
    end = model.flow(y, i_app, free.h, is_held=False)
    gaps, slopes = zip(*(gap_and_slope(model, state, i_app) for state in (y, end)), strict=True)
    still = _Moved(
        end,
        free.refractory,
        is_armed | (gaps[1] < 0),
        jnp.zeros_like(is_armed),
        held + free.h,
        jnp.zeros_like(is_armed),
    )
    may_spike = may_cross(gaps, slopes, free.h, is_armed)
    return where_needed(_with_spike, jnp.any(may_spike), free, still)


def _with_spike(start: _Free) -> _Moved:
    """The rest of a step in which there may be a spike."""
    model, y, i_app, held, h, refractory, was_armed = start
    found = find_crossing(model, y, i_app, h, was_armed, is_unrolled=model.is_simple)
    has_spiked, _, s = polished(model, y, i_app, h, found, is_unrolled=model.is_simple)
    rest = h - s
    t_ref = jnp.broadcast_to(model.t_ref, h.shape)
    held_again = jnp.where(has_spiked, smaller(t_ref, rest), 0.0)

    def phase(y: Any, part: _Phase) -> tuple[Any, tuple[Array, Array]]:
        y = model.flow(y, i_app, part.held, is_held=True)
        y = model.flow(y, i_app, part.free, is_held=False)
        after = model.reset(y, part.resets)
        return after, (model.gap(y), model.gap(after))

    # to the spike, and on from there
    none = jnp.zeros_like(h)
    to_spike, onwards = _Phase(none, s, has_spiked.astype(h.dtype)), _Phase(held_again, rest - held_again, none)
    parts = jax.tree.map(lambda *x: jnp.stack(x), to_spike, onwards)
    y, (before, after) = jax.lax.scan(phase, y, parts, unroll=2 if model.is_simple else 1)
    # a reset that changes nothing leaves the gap at 0 up to rounding: that is not below threshold
    is_below, gap_end = (after[0] < 0) & (after[0] < before[0]), after[1]
    is_free_again = (t_ref > 0) & (t_ref <= rest)
    is_armed = jnp.where(has_spiked, is_below | is_free_again, was_armed) | (gap_end < 0)
    refractory = jnp.where(has_spiked, t_ref - held_again, refractory)
    return _Moved(y, refractory, is_armed, has_spiked, held + s, has_spiked & is_below & (gap_end >= 0))


class _Phase(NamedTuple):
    held: Float[Array, "*shape"]  # how long V is held [ms]
    free: Float[Array, "*shape"]  # and then free [ms]
    resets: Float[Array, "*shape"]  # and whether it is reset after that


class _Mail(eqx.Module):
    """Spikes on their way: a ring of arrivals, one slot per grid point, one column per synapse."""

    ring: Float[Array, "n_slot n_syn"]
    pre: Array
    delay: Array
    t0: Float[Array, ""]
    dt: float = eqx.field(static=True)

    @staticmethod
    def empty(model: AbstractNetwork, grid: TimeGrid, dt: float) -> "_Mail":
        """An empty ring, long enough for the longest delay."""
        n_slot = math.ceil(model.max_delay / dt) + 3
        t0 = jnp.asarray(grid.t0, jnp.result_type(float))
        return _Mail(jnp.zeros((n_slot, model.delay.size), t0.dtype), model.pre, model.delay, t0, dt)

    def take(self, index: Array, is_regular: Array) -> tuple[Float[Array, " n_syn"], "_Mail"]:
        """What arrives at grid point `index`, and the ring without it; nothing at edges between grid points."""
        slot = index % self.ring.shape[0]
        arrivals = jnp.where(is_regular, self.ring[slot], 0.0)
        emptied = self.ring.at[slot].add(-arrivals)
        return arrivals, eqx.tree_at(lambda m: m.ring, self, emptied)

    def send(self, index: Array, has_spiked: Array, times: Array) -> "_Mail":
        """The ring with the spikes that left at `times` during the step after grid point `index`."""
        n_slot = self.ring.shape[0]
        sent = has_spiked[self.pre]
        arrival = jnp.where(sent, (times[self.pre] + self.delay - self.t0) / self.dt, 0.0)
        # rounding must not put a spike with delay = dt into the slot that has just been emptied
        arrival = jnp.maximum(arrival, index + 1)
        slot = jnp.floor(jax.lax.stop_gradient(arrival)).astype(int)
        late = arrival - slot
        synapses = jnp.arange(self.pre.size)
        ring = self.ring.at[slot % n_slot, synapses].add(jnp.where(sent, 1 - late, 0.0))
        ring = ring.at[(slot + 1) % n_slot, synapses].add(jnp.where(sent, late, 0.0))
        return eqx.tree_at(lambda m: m.ring, self, ring)
