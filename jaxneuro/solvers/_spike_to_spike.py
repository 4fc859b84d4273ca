"""From spike to spike: runs of models whose flow is exact over any time, under a current that is constant in pieces."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxneuro.lanes import any_lane, chunked
from jaxneuro.models import AbstractSpikingModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import Trajectory
from jaxneuro.solvers._grid import InputWithin, TimeGrid, jumps_within
from jaxneuro.solvers._program import Reducer, Span, is_finite
from jaxneuro.solvers._run import first_spikes
from jaxneuro.solvers._threshold import Crossing, find_crossing, polished, smaller
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["goes_spike_to_spike", "reduced", "simulated"]

_BLOCK = 16  # events of the replay that are skipped together where no lane has them

_Find = Callable[[Any, Any, Float[Array, ""], Bool[Array, ""]], Crossing]


def goes_spike_to_spike(model: AbstractSpikingModel, stimulus: AbstractStimulus, y0: Any) -> bool:
    """Whether a run needs no steps: of one neuron, since several would each spike at times of their own."""
    return model.is_solved and stimulus.is_piecewise_constant and model.gap(y0).ndim == 0


class _Clock(NamedTuple):
    """A time as a point of the regular grid and what has passed since [ms], which stays exact in long float32 runs."""

    index: Int[Array, "*n"]
    offset: Float[Array, "*n"]


class _State(NamedTuple):
    clock: _Clock
    y: Any
    refractory: Float[Array, ""]  # what is left of it [ms]
    is_armed: Bool[Array, ""]  # has been below threshold since the last spike
    piece: Int[Array, ""]


class _Run(eqx.Module):
    """A model, its current as pieces between the jumps, and the regular grid that clocks refer to."""

    model: AbstractSpikingModel
    i_app: Any  # (n_piece, ...)
    borders: _Clock  # of the pieces, n_piece + 1
    y0: Any
    grid: TimeGrid = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    @staticmethod
    def of(model: AbstractSpikingModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, dt: float) -> "_Run":
        points = jnp.asarray(grid.steps(dt), jnp.result_type(float))
        last, length = points.size - 2, grid.last_step(dt)
        jumps = jumps_within(stimulus, points, dt)
        times = jnp.concatenate([points[:1], jumps, points[-1:]])
        i_app = jax.vmap(lambda left, right: InputWithin(stimulus, left, right).midpoint())(times[:-1], times[1:])
        index = jnp.searchsorted(points, jax.lax.stop_gradient(jumps), side="right") - 1
        offset = jumps - points[index] + jnp.where(index > last, length, 0.0)
        borders = _Clock(
            jnp.concatenate([jnp.zeros(1, int), jnp.minimum(index, last), jnp.full(1, last)]),
            jnp.concatenate([jnp.zeros(1), offset, jnp.full(1, length)]),
        )
        return _Run(model, i_app, borders, y0, grid, dt)

    @property
    def n_piece(self) -> int:
        return self.borders.index.size - 1

    def start(self) -> _State:
        zero = jnp.zeros_like(self.model.gap(self.y0))
        clock = _Clock(jnp.zeros_like(zero, int), zero)
        return _State(clock, self.y0, zero, jnp.ones_like(zero, bool), jnp.zeros_like(zero, int))

    def current(self, piece: Int[Array, "*n"]) -> Any:
        return jax.tree.map(lambda leaf: leaf[jnp.minimum(piece, self.n_piece - 1)], self.i_app)

    def between(self, start: _Clock, end: _Clock) -> Float[Array, "*n"]:
        """Time from start to end [ms]."""
        return (end.index - start.index) * self.dt + (end.offset - start.offset)

    def times_of(self, index: Int[Array, "*n"]) -> Float[Array, "*n"]:
        """Times of points of the regular grid [ms]."""
        return jnp.asarray(self.grid.steps(self.dt), jnp.result_type(float))[index]

    def next(self, state: _State, find: _Find) -> tuple[_State, Crossing]:
        """Up to the next spike, or to the end of the piece if there is none before; nothing after the last piece."""
        model, i_app = self.model, self.current(state.piece)
        is_over = state.piece == self.n_piece
        last = jnp.minimum(state.piece, self.n_piece - 1)
        border = jax.tree.map(lambda leaf: leaf[last + 1], self.borders)
        rest = jnp.where(is_over, 0.0, self.between(state.clock, border))
        held = smaller(state.refractory, rest)
        # over threshold still, or again, when the refractory time runs out: that is a spike
        is_armed = state.is_armed | ((state.refractory > 0) & (state.refractory <= rest))
        y = model.flow(state.y, i_app, held, is_held=True)
        found = find(y, i_app, rest - held, is_armed & ~is_over)
        y = model.flow(y, i_app, found.time, is_held=False)
        y = model.reset(y, found.has_spiked.astype(rest.dtype))
        is_below = model.gap(y) < 0
        at_spike = self._later(state.clock, held + found.time)
        goes_on = found.has_spiked | is_over
        return _State(
            jax.tree.map(lambda a, b: jnp.where(goes_on, a, b), at_spike, border),
            y,
            jnp.where(found.has_spiked, model.t_ref, state.refractory - held),
            jnp.where(found.has_spiked, is_below, is_armed | is_below),
            state.piece + ~goes_on,
        ), found

    def _later(self, clock: _Clock, duration: Float[Array, ""]) -> _Clock:
        offset = clock.offset + duration
        n = jnp.floor(jax.lax.stop_gradient(offset / self.dt))
        return _Clock(clock.index + n.astype(int), offset - n * self.dt)

    def search(self) -> _Find:
        """How `next` finds spikes."""

        def find(y: Any, i_app: Any, h: Float[Array, ""], is_armed: Bool[Array, ""]) -> Crossing:
            found = find_crossing(self.model, y, i_app, h, is_armed, is_unrolled=False)
            return polished(self.model, y, i_app, h, found, is_unrolled=False)

        return find

    def outcome(self, end: _State) -> RESULTS:
        return first_failure(
            (~is_finite(end.y), RESULTS.nonfinite), (end.piece < self.n_piece, RESULTS.too_many_spikes)
        )


def reduced(
    model: AbstractSpikingModel,
    stimulus: AbstractStimulus,
    y0: Any,
    grid: TimeGrid,
    dt: float,
    reducers: tuple[Reducer, ...],
) -> tuple[tuple, RESULTS]:
    """What reducers keep that need to see no more than the spikes and the end; not for derivatives."""
    run = _Run.of(model, stimulus, y0, grid, dt)
    no_row = jnp.asarray(grid.save_ts.size)

    def keep(kept: tuple, n: Array, before: _State, after: _State, found: Crossing) -> tuple:
        left = run.times_of(after.clock.index)
        offset = jnp.where(found.has_spiked, after.clock.offset, jnp.inf)
        span = Span(left, left + after.clock.offset, before.y, after.y, found.has_spiked, offset, no_row)
        return tuple(reducer.update(k, span) for reducer, k in zip(reducers, kept, strict=True))

    most = run.grid.steps(dt).size + run.n_piece
    kept, end = _until_end(run, most, tuple(reducer.init(y0) for reducer in reducers), keep)
    return tuple(reducer.finish(k) for reducer, k in zip(reducers, kept, strict=True)), run.outcome(end)


def _until_end(run: _Run, most: int, kept: Any, keep: Callable[..., Any]) -> tuple[Any, _State]:
    """Event after event until every lane is at t1, `most` of them; what is kept, and the end.

    `keep(kept, n, before, after, found)` is told their number, which is common to all lanes.
    """
    find = run.search()

    def is_running(carry: tuple) -> Array:
        n, state, _ = carry
        return any_lane(state.piece < run.n_piece) & (n < most)

    def step(carry: tuple) -> tuple:
        n, state, kept = carry
        after, found = run.next(state, find)
        return n + 1, after, keep(kept, n, state, after, found)

    _, end, kept = jax.lax.while_loop(is_running, step, (jnp.asarray(0), run.start(), kept))
    return kept, end


class _Event(NamedTuple):
    """Where a run stands after an event, and what the event was; `piece` is the number of pieces after the end."""

    state: _State
    found: Crossing


def simulated(
    model: AbstractSpikingModel,
    stimulus: AbstractStimulus,
    y0: Any,
    grid: TimeGrid,
    dt: float,
    n_spikes: int,
) -> Trajectory:
    """States at the saving times and the spikes; differentiable in every mode and order."""
    ys, spikes, result, n = _simulated((model, stimulus, y0), grid=grid, dt=dt, n_spikes=n_spikes)
    return Trajectory(ys, spikes, result, {"n_steps": n})


@eqx.filter_custom_jvp
def _simulated(inputs: Any, *, grid: TimeGrid, dt: float, n_spikes: int) -> tuple:
    arrays, fixed = eqx.partition(inputs, eqx.is_array)

    def run(arrays: Any) -> tuple:
        run = _Run.of(*eqx.combine(arrays, fixed), grid, dt)
        events, end = _recorded(run, n_spikes)
        return _trajectory(run, events, n_spikes, run.outcome(end))

    return chunked(run)(arrays)


@_simulated.def_jvp
def _simulated_jvp(primals: tuple, tangents: tuple, *, grid: TimeGrid, dt: float, n_spikes: int) -> tuple:
    run = _Run.of(*jax.lax.stop_gradient(primals[0]), grid, dt)
    events, end = _recorded(run, n_spikes)
    result = run.outcome(end)

    def replay(inputs: Any) -> tuple:
        run = _Run.of(*inputs, grid, dt)
        return _trajectory(run, _replayed(run, events), n_spikes, result)

    return eqx.filter_jvp(replay, primals, tangents)


def _recorded(run: _Run, n_spikes: int) -> tuple[_Event, _State]:
    """All events, in rows of which those after the last one are over, and the end."""
    room = max(n_spikes, 64, math.ceil(run.grid.t1 - run.grid.t0)) + run.n_piece
    room = _BLOCK * math.ceil(room / _BLOCK)
    shape = jax.eval_shape(lambda: _Event(*run.next(run.start(), run.search())))
    over = jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), shape)
    over = eqx.tree_at(lambda event: event.state.piece, over, replace_fn=lambda piece: piece + run.n_piece)

    def keep(rows: _Event, n: Array, before: _State, after: _State, found: Crossing) -> _Event:
        return jax.tree.map(lambda row, leaf: row.at[n].set(leaf), rows, _Event(after, found))

    return _until_end(run, room, over, keep)


def _replayed(run: _Run, events: _Event) -> _Event:
    """The recorded events, differentiable: each spike is not sought again but moved with its threshold."""

    @jax.checkpoint
    def step(state: _State, found: Crossing) -> tuple[_State, _Event]:
        def moved(y: Any, i_app: Any, h: Array, is_armed: Array) -> Crossing:
            return polished(run.model, y, i_app, h, found, is_unrolled=False)

        after, found = run.next(state, moved)
        return after, _Event(after, found)

    def block(state: _State, events: _Event) -> tuple[_State, _Event]:
        def skipped(state: _State) -> tuple[_State, _Event]:
            return state, events

        is_used = any_lane(state.piece < run.n_piece)
        return jax.lax.cond(is_used, lambda state: jax.lax.scan(step, state, events.found), skipped, state)

    blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, _BLOCK, *leaf.shape[1:]), events)
    rows = jax.lax.scan(block, run.start(), blocks)[1]
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rows)


def _trajectory(run: _Run, events: _Event, n_spikes: int, result: RESULTS) -> tuple:
    """States at the saving times, each from the event before it, the first spikes, and the number of events."""
    states = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), run.start(), events.state)
    is_over = states.piece == run.n_piece
    saved = _saved_clocks(run.grid, run.dt)
    # in the order of time, by whole numbers, since late times are coarse in float32: even on the grid, odd within its
    # steps; what is saved on the grid is after a spike there, but before a jump
    is_within = ~jnp.append(False, events.found.has_spiked) | (jax.lax.stop_gradient(states.clock.offset) > 0)
    order = 2 * states.clock.index + is_within
    order = jnp.where(is_over, jnp.iinfo(order.dtype).max, order)
    at = jnp.searchsorted(order, 2 * saved.index + (saved.offset > 0), side="right") - 1
    at = at.at[0].set(0)  # the start is saved as it is given, also if it fires at once

    def state_at(index: Array, clock: _Clock) -> Any:
        before = jax.tree.map(lambda leaf: leaf[index], states)
        elapsed = run.between(before.clock, clock)
        held = smaller(before.refractory, elapsed)
        i_app = run.current(before.piece)
        y = run.model.flow(before.y, i_app, held, is_held=True)
        return run.model.flow(y, i_app, elapsed - held, is_held=False)

    ys = jax.vmap(state_at)(at, saved)
    offset = jnp.where(events.found.has_spiked, events.state.clock.offset, jnp.inf)
    spikes, result = first_spikes(run.times_of(events.state.clock.index), offset, n_spikes, result)
    index = jnp.append(events.state.clock.index, -1)[spikes.steps]
    return ys, spikes._replace(steps=index), result, jnp.sum(~is_over)


def _saved_clocks(grid: TimeGrid, dt: float) -> _Clock:
    """The saving times: points of the grid, and t1 at the end of its last step."""
    index = grid.save_indices(dt)
    is_end = index == index[-1]
    offset = np.where(is_end, grid.last_step(dt), 0.0)
    return _Clock(jnp.asarray(index - is_end), jnp.asarray(offset, jnp.result_type(float)))
