"""What a model is fitted to: a voltage trace, an f-I curve or spike times, checked when made."""

import abc
import warnings
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro import units
from jaxneuro._simulate import checked_run, simulate
from jaxneuro._solution import Solution
from jaxneuro.analysis.firing import FIResult, check_one_neuron, default_fi_solver, fi_curve
from jaxneuro.fitters.targets._electrode import Electrode, checked_electrode
from jaxneuro.fitters.targets._initial_state import state_from, state_params
from jaxneuro.fitters.targets._nudging import Guide, Nudged
from jaxneuro.fitters.targets._samples import (
    check_covered,
    check_equal_lengths,
    checked_mask,
    samples,
    sampling,
    whole_fraction,
)
from jaxneuro.models import AbstractModel, AbstractSpikingModel, WholeCell
from jaxneuro.params import NamedParams, is_concrete
from jaxneuro.solvers import AbstractSolver, ExactSpikes, FixedStep, default_fixed_solver
from jaxneuro.stimuli import AbstractStimulus, Sampled, Step, as_stimulus

__all__ = ["AbstractTarget", "AbstractTrace", "ClampCurrent", "FICurve", "SpikeTimes", "VoltageTrace"]


_LARGEST_IN_VOLTS = 0.3  # a cell's potential in volts lies within, and hardly ever one in mV


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


class AbstractTrace(AbstractTarget):
    """Samples at even intervals, and what a model does in their time."""

    t0: eqx.AbstractVar[float]
    """Time of the first sample [ms]."""
    dt: eqx.AbstractVar[float]
    """Sampling interval [ms]."""
    mask: eqx.AbstractVar[Bool[Array, " n_time"] | None]
    """Which samples are compared; None for all."""
    unit: eqx.AbstractClassVar[str]
    """Of the samples."""

    @abc.abstractmethod
    def recorded(self, solution: Solution) -> Float[Array, " n_time"]:
        """What the amplifier would read of a prediction."""

    @property
    @abc.abstractmethod
    def data(self) -> Float[Array, " n_time"]:
        """The samples."""

    @property
    def is_compared(self) -> np.ndarray:
        """The mask, shape (n_time,)."""
        return np.ones(self.data.size, bool) if self.mask is None else np.asarray(self.mask)

    @property
    def ts(self) -> np.ndarray:
        """Times of the samples [ms]."""
        return self.t0 + self.dt * np.arange(self.data.size)

    @property
    def t1(self) -> float:
        """Time of the last sample [ms]."""
        return self.t0 + self.dt * (self.data.size - 1)

    def run(self, model: AbstractModel, stimulus: AbstractStimulus, solver: AbstractSolver, **options: Any) -> Solution:
        """A simulation saved at the samples; failure is a value in it."""
        return simulate(model, stimulus, t0=self.t0, t1=self.t1, dt_save=self.dt, solver=solver, throw=False, **options)


