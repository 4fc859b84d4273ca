"""What a stimulus leaves behind in one neuron: refractoriness and anodal break excitation.

Experiments as in `excitability`: many lanes at a time, NumPy arrays, no derivatives.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxneuro._simulate import simulate
from jaxneuro._solution import Solution
from jaxneuro.analysis._protocols import (
    RTOL,
    SETTLE,
    SUCCESSFUL,
    WAIT,
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
from jaxneuro.analysis.excitability import Threshold, as_thresholds
from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, default_fixed_solver
from jaxneuro.stimuli import Step

__all__ = [
    "Rebound",
    "Refractory",
    "rebound",
    "rebound_threshold",
    "refractory_period",
]

_LEAD = 10.0  # ms at rest before the step of a rebound, so that a figure shows where it began
_LONGEST_REFRACTORY = 200.0  # ms, up to which the two periods are sought


class Refractory(NamedTuple):
    """Recovery of the threshold after a spike; arrays (n,) over the interval between the onsets of two pulses.

    `interval` [ms]; `threshold` of the second pulse [unit of the model's input], inf where even `factor` times
    `first_threshold`, that of the first at rest, fails, NaN where that is 0 or inf; `ratio`, their quotient [1];
    `spike_interval`, from the first spike to the second at that threshold [ms]. `absolute` and `relative`, the two
    periods [ms], as onset intervals; `unit` of the amplitudes; `result` of each threshold.
    """

    interval: Float[np.ndarray, " n"]
    threshold: Float[np.ndarray, " n"]
    ratio: Float[np.ndarray, " n"]
    spike_interval: Float[np.ndarray, " n"]
    first_threshold: float
    absolute: float
    relative: float
    factor: float
    tolerance: float
    unit: str
    result: RESULTS


def refractory_period(
    model: AbstractModel,
    intervals: Any = tuple(range(2, 31)),
    *,
    duration: float = 1.0,
    strength: float = 1.5,
    factor: float = 10.0,
    tolerance: float = 0.05,
    wait: float = WAIT,
    settle: float = SETTLE,
    rtol: float = RTOL,
    solver: AbstractSolver | None = None,
) -> Refractory:
    """Threshold of a second pulse over its interval from the first; absolute and relative refractory period.

    ratio(s) = min {a > 0: pulses strength i_th at 0 and a i_th at s make one spike more than the first alone}
    absolute = min {s: ratio(s) <= factor},   relative = min {s: ratio(s) <= 1 + tolerance}        [ms]

    **Arguments:**

    - `model`: one neuron.
    - `intervals`: from the onset of the first pulse to that of the second, at least `duration`, a list [ms].
    - `duration`: of both pulses [ms].
    - `strength`: amplitude of the first pulse in multiples of its threshold i_th at rest, above 1.
    - `factor`: the largest amplitude of the second, in multiples of i_th; what no such pulse excites is absolutely
      refractory. Above 1 + tolerance.
    - `tolerance`: the relative refractory period ends where the ratio is back within it [1].
    - `wait`, `settle`, `rtol`, `solver`: as in `threshold`.

    Both periods are sought at their own intervals, up to 200 ms, not on the grid: inf if not found. They count from the
    first pulse's onset; less the first spike's latency they count from the spike. 0 means that even pulses that follow
    each other at once excite twice. The threshold may then stay below that at rest for a while (supernormality), as the
    squid axon's does.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> refractory_period(HodgkinHuxley(), [5.0, 15.0]).ratio.round(1)
    array([inf, 1.3])

    References: Adrian & Lucas (1912), J Physiol 44:68; Hodgkin & Huxley (1952),
    J Physiol 117:500, fig. 20. doi:10.1113/jphysiol.1952.sp004764
    """
    unit = input_unit(model)
    duration = checked_number("duration", duration, "ms", is_open=True)
    intervals = _checked_intervals(intervals, duration)
    tolerance = checked_number("tolerance", tolerance, "1")
    strength = _checked_above("strength", strength, 1.0)
    factor = _checked_above("factor", factor, 1 + tolerance)
    wait = checked_number("wait", wait, "ms")
    rtol = checked_number("rtol", rtol, "1", is_open=True)
    longest = max(float(intervals.max()), _LONGEST_REFRACTORY)
    lane = at_rest(model, solver, longest=longest + duration + wait, settle=settle)
    pair = _Pair(lane, duration, wait)
    rest = smallest(lambda _, a: pair.answers(a, 0.0, longest, 0), 1, *search_range(model, None), rtol=rtol)
    i_th = float(rest.dose[0])
    if not (np.isfinite(i_th) and i_th > 0):
        none, code = np.full(intervals.size, np.nan), np.full(intervals.size, rest.code[0])
        return Refractory(intervals, none, none, none, i_th, np.nan, np.nan, factor, tolerance, unit, as_results(code))
    first, seconds = strength * i_th, i_th * np.array([factor, 1 + tolerance])
    n_alone = int(pair.answers(first, 0.0, np.array([longest]), 0)[1].n_spikes[0])
    rise = smallest(
        lambda k, a: pair.answers(first, a * i_th, intervals[k], n_alone), intervals.size, 1e-3, factor, rtol=rtol
    )
    # at a given strength, the shortest interval
    period = smallest(
        lambda k, s: pair.answers(first, seconds[k], np.maximum(s, duration), n_alone), 2, duration, longest, rtol=rtol
    )
    apart = np.where(np.isfinite(rise.dose), rise.readout.last - rise.readout.first, np.nan)
    found = (intervals, rise.dose * i_th, rise.dose, apart, i_th, *period.dose.tolist())
    return Refractory(*found, factor, tolerance, unit, as_results(rise.code))


class _Pair(NamedTuple):
    """Two pulses of one duration [ms] on a lane, and how long a spike is awaited [ms]."""

    lane: Lane
    duration: float
    wait: float

    def answers(self, first: Any, second: Any, interval: Any, n_alone: int) -> tuple[np.ndarray, Readout]:
        """Whether the pair makes more than `n_alone` spikes."""
        first, second, interval = np.broadcast_arrays(first, second, interval)
        pair = pulses(first, 0.0, self.duration) + pulses(second, interval, self.duration)
        out = read(self.lane, pair, 0.0, interval + self.duration + self.wait)
        return out.n_spikes > n_alone, out


def _checked_above(name: str, value: Any, bound: float) -> float:
    number = checked_number(name, value, "1", is_open=True)
    if number <= bound:
        raise ValueError(f"Argument `{name}` must be above {bound:g}, but is {number:g}; raise it.")
    return number


def _checked_intervals(intervals: Any, duration: float) -> Float[np.ndarray, " n"]:
    intervals = checked_list("intervals", intervals, "ms")
    if np.any(intervals < duration):
        raise ValueError(
            f"Argument `intervals` must be at least duration={duration:g} ms, or the pulses overlap, but one is "
            f"{intervals.min():g} ms; shorten the pulses."
        )
    return intervals


class Rebound(NamedTuple):
    """What follows a hyperpolarising step.

    `has_spiked` after its end; `latency` of the first such spike from that end [ms], NaN without one; `n_spikes` after
    it; `V_end`, the voltage at the end of the step, `peak`, the highest one after it [mV]; `onset` and `end` of the
    step [ms]; `solution`, the run, with the model at rest at 0 ms; its `result` says how it ended.
    """

    has_spiked: bool
    latency: float
    n_spikes: int
    V_end: float
    peak: float
    onset: float
    end: float
    solution: Solution


def rebound(
    model: AbstractModel,
    amplitude: float = -10.0,
    duration: float = 20.0,
    *,
    wait: float = WAIT,
    settle: float = SETTLE,
    solver: AbstractSolver | None = None,
) -> Rebound:
    """Anodal break excitation: whether and when a neuron spikes after a hyperpolarising step.

    i_app = amplitude < 0 for 0 <= t < duration, then 0;   latency = t_spike - duration        [ms]

    **Arguments:** `model`, one neuron; `amplitude`, below 0 [unit of the model's input]; `duration` of the step [ms];
    `wait`, how long it is looked at after the step [ms]; `settle`, `solver` as in `threshold`.

    A run that fails has NaN for voltages and latency; `solution.result` says why.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> rebound(HodgkinHuxley(), -10.0, 20.0).n_spikes
    1

    References: Hodgkin & Huxley (1952), J Physiol 117:500, fig. 22. doi:10.1113/jphysiol.1952.sp004764
    """
    unit = input_unit(model)
    amplitude = checked_number("amplitude", amplitude, unit, is_signed=True)
    if amplitude >= 0:
        raise ValueError(f"Argument `amplitude` must be below 0 [{unit}], but is {amplitude:g}; change its sign.")
    duration = checked_number("duration", duration, "ms", is_open=True)
    wait = checked_number("wait", wait, "ms", is_open=True)
    solver = default_fixed_solver(model) if solver is None else solver
    end = _LEAD + duration
    lane = at_rest(model, solver, longest=end + wait, settle=settle)
    solution = simulate(model, Step(amplitude, _LEAD, duration), t1=end + wait, y0=lane.y0, solver=solver, throw=False)
    is_good = int(solution.result._value) == SUCCESSFUL
    spikes, ts, V = (np.asarray(x) for x in (solution.spikes, solution.ts, solution.voltage))
    after = spikes[spikes >= end]
    return Rebound(
        has_spiked=bool(is_good and after.size),
        latency=float(after[0] - end) if is_good and after.size else np.nan,
        n_spikes=int(after.size),
        V_end=float(np.interp(end, ts, V)) if is_good else np.nan,
        peak=float(V[ts >= end].max()) if is_good else np.nan,
        onset=_LEAD,
        end=end,
        solution=solution,
    )


def rebound_threshold(
    model: AbstractModel,
    duration: Any = 20.0,
    *,
    wait: float = WAIT,
    largest: float | None = None,
    settle: float = SETTLE,
    rtol: float = RTOL,
    solver: AbstractSolver | None = None,
) -> Threshold:
    """The weakest hyperpolarising step whose end makes a spike.

    i(d) = max {i < 0: the model at rest spikes in d <= t < d + wait if it gets i for 0 <= t < d}

    **Arguments:** `model`, one neuron; `duration` of the step [ms], a number or a list; `largest`, size up to which it
    is sought [unit of the model's input], if None 100 uA/cm^2, 10 nA or 10; the others as in `threshold`.

    Returns thresholds with negative amplitudes and latencies from the end of the step; -inf where no step up to
    `largest` is followed by a spike, as in an integrate-and-fire neuron.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> float(rebound_threshold(LIF()).amplitude)
    -inf

    References: Hodgkin & Huxley (1952), J Physiol 117:500, fig. 22. doi:10.1113/jphysiol.1952.sp004764
    """
    # a hundredth of what a short pulse may need: a step is long
    low, high = search_range(model, largest) if largest is not None else (x / 100 for x in search_range(model, None))
    given = checked_list("duration", duration, "ms")
    wait = checked_number("wait", wait, "ms", is_open=True)
    rtol = checked_number("rtol", rtol, "1", is_open=True)
    lane = at_rest(model, solver, longest=float(given.max()) + wait, settle=settle)

    def answers(case: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, Readout]:
        d = given[case]
        return excites(lane, pulses(-size, 0.0, d), d, d + wait)

    found = smallest(answers, given.size, low, high, rtol=rtol)
    return as_thresholds(found, given, -found.dose, found.readout.first - given, np.shape(duration))
