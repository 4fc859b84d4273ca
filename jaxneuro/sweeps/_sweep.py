"""Many simulations at once: lanes of one compiled loop over parameter values."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

from jaxneuro import params
from jaxneuro._simulate import check_shape, checked_run, simulate
from jaxneuro.compilation import compile_seconds
from jaxneuro.lanes import Plan, plan, run_batches, store
from jaxneuro.models import AbstractModel
from jaxneuro.params import ParamInfo
from jaxneuro.results import outcome_names
from jaxneuro.solvers import AbstractSolver, Adaptive, Reducer, TimeGrid, default_fixed_solver
from jaxneuro.stimuli import AbstractStimulus
from jaxneuro.sweeps._grids import Grid, zipped
from jaxneuro.sweeps._measures import Measure, chosen_measures

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["sweep"]

_PREFIX = "stimulus."
_NOT_RUN = -1


def sweep(
    model: AbstractModel,
    stimulus: AbstractStimulus | float | None,
    grid: Grid | Mapping[str, Any],
    *,
    t1: float,
    t0: float = 0.0,
    dt_save: float | None = None,
    solver: AbstractSolver | None = None,
    keep: Sequence[str | Reducer | Callable] = ("spike_count",),
    max_spikes: int | None = None,
    cores: int | None = None,
    progress: bool = True,
) -> "xr.Dataset":
    """Simulate a model at every point of a grid of parameters and stimulus fields.

    **Arguments:**

    - `model`, `stimulus`, `t1`, `t0`, `dt_save`, `max_spikes`: as in `simulate`.
    - `grid`: from `product`, `zipped`, `latin_hypercube` or `sobol`; a plain dict is zipped. Names are parameter names
      ("na.g_max") or, with the prefix "stimulus.", fields of the stimulus ("stimulus.amplitude").
    - `solver`: FixedStep(0.025) for conductance models, FixedStep(0.05) for other smooth ones, ExactSpikes for those
      that reset, if None.
    - `keep`: what remains of each simulation. Gathered while it runs, so that no trace needs memory: spike_count,
      rate, first_spike, isi_mean, isi_cv, V_min, V_max, V_mean, V_end, or a `Reducer` of your own. From a run that is
      held as a whole, a few hundred at a time: voltage, spike_times, or any function of a `Solution`.
    - `cores`: how many work at a time; None for all.

    Returns a dataset with one axis per parameter of a product (else one axis "point"), units as attributes, and
    `result`, how each simulation ended; a failed one is marked there and does not disturb the others. Its attributes
    say how long it compiled and ran [s]. Ctrl-C returns what is done, the rest marked "not_run". Other values or bounds
    do not compile again, other numbers of points seldom.

    >>> sweep(HodgkinHuxley(), Step(10.0, 5.0, 40.0), product({"na.g_max": [80.0, 120.0]}), t1=50.0)
    """
    began = time.perf_counter()
    grid = grid if isinstance(grid, Grid) else zipped(grid)
    solver = default_fixed_solver(model) if solver is None else solver
    stimulus, solver, times, n_spikes = checked_run(
        model, stimulus, t0=t0, t1=t1, dt_save=dt_save, solver=solver, max_spikes=max_spikes
    )
    infos = _checked_infos(model, stimulus, grid.columns)
    measures = chosen_measures(keep)
    lane = Lane(model, stimulus, solver, times, tuple(measures.values()), n_spikes, max_spikes is None)
    dtype = jnp.result_type(float)
    values = {name: column.astype(dtype) for name, column in grid.columns.items()}

    cut = plan(len(grid), cores)
    kept, is_done = None, np.zeros(len(grid), bool)
    bar = tqdm(total=len(grid), unit="run", unit_scale=True, desc="sweep", disable=not progress)
    with compile_seconds() as watch, bar:
        try:
            for index, out in _batches(lane, values, cut):
                kept = store(kept, index, out, len(grid))
                is_done[index] = True
                bar.update(len(index))
        except KeyboardInterrupt:
            if kept is None:
                raise
    (*columns, _), codes = kept
    _mark_missing(columns, codes, ~is_done)
    seconds = {
        "compile_seconds": watch.seconds,
        "run_seconds": time.perf_counter() - began - watch.seconds,
        "cores": cut.cores,
        "solver": str(solver),
    }
    return _dataset(grid, infos, measures, columns, codes, times.save_ts, seconds)


class Lane(eqx.Module):
    """One simulation of a sweep, as a function of its parameter values."""

    model: AbstractModel
    stimulus: AbstractStimulus
    solver: AbstractSolver
    times: TimeGrid = eqx.field(static=True)
    measures: tuple[Measure, ...] = eqx.field(static=True)
    n_spikes: int = eqx.field(static=True)
    needs_all_spikes: bool = eqx.field(static=True)

    def __call__(self, values: dict[str, Array]) -> tuple[list[Array], Array]:
        """What is kept, with the number of adaptive steps as last entry, and the outcome's number."""
        own = {name: value for name, value in values.items() if not _is_of_stimulus(name)}
        model = params.replace(self.model, own)
        rest = {_bare(name): value for name, value in values.items() if _is_of_stimulus(name)}
        stimulus = params.replace(self.stimulus, rest)
        check_shape(model, stimulus)

        duration = self.times.t1 - self.times.t0
        reducers = [m.reducer(model, duration) for m in self.measures if m.reducer is not None]
        functions = [m.function for m in self.measures if m.function is not None]
        gathered, n_steps = (), jnp.asarray(0)
        if reducers:
            if isinstance(self.solver, Adaptive):
                reducers.append(_N_STEPS)
            gathered, result = self.solver.reduce(model, stimulus, model.init_state(), self.times, tuple(reducers))
            n_steps = gathered[-1] if isinstance(self.solver, Adaptive) else n_steps
        if functions:
            solution = simulate(
                model,
                stimulus,
                t0=self.times.t0,
                t1=self.times.t1,
                dt_save=self.times.dt_save,
                solver=self.solver,
                max_spikes=None if self.needs_all_spikes else self.n_spikes,
                throw=False,
            )
            result = solution.result  # the same, and whether all spikes are kept
        in_loop, of_solution = iter(gathered), (function(solution) for function in functions)
        kept = [next(in_loop if m.reducer is not None else of_solution) for m in self.measures]
        return [*kept, n_steps], result._value


