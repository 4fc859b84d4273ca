"""The one front door: run a model."""

import dataclasses
import math
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxneuro._solution import Solution
from jaxneuro.compilation import compile_seconds
from jaxneuro.models import AbstractModel
from jaxneuro.params import is_concrete
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, Adaptive, TimeGrid, default_solver
from jaxneuro.stimuli import AbstractStimulus, as_stimulus

__all__ = ["check_shape", "checked_run", "simulate"]


def simulate(
    model: AbstractModel,
    stimulus: AbstractStimulus | float | None = None,
    *,
    t1: float,
    t0: float = 0.0,
    dt_save: float | None = None,
    y0: Any = None,
    solver: AbstractSolver | None = None,
    max_spikes: int | None = None,
    throw: bool = True,
) -> Solution:
    """Simulate a model from t0 to t1.

    **Arguments:**

    - `model`: any model, e.g. `HodgkinHuxley()`, `LIF()`, a `Network`.
    - `stimulus`: what is injected, in the model's input unit (uA/cm^2 for membranes, nA for point neurons); a number
      is a constant current, None nothing.
    - `t1`, `t0`: end and start [ms], plain numbers.
    - `dt_save`: interval of the saved states [ms]; 0.1 ms or the solver's step, whichever is longer. Spike times do not
      depend on it.
    - `y0`: state at t0; `model.init_state()` if None.
    - `solver`: `ExactSpikes` for models that reset and networks, `Adaptive()` for smooth ones if None.
    - `max_spikes`: keep only the first spikes of a neuron, this many. If None there is room for one per ms (at least
      64), and more are a failure.
    - `throw`: raise if the simulation fails; otherwise see `Solution.result`. Inside jax.jit and jax.vmap a failure is
      always a value.

    Differentiable in the model's and the stimulus' parameters (onsets included) and in y0. A second call with other
    parameter values does not recompile.

    **Raises:** ValueError for bad times, a stimulus that ends before t1, or a solver that does not suit the model;
    RuntimeError if the run fails and `throw` is set.

    >>> solution = simulate(HodgkinHuxley(), Step(amplitude=10.0, onset=5.0, duration=40.0), t1=50.0)
    >>> solution.spikes.size
    3
    """
    stimulus, solver, grid, n_spikes = checked_run(
        model, stimulus, t0=t0, t1=t1, dt_save=dt_save, solver=solver, max_spikes=max_spikes
    )
    y0 = None if y0 is None else _as_state(model, y0)
    began = time.perf_counter()
    with compile_seconds() as watch:
        solution = _simulate(model, stimulus, y0, solver, grid, n_spikes, max_spikes is None)
    if not is_concrete(solution.result._value):
        return solution
    jax.block_until_ready(solution.result._value)
    run_seconds = time.perf_counter() - began - watch.seconds
    if throw:
        _raise_unless_successful(solution.result)
    stats = solution.stats | {"compile_seconds": watch.seconds, "run_seconds": max(run_seconds, 0.0)}
    return dataclasses.replace(solution, stats=stats)


def checked_run(
    model: AbstractModel,
    stimulus: AbstractStimulus | float | None,
    *,
    t0: float,
    t1: float,
    dt_save: float | None,
    solver: AbstractSolver | None,
    max_spikes: int | None,
) -> tuple[AbstractStimulus, AbstractSolver, TimeGrid, int]:
    """Stimulus, solver, time grid and number of kept spikes of a run, or the sentence that says what is wrong."""
    if not isinstance(model, AbstractModel):
        raise TypeError(f"Argument `model` must be a model, but is {model!r}; build one, e.g. HodgkinHuxley().")
    stimulus = as_stimulus(stimulus)
    solver = default_solver(model) if solver is None else solver
    if not isinstance(solver, AbstractSolver):
        raise TypeError(f"Argument `solver` must be Adaptive, FixedStep or ExactSpikes, but is {solver!r}; choose one.")
    grid = _time_grid(t0, t1, dt_save, solver)
    _check_covered(stimulus, grid)
    solver.check(model, grid)
    n_spikes = max(64, math.ceil(grid.t1 - grid.t0)) if max_spikes is None else _check_count("max_spikes", max_spikes)
    return stimulus, solver, grid, n_spikes


