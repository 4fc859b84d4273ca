"""What `strategy="auto"` chooses and chains: a passive fit, a convex start, nudged runs of one trace or of many."""

from typing import Any

import jax
import numpy as np
import pytest

from jaxneuro import LIF, EscapeRate, FixedStep, HodgkinHuxley, Leak, Membrane, Step, simulate
from jaxneuro.fitters import (
    Electrode,
    FICurve,
    Joint,
    SpikeTimes,
    SpikeTrains,
    StepResponse,
    TraceLoss,
    VoltageTrace,
    WindowLoss,
    fit,
)
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.search._experiment import Experiment, checked_free
from jaxneuro.fitters.search._informed import informed_starts
from jaxneuro.fitters.search._passive import passive_start
from jaxneuro.fitters.search._starts import starts
from jaxneuro.fitters.search._strategy import chosen_strategy
from jaxneuro.fitters.targets._joint import JointLoss
from jaxneuro.solvers import RK4

CELL, SOLVER = HodgkinHuxley(), FixedStep(0.05, solver=RK4())
FREE = {"na.g_max": (30.0, 480.0), "k.g_max": (9.0, 144.0), "C_m": (0.3, 3.0)}
R_S = 60.0  # MOhm


def trace(amplitude: float, *, seed: int = 0, cell: Membrane = CELL, R_s: float = R_S, y0: Any = None) -> VoltageTrace:
    """A small negative step, and one that makes the cell fire, behind an electrode that is not balanced."""
    stimulus = Step(-3.0, onset=5.0, duration=10.0) + Step(amplitude, onset=20.0)
    run = simulate(cell, stimulus, t1=40.0, dt_save=0.05, solver=SOLVER)
    seen = run.voltage + Electrode(R_s=R_s, area=1e4).added(run.i_app)
    seen = seen + 0.3 * np.random.default_rng(seed).normal(size=run.ts.size)
    return VoltageTrace(0.05, seen, stimulus, electrode=Electrode(area=1e4), y0=y0)


def found(target, free, cell=CELL):
    return passive_start(cell, target, checked_free(Experiment(cell, target), free))


@pytest.mark.parametrize(("cell", "rtol"), [(Membrane({"leak": Leak(0.1, -65.0)}, C_m=1.3), 0.01), (CELL, 0.6)])
def test_passive_start_measures_capacitance_and_series_resistance(cell, rtol):
    """The resonance of the squid axon at rest looks like half its capacitance."""
    start = found(trace(10.0, cell=cell), {"C_m": (0.3, 3.0), "electrode.R_s": (0.0, 100.0)}, cell)
    assert start.values["C_m"] == pytest.approx(float(cell.C_m), rel=rtol)
    assert start.values["electrode.R_s"] == pytest.approx(R_S, rel=0.02)
    assert start.loss < 1.0 and set(start.values) == {"C_m", "electrode.R_s"}


def test_passive_start_needs_something_to_measure():
    assert found(trace(10.0), {"na.g_max": (30.0, 480.0)}) is None
    flat = VoltageTrace(0.05, np.full(100, -65.0) + 0.1 * np.sin(np.arange(100)), 1.0)
    assert found(flat, FREE) is None  # no change of the current
    early = VoltageTrace(0.05, np.linspace(-65.0, 40.0, 41), Step(10.0, onset=1.0))
    assert found(early, FREE) is None  # nothing before the spike
    assert passive_start(LIF(), trace(10.0), {}) is None


def test_auto_fits_several_traces_at_once_from_all_starts():
    """One resistance for both; without nudging and the passive fit no start finds them."""
    target = Joint({"5": trace(5.0), "12": trace(12.0, seed=1)})
    result = fit(CELL, target, free=FREE | {"*.electrode.R_s": (0.0, 100.0)}, n_starts=3, steps=60, progress=False)
    assert [stage.name for stage in result.stages][:3] == ["passive fit", "convex start", "nudged 2 /ms"]
    np.testing.assert_allclose(result.start_losses, 2 * 0.3**2, rtol=0.1)
    true = {"na.g_max": 120.0, "k.g_max": 36.0, "C_m": 1.0, "*.electrode.R_s": R_S}
    for name, value in true.items():
        assert abs(result.params[name].value - value) < 4 * result.params[name].std < 0.05 * value, name


