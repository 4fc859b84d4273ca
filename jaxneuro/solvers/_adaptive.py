"""Adaptive steps with error control; derivatives by replaying the accepted steps."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxneuro.lanes import any_lane, chunked
from jaxneuro.models import AbstractModel, AbstractSpikingModel
from jaxneuro.numerics import where
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._adaptive_loop import Tolerances, adaptive_steps
from jaxneuro.solvers._base import AbstractSolver, Spikes, Trajectory, refuse_noise
from jaxneuro.solvers._crossings import crossing_time
from jaxneuro.solvers._grid import InputWithin, TimeGrid
from jaxneuro.solvers._one_step import ModelTerm, one_step, prepared
from jaxneuro.solvers._program import Reducer, Span
from jaxneuro.solvers._run import first_spikes
from jaxneuro.solvers._runge_kutta import Tsit5
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["Adaptive"]

_BLOCK = 64  # steps of the replay that are skipped together where none of them was taken


class Adaptive(AbstractSolver):
    """Adaptive step size with error control; the default for smooth models run alone.

    Tsitouras' fifth-order method. Steps end and begin anew at every jump of the stimulus, so that no pulse is missed,
    and are never longer than `dtmax`. In a batch every simulation has its own step size and outcome. Derivatives are
    those of the steps that were taken, frozen: exact for the computed solution, in every mode and order.

    **Arguments:** `rtol`, `atol`, tolerances of a step (`atol` in the unit of each variable); `dtmax`, longest step
    [ms]; `solver`, another adaptive diffrax solver, e.g. diffrax.Kvaerno5() for stiff models; `max_steps`, None for
    4096 or 200 per ms, whichever is more.

    >>> Adaptive(rtol=1e-8, atol=1e-8)

    References: Tsitouras (2011), Comput Math Appl 62:770. doi:10.1016/j.camwa.2011.06.002
    """

    rtol: float = 1e-6
    atol: float = 1e-6
    dtmax: float = 0.5
    solver: diffrax.AbstractAdaptiveSolver | None = None
    max_steps: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        for name in ("rtol", "atol", "dtmax"):
            value = getattr(self, name)
            if isinstance(value, float | int) and not value > 0:
                raise ValueError(
                    f"Argument `{name}` must be positive, but is {name}={value}; use e.g. 1e-6 for tolerances."
                )
        if self.solver is not None and not isinstance(self.solver, diffrax.AbstractAdaptiveSolver):
            raise ValueError(
                f"Argument `solver` must estimate its error, but {type(self.solver).__name__} does not; "
                "use e.g. diffrax.Kvaerno5(), or FixedStep(dt, solver=...)."
            )

    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Refuse models that reset."""
        refuse_noise(model, "Adaptive")
        if isinstance(model, AbstractSpikingModel):
            raise ValueError(
                f"Argument `solver` must be able to reset, but is Adaptive for {type(model).__name__}, whose spikes or "
                "delays end a smooth solution; use ExactSpikes(dt)."
            )

    def integrate(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, max_spikes: int
    ) -> Trajectory:
        ys, spikes, result, stats = _run((model, stimulus, y0), solver=self, grid=grid, n_spikes=max_spikes)
        return Trajectory(ys, spikes, result, stats)

    def reduce(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, reducers: tuple[Reducer, ...]
    ) -> tuple[tuple, RESULTS]:
        def keep(kept: tuple, n: Array, span: Span) -> tuple:
            is_step = span.right > span.left
            updated = tuple(reducer.update(k, span) for reducer, k in zip(reducers, kept, strict=True))
            return where(is_step, updated, kept)

        start = tuple(reducer.init(y0) for reducer in reducers)
        if self.solver is None:
            kept, result, _ = adaptive_steps(model, stimulus, y0, grid, self.tolerances(grid), start, keep)
        else:
            edges, _, result, _ = _recorded(self, model, stimulus, y0, grid)
            spans = _spans(model, stimulus, edges, _replayed(self, model, stimulus, y0, edges), grid)
            kept = jax.lax.scan(lambda kept, span: (keep(kept, jnp.asarray(0), span), None), start, spans)[0]
        return tuple(reducer.finish(k) for reducer, k in zip(reducers, kept, strict=True)), result

    def tolerances(self, grid: TimeGrid) -> Tolerances:
        """What the loop needs to know."""
        max_steps = self.max_steps or max(4096, int(200 * (grid.t1 - grid.t0)))
        return Tolerances(self.rtol, self.atol, self.dtmax, max_steps)


@eqx.filter_custom_jvp
def _run(inputs: Any, *, solver: Adaptive, grid: TimeGrid, n_spikes: int) -> tuple:
    arrays, fixed = eqx.partition(inputs, eqx.is_array)

    def run(arrays: Any) -> tuple:
        model, stimulus, y0 = eqx.combine(arrays, fixed)
        edges, ys, result, stats = _recorded(solver, model, stimulus, y0, grid)
        if ys is None:
            ys = _replayed(solver, model, stimulus, y0, edges)
        return *_trajectory(solver, model, stimulus, edges, ys, grid, n_spikes, result, stats["n_steps"]), stats

    return chunked(run)(arrays)


