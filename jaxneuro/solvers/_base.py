"""What a solver is: it takes a model, an input and a start, and returns states, spikes and an outcome."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, Int

from jaxneuro.models import AbstractModel, AbstractNoisyModel
from jaxneuro.results import RESULTS
from jaxneuro.solvers._grid import TimeGrid
from jaxneuro.solvers._program import Reducer
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["AbstractSolver", "Spikes", "Trajectory", "refuse_noise"]


class Spikes(NamedTuple):
    """The first spikes of each neuron, in order. Where there are fewer, `times` and `offsets` are inf, `steps` -1.

    A time is t0 + steps * dt + offsets; without a fixed grid steps are 0.
    """

    times: Float[Array, "*n_cell max_spikes"]
    steps: Int[Array, "*n_cell max_spikes"]
    offsets: Float[Array, "*n_cell max_spikes"]


class Trajectory(NamedTuple):
    """What a solver returns: states at the saving times, spikes, outcome, statistics; with a surrogate also the number
    of spikes since the saving time before."""

    ys: Any
    spikes: Spikes
    result: RESULTS
    stats: dict[str, Any]
    counts: Float[Array, "n_save *n_cell"] | None = None


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

    @abc.abstractmethod
    def reduce(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, reducers: tuple[Reducer, ...]
    ) -> tuple[tuple, RESULTS]:
        """What the reducers keep of the same run, and its outcome; not for derivatives."""


def refuse_noise(model: AbstractModel, solver: str) -> None:
    """Raise a ValueError for a noisy model, whose noise a deterministic solver would leave out."""
    if isinstance(model, AbstractNoisyModel):
        raise ValueError(
            f"Argument `solver` must take the noise of the model, but is {solver} for {type(model).__name__}; use "
            "EulerMaruyama(0.01)."
        )
