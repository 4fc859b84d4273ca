"""Injected currents as sequences of constant levels, and the steps among them."""

from dataclasses import dataclass

import numpy as np

from jaxneuro.recording import Sweep

# Steps shorter than this are not told from transients; filters of 1 kHz and more settle within it.
SHORTEST = 1.0  # ms
# Levels closer than this share of a sweep's range are one level.
_RESOLUTION = 0.01
# Below the resolution of a 16-bit output at 400 pA/V: a smaller current is rounding.
_SMALLEST = 0.01  # pA
# Noise passes 5 standard deviations by chance about once in two million independent samples.
_SIGMAS = 5.0


@dataclass(frozen=True)
class CurrentStep:
    """A stretch of constant current: `amplitude` [pA] from `onset` [ms] for `duration` [ms].

    The amplitude counts from `holding` [pA], the current at the beginning of the sweep.
    """

    onset: float
    duration: float
    amplitude: float
    holding: float


@dataclass(frozen=True)
class Segment:
    """Samples [start, stop) between two jumps of the current, and their level [pA]."""

    start: int
    stop: int
    level: float
    is_flat: bool


@dataclass(frozen=True)
class Command:
    """A sweep's current as segments; levels differ where they are more than `tolerance` apart."""

    segments: list[Segment]
    tolerance: float

    @property
    def holding(self) -> float:
        return self.segments[0].level


def _spread(values: np.ndarray) -> float:
    """Standard deviation of normal values around 0, of which up to a quarter are outliers."""
    # Three quarters of a normal distribution lie within 1.150 standard deviations.
    return float(np.quantile(np.abs(values), 0.75)) / 1.150


def segment_current(sweep: Sweep) -> Command | None:
    """Cut the current at its jumps; None where it is not made of constant levels.

    A jump is the largest difference within 1 ms between the means of r samples after and before
    it, where it exceeds 1 % of the sweep's range and 5 standard deviations of such differences.
    r is as small as the noise permits: 1 for a noise-free command, at most 1 ms. A segment is flat
    if its scatter is that of the noise; ramps and waves give segments that are not flat.
    """
    current, n_time = sweep.current, sweep.ts.size
    short = int(np.clip(round(SHORTEST / sweep.dt), 1, n_time // 4 or 1))
    # A lag of 1 ms, since filtered noise hardly changes from one sample to the next.
    noise = _spread(current[short:] - current[:-short]) / np.sqrt(2.0)
    resolution = max(_RESOLUTION * np.ptp(current), _SMALLEST)
    r = int(np.clip(np.ceil(2.0 * (_SIGMAS * noise / resolution) ** 2), 1, short))
    total = np.concatenate([[0.0], np.cumsum(current)])
    means = (total[r:] - total[:-r]) / r if r > 1 else current
    change = means[r:] - means[:-r]
    tolerance = max(resolution, _SIGMAS * _spread(change))
    edges = [0, *(k + r for k in _jumps(np.abs(change), tolerance, short)), n_time]
    segments: list[Segment] = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        guard = min(short, (stop - start) // 4)
        inside = current[start + guard : stop - guard]
        level = float(np.median(inside))
        is_flat = bool(np.std(inside) <= 1.5 * noise + 0.5 * resolution)
        segments.append(Segment(start, stop, level, is_flat))
    flat = sum(s.stop - s.start for s in segments if s.is_flat)
    is_steps = segments[0].is_flat and flat > 0.5 * n_time
    return Command(_merged(segments, tolerance), tolerance) if is_steps else None


def _jumps(change: np.ndarray, tolerance: float, short: int) -> list[int]:
    """Where the change is largest among those above the tolerance, at least `short` apart."""
    jumps: list[int] = []
    for k in np.flatnonzero(change > tolerance):
        if jumps and k - jumps[-1] < short:
            if change[k] > change[jumps[-1]]:
                jumps[-1] = int(k)
        else:
            jumps.append(int(k))
    return jumps


def _merged(segments: list[Segment], tolerance: float) -> list[Segment]:
    """Neighbours on one level joined: a jump and back within 1 ms leaves no trace."""
    merged = segments[:1]
    for segment in segments[1:]:
        last = merged[-1]
        if last.is_flat and segment.is_flat and abs(segment.level - last.level) <= tolerance:
            merged[-1] = Segment(last.start, segment.stop, last.level, True)
        else:
            merged.append(segment)
    return merged


def find_steps(sweep: Sweep) -> list[CurrentStep]:
    """The stretches of constant current that differ from the level at the sweep's beginning.

    The command may carry the small noise of a recorded current. Steps shorter than 1 ms and smaller
    than 1 % of the sweep's range are not seen; a sweep that is mostly ramp or wave has none.

    Arguments:
        sweep: A sweep of a recording.

    >>> ts = np.arange(0.0, 50.0, 0.1)
    >>> find_steps(Sweep(ts, np.full(500, -65.0), np.where((ts >= 10) & (ts < 30), 50.0, 0.0)))
    [CurrentStep(onset=10.0, duration=20.0, amplitude=50.0, holding=0.0)]
    """
    return steps_of(sweep, segment_current(sweep))


def steps_of(sweep: Sweep, command: Command | None) -> list[CurrentStep]:
    """The segments that are steps; none for a current that is not made of levels."""
    if command is None:
        return []
    return [
        CurrentStep(
            onset=_clean(sweep.ts[segment.start]),
            duration=_duration(sweep, segment),
            amplitude=segment.level - command.holding,
            holding=command.holding,
        )
        for segment in command.segments[1:]
        if segment.is_flat and abs(segment.level - command.holding) > command.tolerance
    ]


def _duration(sweep: Sweep, segment: Segment) -> float:
    ends_with_sweep = segment.stop == sweep.ts.size
    stop = sweep.t1 + sweep.dt if ends_with_sweep else float(sweep.ts[segment.stop])
    return _clean(stop - sweep.ts[segment.start])


def _clean(t: float) -> float:
    """A time [ms] without the rounding errors of sample times: 500, not 500.00000000000045."""
    return round(float(t), 9)


def levels_of(sweep: Sweep) -> tuple[np.ndarray, np.ndarray] | None:
    """Levels [pA] of a sweep's current and the times at which each begins [ms]; None where it is not all constant."""
    command = segment_current(sweep)
    if command is None or not all(segment.is_flat for segment in command.segments):
        return None
    levels = np.array([segment.level for segment in command.segments])
    return levels, np.array([float(sweep.ts[segment.start]) for segment in command.segments])