_N_STEPS = Reducer(lambda y: jnp.asarray(0), lambda n, span: n + 1)


def _batches(lane: Lane, values: dict[str, np.ndarray], cut: Plan) -> Iterator[tuple[np.ndarray, Any]]:
    """All lanes in batches; of an adaptive solver sorted by expected work, since a chunk waits for its slowest."""
    n = len(next(iter(values.values())))
    if not isinstance(lane.solver, Adaptive) or n <= 2 * cut.size:
        yield from run_batches(lane, values, np.arange(n), cut)
        return
    sample = np.linspace(0, n - 1, cut.size).round().astype(int)
    ((index, out),) = run_batches(lane, values, sample, cut)
    yield index, out
    rest = np.setdiff1d(np.arange(n), sample)
    n_steps = out[0][-1]
    yield from run_batches(lane, values, rest[np.argsort(_expected(values, sample, n_steps, rest))], cut)


_MOST_KNOWN = 512  # a fit to more would wake the threads of the linear algebra library, which then wait at full speed


def _expected(values: dict[str, np.ndarray], known: np.ndarray, steps: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Numbers of steps of the lanes `wanted`, by a quadratic fit to those of the lanes `known`."""
    few = slice(None, None, -(-len(known) // _MOST_KNOWN))
    terms = [np.ones(len(next(iter(values.values()))))]
    for column in values.values():
        scaled = (column - column[known].mean()) / max(column[known].std(), 1e-300)
        terms += [scaled, scaled**2]
    table = np.stack([term[known[few]] for term in terms], axis=1).astype(np.float64)
    weights = np.linalg.lstsq(table, steps[few].astype(np.float64), rcond=None)[0]
    return sum(weight * term[wanted] for weight, term in zip(weights, terms, strict=True))


def _mark_missing(columns: list[np.ndarray], codes: np.ndarray, is_missing: np.ndarray) -> None:
    """NaN where numbers can be, and the outcome "not_run", for the points that an interrupted sweep has not reached."""
    if not is_missing.any():
        return
    for k, column in enumerate(columns):
        columns[k] = column if np.issubdtype(column.dtype, np.floating) else column.astype(float)
        columns[k][is_missing] = np.nan
    codes[is_missing] = _NOT_RUN


def _is_of_stimulus(name: str) -> bool:
    return name.startswith(_PREFIX)


def _bare(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _checked_infos(
    model: AbstractModel, stimulus: AbstractStimulus, columns: Mapping[str, np.ndarray]
) -> dict[str, ParamInfo]:
    """Unit, bounds and meaning of every swept parameter, after checking every value."""
    infos = params.described(model, [name for name in columns if not _is_of_stimulus(name)])
    of_stimulus = params.described(stimulus, [_bare(name) for name in columns if _is_of_stimulus(name)])
    infos |= {f"{_PREFIX}{name}": info for name, info in of_stimulus.items()}
    for name, values in columns.items():
        infos[name].check(name, values)
        if infos[name].unit == "input":
            infos[name] = dataclasses.replace(infos[name], unit=model.input_unit)
    return infos


def _dataset(
    grid: Grid,
    infos: dict[str, ParamInfo],
    measures: dict[str, Measure],
    columns: list[np.ndarray],
    codes: np.ndarray,
    save_ts: np.ndarray,
    attributes_of_run: dict[str, Any],
) -> "xr.Dataset":
    import xarray as xr

    def attributes(info: ParamInfo) -> dict[str, str]:
        return {"units": info.unit, "long_name": info.doc.rstrip(".")}

    coordinates = {
        name: (name if grid.axes else "point", grid.axes.get(name, column), attributes(infos[name]))
        for name, column in grid.columns.items()
    }
    variables = {}
    for (name, measure), column in zip(measures.items(), columns, strict=True):
        extra = measure.extra_dims(name, column.ndim - 1)
        shaped = column.reshape(*grid.shape, *column.shape[1:])
        variables[name] = ((*grid.dims, *extra), shaped, {"units": measure.unit, "long_name": measure.doc.rstrip(".")})
        if "time" in extra:
            coordinates["time"] = ("time", save_ts, {"units": "ms", "long_name": "Time"})
    outcome = outcome_names() | {_NOT_RUN: "not_run"}
    flags = {
        "long_name": "How the simulation ended",
        "flag_values": [*outcome],
        "flag_meanings": " ".join(outcome.values()),
    }
    variables["result"] = (grid.dims, codes.reshape(grid.shape), flags)
    return xr.Dataset(variables, coordinates, attributes_of_run)
