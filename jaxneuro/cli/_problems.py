"""From a recording to a fitting problem: model with measured parameters, target, bounds of the free ones."""

from typing import Any

import numpy as np

from jaxneuro.models import AbstractModel
from jaxneuro.recording import Recording, Sweep

__all__ = ["PROBLEMS"]

Problem = tuple[AbstractModel, Any, dict[str, tuple[float, float]]]

_T_REF = (0.5, 5.0)  # ms; longer ones are not refractory periods but adaptation


def _measured_lif(data: Recording, neuron: AbstractModel) -> tuple[AbstractModel, dict[str, tuple[float, float]]]:
    """LIF with the passive properties of the subthreshold sweeps, and bounds for the rest that suit the cell."""
    from jaxneuro import params
    from jaxneuro.analysis.recordings import passive_properties

    cell = passive_properties(data)
    neuron = params.replace(
        neuron,
        {"E_L": cell.E_L, "R_m": cell.R_m, "tau_m": cell.tau_m, "V_th": cell.E_L + 10.0, "V_reset": cell.E_L},
    )
    free = {
        "V_th": (cell.E_L + 1.0, cell.E_L + 40.0),
        "V_reset": (cell.E_L - 20.0, cell.E_L + 0.9),
        "t_ref": _T_REF,
        "b_w": (0.001, 1.0),
        "tau_w": (20.0, 1000.0),
    }
    return neuron, free


def lif_fi(data: Recording, neuron: AbstractModel, sweep: int | None, area: float | None) -> Problem:
    """f-I curve of the recording's main current step."""
    from jaxneuro.analysis.recordings import fi_table
    from jaxneuro.fitters import FICurve

    table = fi_table(data)
    neuron, free = _measured_lif(data, neuron)
    return neuron, FICurve(table.current, table.rate, duration=float(table.duration), unit="pA"), free


def _chosen(data: Recording, number: int | None) -> Sweep:
    """The sweep with this number, or the one with most spikes."""
    from jaxneuro.analysis.recordings import find_spikes

    if number is not None:
        return data.select([number])[0]
    return max(data, key=lambda sweep: find_spikes(sweep.ts, sweep.voltage).size)


def _current(sweep: Sweep, factor: float) -> Any:
    """The sweep's current times `factor`, from t = 0 on."""
    from jaxneuro.stimuli import Sampled

    return Sampled(factor * sweep.current, dt=sweep.dt)


def lif_spikes(data: Recording, neuron: AbstractModel, sweep: int | None, area: float | None) -> Problem:
    """Spike times of one sweep under its recorded current, up to 100 ms after the last spike."""
    from jaxneuro.analysis.recordings import find_spikes
    from jaxneuro.fitters import SpikeTimes

    chosen = _chosen(data, sweep)
    neuron, free = _measured_lif(data, neuron)
    times = find_spikes(chosen.ts, chosen.voltage) - chosen.ts[0]
    if not times.size:
        raise ValueError(
            f"Option --sweep must choose a sweep with spikes, but {chosen.index} has none; leave it out to take the "
            "one with most."
        )
    t1 = min(float(chosen.t1 - chosen.ts[0]), float(times[-1]) + 100.0)
    return neuron, SpikeTimes(times, _current(chosen, 1e-3), t1=t1), free


def hh_trace(data: Recording, neuron: AbstractModel, sweep: int | None, area: float | None) -> Problem:
    """Voltage of one sweep; the current in pA becomes a density by the membrane's area."""
    from jaxneuro import params
    from jaxneuro.analysis.recordings import passive_properties
    from jaxneuro.fitters import VoltageTrace

    if area is None:
        try:
            # pF to uF is 1e-6, um^2 to cm^2 is 1e-8
            area = passive_properties(data).capacitance * 1e-6 / float(params.get(neuron, "C_m")) / 1e-8
        except ValueError as reason:
            raise ValueError(
                "Option --area must be given where the capacitance cannot be measured, but is not; give the membrane "
                f"area in um^2 (no measurement: {reason})"
            ) from None
    if not area > 0:
        raise ValueError(f"Option --area must be positive, but is {area:g} um^2; give e.g. --area 20000.")
    chosen = _chosen(data, sweep)
    stride = max(1, round(0.1 / chosen.dt))
    # pA to uA is 1e-6, um^2 to cm^2 is 1e-8
    stimulus = _current(chosen, 1e-6 / (area * 1e-8))
    ts = chosen.ts[::stride] - chosen.ts[0]
    neuron = params.replace(neuron, {"V_init": float(np.median(chosen.voltage[: max(10, stride)]))})
    free = {"na.g_max": (10.0, 400.0), "k.g_max": (1.0, 200.0), "leak.g_max": (0.01, 3.0), "leak.E_rev": (-90.0, -30.0)}
    return neuron, VoltageTrace(ts, chosen.voltage[::stride], stimulus), free


PROBLEMS = {("lif", "fi"): lif_fi, ("lif", "spikes"): lif_spikes, ("hh", "trace"): hh_trace}
