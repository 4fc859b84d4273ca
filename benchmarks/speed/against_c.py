"""Ours beside the same scheme in C: forward Euler, exponential Euler, Strang and RK4; FHN; LIF with adaptation."""

import numpy as np

from speed import ours
from speed.accuracy import worst_error
from speed.c_reference import runner
from speed.cases import CASES, Case
from speed.compared import ratio_row
from speed.rows import Row, Settings

__all__ = ["STEPPERS", "measure"]

STEPPERS = {"hh": ("rk4", "euler", "exponential_euler", "strang"), "fhn": ("rk4",), "lif": ("euler",)}
"""The first of each is also measured over the number of lanes."""

_TITLES = {"euler": "Euler", "exponential_euler": "exponential Euler", "strang": "Strang", "rk4": "RK4"}
_LARGE = 10_240
_MOST_LANES_OFF = 0.01  # lanes whose spike counts may differ: a last spike may fall on either side of the end


def measure(settings: Settings) -> list[Row]:
    """Every stepper at 10,240 lanes, the first one at every size."""
    case = CASES[settings.pair.removeprefix("c-")]
    reference = np.load(settings.reference)[case.name]
    rows = []
    for name in STEPPERS[case.name]:
        sizes = settings.mode.sizes if name == STEPPERS[case.name][0] else (_LARGE,)
        error = worst_error(ours.spike_times(case, ours.stepper(case, name)), reference, case.t1_accuracy)
        rows += [_row(settings, case, name, n, error) for n in sizes]
    return rows


def _row(settings: Settings, case: Case, name: str, n: int, error: float) -> Row:
    values, steps, solver = case.values(n), case.steps[n], ours.stepper(case, name)
    t1 = steps * case.dt
    in_c = runner(settings.library, case, name, values, steps, steps, settings.precision)

    def in_jax() -> tuple[np.ndarray, np.ndarray]:
        kept = ours.sweep(case, values, solver, t1=t1, dt_save=t1, keep=("spike_count", "V_end"))
        return np.asarray(kept["spike_count"]), np.asarray(kept["V_end"])

    return ratio_row(
        settings,
        in_jax,
        in_c,
        lane_steps=n * steps,
        is_speedup=False,
        errors=(error, None),
        refusal=_disagreement(settings, case, name),
        claim=f"c-{case.name}",
        label=f"{case.title} {_TITLES[name]} / C",
        n=n,
        series=f"{case.name}/C" if name == STEPPERS[case.name][0] else "",
        note=f"same scheme on both sides, {steps} steps",
    )


def _disagreement(settings: Settings, case: Case, name: str) -> str:
    """What differs between both, on a batch of its own with V at every tenth step; "" if they are the same."""
    n, steps = 1024, 1000
    values, t1 = case.values(n), steps * case.dt
    kept = ours.sweep(
        case, values, ours.stepper(case, name), t1=t1, dt_save=10 * case.dt, keep=("spike_count", "voltage")
    )
    count, V = runner(settings.library, case, name, values, steps, 10, settings.precision)()
    V_ours = np.asarray(kept["voltage"], float)[:, 1:].T
    off = float(np.mean(np.asarray(kept["spike_count"]) != count))
    typical = float(np.median(np.abs(V_ours - V)) / np.ptp(V))
    if off > _MOST_LANES_OFF or not typical < 1e-3:
        return f"not the same: {100 * off:.1f} % of counts, V by {typical:.1e} of its range"
    return ""
