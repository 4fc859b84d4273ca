"""What a current-clamp recording says about its cell: spikes, current steps, f-I curve, membrane.

Everything here is NumPy on recorded samples, before any model is made.
"""

from dataclasses import dataclass

import numpy as np

from jaxneuro.analysis._commands import (
    SHORTEST,
    Command,
    CurrentStep,
    find_steps,
    levels_of,
    segment_current,
    steps_of,
)
from jaxneuro.recording import Recording, Sweep

__all__ = [
    "CurrentStep",
    "FITable",
    "Passive",
    "REARM",
    "StepWindow",
    "find_spikes",
    "find_steps",
    "fi_table",
    "is_between_spikes",
    "levels_of",
    "main_step",
    "passive_properties",
]

# A spike falls by tens of mV, recording noise is below 1 mV: by so much below the threshold the detector re-arms.
REARM = 5.0  # mV
# The resting voltage is the median over this time before a step.
_BASELINE = 100.0  # ms


@dataclass(frozen=True, eq=False)
class StepWindow:
    """The stretch of time in which a protocol steps the current, in every sweep that has it.

    `onset` and `duration` [ms]; for each sweep its number `sweep`, the step's `amplitude` [pA]
    from holding, which is 0 where the sweep stays there, and the `holding` current [pA].
    """

    onset: float
    duration: float
    sweep: np.ndarray
    amplitude: np.ndarray
    holding: np.ndarray


@dataclass(frozen=True, eq=False)
class FITable:
    """Firing rate by current: arrays of one row per sweep, sorted by `current`.

    `current` [pA] is the whole current during the step (holding and amplitude), `rate` [Hz] is
    `count` / `duration`, `sweep` the number of the sweep; `onset` and `duration` [ms] are the
    step's.
    """

    current: np.ndarray
    rate: np.ndarray
    count: np.ndarray
    onset: float
    duration: float
    sweep: np.ndarray


@dataclass(frozen=True)
class Passive:
    """Passive membrane: V(t) = E_L + I R_series + I R_m (1 - exp(-t / tau_m)) after a step I.

    `E_L` [mV] at zero current, `R_m` [MOhm], `tau_m` [ms], `R_series` [MOhm], and the number of
    sweeps that the fit used.
    """

    E_L: float
    R_m: float
    tau_m: float
    R_series: float
    n_sweeps: int

    @property
    def capacitance(self) -> float:
        """tau_m / R_m [pF]."""
        return 1e3 * self.tau_m / self.R_m


def find_spikes(ts: np.ndarray, voltage: np.ndarray, threshold: float = -10.0) -> np.ndarray:
    """Times [ms] at which the voltage crosses the threshold upwards, shape (n_spike,).

    A crossing is placed by linear interpolation between its two samples. The next one counts only
    after the voltage has fallen 5 mV below the threshold, so noise on a spike's flank is no spike.

    Arguments:
        ts: Times [ms], shape (n_time,).
        voltage: Membrane potential [mV], shape (n_time,).
        threshold: Voltage [mV] that every spike exceeds and nothing else does.

    >>> find_spikes(np.array([0.0, 1.0, 2.0]), np.array([-60.0, 20.0, -60.0]))
    array([0.625])
    """
    ts, voltage = np.asarray(ts, dtype=np.float64), np.asarray(voltage, dtype=np.float64)
    if ts.shape != voltage.shape or ts.ndim != 1:
        raise ValueError(
            "Arguments `ts` and `voltage` must be one-dimensional and equally long, but have "
            f"shapes {ts.shape} and {voltage.shape}; give one sweep."
        )
    is_up, is_down = voltage >= threshold, voltage < threshold - REARM
    # Between the two levels the detector stays as it last was, armed at the beginning.
    last = np.maximum.accumulate(np.where(is_up | is_down, np.arange(ts.size), -1))
    is_above = np.where(last >= 0, is_up[last], False)
    k = np.flatnonzero(is_above[1:] & ~is_above[:-1])
    share = (threshold - voltage[k]) / (voltage[k + 1] - voltage[k])
    return ts[k] + share * (ts[k + 1] - ts[k])


def is_between_spikes(ts: np.ndarray, spikes: np.ndarray, before: float, after: float) -> np.ndarray:
    """Which times are neither less than `before` ahead of a spike nor less than `after` behind one [all ms]."""
    return ~np.any((ts[:, None] > spikes - before) & (ts[:, None] < spikes + after), axis=1)


