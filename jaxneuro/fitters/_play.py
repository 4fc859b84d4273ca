"""A model in the place of the cell: what the amplifier would have recorded of it."""

from typing import NamedTuple

import numpy as np

from jaxneuro._simulate import simulate
from jaxneuro.fitters._sweeps import stimulus_of
from jaxneuro.fitters.targets._electrode import Electrode, checked_electrode
from jaxneuro.models import AbstractModel
from jaxneuro.recording import Recording, Sweep
from jaxneuro.solvers import AbstractSolver

__all__ = ["Played", "play"]


class Played(NamedTuple):
    """`recording`, with the sweeps of the original; `spikes`, sweep number -> the model's spike times [ms], which the
    voltage of an integrate-and-fire neuron does not show."""

    recording: Recording
    spikes: dict[int, np.ndarray]


def play(
    model: AbstractModel,
    recording: Recording,
    *,
    electrode: Electrode | None = None,
    area: float | None = None,
    t1: float | None = None,
    solver: AbstractSolver | None = None,
) -> Played:
    """Simulate a model with the currents of a recording.

    Whatever measures a recording then measures the model: `passive_properties(played.recording)`.

    **Arguments:** `model`; `recording`, whose sweeps all begin anew, from the model's initial state; `electrode`, what
    the amplifier makes of the voltage; `area` [um^2], of a membrane; `t1`, where sweeps are cut [ms after their first
    sample]; `solver`, the model's default if None.

    >>> played = play(result.model, recording, electrode=Electrode(R_s=15.0))
    """
    if electrode is not None:
        checked_electrode(electrode).check_area(model)
    sweeps, spikes = [], {}
    for sweep in recording:
        duration = float(sweep.ts[-1] - sweep.ts[0])
        stop = duration if t1 is None else min(t1, duration)
        stimulus = stimulus_of(sweep, t1=stop, area=area)
        step = getattr(solver, "dt", None)
        # the saved times are the solver's, and the voltage is interpolated between them
        end = stop if step is None else step * np.floor(stop / step)
        run = simulate(model, stimulus, t1=end, solver=solver, dt_save=step)
        dt = float(run.ts[1] - run.ts[0])
        voltage = run.voltage if electrode is None else electrode.read(run.voltage, run.i_app, dt)
        n = int(np.searchsorted(sweep.ts - sweep.ts[0], end * (1 + 1e-9), side="right"))
        ts = sweep.ts[:n]
        recorded = np.interp(ts - sweep.ts[0], np.asarray(run.ts), np.asarray(voltage))
        sweeps.append(Sweep(ts, recorded, sweep.current[:n], sweep.index))
        spikes[sweep.index] = sweep.ts[0] + np.asarray(run.spikes)
    return Played(Recording(tuple(sweeps), recording.source), spikes)
