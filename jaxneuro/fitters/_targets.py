"""What a model is fitted to: a voltage trace, an f-I curve or spike times, checked when made."""

import abc
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro import units
from jaxneuro._simulate import checked_run, simulate
from jaxneuro._solution import Solution
from jaxneuro.analysis.firing import FIResult, check_one_neuron, default_fi_solver, fi_curve
from jaxneuro.fitters._electrode import Electrode
from jaxneuro.fitters._nudging import Guide, Nudged
from jaxneuro.models import AbstractModel, AbstractSpikingModel, WholeCell
from jaxneuro.params import is_concrete
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, ExactSpikes, FixedStep, default_fixed_solver
from jaxneuro.stimuli import AbstractStimulus, Sampled, Step, as_stimulus

__all__ = ["AbstractTarget", "ClampCurrent", "FICurve", "SpikeTimes", "VoltageTrace", "check_covered"]


class AbstractTarget(eqx.Module):
    """Data, and how a model answers to the same experiment."""

    @abc.abstractmethod
    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """The solver if the user names none."""

    @abc.abstractmethod
    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        """Raise one sentence if model, solver and experiment do not suit each other."""

    @abc.abstractmethod
    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Any:
        """The model's answer: arrays, and their outcome in a field `result`."""

    def has_worked(self, prediction: Any) -> Bool[Array, ""]:
        """Whether the simulations of a prediction went well."""
        return jnp.all(prediction.result == RESULTS.successful)

    def n_independent(self, n_errors: int) -> int | None:
        """How many data so many residuals come from, if they scatter alike; else None."""
        return n_errors

    def drawn(self, k: float) -> "AbstractTarget":
        """The same target, of a model that is drawn to the data with strength `k` [1/ms]; where it can be."""
        return self


class AbstractTrace(AbstractTarget):
    """Samples at even intervals, and what a model does in their time."""

    t0: eqx.AbstractVar[float]
    """Time of the first sample [ms]."""
    dt: eqx.AbstractVar[float]
    """Sampling interval [ms]."""

    @property
    @abc.abstractmethod
    def data(self) -> Float[Array, " n_time"]:
        """The samples."""

    @property
    def ts(self) -> np.ndarray:
        """Times of the samples [ms]."""
        return self.t0 + self.dt * np.arange(self.data.size)

    @property
    def t1(self) -> float:
        """Time of the last sample [ms]."""
        return self.t0 + self.dt * (self.data.size - 1)

    def step_below(self, longest: float) -> float:
        """A whole fraction of the sampling interval, at most `longest` [ms]."""
        return self.dt / math.ceil(self.dt / longest - 1e-9)

    def run(self, model: AbstractModel, stimulus: AbstractStimulus, solver: AbstractSolver, **options: Any) -> Solution:
        """A simulation saved at the samples; failure is a value in it."""
        return simulate(model, stimulus, t0=self.t0, t1=self.t1, dt_save=self.dt, solver=solver, throw=False, **options)


