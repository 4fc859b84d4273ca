"""The two ways to run a program: as fast as it goes, or so that it can be differentiated."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.lanes import chunked
from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import AbstractFixedSolver, Trajectory
from jaxneuro.solvers._grid import TimeGrid
from jaxneuro.solvers._program import AbstractProgram, Reducer
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["first_spikes", "reduce_on_grid", "run_on_grid"]


def run_on_grid(
    solver: AbstractFixedSolver,
    model: AbstractModel,
    stimulus: AbstractStimulus,
    y0: Any,
    grid: TimeGrid,
    n_spikes: int,
) -> Trajectory:
    """Trajectory of a fixed-grid solver, differentiable in model, stimulus and y0 in every mode and order.

    Without derivatives only the saving times and the spikes of each step are kept, and jax.vmap runs in chunks; with
    them the state of every step is, and what is inside a step is computed anew in reverse mode.
    """
    ys, spikes, result = _run((model, stimulus, y0), solver=solver, grid=grid, n_spikes=n_spikes)
    n_steps = grid.steps(solver.dt).size - 1 + stimulus.jump_ts.shape[-1]
    return Trajectory(ys, spikes, result, {"n_steps": n_steps})


@eqx.filter_custom_jvp
def _run(inputs: Any, *, solver: AbstractFixedSolver, grid: TimeGrid, n_spikes: int) -> tuple:
    arrays, fixed = eqx.partition(inputs, eqx.is_array)

    def run(arrays: Any) -> tuple:
        model, stimulus, y0 = eqx.combine(arrays, fixed)
        program = solver.program(model, stimulus, y0, grid)
        saved = _saved_states(grid.save_ts.size)
        (ys,), result, times = _reduce(program, (saved,), y0, keeps_spikes=True)
        return ys, *first_spikes(times, n_spikes, result)

    return chunked(run)(arrays)


@_run.def_jvp
def _run_jvp(
    primals: tuple, tangents: tuple, *, solver: AbstractFixedSolver, grid: TimeGrid, n_spikes: int
) -> tuple[tuple, tuple]:
    def run(inputs: Any) -> tuple:
        model, stimulus, y0 = inputs
        return _differentiable(solver.program(model, stimulus, y0, grid), y0, n_spikes)

    return eqx.filter_jvp(run, primals, tangents)


def _differentiable(program: AbstractProgram, y0: Any, n_spikes: int) -> tuple:
    """The same run with the states of all steps, each step rematerialised."""

    @jax.checkpoint
    def step(carry: Any, edge: Any) -> tuple[Any, tuple]:
        carry, span = program.step(carry, edge)
        return carry, (span.after, span.spike_time)

    end, (later, times) = jax.lax.scan(step, program.init(), program.edges())
    ys = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest])[program.split.save_indices], y0, later)
    return ys, *first_spikes(times, n_spikes, program.outcome(end))


def reduce_on_grid(
    solver: AbstractFixedSolver,
    model: AbstractModel,
    stimulus: AbstractStimulus,
    y0: Any,
    grid: TimeGrid,
    reducers: tuple[Reducer, ...],
) -> tuple[tuple, RESULTS]:
    """What the reducers keep of a run, and its outcome; memory does not grow with the number of steps."""
    return _reduce(solver.program(model, stimulus, y0, grid), reducers, y0, keeps_spikes=False)[:2]


def _reduce(
    program: AbstractProgram, reducers: tuple[Reducer, ...], y0: Any, *, keeps_spikes: bool
) -> tuple[tuple, RESULTS, Array | None]:
    def step(carry: tuple, edge: Any) -> tuple[tuple, Array | None]:
        state, kept = carry
        state, span = program.step(state, edge)
        kept = tuple(reducer.update(k, span) for reducer, k in zip(reducers, kept, strict=True))
        return (state, kept), span.spike_time if keeps_spikes else None

    start = (program.init(), tuple(reducer.init(y0) for reducer in reducers))
    (end, kept), times = jax.lax.scan(step, start, program.edges())
    values = tuple(reducer.finish(k) for reducer, k in zip(reducers, kept, strict=True))
    return values, program.outcome(end), times


def _saved_states(n_save: int) -> Reducer:
    """The states at the saving times; a spare last row takes those of the other steps."""

    def init(y: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.zeros((n_save + 1, *leaf.shape), leaf.dtype).at[0].set(leaf), y)

    def update(rows: Any, span: Any) -> Any:
        return jax.tree.map(lambda row, leaf: row.at[span.row].set(leaf), rows, span.after)

    return Reducer(init, update, lambda rows: jax.tree.map(lambda row: row[:-1], rows))


def first_spikes(
    times: Float[Array, "n_step *n_cell"], n_spikes: int, result: RESULTS
) -> tuple[Float[Array, "*n_cell n"], RESULTS]:
    """Spike times of each neuron in order, padded with inf, from those of each step; the result, also if some did not
    fit."""
    spikes, is_full = _collected(times, n_spikes)
    return spikes, first_failure((result != RESULTS.successful, result), (is_full, RESULTS.max_spikes_reached))


def _collected(
    times: Float[Array, "n_step *n_cell"], n_spikes: int
) -> tuple[Float[Array, "*n_cell n"], Bool[Array, ""]]:
    def first(column: Float[Array, " n_step"]) -> tuple[Array, Array]:
        has_spike = jnp.isfinite(column)
        (at,) = jnp.nonzero(has_spike, size=n_spikes, fill_value=column.size)
        return jnp.append(column, jnp.inf)[at], jnp.sum(has_spike) > n_spikes

    if times.ndim == 1:
        return first(times)
    spikes, is_full = jax.vmap(first, in_axes=1)(times)
    return spikes, jnp.any(is_full)
