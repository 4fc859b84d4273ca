"""From sweeps of a recording to targets of a fit: the command as a stimulus, the voltage, the spikes."""

import warnings
from typing import Any

import numpy as np

from jaxneuro import circuit
from jaxneuro._arguments import check_count, check_kind
from jaxneuro.analysis import recordings
from jaxneuro.fitters.targets._electrode import Electrode, checked_electrode
from jaxneuro.fitters.targets._samples import finite_number, positive_number
from jaxneuro.fitters.targets._step_response import StepResponse
from jaxneuro.fitters.targets._targets import SpikeTimes, VoltageTrace
from jaxneuro.params import is_concrete
from jaxneuro.recording import Recording, Sweep
from jaxneuro.stimuli import AbstractStimulus, Levels, Sampled

__all__ = ["responses_of", "spikes_of", "stimulus_of", "trace_of"]

_PER_NA = 1e-3  # of pA
_PER_SECOND = 1e-3  # of a sweep that is asked for in seconds


def stimulus_of(sweep: Sweep, *, t1: float | None = None, area: float | None = None) -> AbstractStimulus:
    """The current of a sweep as a stimulus of a point neuron [nA], or of a membrane of this area [uA/cm^2].

    `Levels` where the command is made of steps, `Sampled` elsewhere. Time counts from the sweep's first sample.

    **Arguments:** `sweep`, of a `Recording`; `t1`, up to which it is needed [ms]; `area` [um^2].

    >>> simulate(AdEx(), stimulus_of(recording[0]), t1=600.0)
    """
    command = recordings.levels_of(sweep)
    unit = (lambda current: circuit.to_density(current, area, "pA")) if area else (lambda current: _PER_NA * current)
    if command is None:
        return Sampled(unit(sweep.current), dt=sweep.dt)
    levels, starts = command
    is_needed = starts - sweep.ts[0] < (np.inf if t1 is None else t1)
    return Levels(unit(levels[is_needed]), starts[is_needed] - sweep.ts[0])


def trace_of(
    sweep: Sweep,
    *,
    t1: float | None = None,
    every: int = 1,
    area: float | None = None,
    electrode: Electrode | None = None,
    without_spikes: tuple[float, float] | None = None,
    threshold: float = -10.0,
    y0: Any = None,
) -> VoltageTrace:
    """The voltage of a sweep as a target.

    **Arguments:** `sweep`, of a `Recording`; `t1`, where it ends [ms after its first sample]; `every`, take one sample
    of so many (`Recording.prepared` filters first); `area` [um^2], of a membrane; `electrode`, what the
    amplifier adds; `without_spikes`, how long before and after each spike data and model are not compared [ms];
    `threshold`, which a spike crosses [mV]; `y0`, the state at the first sample, see `VoltageTrace`.

    >>> trace_of(recording[3], t1=650.0, electrode=Electrode(R_s=15.0), without_spikes=(2.0, 5.0))
    """
    every = check_count("every", every, 1, 4)
    _check_sweep(sweep, t1)
    _check_areas(area, electrode)
    ts = sweep.ts - sweep.ts[0]
    n = ts.size if t1 is None else int(np.searchsorted(ts, t1 + 0.5 * sweep.dt))
    ts, voltage = ts[:n:every], sweep.voltage[:n:every]
    mask = None
    threshold = float(finite_number("threshold", threshold, "mV", -10.0))
    if ts.size < 2:
        raise ValueError(
            f"Argument `every` must leave two samples or more, but {every} leaves {ts.size} of {n}; lower it."
        )
    if without_spikes is not None:
        spikes = recordings.find_spikes(sweep.ts - sweep.ts[0], sweep.voltage, threshold)
        mask = recordings.is_between_spikes(ts, spikes, *_checked_margins(without_spikes))
        if not mask.any():
            raise ValueError(
                f"Argument `without_spikes` must leave some samples, but {without_spikes!r} covers all between "
                f"{spikes.size} spikes; shorten the times."
            )
    return VoltageTrace(ts, voltage, stimulus_of(sweep, t1=t1, area=area), electrode=electrode, mask=mask, y0=y0)