class VoltageTrace(AbstractTrace):
    """A voltage trace and the stimulus that evoked it.

    **Arguments:** `ts`, times of the samples [ms], evenly spaced, or their interval [ms] for a
    trace that begins at 0 ms; `voltage` [mV], shape (n_time,); `stimulus`, in the model's input
    unit; `electrode`, what the amplifier adds to the voltage; `mask`, shape (n_time,), True where data and model are
    compared, e.g. outside of spikes.

    The model starts in its initial state at the first sample. The prediction is a `Solution` saved
    at the samples. With a strength `k` [1/ms] it is that of the model while it is drawn to the data (`Nudged`), which
    are interpolated within the steps: a sample's delay would shift the parameters by per cents.

    **Raises:** ValueError for NaN, unequal lengths, times that are not even or a stimulus that does
    not cover the trace.

    >>> VoltageTrace(0.05, voltage, Step(amplitude=10.0, onset=5.0))
    """

    voltage: Float[Array, " n_time"]
    stimulus: AbstractStimulus
    electrode: Electrode | None
    mask: Bool[Array, " n_time"] | None
    k: Float[Array, ""] | None
    t0: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def __init__(
        self,
        ts: Any,
        voltage: Any,
        stimulus: AbstractStimulus | float | None = None,
        *,
        electrode: Electrode | None = None,
        mask: Any = None,
    ):
        self.voltage = _data("voltage", voltage, "mV", least=2)
        self.stimulus = as_stimulus(stimulus)
        self.electrode, self.k = electrode, None
        self.mask = None if mask is None else _checked_mask(mask, self.voltage.size)
        self.t0, self.dt = _sampling(ts, self.voltage.size)
        check_covered(self.stimulus, self.t0, self.t1)

    @property
    def data(self) -> Float[Array, " n_time"]:
        """The voltage [mV]."""
        return self.voltage

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """The default of sweeps, its step shortened to a whole fraction of the sampling."""
        dt = self.step_below(default_fixed_solver(model).dt)
        return ExactSpikes(dt) if isinstance(model, AbstractSpikingModel) else FixedStep(dt)

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        check_one_neuron(model)
        checked_run(model, self.stimulus, t0=self.t0, t1=self.t1, dt_save=self.dt, solver=solver, max_spikes=None)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Solution:
        if self.k is None:
            return self.run(model, self.stimulus, solver)
        return self.run(Nudged(model, self.k), Guide(self.stimulus, self.interpolated), solver, max_spikes=1)

    def drawn(self, k: float) -> "VoltageTrace":
        return eqx.tree_at(lambda trace: trace.k, self, jnp.asarray(k, self.voltage.dtype), is_leaf=lambda x: x is None)

    def n_independent(self, n_errors: int) -> int | None:
        return n_errors if self.mask is None else int(np.sum(self.mask))

    @property
    def membrane(self) -> Float[Array, " n_time"]:
        """The data without what the electrode adds [mV]."""
        return self.voltage - self._added

    @property
    def interpolated(self) -> Sampled:
        """The same as an input."""
        return Sampled(self.membrane, dt=self.dt, onset=self.t0)

    def recorded(self, solution: Solution) -> Float[Array, " n_time"]:
        """What the amplifier would read of a prediction [mV]."""
        return solution.voltage + self._added

    @property
    def _added(self) -> Any:
        return 0.0 if self.electrode is None else self.electrode.added(self.stimulus(jnp.asarray(self.ts)))


class ClampCurrent(AbstractTrace):
    """A current recorded in voltage clamp, and the command that evoked it.

    **Arguments:** `ts`, times of the samples [ms], evenly spaced, or their interval [ms]; `current` [pA], shape
    (n_time,); `command` [mV], a stimulus that covers them.

    The prediction is a `Solution` saved at the samples, of a model that says what is `recorded`: a `WholeCell`.

    **Raises:** ValueError as for `VoltageTrace`.

    >>> ClampCurrent(0.05, current, Constant(-70.0) + Step(-10.0, onset=5.0))
    """

    current: Float[Array, " n_time"]
    command: AbstractStimulus
    t0: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def __init__(self, ts: Any, current: Any, command: AbstractStimulus):
        self.current = _data("current", current, "pA", least=2)
        self.command = as_stimulus(command)
        self.t0, self.dt = _sampling(ts, self.current.size)
        check_covered(self.command, self.t0, self.t1)

    @property
    def data(self) -> Float[Array, " n_time"]:
        """The current [pA]."""
        return self.current

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """Steps of at most 0.01 ms, since filter and lag are fast, a whole fraction of the sampling."""
        return FixedStep(self.step_below(0.01))

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        if not isinstance(model, WholeCell):
            raise ValueError(
                "Argument `model` must say what an amplifier records in voltage clamp, but is a "
                f"{type(model).__name__}; use WholeCell()."
            )
        checked_run(model, self.command, t0=self.t0, t1=self.t1, dt_save=self.dt, solver=solver, max_spikes=None)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Solution:
        return self.run(model, self.command, solver, max_spikes=1)