class VoltageTrace(AbstractTrace):
    """A voltage trace and the stimulus that evoked it.

    **Arguments:** `ts`, times of the samples [ms], evenly spaced, or their interval [ms] for a
    trace that begins at 0 ms; `voltage` [mV], shape (n_time,); `stimulus`, in the model's input
    unit; `electrode`, what the amplifier makes of the voltage; `mask`, shape (n_time,), True where data and model are
    compared, e.g. outside of spikes; `y0`, the state at the first sample, like `model.init_state()`, which may then be
    fitted: its variables are the parameters "y0.V", "y0.gates.na.m" and so on.

    Without `y0` the model starts in its initial state. The prediction is a `Solution` saved
    at the samples. With a strength `k` [1/ms] it is that of the model while it is drawn to the data (`Nudged`), which
    are interpolated within the steps: a sample's delay would shift the parameters by per cents.

    **Raises:** ValueError for NaN, unequal lengths, times that are not even or a stimulus that does
    not cover the trace.

    >>> VoltageTrace(0.05, voltage, Step(amplitude=10.0, onset=5.0))
    """

    unit: ClassVar[str] = "mV"
    voltage: Float[Array, " n_time"]
    stimulus: AbstractStimulus
    electrode: Electrode | None
    mask: Bool[Array, " n_time"] | None
    y0: NamedParams | None
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
        y0: Any = None,
    ):
        self.voltage = samples("voltage", voltage, "mV", least=2)
        self.stimulus = as_stimulus(stimulus)
        self.electrode, self.k = None if electrode is None else checked_electrode(electrode), None
        self.mask = None if mask is None else checked_mask(mask, self.voltage.size)
        self.y0 = None if y0 is None else state_params(y0)
        self.t0, self.dt = sampling(ts, self.voltage.size)
        check_covered(self.stimulus, self.t0, self.t1)

    @property
    def data(self) -> Float[Array, " n_time"]:
        """The voltage [mV]."""
        return self.voltage

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """The default of sweeps, its step shortened to a whole fraction of the sampling."""
        dt = whole_fraction(self.dt, default_fixed_solver(model).dt)
        return ExactSpikes(dt) if isinstance(model, AbstractSpikingModel) else FixedStep(dt)

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        check_one_neuron(model)
        if self.y0 is not None:
            state_from(self.y0, model.init_state())
        if self.electrode is not None:
            self.electrode.check_area(model)
        self._warn_of_volts(model)
        checked_run(model, self.stimulus, t0=self.t0, t1=self.t1, dt_save=self.dt, solver=solver, max_spikes=None)

    def _warn_of_volts(self, model: AbstractModel) -> None:
        largest = float(jnp.max(jnp.abs(self.voltage)))
        if model.input_unit in ("nA", "uA/cm^2") and 0 < largest < _LARGEST_IN_VOLTS:
            warnings.warn(
                f"Argument `voltage` should be in mV, but stays within {largest:.3g} of 0, which looks like volts; "
                "multiply it by 1000 if it is.",
                stacklevel=4,
            )

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Solution:
        y0 = None if self.y0 is None else state_from(self.y0, model.init_state())
        if self.k is None:
            return self.run(model, self.stimulus, solver, y0=y0)
        guide = Guide(self.stimulus, self.interpolated)
        return self.run(Nudged(model, self.k), guide, solver, max_spikes=1, y0=y0)

    def drawn(self, k: float) -> "VoltageTrace":
        """The same, of a model that is drawn to the data with a strength k [1/ms]."""
        strength = jnp.asarray(k, self.voltage.dtype)
        return eqx.tree_at(lambda trace: trace.k, self, strength, is_leaf=lambda x: x is None)

    @property
    def membrane(self) -> Float[Array, " n_time"]:
        """The membrane potential that the data tell [mV]: without what the electrode adds, in step with the current."""
        return self.voltage if self.electrode is None else self.electrode.undone(self.voltage, self.injected, self.dt)

    @property
    def injected(self) -> Float[Array, " n_time"]:
        """The stimulus at the samples."""
        return self.stimulus(jnp.asarray(self.ts))

    @property
    def interpolated(self) -> Sampled:
        """The same as an input."""
        return Sampled(self.membrane, dt=self.dt, onset=self.t0)

    def recorded(self, solution: Solution) -> Float[Array, " n_time"]:
        """What the amplifier would read of a prediction [mV]."""
        if self.electrode is None:
            return solution.voltage
        return self.electrode.read(solution.voltage, self.injected, self.dt)


class ClampCurrent(AbstractTrace):
    """A current recorded in voltage clamp, and the command that evoked it.

    **Arguments:** `ts`, times of the samples [ms], evenly spaced, or their interval [ms]; `current` [pA], shape
    (n_time,); `command` [mV], a stimulus that covers them.

    The prediction is a `Solution` saved at the samples, of a model that says what is `recorded`: a `WholeCell`.

    **Raises:** ValueError as for `VoltageTrace`.

    >>> ClampCurrent(0.05, current, Constant(-70.0) + Step(-10.0, onset=5.0))
    """

    unit: ClassVar[str] = "pA"
    mask: ClassVar[None] = None
    current: Float[Array, " n_time"]
    command: AbstractStimulus
    t0: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def __init__(self, ts: Any, current: Any, command: AbstractStimulus):
        self.current = samples("current", current, "pA", least=2)
        self.command = as_stimulus(command)
        self.t0, self.dt = sampling(ts, self.current.size)
        check_covered(self.command, self.t0, self.t1)

    @property
    def data(self) -> Float[Array, " n_time"]:
        """The current [pA]."""
        return self.current

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """Steps of at most 0.01 ms, since filter and lag are fast, a whole fraction of the sampling."""
        return FixedStep(whole_fraction(self.dt, 0.01))

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        if not isinstance(model, WholeCell):
            raise ValueError(
                "Argument `model` must say what an amplifier records in voltage clamp, but is a "
                f"{type(model).__name__}; use WholeCell()."
            )
        checked_run(model, self.command, t0=self.t0, t1=self.t1, dt_save=self.dt, solver=solver, max_spikes=None)

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> Solution:
        return self.run(model, self.command, solver, max_spikes=1)

    def recorded(self, solution: Solution) -> Float[Array, " n_time"]:
        """What the amplifier would read of a prediction [pA]."""
        return solution.model.recorded(solution.ys)


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
        self.current = samples("current", current, unit or "the model's input unit", least=2)
        self.rate = samples("rate", rate, "Hz", least=2)
        check_equal_lengths("current", self.current, "rate", self.rate)
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
        times = samples("times", times, "ms", least=1)
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
