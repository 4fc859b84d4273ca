"""Many simulations at once: vmap over parameter values, in chunks."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

from jaxneuro import params
from jaxneuro._simulate import checked_run, simulate
from jaxneuro.models import AbstractModel
from jaxneuro.params import ParamInfo
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, TimeGrid, default_fixed_solver
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
    keep: Sequence[str | Callable] = ("spike_count",),
    max_spikes: int | None = None,
    chunk_size: int = 256,
    progress: bool = True,
) -> "xr.Dataset":
    """Simulate a model at every point of a grid of parameters and stimulus fields.

    **Arguments:**

    - `model`, `stimulus`, `t1`, `t0`, `dt_save`, `max_spikes`: as in `simulate`.
    - `grid`: from `product`, `zipped`, `latin_hypercube` or `sobol`; a plain dict is zipped. Names are parameter names
      ("na.g_max") or, with the prefix "stimulus.", fields of the stimulus ("stimulus.amplitude").
    - `solver`: FixedStep(0.025) for conductance models, FixedStep(0.05) for other smooth ones, ExactSpikes for those
      that reset, if None.
    - `keep`: what remains of each simulation: names (spike_count, rate, first_spike, isi_mean, isi_cv, spike_times,
      V_min, V_max, V_mean, V_end, voltage) or functions of a `Solution`.
    - `chunk_size`: simulations that run together; sets the memory needed, not the result.

    Returns a dataset with one axis per parameter of a product (else one axis "point"), units as attributes, and
    `result`, how each simulation ended; a failed one is marked there and does not disturb the others. Ctrl-C returns
    what is done, the rest marked "not_run".

    >>> sweep(HodgkinHuxley(), Step(10.0, 5.0, 40.0), product({"na.g_max": [80.0, 120.0]}), t1=50.0)
    """
    grid = grid if isinstance(grid, Grid) else zipped(grid)
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(f"Argument `chunk_size` must be a whole number of at least 1, but is {chunk_size!r}; use 256.")
    solver = default_fixed_solver(model) if solver is None else solver
    stimulus, solver, times, n_spikes = checked_run(
        model, stimulus, t0=t0, t1=t1, dt_save=dt_save, solver=solver, max_spikes=max_spikes
    )
    infos = {name: _checked_info(model, stimulus, name, column) for name, column in grid.columns.items()}
    measures = chosen_measures(keep)
    functions = tuple(measure.function for measure in measures.values())

    chunks, codes = [], []
    try:
        for values, n in tqdm(_chunks(grid, chunk_size), unit="chunk", desc="sweep", disable=not progress):
            kept, code = _run_chunk(model, stimulus, values, solver, times, n_spikes, functions)
            chunks.append([np.asarray(column)[:n] for column in kept])
            codes.append(np.asarray(code)[:n])
    except KeyboardInterrupt:
        if not chunks:
            raise
    columns = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    return _dataset(grid, infos, measures, columns, np.concatenate(codes), times.save_ts)


@eqx.filter_jit
def _run_chunk(
    model: AbstractModel,
    stimulus: AbstractStimulus,
    values: dict[str, Array],
    solver: AbstractSolver,
    times: TimeGrid,
    max_spikes: int,
    functions: tuple[Callable, ...],
) -> tuple[list[Array], Array]:
    def lane(values: dict[str, Array]) -> tuple[list[Array], Array]:
        solution = simulate(
            params.replace(model, {name: value for name, value in values.items() if not _is_of_stimulus(name)}),
            params.replace(stimulus, {_bare(name): value for name, value in values.items() if _is_of_stimulus(name)}),
            t0=times.t0,
            t1=times.t1,
            dt_save=times.dt_save,
            solver=solver,
            max_spikes=max_spikes,
            throw=False,
        )
        return [function(solution) for function in functions], solution.result._value

    return jax.vmap(lane)(values)


def _is_of_stimulus(name: str) -> bool:
    return name.startswith(_PREFIX)


def _bare(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _checked_info(model: AbstractModel, stimulus: AbstractStimulus, name: str, values: np.ndarray) -> ParamInfo:
    """Unit, bounds and meaning of a swept parameter, after checking every value."""
    owner = stimulus if _is_of_stimulus(name) else model
    info = params.params(owner)[params.resolve(owner, _bare(name))]
    info.check(name, values)
    if info.unit == "input":
        info = dataclasses.replace(info, unit=model.input_unit)
    return info


def _chunks(grid: Grid, chunk_size: int) -> list[tuple[dict[str, Array], int]]:
    """Values of each chunk and how many of them count: the last one is padded, so that all have one shape."""
    size = min(chunk_size, len(grid))
    chunks = []
    for start in range(0, len(grid), size):
        index = np.minimum(np.arange(start, start + size), len(grid) - 1)
        values = {name: jnp.asarray(column[index]) for name, column in grid.columns.items()}
        chunks.append((values, min(size, len(grid) - start)))
    return chunks


def _dataset(
    grid: Grid,
    infos: dict[str, ParamInfo],
    measures: dict[str, Measure],
    columns: list[np.ndarray],
    codes: np.ndarray,
    save_ts: np.ndarray,
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
        shaped = _padded(column, len(grid), np.nan).reshape(*grid.shape, *column.shape[1:])
        variables[name] = ((*grid.dims, *extra), shaped, {"units": measure.unit, "long_name": measure.doc.rstrip(".")})
        if "time" in extra:
            coordinates["time"] = ("time", save_ts, {"units": "ms", "long_name": "Time"})
    outcome = {int(np.asarray(item._value)): name for name, item in RESULTS._name_to_item.items()} | {
        _NOT_RUN: "not_run"
    }
    flags = {
        "long_name": "How the simulation ended",
        "flag_values": [*outcome],
        "flag_meanings": " ".join(outcome.values()),
    }
    variables["result"] = (grid.dims, _padded(codes, len(grid), _NOT_RUN).reshape(grid.shape), flags)
    return xr.Dataset(variables, coordinates)


def _padded(column: np.ndarray, n: int, fill: float) -> np.ndarray:
    """The column with `fill` for the points that an interrupted sweep has not reached."""
    if len(column) == n:
        return column
    missing = np.full((n - len(column), *column.shape[1:]), fill)
    return np.concatenate([column, missing])
