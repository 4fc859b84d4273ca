"""From a recording to a fitting problem: model with measured parameters, target, bounds of the free ones."""

import functools
from typing import Any

import numpy as np

from jaxneuro.models import AbstractModel
from jaxneuro.recording import Recording, Sweep

__all__ = ["PROBLEMS"]

Problem = tuple[AbstractModel, Any, dict[str, tuple[float, float]]]

# Bounds of what is free: conductances around the squid axon's, and the leak's potential,
_SQUID = {
    "na.g_max": (10.0, 400.0),
    "k.g_max": (1.0, 200.0),
    "leak.g_max": (0.01, 3.0),
    "leak.E_rev": (-90.0, -30.0),
    "electrode.R_s": (0.0, 50.0),
}
# and conductances, thresholds and speeds of a cortical cell's currents.
_CORTICAL = {
    "C_m": (0.5, 2.0),
    "na.g_max": (5.0, 200.0),
    "na.V_T": (-75.0, -45.0),
    "na.q10": (0.3, 8.0),
    "k.g_max": (0.5, 50.0),
    "k.V_T": (-75.0, -45.0),
    "k.q10": (0.3, 8.0),
    "m.g_max": (0.005, 1.0),
    "m.tau_max": (100.0, 5000.0),
    "leak.g_max": (0.003, 0.3),
    "leak.E_rev": (-90.0, -50.0),
    "electrode.R_s": (0.0, 50.0),
}


def lif_fi(data: Recording, neuron: AbstractModel, sweep: int | None, area: float | None) -> Problem:
    """f-I curve of the recording's main current step."""
    from jaxneuro.analysis.recordings import fi_table
    from jaxneuro.fitters import fi_problem, measured_lif

    return fi_problem(fi_table(data), measured_lif(data, neuron))


def _chosen(data: Recording, number: int | None) -> Sweep:
    """The sweep with this number, or the one with most spikes."""
    from jaxneuro.analysis.recordings import find_spikes

    known = [sweep.index for sweep in data]
    if number is not None and number not in known:
        raise ValueError(
            f"Options --sweep and --held-out must name sweeps of the recording, but {number} is none of them; choose "
            f"from {', '.join(map(str, known))}."
        )
    if number is not None:
        return data.select([number])[0]
    return max(data, key=lambda sweep: find_spikes(sweep.ts, sweep.voltage).size)


def lif_spikes(data: Recording, neuron: AbstractModel, sweep: int | None, area: float | None) -> Problem:
    """Spike times of one sweep under its recorded current, up to 100 ms after the last spike."""
    from jaxneuro.analysis.recordings import find_spikes
    from jaxneuro.fitters import measured_lif, spikes_of

    chosen = _chosen(data, sweep)
    neuron = measured_lif(data, neuron)
    times = find_spikes(chosen.ts, chosen.voltage) - chosen.ts[0]
    if not times.size:
        raise ValueError(
            f"Options --sweep and --held-out must choose sweeps with spikes, but {chosen.index} has none; choose "
            "another, or leave --sweep out to take the one with most."
        )
    rest = float(neuron.E_L)
    free = {
        "V_th": (rest + 1.0, rest + 40.0),
        "V_reset": (rest - 20.0, rest + 0.9),
        "t_ref": (0.5, 5.0),  # longer would not be a refractory period but adaptation
        "b_w": (0.001, 1.0),
        "tau_w": (20.0, 1000.0),
    }
    t1 = min(float(chosen.t1 - chosen.ts[0]), float(times[-1]) + 100.0)
    return neuron, spikes_of(chosen, t1=t1), free


def membrane_trace(
    free: dict[str, tuple[float, float]],
    data: Recording,
    neuron: AbstractModel,
    sweep: int | None,
    area: float | None,
) -> Problem:
    """Voltage of one sweep up to 50 ms after the main step, every 0.1 ms; the current in pA becomes a density by the
    area."""
    from jaxneuro import params
    from jaxneuro.analysis.recordings import main_step, passive_properties
    from jaxneuro.fitters import Electrode, trace_of

    if area is None:
        try:
            # pF over uF/cm^2 is 1e-6 cm^2
            area = 100 * passive_properties(data).capacitance / float(params.get(neuron, "C_m"))
        except ValueError as reason:
            raise ValueError(
                "Option --area must be given where the capacitance cannot be measured, but is not; give the membrane "
                f"area in um^2 (no measurement: {reason})"
            ) from None
    if not area > 0:
        raise ValueError(f"Option --area must be positive, but is {area:g} um^2; give e.g. --area 20000.")
    chosen = _chosen(data, sweep)
    step = main_step(data)
    (prepared,) = data.select([chosen.index]).prepared(every=max(1, round(0.1 / chosen.dt)))
    end = min(step.onset + step.duration + 50.0, prepared.t1) - prepared.ts[0]
    target = trace_of(prepared, t1=end, area=area, electrode=Electrode(area=area))
    return params.replace(neuron, {"V_init": float(np.median(target.voltage[:10]))}), target, free


PROBLEMS = {
    ("lif", "fi"): lif_fi,
    ("lif", "spikes"): lif_spikes,
    ("hh", "trace"): functools.partial(membrane_trace, _SQUID),
    ("regular-spiking", "trace"): functools.partial(membrane_trace, _CORTICAL),
}
