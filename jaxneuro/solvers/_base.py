"""What a solver is: it takes a model, an input and a start, and returns states, spikes and an outcome."""

import abc
import dataclasses
import math
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["AbstractSolver", "TimeGrid", "Trajectory"]


@dataclasses.dataclass(frozen=True)
class TimeGrid:
    """Start, end and saving interval of a run [ms]: Python numbers, known before compilation."""

    t0: float
    t1: float
    dt_save: float

    @property
    def save_ts(self) -> np.ndarray:
        """t0, t0 + dt_save, ... and t1, in float64."""
        return _regular(self.t0, self.t1, self.dt_save)

    def steps(self, dt: float) -> np.ndarray:
        """Edges t0, t0 + dt, ... and t1 of a fixed grid, in float64."""
        return _regular(self.t0, self.t1, dt)

    def save_indices(self, dt: float) -> np.ndarray:
        """Which edges of `steps(dt)` are saved; a ValueError if the saving times are not among them."""
        stride = round(self.dt_save / dt)
        if stride < 1 or abs(stride * dt - self.dt_save) > 1e-9 * self.dt_save:
            raise ValueError(
                f"Argument `dt_save` must be a multiple of the solver's dt={dt:g} ms, but is dt_save={self.dt_save:g} "
                f"ms; use e.g. dt_save={max(stride, 1) * dt:g}."
            )
        last = len(self.steps(dt)) - 1
        return np.unique(np.append(np.arange(0, last, stride), last))


def _regular(t0: float, t1: float, dt: float) -> np.ndarray:
    n = max(math.ceil((t1 - t0) / dt - 1e-6), 1)  # 1e-6 of a step: rounding must not add an empty last one
    ts = t0 + dt * np.arange(n + 1)
    ts[-1] = t1
    return ts


class Trajectory(NamedTuple):
    """What a solver returns: states at the saving times, spike times [ms] padded with inf, outcome, statistics."""

    ys: Any
    spikes: Float[Array, "*n_cell max_spikes"]
    result: RESULTS
    stats: dict[str, Any]


class AbstractSolver(eqx.Module):
    """How time advances. Adaptive, FixedStep and ExactSpikes are the choices."""

    @abc.abstractmethod
    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Raise one sentence if this solver cannot drive this model on this grid."""

    @abc.abstractmethod
    def integrate(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, max_spikes: int
    ) -> Trajectory:
        """Run from `grid.t0` to `grid.t1`."""
