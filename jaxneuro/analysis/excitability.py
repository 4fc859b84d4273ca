"""Excitability of one neuron: thresholds of rectangular pulses, all-or-none responses, strength and duration.

These are experiments, run many lanes at a time and read on the host: they return NumPy arrays and have no derivatives.
Other durations, amplitudes and parameters do not compile again; a longest duration of another size may.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxneuro.analysis._protocols import (
    RTOL,
    SETTLE,
    SUCCESSFUL,
    WAIT,
    Found,
    Lane,
    Readout,
    as_results,
    at_rest,
    checked_list,
    checked_number,
    excites,
    input_unit,
    pulses,
    read,
    search_range,
    smallest,
)
from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver

__all__ = [
    "AllOrNone",
    "StrengthDuration",
    "StrengthDurationFit",
    "Threshold",
    "all_or_none",
    "as_thresholds",
    "fit_lapicque",
    "fit_weiss",
    "strength_duration",
    "threshold",
]


class Threshold(NamedTuple):
    """Thresholds of rectangular pulses, shaped like the durations that were given, () or (n,).

    `duration` [ms]; `amplitude`, the smallest that makes a spike [unit of the model's input]; `latency` of that spike,
    from the pulse's onset [ms]; `result`, how the runs that decide it ended (RESULTS).
    """

    duration: Float[np.ndarray, "*n"]
    amplitude: Float[np.ndarray, "*n"]
    latency: Float[np.ndarray, "*n"]
    result: RESULTS


def threshold(
    model: AbstractModel,
    duration: Any,
    *,
    wait: float = WAIT,
    largest: float | None = None,
    settle: float = SETTLE,
    rtol: float = RTOL,
    solver: AbstractSolver | None = None,
) -> Threshold:
    """The smallest amplitude of a rectangular pulse that makes a spike.

    i_th(d) = min {i > 0: the model at rest spikes before t = d + wait if it gets i for 0 <= t < d}

    **Arguments:**

    - `model`: one neuron, e.g. `HodgkinHuxley()` or `LIF()`.
    - `duration`: of the pulse [ms]; a number, or a list of them.
    - `wait`: how long after its end a spike still counts [ms].
    - `largest`: amplitude up to which it is sought [unit of the model's input]; if None 1e4 uA/cm^2, 1e3 nA or 1e3.
    - `settle`: time without input before the pulse [ms], in which the model comes to rest.
    - `rtol`: the amplitude returned does excite, one smaller by this share does not.
    - `solver`: FixedStep for smooth models, ExactSpikes for those that reset, if None.

    A spike is what `simulate` counts. The amplitude is 0 where a neuron fires by itself, inf where none up to `largest`
    excites, NaN where a run that decides it failed.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> round(float(threshold(HodgkinHuxley(), 1.0).amplitude), 1)
    6.9

    References: Lapicque (1907), J Physiol Pathol Gen 9:620.
    """
    low, high = search_range(model, largest)
    given = checked_list("duration", duration, "ms")
    wait = checked_number("wait", wait, "ms")
    rtol = checked_number("rtol", rtol, "1", is_open=True)
    lane = at_rest(model, solver, longest=float(given.max()) + wait, settle=settle)
    found = smallest(_pulse_answers(lane, given, wait), given.size, low, high, rtol=rtol)
    return as_thresholds(found, given, found.dose, found.readout.first, np.shape(duration))


def as_thresholds(
    found: Found, duration: np.ndarray, amplitude: np.ndarray, latency: np.ndarray, shape: tuple[int, ...]
) -> Threshold:
    """What a search found, in the shape of the durations that were given."""
    latency = np.where(np.isfinite(found.dose), latency, np.nan)
    columns = (column.reshape(shape) for column in (duration, amplitude, latency))
    return Threshold(*columns, as_results(found.code.reshape(shape)))


def _pulse_answers(lane: Lane, duration: Float[np.ndarray, " n"], wait: float) -> Callable:
    """Whether pulses of one duration per case and a given amplitude make a spike."""

    def answers(case: np.ndarray, amplitude: np.ndarray) -> tuple[Bool[np.ndarray, " n"], Readout]:
        d = duration[case]
        return excites(lane, pulses(amplitude, 0.0, d), 0.0, d + wait)

    return answers


class AllOrNone(NamedTuple):
    """Responses to pulses of one duration, arrays (n,).

    `amplitude` [unit of the model's input]; `peak`, the highest voltage [mV]; `n_spikes`; `latency` of the first spike
    from the pulse's onset [ms], NaN without one; `duration` of the pulse [ms]; `unit` of the amplitudes; `result`.
    """

    amplitude: Float[np.ndarray, " n"]
    peak: Float[np.ndarray, " n"]
    n_spikes: Int[np.ndarray, " n"]
    latency: Float[np.ndarray, " n"]
    duration: float
    unit: str
    result: RESULTS


def all_or_none(
    model: AbstractModel,
    amplitudes: Any,
    duration: float = 1.0,
    *,
    wait: float = WAIT,
    settle: float = SETTLE,
    solver: AbstractSolver | None = None,
) -> AllOrNone:
    """Peak voltage over the amplitude of a rectangular pulse: small below threshold, a whole spike above it.

    peak(i) = max V(t), 0 < t <= duration + wait,   for i_app = i while 0 <= t < duration        [mV]

    **Arguments:** `model`, one neuron; `amplitudes`, a list [unit of the model's input], of either sign; `duration`,
    `wait`, `settle`, `solver` as in `threshold`. The peak of a model that resets is the voltage that it is reset at,
    seen at the ends of the solver's steps. A run that fails has NaN.

    The squid axon's response is graded in a narrow range, which temperature widens (Cole, Guttman & Bezanilla 1970).

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> all_or_none(HodgkinHuxley(), [6.0, 8.0]).n_spikes
    array([0, 1])

    References: Adrian (1914), J Physiol 47:460; Cole, Guttman & Bezanilla (1970),
    PNAS 65:884.
    """
    unit = input_unit(model)
    amplitudes = checked_list("amplitudes", amplitudes, unit, is_signed=True)
    duration = checked_number("duration", duration, "ms", is_open=True)
    wait = checked_number("wait", wait, "ms")
    lane = at_rest(model, solver, longest=duration + wait, settle=settle)
    out = read(lane, pulses(amplitudes, 0.0, duration), 0.0, duration + wait)
    is_good = out.code == SUCCESSFUL
    peak = np.where(is_good, out.V_max, np.nan)
    latency = np.where(is_good & (out.n_spikes > 0), out.first, np.nan)
    return AllOrNone(amplitudes, peak, out.n_spikes, latency, duration, unit, as_results(out.code))


class StrengthDurationFit(NamedTuple):
    """A law fitted to thresholds: `rheobase` [unit of the model's input], `chronaxie` [ms], and `error`, the root mean
    square of the relative deviations [1]."""

    rheobase: float
    chronaxie: float
    error: float


class StrengthDuration(NamedTuple):
    """Strength-duration curve.

    `duration` [ms] and `threshold` [unit of the model's input], arrays (n,); `charge`, their product [unit times ms],
    constant for short pulses. `rheobase`, threshold of a step of `long` ms, and `chronaxie`, the duration at which
    twice the rheobase just excites [ms], both as measured. `lapicque` and `weiss`, the two laws fitted to the curve.
    `unit` of the amplitudes; `result` of each threshold.
    """

    duration: Float[np.ndarray, " n"]
    threshold: Float[np.ndarray, " n"]
    charge: Float[np.ndarray, " n"]
    rheobase: float
    chronaxie: float
    lapicque: StrengthDurationFit
    weiss: StrengthDurationFit
    long: float
    unit: str
    result: RESULTS


def strength_duration(
    model: AbstractModel,
    durations: Any,
    *,
    long: float = 200.0,
    wait: float = WAIT,
    largest: float | None = None,
    settle: float = SETTLE,
    rtol: float = RTOL,
    solver: AbstractSolver | None = None,
) -> StrengthDuration:
    """Thresholds of rectangular pulses over their duration, with rheobase and chronaxie.

    Lapicque: i(d) = i_rh / (1 - exp(-d / tau)),   chronaxie = tau ln 2
    Weiss:    i(d) = i_rh (1 + c / d),             chronaxie = c

    **Arguments:** `model`, one neuron; `durations`, a list [ms]; `long`, the step whose threshold is called rheobase
    [ms]; `wait`, `largest`, `settle`, `rtol`, `solver` as in `threshold`.

    There are three chronaxies: the field `chronaxie` is the one measured, without any law, at twice the measured
    rheobase; those of `lapicque` and `weiss` follow from the laws, whose rheobase is a fitted number too. The fits
    minimise the squares of relative deviations over all finite thresholds; with fewer than two they are NaN. Lapicque's
    law is exact for a leaky integrator, Weiss' for none; at short durations both give the charge i_rh tau or i_rh c.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> round(strength_duration(LIF(), [1.0, 3.0, 10.0, 30.0]).lapicque.chronaxie, 2)  # tau_m ln 2
    13.86

    References: Weiss (1901), Arch Ital Biol 35:413; Lapicque (1907), J Physiol Pathol Gen 9:620.
    """
    low, high = search_range(model, largest)
    durations = checked_list("durations", durations, "ms")
    long = checked_number("long", long, "ms", is_open=True)
    wait = checked_number("wait", wait, "ms")
    rtol = checked_number("rtol", rtol, "1", is_open=True)
    lane = at_rest(model, solver, longest=max(float(durations.max()), long) + wait, settle=settle)
    every = np.append(durations, long)
    dose, _, code = smallest(_pulse_answers(lane, every, wait), every.size, low, high, rtol=rtol)
    rheobase, amplitudes = float(dose[-1]), dose[:-1]
    return StrengthDuration(
        durations,
        amplitudes,
        amplitudes * durations,
        rheobase,
        _chronaxie(lane, rheobase, long, wait, rtol),
        fit_lapicque(durations, amplitudes),
        fit_weiss(durations, amplitudes),
        long,
        input_unit(model),
        as_results(code[:-1]),
    )


def _chronaxie(lane: Lane, rheobase: float, long: float, wait: float, rtol: float) -> float:
    """The shortest pulse of twice the rheobase that makes a spike [ms]."""
    if not (np.isfinite(rheobase) and rheobase > 0):
        return np.nan

    def answers(case: np.ndarray, duration: np.ndarray) -> tuple[np.ndarray, Readout]:
        return excites(lane, pulses(2 * rheobase, 0.0, duration), 0.0, duration + wait)

    return float(smallest(answers, 1, 1e-5 * long, long, rtol=rtol).dose[0])


def fit_weiss(duration: Any, amplitude: Any) -> StrengthDurationFit:
    """Weiss' law fitted to thresholds: i(d) = i_rh (1 + c / d), least squares of i_fit / i - 1.

    **Arguments:** `duration` [ms], `amplitude`, arrays (n,); entries that are not finite and positive do not count.
    Two unknowns need two durations: NaN with fewer.

    >>> round(fit_weiss([0.5, 1.0, 2.0], [6.0, 4.0, 3.0]).chronaxie, 6)  # of 2 (1 + 1 / d)
    1.0

    References: Weiss (1901), Arch Ital Biol 35:413.
    """
    d, i = _usable(duration, amplitude)
    if d.size < 2:
        return StrengthDurationFit(np.nan, np.nan, np.nan)
    design = np.stack([1 / i, 1 / (d * i)], axis=1)
    rheobase, charge = np.linalg.lstsq(design, np.ones(d.size), rcond=None)[0]
    error = np.sqrt(np.mean((design @ [rheobase, charge] - 1) ** 2))
    return StrengthDurationFit(float(rheobase), float(charge / rheobase), float(error))


def fit_lapicque(duration: Any, amplitude: Any) -> StrengthDurationFit:
    """Lapicque's law fitted to thresholds: i(d) = i_rh / (1 - exp(-d / tau)), least squares of i_fit / i - 1.

    **Arguments:** `duration` [ms], `amplitude`, arrays (n,); entries that are not finite and positive do not count.
    Two unknowns need two durations: NaN with fewer. The chronaxie is tau ln 2. The best i_rh at a given tau is a linear
    problem; tau is sought from a hundredth of the shortest to a hundred times the longest duration.

    >>> d = np.array([1.0, 5.0, 25.0])
    >>> round(fit_lapicque(d, 0.2 / (1 - np.exp(-d / 10.0))).rheobase, 6)
    0.2

    References: Lapicque (1907), J Physiol Pathol Gen 9:620.
    """
    d, i = _usable(duration, amplitude)
    if d.size < 2:
        return StrengthDurationFit(np.nan, np.nan, np.nan)

    def fitted(log_tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = 1 / (-np.expm1(-d / np.exp(log_tau)[:, None]) * i)
        rheobase = x.sum(axis=1) / (x**2).sum(axis=1)
        return rheobase, np.sqrt(np.mean((rheobase[:, None] * x - 1) ** 2, axis=1))

    low, high = np.log(d.min() / 100), np.log(d.max() * 100)
    for _ in range(12):  # each leaves a 25th of the interval: 18 / 25^12 is below any rounding
        tried = np.linspace(low, high, 51)
        rheobase, error = fitted(tried)
        best = int(np.argmin(error))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, 50)]
    return StrengthDurationFit(float(rheobase[best]), float(np.exp(tried[best]) * np.log(2)), float(error[best]))


def _usable(duration: Any, amplitude: Any) -> tuple[np.ndarray, np.ndarray]:
    d, i = np.asarray(duration, float), np.asarray(amplitude, float)
    if d.ndim != 1 or d.shape != i.shape:
        raise ValueError(
            f"Argument `amplitude` must have one threshold per duration, shape {d.shape}, but has shape {i.shape}; "
            "give two lists of one length."
        )
    is_good = np.isfinite(d) & np.isfinite(i) & (d > 0) & (i > 0)
    return d[is_good], i[is_good]