def _check_sweep(sweep: Any, t1: Any) -> None:
    check_kind("sweep", sweep, Sweep, "a Sweep", "give one of a recording, e.g. recording[0]")
    end = sweep.ts[-1] - sweep.ts[0]
    if t1 is not None and not (is_concrete(t1) and 0 < t1 <= end + 0.5 * sweep.dt):
        raise ValueError(
            f"Argument `t1` must lie within the sweep, 0 to {end:g} ms after its first sample, but is {t1!r}; lower "
            "it, or leave it out."
        )
    if t1 is not None and t1 <= _PER_SECOND * end:
        warnings.warn(
            f"Argument `t1` should be in ms, but {t1:g} of {end:g} ms looks like seconds; multiply it by 1000 then.",
            stacklevel=4,
        )


def _check_areas(area: Any, electrode: Electrode | None) -> None:
    if area is not None:
        positive_number("area", area, "um^2", 2e4)
    own = None if electrode is None else checked_electrode(electrode).area
    if own is not None and area is not None and not np.isclose(float(own), area):
        raise ValueError(
            f"Argument `area` must be that of the electrode, {float(own):g} um^2, but is {area:g}; give both one value."
        )


def _checked_margins(without_spikes: Any) -> tuple[float, float]:
    try:
        before, after = map(float, without_spikes)
        is_good = before >= 0 and after >= 0
    except (TypeError, ValueError):
        is_good = False
    if not is_good:
        raise ValueError(
            "Argument `without_spikes` must be two times >= 0 [ms], before and after a spike, but is "
            f"{without_spikes!r}; give e.g. (2.0, 5.0)."
        )
    return before, after


def spikes_of(
    sweep: Sweep,
    *,
    t1: float | None = None,
    area: float | None = None,
    threshold: float = -10.0,
    room: int | None = None,
) -> SpikeTimes:
    """The spikes of a sweep as a target.

    **Arguments:** as of `trace_of`; `room`, how many spikes a prediction keeps.

    **Raises:** ValueError for a sweep without spikes.

    >>> spikes_of(recording[12], t1=650.0)
    """
    _check_sweep(sweep, t1)
    t1 = float(sweep.ts[-1] - sweep.ts[0]) if t1 is None else t1
    spikes = recordings.find_spikes(sweep.ts - sweep.ts[0], sweep.voltage, threshold)
    spikes = spikes[spikes <= t1]
    if not spikes.size:
        raise ValueError(
            f"Argument `sweep` must have spikes, but sweep {sweep.index} has none above threshold={threshold:g} mV up "
            f"to {t1:g} ms; choose another sweep, lower the threshold, or fit its trace."
        )
    return SpikeTimes(spikes, stimulus_of(sweep, t1=t1, area=area), t1=t1, room=room)


def responses_of(
    recording: Recording,
    *,
    area: float,
    electrode: Electrode | None = None,
    before: float = 50.0,
    threshold: float = 0.0,
    room: int | None = None,
) -> dict[int, StepResponse]:
    """The answers of all sweeps to the recording's main step as targets for a membrane, by sweep number.

    **Arguments:** `recording`, sweeps with steps of current; `area` [um^2], of the membrane; `electrode`, what the
    amplifier adds; `before`, time of rest before the step that they hold too [ms]; `threshold`, which a spike crosses
    [mV]; `room` for spikes of each, 1.5 times those of the sweep with most and 4 if None, so that all are simulated
    side by side.

    **Raises:** ValueError where no sweep has a step, or less rest before it.

    >>> Joint({f"sweep {index}": target for index, target in responses_of(recording, area=2e4).items()})
    """
    window = recordings.main_step(recording)
    sweeps = {int(index): recording.select([int(index)])[0] for index in window.sweep}
    electrode = Electrode(area=area) if electrode is None else electrode
    if room is None:
        times = [recordings.find_spikes(sweep.ts, sweep.voltage, threshold) for sweep in sweeps.values()]
        end = window.onset + window.duration
        room = int(1.5 * max(np.sum((t >= window.onset - before) & (t <= end)) for t in times)) + 4
    targets = {}
    for (index, sweep), amplitude in zip(sweeps.items(), window.amplitude, strict=True):
        if sweep.ts[0] > window.onset - before:
            raise ValueError(
                f"Argument `before` must be at most the {window.onset - sweep.ts[0]:g} ms before the step, but is "
                f"{before:g}; lower it."
            )
        is_inside = (sweep.ts >= window.onset - before) & (sweep.ts <= window.onset + window.duration)
        targets[index] = StepResponse(
            sweep.dt,
            sweep.voltage[is_inside],
            amplitude=float(circuit.to_density(amplitude, area, "pA")),
            onset=before,
            electrode=electrode,
            threshold=threshold,
            room=room,
        )
    return targets
