"""The two ways to run the program of a fixed-grid solver: as fast as it goes, or so that it has derivatives."""

import abc
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro.lanes import chunked, lane_budget
from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import AbstractSolver, Spikes, Trajectory
from jaxneuro.solvers._grid import TimeGrid
from jaxneuro.solvers._program import AbstractProgram, Edge, Reducer
from jaxneuro.stimuli import AbstractStimulus

__all__ = [
    "AbstractFixedSolver",
    "AbstractStepSolver",
    "first_spikes",
    "reduce_steps",
    "rows_per_block",
    "run_steps",
    "state_bytes",
    "tree_bytes",
]


class AbstractFixedSolver(AbstractSolver):
    """A solver on a fixed grid of step `dt` [ms], for which it makes a program of steps."""

    dt: eqx.AbstractVar[float]
    memory: eqx.AbstractVar[float | None]
    """Most that the states of a differentiated run may take, of all lanes that run together [GiB]."""

    @abc.abstractmethod
    def program(self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid) -> AbstractProgram:
        """The steps of a run."""


class AbstractStepSolver(AbstractFixedSolver):
    """A solver that takes every step of its grid."""

    def integrate(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, max_spikes: int
    ) -> Trajectory:
        return run_steps(self, model, stimulus, y0, grid, max_spikes)

    def reduce(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, reducers: tuple[Reducer, ...]
    ) -> tuple[tuple, RESULTS]:
        return reduce_steps(self.program(model, stimulus, y0, grid), reducers)


def run_steps(
    solver: AbstractFixedSolver,
    model: AbstractModel,
    stimulus: AbstractStimulus,
    y0: Any,
    grid: TimeGrid,
    max_spikes: int,
) -> Trajectory:
    """All steps of a run.

    Without derivatives only the saving times and the spikes of each step are kept, and jax.vmap runs in chunks. With
    them, in every mode and order, the state of every step is, if all fit into `memory`, and what is inside a step is
    computed anew in reverse mode; otherwise the state of every block of steps.
    """
    ys, counts, spikes, result = _run((model, stimulus, y0), solver=solver, grid=grid, n_spikes=max_spikes)
    n_steps = grid.steps(solver.dt).size - 1 + stimulus.jump_ts.shape[-1]
    return Trajectory(ys, spikes, result, {"n_steps": n_steps}, counts)


def reduce_steps(program: AbstractProgram, reducers: tuple[Reducer, ...]) -> tuple[tuple, RESULTS]:
    """What the reducers keep of all steps of a run, and its outcome; not for derivatives."""
    return _reduce(program, reducers, keeps_spikes=False)[:2]


@eqx.filter_custom_jvp
def _run(inputs: Any, *, solver: AbstractFixedSolver, grid: TimeGrid, n_spikes: int) -> tuple:
    arrays, fixed = eqx.partition(inputs, eqx.is_array)

    def run(arrays: Any) -> tuple:
        model, stimulus, y0 = eqx.combine(arrays, fixed)
        program = solver.program(model, stimulus, y0, grid)
        saved = _saved_states(grid.save_ts.size)
        (ys,), result, fired = _reduce(program, (saved,), keeps_spikes=True)
        return ys, *_gathered(program, fired, n_spikes, result)

    return chunked(run)(arrays)


@_run.def_jvp
def _run_jvp(
    primals: tuple, tangents: tuple, *, solver: AbstractFixedSolver, grid: TimeGrid, n_spikes: int
) -> tuple[tuple, tuple]:
    def run(inputs: Any) -> tuple:
        model, stimulus, y0 = inputs
        program = solver.program(model, stimulus, y0, grid)
        stride = grid.stride(solver.dt)
        rows = rows_per_block(program, stride, solver.memory)
        ys, fired, result = _in_steps(program, stride) if rows is None else _in_blocks(program, stride, rows)
        return ys, *_gathered(program, fired, n_spikes, result)

    return eqx.filter_jvp(run, primals, tangents)


class _Fired(NamedTuple):
    """What is kept of the spikes of every step, see `Span`."""

    offset: Float[Array, "n_step *n_cell"]
    spike: Float[Array, "n_step *n_cell"] | None