@_run.def_jvp
def _run_jvp(
    primals: tuple, tangents: tuple, *, solver: Adaptive, grid: TimeGrid, n_spikes: int
) -> tuple[tuple, tuple]:
    edges, _, result, stats = _recorded(solver, *jax.lax.stop_gradient(primals[0]), grid)

    def run(inputs: Any) -> tuple:
        model, stimulus, y0 = inputs
        moving = _moving_with_jumps(edges, stimulus.jump_ts.astype(edges.dtype))
        ys = _replayed(solver, model, stimulus, y0, moving)
        return *_trajectory(solver, model, stimulus, moving, ys, grid, n_spikes, result, stats["n_steps"]), stats

    return eqx.filter_jvp(run, primals, tangents)


def _recorded(
    solver: Adaptive, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid
) -> tuple[Float[Array, " n_edge"], Any, RESULTS, dict[str, Array]]:
    """Ends of the steps that error control takes, with repeats for steps not taken; the states there, if known."""
    if solver.solver is not None:
        return _recorded_by_diffrax(solver, model, stimulus, y0, grid)
    tolerances = solver.tolerances(grid)
    # whole blocks; what is never written is a step of length 0 from the run's end, at t1
    size = -(-tolerances.max_steps // _BLOCK) * _BLOCK + 1

    def empty(leaf: Array) -> Array:
        return jnp.zeros((size, *leaf.shape), leaf.dtype).at[0].set(leaf)

    def keep(kept: tuple, n: Array, span: Span) -> tuple:
        edges, ys = kept
        return edges.at[n + 1].set(span.right), jax.tree.map(lambda rows, y: rows.at[n + 1].set(y), ys, span.after)

    t0 = jnp.asarray(grid.t0, jnp.result_type(float))
    start = (jnp.full(size, -jnp.inf, t0.dtype).at[0].set(t0), jax.tree.map(empty, y0))
    (edges, ys), result, stats = adaptive_steps(model, stimulus, y0, grid, tolerances, start, keep)
    return jax.lax.cummax(edges), ys, result, stats


def _recorded_by_diffrax(
    solver: Adaptive, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid
) -> tuple[Float[Array, " n_edge"], None, RESULTS, dict[str, Array]]:
    dtype = jnp.result_type(float)
    controller = diffrax.PIDController(rtol=solver.rtol, atol=solver.atol, dtmax=solver.dtmax)
    if stimulus.jump_ts.size:  # an empty array raises inside diffrax
        controller = diffrax.ClipStepSizeController(controller, jump_ts=stimulus.jump_ts.astype(dtype))
    max_steps = solver.tolerances(grid).max_steps
    solution = diffrax.diffeqsolve(
        ModelTerm(model),
        solver.solver,
        jnp.asarray(grid.t0, dtype),
        jnp.asarray(grid.t1, dtype),
        dt0=None,
        y0=y0,
        args=stimulus,
        saveat=diffrax.SaveAt(t0=True, steps=True),
        stepsize_controller=controller,
        max_steps=-(-max_steps // _BLOCK) * _BLOCK,
        throw=False,
    )
    edges = jax.lax.cummax(jnp.where(jnp.isfinite(solution.ts), solution.ts, -jnp.inf))
    result = first_failure((solution.result != diffrax.RESULTS.successful, RESULTS.max_steps_reached))
    stats = {"n_steps": solution.stats["num_steps"], "n_rejected": solution.stats["num_rejected_steps"]}
    return edges, None, result, stats


def _moving_with_jumps(edges: Float[Array, " n_edge"], jumps: Float[Array, " n_jump"]) -> Float[Array, " n_edge"]:
    """The same edges, those at a jump with the derivative of its time."""
    still = jax.lax.stop_gradient(jumps)
    is_inside = (still > edges[0]) & (still < edges[-1])
    shift = jnp.where(is_inside, jumps - still, 0.0)
    return edges + jnp.sum(jnp.where(edges[:, None] == still[None, :], shift[None, :], 0.0), axis=1)


def _replayed(
    solver: Adaptive, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, edges: Float[Array, " n_edge"]
) -> Any:
    """States at the edges, differentiable; blocks of steps that were not taken are skipped."""

    @jax.checkpoint
    def step(y: Any, interval: tuple) -> tuple[Any, Any]:
        y = _advanced(solver, model, stimulus, y, *interval, interval[1])
        return y, y

    def block(y: Any, intervals: tuple) -> tuple[Any, Any]:
        def skipped(y: Any) -> tuple[Any, Any]:
            return y, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (_BLOCK, *leaf.shape)), y)

        is_used = any_lane(jax.lax.stop_gradient(intervals[1][-1] > intervals[0][0]))
        return jax.lax.cond(is_used, lambda y: jax.lax.scan(step, y, intervals), skipped, y)

    intervals = (edges[:-1].reshape(-1, _BLOCK), edges[1:].reshape(-1, _BLOCK))
    later = jax.lax.scan(block, y0, intervals)[1]
    return jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest.reshape(-1, *rest.shape[2:])]), y0, later
    )


