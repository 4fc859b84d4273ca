"""Ours beside NEURON: one-compartment hh cells in one process at dt 0.025 ms, rate tables off.

Both its default, implicit Euler, and its Crank-Nicolson scheme of second order.
"""

import numpy as np
from neuron import h

from speed import ours
from speed.accuracy import crossings, worst_error
from speed.cases import CASES, N_ACCURACY, Case
from speed.compared import ratio_row
from speed.rows import Row, Settings

__all__ = ["measure"]

_N, _STEPS = 1000, 400
_CM2 = 1e-8  # of a um^2


class _Cells:
    """Single compartments with the lanes' parameters; NEURON keeps them as long as this object lives."""

    def __init__(self, case: Case, n: int):
        h.load_file("stdrun.hoc")
        h.usetable_hh = 0
        h.celsius = 6.3
        h.dt = case.dt
        self.dt = case.dt
        self.context = h.ParallelContext()
        self.context.set_maxstep(10)
        self.sections, self.clamps = [], []
        values = case.values(n)
        for k in range(n):
            self._add(k, {name: float(value[k]) for name, value in values.items()})

    def _add(self, k: int, values: dict[str, float]) -> None:
        section = h.Section(name=f"cell{k}")
        section.L = section.diam = 10.0  # um
        section.cm = values["C_m"]
        section.insert("hh")
        middle = section(0.5)
        middle.hh.gnabar, middle.hh.gkbar = 1e-3 * values["na.g_max"], 1e-3 * values["k.g_max"]
        middle.hh.gl, middle.hh.el = 1e-3 * values["leak.g_max"], values["leak.E_rev"]
        section.ena, section.ek = values["na.E_rev"], values["k.E_rev"]
        clamp = h.IClamp(middle)
        clamp.delay, clamp.dur = 0.0, 1e9
        clamp.amp = 1e3 * values["stimulus.amplitude"] * middle.area() * _CM2  # uA/cm^2 over the area, in nA
        self.sections.append(section)
        self.clamps.append(clamp)

    def run(self, steps: int) -> None:
        """From rest at -65 mV over this many steps."""
        h.finitialize(-65.0)
        self.context.psolve(steps * self.dt)

    def voltages(self, steps: int) -> np.ndarray:
        """V of every cell after every step, shape (n, steps + 1)."""
        recorded = [h.Vector().record(section(0.5)._ref_v) for section in self.sections]
        self.run(steps)
        return np.array([np.array(vector)[: steps + 1] for vector in recorded])


def measure(settings: Settings) -> list[Row]:
    """NEURON computes in float64; so does ours."""
    case = CASES["hh"]
    reference, steps = np.load(settings.reference)[case.name], round(case.t1_accuracy / case.dt)
    solver, values, t1 = ours.stepper(case, "strang"), case.values(_N), _STEPS * case.dt
    our_error = worst_error(ours.spike_times(case, solver), reference, case.t1_accuracy)
    rows = []
    for title, order in {"NEURON": 0, "NEURON, Crank-Nicolson": 2}.items():
        h.secondorder = order
        few = _Cells(case, N_ACCURACY)
        V = few.voltages(steps)
        times = crossings(case.dt * np.arange(V.shape[1]), V, case.threshold)
        del few  # NEURON advances every cell that lives
        cells = _Cells(case, _N)
        rows.append(
            ratio_row(
                settings,
                lambda: ours.sweep(case, values, solver, t1=t1),
                lambda cells=cells: cells.run(_STEPS),
                lane_steps=_N * _STEPS,
                errors=(our_error, worst_error(times, reference, case.t1_accuracy)),
                claim="neuron",
                label=f"{title} / HH Strang, sweep",
                n=_N,
                note="cells alone, no network",
            )
        )
        del cells
    return rows