def _gathered(program: AbstractProgram, fired: _Fired, n_spikes: int, result: RESULTS) -> tuple:
    """Spikes in each saving interval (None without a surrogate), the first spikes, and the outcome."""
    split = program.split
    spikes, result = first_spikes(split.edges[:-1], fired.offset, n_spikes, result)
    # steps and offsets count from the last regular grid point
    at = jnp.minimum(spikes.steps, split.regular_index.size - 1)
    is_spike = spikes.steps >= 0
    steps = jnp.where(is_spike, split.regular_index[at], -1)
    spikes = spikes._replace(steps=steps, offsets=spikes.offsets + jnp.where(is_spike, split.starts[at], 0.0))
    if fired.spike is None:
        return None, spikes, result
    total = jnp.cumsum(fired.spike, axis=0)
    until = jnp.concatenate([jnp.zeros_like(total[:1]), total])[split.save_indices]
    return jnp.diff(until, axis=0, prepend=until[:1]), spikes, result


def state_bytes(program: AbstractProgram) -> int:
    """Bytes of what one lane carries from step to step, all of which reverse mode stores."""
    return tree_bytes(jax.eval_shape(program.init))


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays in a tree of them, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def rows_per_block(program: AbstractProgram, stride: int, memory: float | None) -> int | None:
    """None if the states of all steps fit into `memory` [GiB], else how many saving intervals make a block whose inside
    is computed anew: as many as minimise what is stored, the root of the number of steps."""
    if program.n_steps * state_bytes(program) <= lane_budget(memory):
        return None
    return max(round(math.sqrt(program.n_steps) / stride), 1)


def _in_steps(program: AbstractProgram, stride: int) -> tuple[Any, _Fired, RESULTS]:
    """States at the saving times and spikes of all steps, each of which reverse mode computes anew."""

    @jax.checkpoint
    def step(carry: Any, edge: Edge) -> tuple[Any, tuple]:
        carry, span = program.step(carry, edge)
        return carry, (span.after, _Fired(span.offset, span.spike))

    start = program.init()
    end, (later, fired) = program.scan(step, start)
    has_jumps = program.stimulus.jump_ts.shape[-1] > 0

    def saved(first: Array, rest: Array) -> Array:
        if has_jumps:
            return jnp.concatenate([first[None], rest])[program.split.save_indices]
        last = rest[-1:] if program.n_steps % stride else rest[:0]
        return jnp.concatenate([first[None], _lanes_last(rest[stride - 1 :: stride]), last])

    return jax.tree.map(saved, start.y, later), fired, program.outcome(end)


def _lanes_last(rows: Float[Array, "n_row *s"]) -> Float[Array, "n_row *s"]:
    """The rows themselves, through a loop over them: what derivatives bring back to it under jax.vmap has its lanes
    last, as the loop over time needs it, and not first, so that none of it is copied."""
    return jax.lax.map(jax.lax.optimization_barrier, rows)


def _in_blocks(program: AbstractProgram, stride: int, rows: int) -> tuple[Any, _Fired, RESULTS]:
    """States at the saving times and spikes of all steps, in blocks of `rows` saving intervals that reverse mode
    computes anew.

    The state before a saving time's step comes `stride` steps after the last one, and one later for every jump before
    it, so that of each interval as many first states need be kept as there are jumps, and one.
    """
    split, edges = program.split, program.edges()
    kept = np.arange(min(program.stimulus.jump_ts.shape[-1] + 1, stride))
    size = stride * rows
    n_block = math.ceil(program.n_steps / size)
    edges = _filled(edges, n_block * size, split.edges[-1])

    @jax.checkpoint
    def advance(carry: Any, edge: Edge) -> tuple[Any, _Fired]:
        carry, span = program.step(carry, edge)
        return carry, _Fired(span.offset, span.spike)

    def step(before: Any, edge: Edge) -> tuple[Any, tuple]:
        carry, fired = advance(before, edge)
        return carry, (before.y, fired)

    @jax.checkpoint
    def block(carry: Any, edges: Edge) -> tuple[Any, tuple]:
        carry, (ys, fired) = jax.lax.scan(step, carry, edges)
        ys = jax.tree.map(lambda leaf: leaf.reshape(-1, stride, *leaf.shape[1:])[:, kept], ys)
        return carry, (ys, fired)

    blocks = jax.tree.map(lambda leaf: leaf.reshape(n_block, size), edges)
    end, (ys, fired) = jax.lax.scan(block, program.init(), blocks)
    at = split.save_indices[:-1]

    def gathered(leaf: Array, last: Array) -> Array:
        leaf = leaf.reshape(-1, *leaf.shape[2:])[at // stride, at % stride]
        return jnp.concatenate([leaf, last[None]])

    saved = jax.tree.map(gathered, ys, end.y)
    fired = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[: program.n_steps], fired)
    return saved, fired, program.outcome(end)