def main_step(recording: Recording) -> StepWindow:
    """The window in which the protocol steps the current by a different amount in each sweep.

    Among the windows of all steps in all sweeps, those remain in which most sweeps have one
    constant current; the first of them in which this current varies across sweeps is taken. Where
    none varies, as in a single sweep or repeats, it is the first.

    Arguments:
        recording: Sweeps with steps of current.

    Raises a ValueError where no sweep has a step.
    """
    commands = {sweep.index: segment_current(sweep) for sweep in recording}
    windows = {(step.onset, step.duration) for sweep in recording for step in steps_of(sweep, commands[sweep.index])}
    if not windows:
        raise ValueError(
            f"Recording {recording.source!r} must have a step of constant current of at least "
            f"{SHORTEST:g} ms, but has none in its {len(recording)} sweeps; record a step protocol."
        )
    candidates = [_window(recording, commands, *window) for window in sorted(windows)]
    most = max(window.sweep.size for window in candidates)
    candidates = [window for window in candidates if window.sweep.size == most]
    tolerance = max(command.tolerance for command in commands.values() if command is not None)
    varying = (w for w in candidates if np.ptp(w.amplitude + w.holding) > tolerance)
    return next(varying, candidates[0])


def _window(recording: Recording, commands: dict[int, Command | None], onset: float, duration: float) -> StepWindow:
    """The sweeps whose current is constant in a window, with its level there."""
    rows = []
    for sweep in recording:
        command = commands[sweep.index]
        level = None if command is None else _level(sweep, command, onset, duration)
        if command is not None and level is not None:
            rows.append((sweep.index, level - command.holding, command.holding))
    index, amplitude, holding = (np.array(column) for column in zip(*rows, strict=True))
    return StepWindow(onset, duration, index, amplitude, holding)


def _level(sweep: Sweep, command: Command, onset: float, duration: float) -> float | None:
    """The constant current in a window, which may begin or end up to 1 ms beside a jump."""
    slack = min(SHORTEST, 0.25 * duration)
    start, stop = np.searchsorted(sweep.ts, (onset + slack, onset + duration - slack))
    for segment in command.segments:
        if segment.start <= start and stop <= segment.stop and segment.is_flat:
            return segment.level
    return None


def fi_table(recording: Recording, threshold: float = -10.0) -> FITable:
    """Firing rate in the main step of each sweep.

    rate = count / duration, with the spikes from the step's onset to its end    [Hz]

    Arguments:
        recording: Sweeps with steps of current.
        threshold: Voltage that a spike crosses upwards [mV].

    Raises a ValueError where no sweep has a step.

    >>> table = fi_table(read_recording("cell.abf"))  # doctest: +SKIP
    """
    window = main_step(recording)
    stop = window.onset + window.duration
    counts = []
    for sweep in recording.select(window.sweep.tolist()):
        spikes = find_spikes(sweep.ts, sweep.voltage, threshold)
        counts.append(int(np.sum((spikes >= window.onset) & (spikes < stop))))
    current = window.holding + window.amplitude
    order = np.argsort(current, kind="stable")
    count = np.array(counts)[order]
    rate = 1e3 * count / window.duration
    return FITable(current[order], rate, count, window.onset, window.duration, window.sweep[order])


def passive_properties(recording: Recording) -> Passive:
    """Resting potential, resistance, time constant and series resistance from small steps.

    Used is the first step of each sweep if no spike comes before its end and it hyperpolarises, or
    depolarises by at most 5 mV; of the hyperpolarising ones those of at most 20 mV, or else the
    smallest. Their responses dV_k, from the median of the last 100 ms before the step, are pooled
    into one response to a unit current, Z(t) = sum I_k dV_k(t) / sum I_k^2, which is fitted by

    Z(t) = R_series + R_m (1 - exp(-t / tau_m))        [MOhm]

    from 0.5 ms after the onset to 4 tau_m (found by iteration), before slow currents such as I_h
    make the voltage sag. R_series is thus the jump at the onset, 0 where a bridge is balanced. E_L
    is the median over all sweeps of the voltage before the step, less that due to the holding
    current.

    Arguments:
        recording: Sweeps with small steps of current.

    Raises a ValueError where there is no such step, or where the response is no charging curve.

    >>> passive_properties(read_recording("cell.abf"))  # doctest: +SKIP
    """
    responses = [r for r in map(_response, recording) if r is not None]
    usable = _usable(responses)
    if not usable:
        raise ValueError(
            f"Recording {recording.source!r} must have a step of current that evokes no spike and "
            "hyperpolarises, or depolarises by at most 5 mV, but has none in its "
            f"{len(recording)} sweeps; record one, or give E_L, R_m and tau_m yourself."
        )
    n_time = min(response.dV.size for response in usable)
    amplitude = np.array([response.step.amplitude for response in usable])
    dV = np.stack([response.dV[:n_time] for response in usable])
    # mV / pA is GOhm.
    Z = 1e3 * (amplitude @ dV) / (amplitude @ amplitude)
    t = np.arange(n_time) * 1e3 / recording.sampling_rate
    R_series, R_m, tau_m, explained = _charging_curve(t, Z)
    if not (R_m > 0.0 and 0.2 < tau_m < 2.0 * t[-1] and explained > 0.5):
        raise ValueError(
            f"Recording {recording.source!r} must answer small steps of current with a charging "
            f"curve, but the best one (R_m={R_m:.3g} MOhm, tau_m={tau_m:.3g} ms) explains "
            f"{explained:.0%} of the response; select better sweeps, or give E_L, R_m and tau_m "
            "yourself."
        )
    rests = [r.base - 1e-3 * r.step.holding * (R_series + R_m) for r in responses]
    return Passive(float(np.median(rests)), R_m, tau_m, R_series, len(usable))


