"""What channel noise does to spikes: spontaneous firing, reliability and jitter against the number of channels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxneuro.analysis._protocols import checked_number
from jaxneuro.models import AbstractMembrane, with_channel_noise
from jaxneuro.solvers import AbstractSolver, EulerMaruyama
from jaxneuro.stimuli import Step
from jaxneuro.sweeps import sweep, zipped

__all__ = ["Reliability", "reliability"]

_BEFORE = 5.0  # ms of rest before the pulse: shorter than spontaneous intervals, longer than V's correlation time


class Reliability(NamedTuple):
    """Firing of a membrane against its area; arrays (n_area,).

    `area` [um^2]; `n_channel`, channels in all [1]; `spontaneous_rate` without input [Hz] and `rate_error`, the
    standard error of it over trials; `probability` that the pulse makes a spike within the window, `latency` of the
    first such spike from the pulse's onset and `jitter`, its standard deviation [ms], NaN with fewer than two.
    """

    area: Float[np.ndarray, " n_area"]
    n_channel: Float[np.ndarray, " n_area"]
    spontaneous_rate: Float[np.ndarray, " n_area"]
    rate_error: Float[np.ndarray, " n_area"]
    probability: Float[np.ndarray, " n_area"]
    latency: Float[np.ndarray, " n_area"]
    jitter: Float[np.ndarray, " n_area"]


def reliability(
    cell: AbstractMembrane,
    areas: Any,
    *,
    amplitude: float,
    duration: float = 1.0,
    window: float = 10.0,
    rest: float = 500.0,
    trials: int = 100,
    density: Mapping[str, float] | None = None,
    solver: AbstractSolver | None = None,
) -> Reliability:
    """Spontaneous rate, and answers to a brief pulse, of membranes of several areas with channel noise.

    **Arguments:** `cell`, e.g. `HodgkinHuxley()`; `areas` [um^2], shape (n_area,); `amplitude` [uA/cm^2] and `duration`
    [ms] of the pulse; `window`, how long after its onset a spike counts [ms]; `rest`, how long each trial is watched
    without input [ms]; `trials`, per area; `density`, channel name -> channels per um^2, as in `with_channel_noise`;
    `solver`, EulerMaruyama(0.01) if None.

    **Raises:** ValueError for areas that are not positive or fewer than two trials.

    >>> reliability(HodgkinHuxley(), [20.0, 100.0], amplitude=6.0, trials=4, rest=20.0).n_channel
    array([1560., 7800.])

    References: Schneidman, Freedman & Segev (1998), Neural Comput 10:1679. doi:10.1162/089976698300017089
    """
    areas = _checked_areas(areas)
    if not isinstance(trials, int | np.integer) or isinstance(trials, bool) or trials < 2:
        raise ValueError(f"Argument `trials` must be a whole number of at least 2, but is {trials!r}; use e.g. 100.")
    solver = EulerMaruyama(0.01) if solver is None else solver
    for name, time in (("duration", duration), ("window", window), ("rest", rest)):
        checked_number(name, time, "ms", is_open=True)
    patch = with_channel_noise(cell, float(areas.min()), density=density)
    per_area = {f"noise.{name}.n": float(noise.n) / areas.min() for name, noise in patch.noise.items()}
    each = np.repeat(areas, trials)
    grid = zipped({"seed": np.arange(each.size), **{name: n * each for name, n in per_area.items()}})
    at_rest = sweep(patch, 0.0, grid, t1=rest, solver=solver, progress=False)
    pulse = Step(amplitude, _BEFORE, duration)
    driven = sweep(
        patch, pulse, grid, t1=_BEFORE + window, solver=solver, keep=("spike_times",), max_spikes=16, progress=False
    )
    rate = 1e3 / rest * at_rest.spike_count.values.reshape(areas.size, trials)
    times = driven.spike_times.values.reshape(areas.size, trials, -1) - _BEFORE
    first = np.min(np.where(times >= 0, times, np.inf), axis=-1)
    latency, jitter = np.transpose([_mean_and_deviation(row[np.isfinite(row)]) for row in first])
    return Reliability(
        areas,
        sum(per_area.values()) * areas,
        rate.mean(axis=1),
        rate.std(axis=1, ddof=1) / trials**0.5,
        np.isfinite(first).mean(axis=1),
        latency,
        jitter,
    )


def _mean_and_deviation(times: Float[np.ndarray, " n"]) -> tuple[float, float]:
    return (float(times.mean()), float(times.std(ddof=1))) if times.size > 1 else (np.nan, np.nan)


def _checked_areas(areas: Any) -> Float[np.ndarray, " n_area"]:
    areas = np.atleast_1d(np.asarray(areas, dtype=float))
    if areas.ndim > 1 or not areas.size or not np.all((areas > 0) & np.isfinite(areas)):
        raise ValueError(f"Argument `areas` must be a list of positive areas [um^2], but is {areas}; use e.g. [100.0].")
    return areas