def _filled(edges: Edge, n: int, t1: Array) -> Edge:
    """The steps, followed by such of length 0 at the end until they are `n`."""
    rest = n - edges.left.size
    fill = Edge(t1, t1, jnp.zeros_like(t1), edges.index[-1], jnp.asarray(False), jnp.asarray(False), edges.row[-1])
    return jax.tree.map(lambda leaf, last: jnp.concatenate([leaf, jnp.broadcast_to(last, (rest,))]), edges, fill)


def _reduce(
    program: AbstractProgram,
    reducers: tuple[Reducer, ...],
    *,
    keeps_spikes: bool,
) -> tuple[tuple, RESULTS, _Fired | None]:
    def step(carry: tuple, edge: Any) -> tuple[tuple, _Fired | None]:
        state, kept = carry
        state, span = program.step(state, edge)
        kept = tuple(reducer.update(k, span) for reducer, k in zip(reducers, kept, strict=True))
        return (state, kept), _Fired(span.offset, span.spike) if keeps_spikes else None

    first = program.init()
    start = (first, tuple(reducer.init(first.y) for reducer in reducers))
    (end, kept), fired = program.scan(step, start)
    values = tuple(reducer.finish(k) for reducer, k in zip(reducers, kept, strict=True))
    return values, program.outcome(end), fired


def _saved_states(n_save: int) -> Reducer:
    """The states at the saving times; a spare last row takes those of the other steps."""

    def init(y: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.zeros((n_save + 1, *leaf.shape), leaf.dtype).at[0].set(leaf), y)

    def update(rows: Any, span: Any) -> Any:
        return jax.tree.map(lambda x, y: jax.lax.dynamic_update_index_in_dim(x, y, span.row, 0), rows, span.after)

    return Reducer(init, update, lambda rows: jax.tree.map(lambda row: row[:-1], rows))


def first_spikes(
    lefts: Float[Array, " n_step"], offsets: Float[Array, "n_step *n_cell"], n_spikes: int, result: RESULTS
) -> tuple[Spikes, RESULTS]:
    """Spikes of each neuron in order, from their times after the start of each step; the result, also if some did not
    fit."""
    spikes, is_full = _collected(lefts, offsets, n_spikes)
    return spikes, first_failure((result != RESULTS.successful, result), (is_full, RESULTS.max_spikes_reached))


def _collected(
    lefts: Float[Array, " n_step"], offsets: Float[Array, "n_step *n_cell"], n_spikes: int
) -> tuple[Spikes, Bool[Array, ""]]:
    def first(column: Float[Array, " n_step"]) -> tuple[Spikes, Array]:
        has_spike = jnp.isfinite(column)
        # the step that brings the number of spikes to k, for every k
        at = jnp.searchsorted(jnp.cumsum(has_spike), jnp.arange(1, n_spikes + 1))
        offset = jnp.append(column, jnp.inf)[at]
        time = jnp.append(lefts, 0.0)[at] + offset
        return Spikes(time, jnp.where(at < column.size, at, -1), offset), jnp.sum(has_spike) > n_spikes

    if offsets.ndim == 1:
        return first(offsets)
    spikes, is_full = jax.vmap(first, in_axes=1)(offsets)
    return spikes, jnp.any(is_full)