def test_auto_fits_electrode_filter_and_initial_voltage_too():
    """The data that draw the model are put in step with it; lagging by the filter they led to wrong optima."""
    stimulus, dt = Step(10.0, onset=5.0), 0.05
    run = simulate(CELL, stimulus, t1=40.0, dt_save=dt, solver=SOLVER)
    seen = Electrode(R_s=20.0, area=1e4, corner=1.5).read(run.voltage, run.i_app, dt)
    seen = seen + 0.3 * np.random.default_rng(0).normal(size=run.ts.size)
    target = VoltageTrace(dt, seen, stimulus, electrode=Electrode(area=1e4, corner=5.0), y0=CELL.init_state())
    true = {"na.g_max": 120.0, "k.g_max": 36.0, "R_s": 20.0, "corner": 1.5, "y0.V": -65.0}
    free = {"na.g_max": (20.0, 300.0), "k.g_max": (5.0, 100.0), "R_s": (0.0, 100.0)}
    free |= {"corner": (0.3, 20.0), "y0.V": (-80.0, -50.0)}
    result = fit(CELL, target, free=free, n_starts=3, progress=False)
    np.testing.assert_allclose(result.start_losses, 0.3**2, rtol=0.1)
    for name, value in true.items():
        assert abs(result.params[name].value - value) < 4 * result.params[name].std < 0.03 * abs(value), name


@pytest.mark.parametrize("with_capacitance", [True, False])
def test_each_trace_tells_its_own_resistance_and_first_voltage(with_capacitance):
    """The same of all starts, which lie around one capacitance, if it is free, and conductances."""
    traces = {"a": trace(8.0, R_s=20.0, y0=CELL.init_state()), "b": trace(9.0, seed=1, y0=CELL.init_state())}
    free = {"na.g_max": (30.0, 480.0)} | ({"C_m": (0.3, 3.0)} if with_capacitance else {})
    free |= {f"{name}.electrode.R_s": (0.0, 100.0) for name in traces} | {"b.y0.V": (-90.0, -40.0)}
    target = Joint(traces)
    chosen = checked_free(Experiment(CELL, target), free)
    paths, transforms = tuple(one.paths for one in chosen.values()), tuple(one.transform for one in chosen.values())
    problem = Problem(Experiment(CELL, target), transforms, SOLVER, tuple(chosen), paths, JointLoss())
    u, reports = informed_starts(problem, chosen, starts(chosen, "random", 4, 0, None, is_alike=False))
    values = jax.vmap(problem.values)(u)
    np.testing.assert_allclose(values["a.electrode.R_s"], 20.0, atol=1.5)
    np.testing.assert_allclose(values["b.electrode.R_s"], R_S, rtol=0.03)
    np.testing.assert_allclose(values["b.y0.V"], -65.0, atol=1.0)
    for name in list(free)[: 1 + with_capacitance]:
        assert len(set(np.round(np.asarray(values[name]), 3))) == 4, name
    assert [report.name for report in reports] == ["passive fit", "passive fit", "convex start"]


def test_auto_chooses_what_suits_the_target():
    response = StepResponse(0.05, np.full(400, -65.0), amplitude=1.0, onset=5.0)
    times = SpikeTimes([20.0], Step(0.4), t1=50.0)
    trains = SpikeTrains([[20.0]], Step(0.4), t1=50.0)

    def choice(model, target, loss=None, is_plain=True):
        return chosen_strategy("auto", model, target, loss, is_plain)

    both = Joint({"a": trace(5.0), "b": trace(12.0)})
    assert choice(CELL, trace(5.0)) == choice(CELL, both) == choice(CELL, both, TraceLoss(huber=3.0)) == "nudging"
    windows = Joint({"a": trace(5.0), "b": trace(12.0)}, losses={"b": WindowLoss(5.0)})
    mixed = Joint({"a": trace(5.0), "rates": FICurve([1.0, 10.0], [0.0, 60.0])})
    for target in (windows, mixed):
        assert choice(CELL, target) == "descent"
    assert choice(LIF(), trace(5.0)) == choice(LIF(), times) == "descent"
    assert choice(CELL, trace(5.0), is_plain=False) == choice(CELL, trace(5.0), WindowLoss(5.0)) == "descent"
    assert choice(CELL, response) == choice(CELL, Joint({"a": response})) == "population"
    assert choice(EscapeRate(LIF()), trains) == "newton"
