"""NEURON's `hh`, run live, as reference for the Hodgkin-Huxley membrane."""

import subprocess
import sys

import numpy as np
import pytest

import jaxneuro as jn

pytest.importorskip("neuron", reason="NEURON has no wheel here: pip install 'jaxneuro[verify]'")
pytestmark = pytest.mark.verify

ONSET, DURATION, T1 = 5.0, 40.0, 50.0
CASES = [(amplitude, -65.0) for amplitude in (2.0, 5.0, 7.0, 10.0, 20.0, 50.0)] + [(10.0, -40.0), (10.0, -55.0)]

# NEURON keeps global state, so it runs in a process of its own. Rates are computed, not taken from its tables, which are
# 0.13 ms off; the current clamp's density is amplitude [uA/cm^2] whatever the area.
SCRIPT = """
import sys, numpy as np
from neuron import h
h.load_file("stdrun.hoc")
onset, duration, t1, path = *map(float, sys.argv[1:4]), sys.argv[4]
cases = np.array(list(map(float, sys.argv[5:]))).reshape(-1, 2)
soma = h.Section(name="soma")
soma.L = soma.diam = 10.0
soma.insert("hh")
area = np.pi * 10.0 * 10.0 * 1e-8
clamp = h.IClamp(soma(0.5))
clamp.delay, clamp.dur = onset, duration
h.usetable_hh, h.celsius = 0, 6.3
solver = h.CVode()
solver.active(1)
solver.atol(1e-8)
solver.rtol(1e-8)
t, v, spikes = (h.Vector() for _ in range(3))
t.record(h._ref_t)
v.record(soma(0.5)._ref_v)
detector = h.NetCon(soma(0.5)._ref_v, None, sec=soma)
detector.threshold = 0
detector.record(spikes)
out = {}
for k, (amplitude, V0) in enumerate(cases):
    clamp.amp = amplitude * area * 1e3
    h.finitialize(V0)
    h.continuerun(t1)
    out |= {f"t{k}": np.array(t), f"v{k}": np.array(v), f"s{k}": np.array(spikes)}
np.savez(path, **out)
"""


@pytest.fixture(scope="module")
def neuron_runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("neuron") / "runs.npz"
    numbers = [str(x) for case in CASES for x in case]
    command = [sys.executable, "-c", SCRIPT, str(ONSET), str(DURATION), str(T1), str(path), *numbers]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    runs = np.load(path)
    return {case: tuple(runs[f"{name}{k}"] for name in "tvs") for k, case in enumerate(CASES)}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]:g}uA_{case[1]:g}mV")
@pytest.mark.parametrize(
    ("solver", "worst_ms", "rms_mV"),
    [(jn.Adaptive(), 0.01, 0.1), (jn.FixedStep(0.01), 0.02, 0.3)],
    ids=["Adaptive", "FixedStep"],
)
def test_hodgkin_huxley_agrees_with_neuron(neuron_runs, case, solver, worst_ms, rms_mV):
    amplitude, V0 = case
    t, v, spikes = neuron_runs[case]
    model = jn.HodgkinHuxley(V_init=V0)
    solution = jn.simulate(model, jn.Step(amplitude, ONSET, DURATION), t1=T1, solver=solver)
    assert solution.spikes.size == spikes.size
    np.testing.assert_allclose(solution.spikes, spikes, atol=worst_ms)
    # NEURON reports two values at a jump of the current; either will do
    unique = np.append(np.diff(t) > 0, True)
    error = np.asarray(solution.voltage) - np.interp(solution.ts, t[unique], v[unique])
    assert np.sqrt(np.mean(error**2)) < rms_mV


def test_neuron_really_fires(neuron_runs):
    """The comparison means something only if there are spikes to compare."""
    assert [neuron_runs[case][2].size for case in CASES[:6]] == [0, 1, 3, 3, 4, 5]