@eqx.filter_jit
def _simulate(
    model: AbstractModel,
    stimulus: AbstractStimulus,
    y0: Any,
    solver: AbstractSolver,
    grid: TimeGrid,
    max_spikes: int,
    needs_all_spikes: bool,
) -> Solution:
    check_shape(model, stimulus)  # here, because it costs a trace, and so is done once per compilation
    y0 = model.init_state() if y0 is None else y0
    trajectory = solver.integrate(model, stimulus, y0, grid, max_spikes)
    ts = jnp.asarray(grid.save_ts, jnp.result_type(float))
    result = trajectory.result
    if not needs_all_spikes:  # the user asked for the first few only
        result = RESULTS.where(result == RESULTS.max_spikes_reached, RESULTS.successful, result)
    return Solution(ts, trajectory.ys, *trajectory.spikes, trajectory.counts, result, trajectory.stats, model, stimulus)


def _as_time(name: str, value: Any) -> float:
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            f"Argument `{name}` must be a plain number, but is traced by jax; pass it from outside jit and vmap, since "
            "it sets the number of steps."
        )
    number = np.asarray(value)
    if number.ndim or not np.issubdtype(number.dtype, np.number) or not np.isfinite(number):
        raise ValueError(f"Argument `{name}` must be a finite number [ms], but is {value!r}; give a single time.")
    return float(number)


def _time_grid(t0: Any, t1: Any, dt_save: Any, solver: AbstractSolver) -> TimeGrid:
    t0, t1 = _as_time("t0", t0), _as_time("t1", t1)
    if not t1 > t0:
        raise ValueError(f"Argument `t1` must be later than t0={t0:g} ms, but is t1={t1:g} ms; swap or raise it.")
    if dt_save is not None:
        dt_save = _as_time("dt_save", dt_save)
        if not dt_save > 0:
            raise ValueError(f"Argument `dt_save` must be positive, but is dt_save={dt_save:g} ms; use e.g. 0.1 ms.")
        return TimeGrid(t0, t1, dt_save)
    dt = 0.1 if isinstance(solver, Adaptive) else solver.dt
    return TimeGrid(t0, t1, dt * max(round(0.1 / dt), 1))


def _check_covered(stimulus: AbstractStimulus, grid: TimeGrid) -> None:
    start, end = stimulus.domain
    if not is_concrete(start, end):
        return
    slack = 1e-6 * (grid.t1 - grid.t0)  # a recording's last sample may be rounded below t1
    if np.any(np.asarray(start) > grid.t0 + slack) or np.any(np.asarray(end) < grid.t1 - slack):
        raise ValueError(
            f"Argument `stimulus` must cover the run from {grid.t0:g} to {grid.t1:g} ms, but is defined from "
            f"{float(np.max(start)):g} to {float(np.min(end)):g} ms; shorten the run or lengthen the stimulus."
        )


def check_shape(model: AbstractModel, stimulus: AbstractStimulus) -> None:
    """Raise a ValueError if the stimulus does not give one current, or one per cell."""
    wanted = jax.eval_shape(lambda m: m.voltage(m.init_state()), model).shape
    for given in jax.tree.leaves(jax.eval_shape(stimulus, jnp.zeros(()))):
        if given.shape not in ((), wanted):
            raise ValueError(
                f"Argument `stimulus` must give one current{f' or {wanted[0]}, one per cell' if wanted else ''}, but "
                f"gives shape {given.shape}; use sweep or jax.vmap for several runs."
            )


def _check_count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"Argument `{name}` must be a whole number of at least 1, but is {value!r}; give e.g. 100.")
    return int(value)


def _as_state(model: AbstractModel, y0: Any) -> Any:
    expected = jax.eval_shape(model.init_state)
    if jax.tree.structure(y0) != jax.tree.structure(expected):
        raise ValueError(
            f"Argument `y0` must be a state like {type(model).__name__}.init_state(), but is {type(y0).__name__}; "
            "start from `model.init_state()` and replace its values."
        )
    shapes, wanted = ([jnp.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (y0, expected))
    if shapes != wanted:
        raise ValueError(
            f"Argument `y0` must have the shapes of {type(model).__name__}.init_state(), {wanted}, but has {shapes}; "
            "use jax.vmap for several starts."
        )
    return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), y0, expected)


def _raise_unless_successful(result: RESULTS) -> None:
    for name, item in RESULTS._name_to_item.items():
        if name != "successful" and np.any(np.asarray(result._value) == np.asarray(item._value)):
            raise RuntimeError(RESULTS[item])
