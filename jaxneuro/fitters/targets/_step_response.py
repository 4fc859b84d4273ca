"""A cell's answer to a step of current, compared by the features of its spikes and by the voltage before them."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._simulate import checked_run, simulate
from jaxneuro._solution import Solution
from jaxneuro.analysis.firing import check_one_neuron
from jaxneuro.fitters.targets._electrode import Electrode, checked_electrode
from jaxneuro.fitters.targets._features import LAGS, SpikeFeatures, spike_features
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.targets._samples import samples, whole_fraction
from jaxneuro.fitters.targets._targets import AbstractTarget
from jaxneuro.models import AbstractModel, AbstractSpikingModel
from jaxneuro.numerics import interpolated
from jaxneuro.solvers import AbstractSolver, FixedStep, default_fixed_solver
from jaxneuro.stimuli import Step

__all__ = ["FeatureLoss", "StepResponse"]

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
        threshold: float = 0.0,
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


class FeatureLoss(AbstractLoss):
    """Differences of the features of two answers to a step, each over its tolerance; the loss is the sum of squares.

    - number of spikes in the step, with the phase towards the next one, that of the data plus one half;
    - interval from the onset to the first spike, and between spikes: ln of the ratio, and ln of the ratio of all
      spikes' times;
    - peak, trough and width of each spike, and its waveform at 13 times around it;
    - a spike that is missing, 9 for the square root of their number, and how far the voltage stays below threshold; a
      spike too many, or one that falls beyond the end, by how much;
    - the voltage at 6 times between the onset and the first spike of either.

    Features of spikes count less where there are many, so that all steps weigh alike. The tolerances are of the size of
    what repetitions of the same step differ by.

    **Arguments:** `count` [1]; `interval` [1] and `shortest` [ms], which add as errors do; `peak`, `trough`,
    `waveform` and `quiet` [mV]; `width` [ms].
    """

    unit: ClassVar[str] = "tolerances^2"
    targets: ClassVar[tuple[type, ...]] = (StepResponse,)
    is_likelihood: ClassVar[bool] = False
    count: float = eqx.field(static=True, default=0.5)
    interval: float = eqx.field(static=True, default=0.12)
    shortest: float = eqx.field(static=True, default=4.0)
    peak: float = eqx.field(static=True, default=3.0)
    trough: float = eqx.field(static=True, default=2.0)
    width: float = eqx.field(static=True, default=0.2)
    waveform: float = eqx.field(static=True, default=12.0)
    quiet: float = eqx.field(static=True, default=2.8)

    def value(self, errors: Float[Array, " n"], target: StepResponse) -> Float[Array, ""]:
        return jnp.sum(errors**2)

    def __call__(self, solution: Solution, target: StepResponse) -> Float[Array, " n"]:
        recorded = target.recorded(solution)
        data, model = target.features, target.model_features(recorded)
        both = data.has_spike & model.has_spike
        n_data = jnp.sum(data.has_spike)
        weight = jnp.where(both, 1 / jnp.sqrt(jnp.maximum(jnp.minimum(n_data, 4) / 2, 1.0)), 0.0)
        whole = jnp.where(data.is_over & model.is_over, weight, 0.0)
        waveform = jnp.where(data.is_own & model.is_own, model.waveform - data.waveform, 0.0) / self.waveform
        # steep flanks scatter more: the tolerance there is wider
        near = jnp.where(jnp.abs(jnp.array(LAGS)) < 2.5, 1.5, 1.0)
        last = jnp.arange(data.time.size) == n_data - 1
        parts = [
            weight * self._intervals(data.time, model.time, both, target.onset),
            weight * self._since(data.time, model.time, both, target.onset),
            whole * (model.peak - data.peak) / self.peak,
            whole * (model.trough - data.trough) / self.trough * jnp.where(last, 0.5, 1.0),
            whole * (model.width - data.width) / self.width,
            (weight[:, None] * waveform / near[None]).ravel(),
            self._count(data, model, target),
            self._missing_or_extra(data, model, recorded, target),
            self._quiet(data, model, recorded, target),
        ]
        return jnp.concatenate(parts)

    def _intervals(self, data: Array, model: Array, both: Array, onset: float) -> Array:
        of_data, of_model = (jnp.diff(jnp.where(both, t, onset), prepend=onset) for t in (data, model))
        tolerance = jnp.hypot(self.interval, self.shortest / jnp.where(both, of_data, 1.0))
        return _log_ratio(of_model, of_data, both) / tolerance

    def _since(self, data: Array, model: Array, both: Array, onset: float) -> Array:
        is_later = both & (jnp.arange(data.size) > 0)
        return _log_ratio(model - onset, data - onset, is_later) / self.interval

    def _count(self, data: SpikeFeatures, model: SpikeFeatures, target: StepResponse) -> Array:
        """The smooth count is defined where a spike follows; where none does, others say that it is missing."""
        times = jnp.where(model.has_spike, model.time, jnp.inf)
        is_inside = times < target.end
        last, following = (
            jnp.max(jnp.where(is_inside, times, target.onset)),
            jnp.min(jnp.where(is_inside, jnp.inf, times)),
        )
        is_known = jnp.any(data.has_spike) & jnp.isfinite(following)
        phase = (target.end - last) / jnp.where(is_known, following - last, 1.0)
        smooth = jnp.sum(is_inside) + phase
        return jnp.where(is_known, (smooth - jnp.sum(data.has_spike) - 0.5) / self.count, 0.0)[None]

    def _missing_or_extra(
        self, data: SpikeFeatures, model: SpikeFeatures, recorded: Array, target: StepResponse
    ) -> Array:
        n_data, n_model = jnp.sum(data.has_spike), jnp.sum(model.has_spike)
        n_missing = jnp.maximum(n_data - n_model, 0)
        last = jnp.where(n_model > 0, model.end[jnp.clip(n_model - 1, 0)], target.onset)
        is_after = jnp.asarray(target.dt * np.arange(recorded.size)) > last + 1.0
        highest = jnp.max(jnp.where(is_after, recorded, -jnp.inf), initial=-100.0)
        low = jnp.where(n_missing > 0, jnp.minimum(highest + 20.0, 0.0) / 4, 0.0)
        room = data.time.size
        extra = jnp.where(n_model > n_data, model.time[jnp.clip(n_data, 0, room - 1)] - target.end - 5.0, 0.0)
        of_last = jnp.clip(n_data - 1, 0)
        allowed = jnp.maximum(data.time[of_last], target.end - 5.0)
        late = jnp.where((n_data > 0) & (n_model >= n_data), model.time[of_last] - allowed, 0.0)
        is_wrong = (n_data == 0) & (model.time[0] < target.end) & model.has_spike[0]
        early = jnp.sum(model.has_spike & (model.time < target.onset))
        numbers = [9 * jnp.sqrt(n_missing), low, jnp.minimum(extra, 0.0) / 10, jnp.maximum(late, 0.0) / 10]
        return jnp.stack([*numbers, jnp.where(is_wrong, 9.0, 0.0), 5.0 * early])

    def _quiet(self, data: SpikeFeatures, model: SpikeFeatures, recorded: Array, target: StepResponse) -> Array:
        first = jnp.minimum(*(jnp.where(f.has_spike[0], f.time[0], target.end + 5.0) for f in (data, model)))
        stop = jnp.maximum(first - 5.0, target.onset + 1.0)
        at = target.onset + jnp.append(-3.0, (stop - target.onset) * jnp.arange(1, 6) / 5)
        at = jnp.minimum(at, target.end)
        error = interpolated(at, recorded, target.dt, 0.0) - interpolated(at, target.voltage, target.dt, 0.0)
        return error / self.quiet


def _log_ratio(a: Array, b: Array, is_valid: Array) -> Array:
    """ln(a / b) where valid, else 0."""
    is_valid = is_valid & (a > 0) & (b > 0)
    return jnp.where(is_valid, jnp.log(jnp.where(is_valid, a, 1.0) / jnp.where(is_valid, b, 1.0)), 0.0)
