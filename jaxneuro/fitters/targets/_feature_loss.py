"""The loss of features: how spikes of two answers differ, and the voltage before them."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._solution import Solution
from jaxneuro.fitters.targets._features import LAGS, THRESHOLD, SpikeFeatures, spike_features
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.targets._step_response import StepResponse
from jaxneuro.fitters.targets._targets import VoltageTrace
from jaxneuro.numerics import interpolated

__all__ = ["FeatureLoss"]

_SHORTEST_INTERVAL = 2.0  # ms between spikes: for so many of a trace there is room


class FeatureLoss(AbstractLoss):
    """Differences of the features of two answers, each over its tolerance; the loss is the sum of squares.

    - number of spikes in a step, with the phase towards the next one, that of the data plus one half;
    - interval from the onset to the first spike, and between spikes: ln of the ratio, and ln of the ratio of all
      spikes' times; the onset of a `VoltageTrace` is where its stimulus first changes, or its beginning if the cell
      fires before;
    - peak, trough and width of each spike, and its waveform at 13 times around it;
    - a spike that is missing, 9 for the square root of their number, and how far the voltage stays below threshold; a
      spike too many, or one that falls beyond the end, by how much;
    - the voltage at 6 times between the onset and the first spike of either.

    Features of spikes count less where there are many, so that all steps weigh alike. The tolerances are of the size of
    what repetitions of the same step differ by. Where a `VoltageTrace` has a mask, the model has the data's voltage.

    **Arguments:** `count` [1]; `interval` [1] and `shortest` [ms], which add as errors do; `peak`, `trough`,
    `waveform` and `quiet` [mV]; `width` [ms]; `threshold`, which the spikes of a `VoltageTrace` cross [mV]; a
    `StepResponse` has its own.

    >>> fit(model, VoltageTrace(0.05, voltage, Step(0.2)), free={"na.g_max": (10.0, 200.0)}, loss=FeatureLoss())
    """

    unit: ClassVar[str] = "tolerances^2"
    targets: ClassVar[tuple[type, ...]] = (StepResponse, VoltageTrace)
    is_likelihood: ClassVar[bool] = False
    count: float = eqx.field(static=True, default=0.5)
    interval: float = eqx.field(static=True, default=0.12)
    shortest: float = eqx.field(static=True, default=4.0)
    peak: float = eqx.field(static=True, default=3.0)
    trough: float = eqx.field(static=True, default=2.0)
    width: float = eqx.field(static=True, default=0.2)
    waveform: float = eqx.field(static=True, default=12.0)
    quiet: float = eqx.field(static=True, default=2.8)
    threshold: float = eqx.field(static=True, default=THRESHOLD)

    def value(self, errors: Float[Array, " n"], target: StepResponse | VoltageTrace) -> Float[Array, ""]:
        return jnp.sum(errors**2)

    def __call__(self, solution: Solution, target: StepResponse | VoltageTrace) -> Float[Array, " n"]:
        answers = self._of_trace(solution, target) if isinstance(target, VoltageTrace) else _of_step(solution, target)
        data, model, onset = answers.data, answers.model, answers.onset
        both = data.has_spike & model.has_spike
        n_data = jnp.sum(data.has_spike)
        weight = jnp.where(both, 1 / jnp.sqrt(jnp.maximum(jnp.minimum(n_data, 4) / 2, 1.0)), 0.0)
        whole = jnp.where(data.is_over & model.is_over, weight, 0.0)
        waveform = jnp.where(data.is_own & model.is_own, model.waveform - data.waveform, 0.0) / self.waveform
        # steep flanks scatter more: the tolerance there is wider
        near = jnp.where(jnp.abs(jnp.array(LAGS)) < 2.5, 1.5, 1.0)
        last = jnp.arange(data.time.size) == n_data - 1
        parts = [
            weight * self._intervals(data.time, model.time, both, onset),
            weight * self._since(data.time, model.time, both, onset),
            whole * (model.peak - data.peak) / self.peak,
            whole * (model.trough - data.trough) / self.trough * jnp.where(last, 0.5, 1.0),
            whole * (model.width - data.width) / self.width,
            (weight[:, None] * waveform / near[None]).ravel(),
            self._count(answers),
            self._missing_or_extra(answers),
            self._quiet(answers),
        ]
        return jnp.concatenate(parts)

    def _of_trace(self, solution: Solution, target: VoltageTrace) -> "_Answers":
        recorded = target.recorded(solution)
        recorded = recorded if target.mask is None else jnp.where(target.mask, recorded, target.voltage)
        room = int((target.t1 - target.t0) / _SHORTEST_INTERVAL) + 2
        data, model = (
            spike_features(V, target.t0, target.dt, self.threshold, room, target.t1) for V in (target.voltage, recorded)
        )
        # where the current first changes, unless the cell fires already
        current = target.injected
        has_changed = current != current[0]
        onset = jnp.where(jnp.any(has_changed), jnp.asarray(target.ts)[jnp.argmax(has_changed)], target.t0)
        onset = jnp.where(data.has_spike[0] & (data.time[0] <= onset), target.t0, onset)
        return _Answers(data, model, target.voltage, recorded, target.t0, target.dt, onset, target.t1)

    def _intervals(self, data: Array, model: Array, both: Array, onset: float) -> Array:
        of_data, of_model = (jnp.diff(jnp.where(both, t, onset), prepend=onset) for t in (data, model))
        tolerance = jnp.hypot(self.interval, self.shortest / jnp.where(both, of_data, 1.0))
        return _log_ratio(of_model, of_data, both) / tolerance

    def _since(self, data: Array, model: Array, both: Array, onset: float) -> Array:
        is_later = both & (jnp.arange(data.size) > 0)
        return _log_ratio(model - onset, data - onset, is_later) / self.interval

    def _count(self, answers: "_Answers") -> Array:
        """The smooth count is defined where a spike follows; where none does, others say that it is missing."""
        data, model = answers.data, answers.model
        times = jnp.where(model.has_spike, model.time, jnp.inf)
        is_inside = times < answers.end
        last, following = (
            jnp.max(jnp.where(is_inside, times, answers.onset)),
            jnp.min(jnp.where(is_inside, jnp.inf, times)),
        )
        is_known = jnp.any(data.has_spike) & jnp.isfinite(following)
        phase = (answers.end - last) / jnp.where(is_known, following - last, 1.0)
        smooth = jnp.sum(is_inside) + phase
        return jnp.where(is_known, (smooth - jnp.sum(data.has_spike) - 0.5) / self.count, 0.0)[None]

    def _missing_or_extra(self, answers: "_Answers") -> Array:
        data, model, _, recorded, t0, dt, onset, end = answers
        n_data, n_model = jnp.sum(data.has_spike), jnp.sum(model.has_spike)
        n_missing = jnp.maximum(n_data - n_model, 0)
        last = jnp.where(n_model > 0, model.end[jnp.clip(n_model - 1, 0)], onset)
        is_after = t0 + jnp.asarray(dt * np.arange(recorded.size)) > last + 1.0
        highest = jnp.max(jnp.where(is_after, recorded, -jnp.inf), initial=-100.0)
        low = jnp.where(n_missing > 0, jnp.minimum(highest + 20.0, 0.0) / 4, 0.0)
        room = data.time.size
        extra = jnp.where(n_model > n_data, model.time[jnp.clip(n_data, 0, room - 1)] - end - 5.0, 0.0)
        of_last = jnp.clip(n_data - 1, 0)
        allowed = jnp.maximum(data.time[of_last], end - 5.0)
        late = jnp.where((n_data > 0) & (n_model >= n_data), model.time[of_last] - allowed, 0.0)
        is_wrong = (n_data == 0) & (model.time[0] < end) & model.has_spike[0]
        early = jnp.sum(model.has_spike & (model.time < onset))
        numbers = [9 * jnp.sqrt(n_missing), low, jnp.minimum(extra, 0.0) / 10, jnp.maximum(late, 0.0) / 10]
        return jnp.stack([*numbers, jnp.where(is_wrong, 9.0, 0.0), 5.0 * early])

    def _quiet(self, answers: "_Answers") -> Array:
        onset, end = answers.onset, answers.end
        first = jnp.minimum(*(jnp.where(f.has_spike[0], f.time[0], end + 5.0) for f in (answers.data, answers.model)))
        stop = jnp.maximum(first - 5.0, onset + 1.0)
        at = onset + jnp.append(-3.0, (stop - onset) * jnp.arange(1, 6) / 5)
        at = jnp.minimum(at, end)
        of_model, of_data = (interpolated(at, V, answers.dt, answers.t0) for V in (answers.recorded, answers.voltage))
        return (of_model - of_data) / self.quiet


class _Answers(NamedTuple):
    """What data and model do in the same experiment."""

    data: SpikeFeatures
    model: SpikeFeatures
    voltage: Float[Array, " n_time"]  # of the data [mV]
    recorded: Float[Array, " n_more"]  # of the model [mV]
    t0: float  # of both [ms]
    dt: float
    onset: Any  # from which spikes are awaited
    end: float  # up to which they are compared


def _of_step(solution: Solution, target: StepResponse) -> _Answers:
    recorded = target.recorded(solution)
    data, model = target.features, target.model_features(recorded)
    return _Answers(data, model, target.voltage, recorded, 0.0, target.dt, target.onset, target.end)


def _log_ratio(a: Array, b: Array, is_valid: Array) -> Array:
    """ln(a / b) where valid, else 0."""
    is_valid = is_valid & (a > 0) & (b > 0)
    return jnp.where(is_valid, jnp.log(jnp.where(is_valid, a, 1.0) / jnp.where(is_valid, b, 1.0)), 0.0)