class FICurve(AbstractTarget):
    """Firing rates at several amplitudes of a current step.

    **Arguments:** `current`, shape (n_current,), in the model's input unit, or in `unit`, e.g.
    "pA"; `rate` [Hz], same shape; `duration` of the step [ms], the time in which spikes were
    counted.

    A rate that comes from one count stands for the bin [count, count + 1) / duration; `in_bin` is
    the place in it, in counts, at which the model's smooth rate aims: 0.5 if all rates times
    `duration` are whole numbers, else 0 (rates averaged over trials, or computed). The prediction
    is that of `fi_curve`.

    **Raises:** ValueError for NaN, unequal lengths, negative rates or an unknown unit.

    >>> FICurve([50.0, 100.0, 200.0], [0.0, 6.0, 12.0], duration=500.0, unit="pA")
    """

    current: Float[Array, " n_current"]
    rate: Float[Array, " n_current"]
    in_bin: Float[Array, ""]
    duration: float = eqx.field(static=True)
    unit: str | None = eqx.field(static=True)

    def __init__(
        self,
        current: Any,
        rate: Any,
        *,
        duration: float = 500.0,
        unit: str | None = None,
        in_bin: float | None = None,
    ):
        self.current = _data("current", current, unit or "the model's input unit", least=2)
        self.rate = _data("rate", rate, "Hz", least=2)
        _check_equal_lengths("current", self.current, "rate", self.rate)
        if np.any(self.rate < 0) or not np.any(self.rate > 0):
            raise ValueError(
                "Argument `rate` must hold rates >= 0 and some > 0 [Hz], but runs from "
                f"{float(self.rate.min()):g} to {float(self.rate.max()):g}; give currents at which "
                "the cell fires too."
            )
        if not is_concrete(duration) or not 0 < duration < np.inf:
            raise ValueError(
                f"Argument `duration` must be a positive number [ms], but is duration={duration}; use e.g. 500."
            )
        self.duration, self.unit = float(duration), unit
        if unit is not None:
            units.convert(1.0, unit, unit)
        count = np.asarray(self.rate, np.float64) * self.duration / 1e3
        is_count = bool(np.all(np.abs(count - np.round(count)) < 1e-3))
        self.in_bin = jnp.asarray(0.5 * is_count if in_bin is None else in_bin, self.rate.dtype)

    def current_in(self, unit: str) -> Float[Array, " n_current"]:
        """The currents in a unit, e.g. the model's input unit."""
        if self.unit is None or self.unit == unit:
            return self.current
        if not units.same_dimension(self.unit, unit):
            raise ValueError(
                f"Argument `unit` must suit the model, whose input is in {unit}, but is "
                f"{self.unit!r}; fit a model with that input or give the currents in {unit}."
            )
        return units.convert(self.current, self.unit, unit)

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """The default of `fi_curve`."""
        return default_fi_solver(model)

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        check_one_neuron(model)
        self.current_in(model.input_unit)
        stimulus = Step(self.current[0])
        checked_run(model, stimulus, t0=0.0, t1=self.duration, dt_save=None, solver=solver, max_spikes=None)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> FIResult:
        current = self.current_in(model.input_unit)
        return fi_curve(model, current, duration=self.duration, solver=solver)


class SpikeTimes(AbstractTarget):
    """Times of spikes in a run from 0 to t1.

    **Arguments:** `times` [ms], sorted, shape (n,); `stimulus`, in the model's input unit; `t1`,
    end of the run [ms].

    The prediction is a `Solution` that keeps the first `room` spikes, n + 16 if None; targets of equal room are
    simulated side by side in a `Joint`. The field `times` has as many entries, inf at the end.

    **Raises:** ValueError for NaN, no or unsorted times, times outside the run, too little room or a stimulus shorter
    than the run.

    >>> SpikeTimes([12.1, 40.3, 71.9], Step(amplitude=0.3, onset=5.0), t1=100.0)
    """

    times: Float[Array, " room"]
    stimulus: AbstractStimulus
    t1: float = eqx.field(static=True)

    def __init__(self, times: Any, stimulus: Any = None, *, t1: float, room: int | None = None):
        times = _data("times", times, "ms", least=1)
        self.stimulus = as_stimulus(stimulus)
        if not is_concrete(t1) or not 0 < t1 < np.inf:
            raise ValueError(f"Argument `t1` must be a positive number [ms], but is t1={t1}; use e.g. 100.")
        self.t1 = float(t1)
        if np.any(np.diff(times) <= 0):
            k = int(np.argmax(np.diff(times) <= 0)) + 1
            raise ValueError(
                f"Argument `times` must be sorted, but has {float(times[k]):g} ms after "
                f"{float(times[k - 1]):g} ms; sort the times and drop repeats."
            )
        if times[0] < 0 or times[-1] > self.t1:
            raise ValueError(
                f"Argument `times` must lie between 0 and t1={self.t1:g} ms, but runs from "
                f"{float(times[0]):g} to {float(times[-1]):g} ms; cut it or raise t1."
            )
        room = times.size + 16 if room is None else int(room)
        if room < times.size:
            raise ValueError(
                f"Argument `room` must be at least the number of spikes, {times.size}, but is {room}; raise it."
            )
        self.times = jnp.pad(times, (0, room - times.size), constant_values=jnp.inf)
        check_covered(self.stimulus, 0.0, self.t1)

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """The default of sweeps."""
        return default_fixed_solver(model)

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        check_one_neuron(model)
        checked_run(model, self.stimulus, t0=0.0, t1=self.t1, dt_save=None, solver=solver, max_spikes=None)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Solution:
        return simulate(
            model,
            self.stimulus,
            t1=self.t1,
            solver=solver,
            max_spikes=self.times.size,
            throw=False,
        )


