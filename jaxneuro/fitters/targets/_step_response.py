"""A cell's answer to a step of current, with the features of its spikes."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._simulate import checked_run, simulate
from jaxneuro._solution import Solution
from jaxneuro.analysis.firing import check_one_neuron
from jaxneuro.fitters.targets._electrode import Electrode, checked_electrode
from jaxneuro.fitters.targets._features import THRESHOLD, SpikeFeatures, spike_features
from jaxneuro.fitters.targets._samples import samples, whole_fraction
from jaxneuro.fitters.targets._targets import AbstractTarget
from jaxneuro.models import AbstractModel, AbstractSpikingModel
from jaxneuro.solvers import AbstractSolver, FixedStep, default_fixed_solver
from jaxneuro.stimuli import Step

__all__ = ["StepResponse"]

_SURPLUS = 4  # spikes beyond those of the data for which there is room
_BEYOND = 0.5  # how much longer than the data a step lasts in the model, so that a spike that is late has a time


class StepResponse(AbstractTarget):
    """The voltage during a step of current, for a smooth model.

    **Arguments:** `dt`, sampling interval [ms]; `voltage` [mV], shape (n_time,), from some time before the step to its
    end; `amplitude` of the step, in the model's input unit; `onset` of it [ms after the first sample]; `electrode`,
    what the amplifier makes of the voltage; `threshold`, which a spike crosses [mV, as recorded]; `room`, how many
    spikes there is room for.

    The model starts in its initial state at the first sample. In the model the step lasts half as long again, so that a
    spike that comes too late still has a time. The prediction is a `Solution` saved every `dt`.

    **Raises:** ValueError for NaN or a step outside of the trace.

    >>> StepResponse(0.05, voltage, amplitude=0.2, onset=50.0)
    """

    voltage: Float[Array, " n_time"]
    stimulus: Step
    electrode: Electrode
    features: SpikeFeatures
    dt: float = eqx.field(static=True)
    onset: float = eqx.field(static=True)
    threshold: float = eqx.field(static=True)
    t1: float = eqx.field(static=True)

    def __init__(
        self,
        dt: float,
        voltage: Any,
        *,
        amplitude: float,
        onset: float,
        electrode: Electrode | None = None,
        threshold: float = THRESHOLD,
        room: int | None = None,
    ):
        data = np.asarray(voltage, np.float64)
        self.voltage = samples("voltage", data, "mV", least=2)
        if not 0 < dt < np.inf:
            raise ValueError(f"Argument `dt` must be a positive number [ms], but is {dt}; use e.g. 0.05.")
        end = dt * (data.size - 1)
        if not 0 < onset < end:
            raise ValueError(
                f"Argument `onset` must lie within the trace, 0 to {end:g} ms, but is {onset:g}; give the time from "
                "its first sample on."
            )
        n_spikes = int(np.sum((data[1:] >= threshold) & (data[:-1] < threshold)))
        room = n_spikes + _SURPLUS if room is None else room
        if room <= n_spikes:
            raise ValueError(
                f"Argument `room` must be more than the {n_spikes} spikes of the data, but is {room}; raise it."
            )
        self.stimulus = Step(amplitude, onset)
        self.electrode = Electrode() if electrode is None else checked_electrode(electrode)
        self.dt, self.onset, self.threshold = float(dt), float(onset), float(threshold)
        self.t1 = self.dt * round((end + _BEYOND * (end - onset)) / self.dt)
        self.features = spike_features(self.voltage, 0.0, self.dt, self.threshold, room, end)

    @property
    def end(self) -> float:
        """Time of the last sample [ms], at which the step ends."""
        return self.dt * (self.voltage.size - 1)

    @property
    def ts(self) -> np.ndarray:
        """Times of the samples [ms]."""
        return self.dt * np.arange(self.voltage.size)

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """The default of sweeps, its step a whole fraction of the sampling."""
        return FixedStep(whole_fraction(self.dt, default_fixed_solver(model).dt))

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        check_one_neuron(model)
        if isinstance(model, AbstractSpikingModel):
            raise ValueError(
                f"Argument `model` must be smooth, so that its spikes have a shape, but is a {type(model).__name__}; "
                "use SpikeTimes or SpikeTrains."
            )
        self.electrode.check_area(model)
        checked_run(model, self.stimulus, t0=0.0, t1=self.t1, dt_save=self.dt, solver=solver, max_spikes=1)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Solution:
        return simulate(model, self.stimulus, t1=self.t1, dt_save=self.dt, solver=solver, max_spikes=1, throw=False)

    def recorded(self, solution: Solution) -> Float[Array, " n_time"]:
        """What the amplifier would read of a prediction [mV], also after the data have ended."""
        return self.electrode.read(solution.voltage, self.stimulus(solution.ts), self.dt)

    def model_features(self, voltage: Float[Array, " n_time"]) -> SpikeFeatures:
        """Features of a recorded prediction, with as much room as those of the data."""
        return spike_features(voltage, 0.0, self.dt, self.threshold, self.features.time.size, self.end)
