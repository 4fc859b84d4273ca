"""From a recording to a fitted model in one call."""

import numpy as np

from jaxneuro import params
from jaxneuro.analysis.recordings import FITable, fi_table, passive_properties
from jaxneuro.datasets import CellFI
from jaxneuro.fitters._fit import fit
from jaxneuro.fitters._result import FitResult
from jaxneuro.fitters.search._experiment import Bounds
from jaxneuro.fitters.targets._targets import FICurve
from jaxneuro.models import LIF
from jaxneuro.recording import Recording

__all__ = ["fi_problem", "fit_fi_table", "fit_recording_fi", "measured_lif"]

_T_REF = (0.5, 5.0)  # ms; a refractory period that does the work of adaptation would be longer
_TAU_W = (10.0, 1000.0)  # ms


def fit_recording_fi(
    recording: Recording,
    *,
    model: str = "lif",
    threshold: float = -10.0,
    n_starts: int = 8,
    steps: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> FitResult:
    """Fit an integrate-and-fire neuron with adaptation to a cell's f-I curve.

    E_L, R_m and tau_m come from the small steps of the recording and stay as measured. Free are
    V_th, V_reset, t_ref (0.5 to 5 ms), b_w and tau_w.

    **Arguments:** `recording`, sweeps with current steps; `model`, "lif"; `threshold`, voltage that
    a spike crosses [mV]; the rest as in `fit`.

    **Raises:** ValueError where the recording has no steps, no charging curve or no f-I curve.

    >>> result = fit_recording_fi(read_recording("cell.abf"))
    >>> result.save("fit.json")
    """
    if model != "lif":
        raise ValueError(
            f'Argument `model` must be "lif" for the f-I curve of a recording, but is {model!r}; '
            "membranes take a current density, which needs the cell's area."
        )
    cell, target, free = fi_problem(fi_table(recording, threshold), measured_lif(recording, LIF()))
    return fit(cell, target, free=free, n_starts=n_starts, steps=steps, seed=seed, progress=progress)


def fit_fi_table(
    table: FITable | CellFI,
    *,
    E_L: float,
    R_m: float,
    tau_m: float,
    n_starts: int = 8,
    steps: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> FitResult:
    """Fit an integrate-and-fire neuron with adaptation to an f-I curve and a measured membrane.

    **Arguments:** `table`, from `analysis.recordings.fi_table` or `datasets.cell_0018_fi`; `E_L` [mV], `R_m` [MOhm] and
    `tau_m` [ms], which stay as they are; the rest as in `fit`.
    """
    model, target, free = fi_problem(table, LIF(E_L=E_L, R_m=R_m, tau_m=tau_m))
    return fit(model, target, free=free, n_starts=n_starts, steps=steps, seed=seed, progress=progress)


def fi_problem(table: FITable, model: LIF) -> tuple[LIF, FICurve, dict[str, Bounds]]:
    """Model, target and free parameters of a fit to an f-I curve; E_L, R_m and tau_m are the model's.

    V_th and V_reset start and stay where the silent and the firing currents of the curve put them.
    """
    V_th, V_reset = _voltage_bounds(table, float(model.E_L), float(model.R_m))
    largest = 1e-3 * float(np.max(table.current))  # nA
    free = {
        "V_th": V_th,
        "V_reset": V_reset,
        "t_ref": _T_REF,
        "b_w": (2e-3 * largest, largest),
        "tau_w": _TAU_W,
    }
    model = params.replace(model, {"V_th": V_th[1], "V_reset": V_reset[0]})
    return model, FICurve(table.current, table.rate, duration=table.duration, unit="pA"), free


def measured_lif(recording: Recording, model: LIF) -> LIF:
    """The model with the recording's resting potential, input resistance and time constant."""
    cell = passive_properties(recording)
    values = {"E_L": cell.E_L, "R_m": cell.R_m, "tau_m": cell.tau_m}
    return params.replace(model, values)


def _voltage_bounds(table: FITable | CellFI, E_L: float, R_m: float) -> tuple[Bounds, Bounds]:
    """Bounds of V_th, between the steady voltages at the last silent and the first firing current,
    and of V_reset below it [mV]."""
    current, is_firing = np.asarray(table.current), np.asarray(table.rate) > 0
    firing = current[is_firing]
    silent = current[~is_firing]
    below = silent[silent < firing.min()] if firing.size else silent
    if firing.size < 2 or not below.size or firing.max() <= 0:
        raise ValueError(
            "The f-I curve must have spikes at two currents at least and none at a smaller one, "
            f"but has spikes at {firing.size} of {current.size}; record steps around the rheobase."
        )
    last, first = 1e-3 * below.max(), 1e-3 * firing.min()  # nA
    gap = R_m * (first - last)
    # a tenth of the gap is left for the error of the measured membrane
    low, high = E_L + R_m * last - 0.1 * gap, E_L + R_m * first + 0.1 * gap
    return (low, high), (low - 25.0, low - 0.05 * gap)