@dataclass(frozen=True, eq=False)
class _Response:
    """A sweep's first step: the voltage `base` [mV] before, and its change `dV` [mV] during it."""

    step: CurrentStep
    base: float
    dV: np.ndarray
    has_spike: bool

    @property
    def deflection(self) -> float:
        """Size of the response in the second half of the step [mV]."""
        return float(np.median(self.dV[self.dV.size // 2 :]))


def _response(sweep: Sweep) -> _Response | None:
    """None where there is no step, or no rest before it."""
    step = next(iter(find_steps(sweep)), None)
    if step is None:
        return None
    onset, stop = np.searchsorted(sweep.ts, (step.onset, step.onset + step.duration))
    before = slice(np.searchsorted(sweep.ts, step.onset - _BASELINE), onset)
    spikes = find_spikes(sweep.ts[:stop], sweep.voltage[:stop])
    if np.any(spikes < step.onset):
        return None
    base = float(np.median(sweep.voltage[before]))
    return _Response(step, base, sweep.voltage[onset:stop] - base, bool(spikes.size))


def _usable(responses: list[_Response]) -> list[_Response]:
    """The small responses without a spike, at least half as long as the longest."""
    quiet = [r for r in responses if not r.has_spike and r.step.amplitude < 0]
    small = [r for r in quiet if abs(r.deflection) <= 20.0]
    if quiet and not small:
        small = [max(quiet, key=lambda r: r.step.amplitude)]
    small += [r for r in responses if not r.has_spike and r.step.amplitude > 0 and r.deflection <= 5.0]
    longest = max((r.step.duration for r in small), default=0.0)
    return [r for r in small if r.step.duration >= 0.5 * longest]


def _charging_curve(t: np.ndarray, Z: np.ndarray) -> tuple[float, float, float, float]:
    """R_series, R_m [MOhm] and tau_m [ms] of Z(t) = R_series + R_m (1 - exp(-t / tau_m)).

    The fourth value is the share of the variance of Z that the curve explains.
    """
    from scipy.optimize import minimize_scalar

    # Below 0.1 ms nothing is left to see of the charging when the fit begins.
    bounds = np.log(max(t[1], 0.1)), np.log(4.0 * t[-1])
    stop = t[-1]
    # The end of the fit and tau_m settle together, since each step goes only half of the way.
    for _ in range(20):
        inside = (t >= 0.5) & (t <= stop)
        x, z = t[inside], Z[inside]
        best = minimize_scalar(
            lambda log_tau, x=x, z=z: _resistances(np.exp(log_tau), x, z)[2],
            bounds=bounds,
            method="bounded",
            options={"xatol": 1e-9},
        )
        tau = float(np.exp(best.x))
        stop = min(t[-1], 0.5 * (stop + 4.0 * tau))
    R_series, R_m, misfit = _resistances(tau, x, z)
    return R_series, R_m, tau, 1.0 - misfit / float(np.sum((z - np.mean(z)) ** 2))


def _resistances(tau: float, t: np.ndarray, Z: np.ndarray) -> tuple[float, float, float]:
    """R_series and R_m [MOhm] that fit best at a given tau_m, R_series >= 0, and their misfit."""
    charge = 1.0 - np.exp(-t / tau)
    R_m, R_series = np.polyfit(charge, Z, 1)
    if R_series < 0.0:
        R_m, R_series = (charge @ Z) / (charge @ charge), 0.0
    return float(R_series), float(R_m), float(np.sum((Z - R_series - R_m * charge) ** 2))