def _checked_mask(mask: Any, n_time: int) -> Bool[Array, " n_time"]:
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != (n_time,) or not array.any():
        raise ValueError(
            f"Argument `mask` must be {n_time} truth values, some of them True, but has shape {array.shape}, "
            f"{array.dtype} and {np.count_nonzero(array)} True; give one for each sample."
        )
    return jnp.asarray(array)


def _data(name: str, values: Any, unit: str, least: int) -> Array:
    """`values` as a 1-D array of finite numbers, or the sentence that says what is wrong."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"Argument `{name}` must be a list of numbers [{unit}], but is {values!r}; give e.g. a NumPy array."
        ) from None
    if array.ndim != 1 or array.size < least:
        raise ValueError(
            f"Argument `{name}` must be a list of at least {least} numbers [{unit}], but has shape "
            f"{array.shape}; give one trace or curve."
        )
    is_bad = ~np.isfinite(array)
    if is_bad.any():
        k = int(np.argmax(is_bad))
        raise ValueError(
            f"Argument `{name}` must hold finite numbers [{unit}], but entry {k} is {array[k]} "
            f"({is_bad.sum()} such in all); cut them out or interpolate."
        )
    return jnp.asarray(array, jnp.result_type(float))


def _check_equal_lengths(a_name: str, a: Array, b_name: str, b: Array) -> None:
    if a.size != b.size:
        raise ValueError(
            f"Arguments `{a_name}` and `{b_name}` must be equally long, but have {a.size} and "
            f"{b.size} entries; give one of each for every point."
        )


def _sampling(ts: Any, n_time: int) -> tuple[float, float]:
    """First time and interval [ms] of `ts`, sample times or their interval."""
    if np.ndim(ts) == 0:
        if not is_concrete(ts) or not 0 < ts < np.inf:
            raise ValueError(
                f"Argument `ts` must be sample times or a positive interval [ms], but is {ts}; use e.g. 0.1."
            )
        return 0.0, float(ts)
    times = np.asarray(_data("ts", ts, "ms", least=2), np.float64)
    if times.size != n_time:
        raise ValueError(
            f"Arguments `ts` and `voltage` must be equally long, but have {times.size} and "
            f"{n_time} entries; give one of each for every point."
        )
    dt = (times[-1] - times[0]) / (n_time - 1)
    # times in a file are rounded; steps that differ by a tenth are another sampling
    if not dt > 0 or np.any(np.abs(np.diff(times) - dt) > 0.1 * dt):
        raise ValueError(
            "Argument `ts` must rise in equal steps, but its steps run from "
            f"{np.diff(times).min():g} to {np.diff(times).max():g} ms; sort it, and resample the "
            "trace evenly."
        )
    return float(times[0]), float(f"{dt:.9g}")


def check_covered(stimulus: AbstractStimulus, t0: float, t1: float) -> None:
    start, end = stimulus.domain
    slack = 1e-6 * (t1 - t0)
    if is_concrete(start, end) and (np.any(start > t0 + slack) or np.any(end < t1 - slack)):
        raise ValueError(
            f"Argument `stimulus` must cover the data from {t0:g} to {t1:g} ms, but is defined "
            f"from {float(start):g} to {float(end):g} ms; cut the data or lengthen the stimulus."
        )