def _advanced(
    solver: Adaptive, model: AbstractModel, stimulus: AbstractStimulus, y: Any, left: Array, right: Array, t: Array
) -> Any:
    """State at `t` from that at `left`, in a step that the run took from left to right."""
    method = Tsit5() if solver.solver is None else prepared(solver.solver)
    return one_step(method, model, y, InputWithin(stimulus, left, right), t - left)


def _trajectory(
    solver: Adaptive,
    model: AbstractModel,
    stimulus: AbstractStimulus,
    edges: Float[Array, " n_edge"],
    ys: Any,
    grid: TimeGrid,
    n_spikes: int,
    result: RESULTS,
    n_steps: Array,
) -> tuple[Any, Spikes, RESULTS]:
    """States at the saving times, each by a shorter step than the one taken there, and the spikes."""
    left, right = edges[:-1], edges[1:]
    ts = jnp.asarray(grid.save_ts, edges.dtype)
    # the last edge at or before each time; beyond the last attempt nothing is recorded
    at = jnp.searchsorted(jax.lax.stop_gradient(edges), ts, side="right") - 1
    at = jnp.clip(at, 0, jnp.minimum(n_steps, left.size - 1))
    start = jax.tree.map(lambda rows: rows[at], ys)
    saved = jax.vmap(lambda y, a, b, t: _advanced(solver, model, stimulus, y, a, b, t))(start, left[at], right[at], ts)
    is_reached = ts <= jax.lax.stop_gradient(edges[-1])
    saved = jax.tree.map(lambda rows: jnp.where(is_reached.reshape(-1, *(1,) * (rows.ndim - 1)), rows, jnp.nan), saved)

    nearly = _spans(*jax.lax.stop_gradient((model, stimulus, edges, ys)), grid).offset
    spikes, result = first_spikes(left, nearly, n_spikes, result)

    def polished(k: Int[Array, ""], offset: Float[Array, ""]) -> Float[Array, ""]:
        before, after = (jax.tree.map(lambda rows, k=k: rows[k], ys) for k in (k, k + 1))
        if solver.solver is None:
            return left[k] + _crossing(model, stimulus, before, left[k], right[k], offset)
        within = InputWithin(stimulus, left[k], right[k])
        return left[k] + crossing_time(model, within, right[k] - left[k], before, after)[1]

    is_spike = spikes.steps >= 0
    times = jax.vmap(polished)(jnp.maximum(spikes.steps, 0), jnp.where(is_spike, spikes.offsets, 0.0))
    times = jnp.where(is_spike, times, jnp.inf)
    # there is no grid to count steps on: all spikes are in step 0, which begins at t0
    return saved, Spikes(times, jnp.minimum(spikes.steps, 0), times - grid.t0), result


def _crossing(
    model: AbstractModel, stimulus: AbstractStimulus, y: Any, left: Array, right: Array, near: Array
) -> Float[Array, ""]:
    """When the voltage crosses the threshold in a step [ms after its start], to the accuracy of the steps themselves:
    two Newton steps from `near`, each by a shorter step to there, which make two derivatives exact."""
    within, term = InputWithin(stimulus, left, right), ModelTerm(model)

    def newton(near: Array, _: None) -> tuple[Array, None]:
        there = Tsit5().advance_in_loop(term, left, near, y, within)
        slope = model.voltage(model.vector_field(left + near, there, within))
        step = (model.voltage(there) - model.spike_threshold) / jnp.where(slope == 0, 1.0, slope)
        moved = near - step
        return jnp.where((moved >= 0) & (moved <= right - left), moved, near), None

    return jax.lax.scan(newton, near, None, length=2)[0]


def _spans(
    model: AbstractModel, stimulus: AbstractStimulus, edges: Float[Array, " n_edge"], ys: Any, grid: TimeGrid
) -> Span:
    """All steps of a recorded run, each field (n_step, ...)."""

    def span(left: Array, right: Array, before: Any, after: Any) -> Span:
        within = InputWithin(stimulus, left, right)
        has_crossed, offset = crossing_time(model, within, right - left, before, after)
        is_step = right > left  # beyond the last attempt nothing is recorded
        row = jnp.asarray(grid.save_ts.size)
        return Span(left, right, before, after, has_crossed & is_step, jnp.where(is_step, offset, jnp.inf), row)

    before, after = (jax.tree.map(lambda rows, k=k: rows[k], ys) for k in (slice(None, -1), slice(1, None)))
    return jax.vmap(span)(edges[:-1], edges[1:], before, after)
