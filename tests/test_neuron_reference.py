"""Hodgkin-Huxley against NEURON's own `hh`, run live in a process of its own.

NEURON keeps one global state per process, so it is kept out of the process that runs the tests.
Its rate tables are switched off: with them its spikes are 0.13 ms away from its own equations.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxneuro import RESULTS, Adaptive, FixedStep, HodgkinHuxley, Step, simulate

pytest.importorskip("neuron", reason="NEURON is not installed: pip install 'jaxneuro[verify]'")
pytestmark = pytest.mark.verify

# amplitude [uA/cm^2] and voltage at the start [mV]; silent, single spikes, trains
CASES = [(2.0, -65.0), (5.0, -65.0), (7.0, -65.0), (10.0, -65.0), (20.0, -65.0), (50.0, -65.0)]
CASES += [(10.0, -40.0), (10.0, -55.0), (0.0, -40.0), (0.0, -55.0)]
ONSET, DURATION, T1 = 5.0, 40.0, 50.0

NEURON = """
import json
import numpy as np
from neuron import h

h.load_file("stdrun.hoc")
h.usetable_hh = 0
h.celsius = 6.3
soma = h.Section(name="soma")
soma.L = soma.diam = 10.0  # um
soma.cm = 1.0
soma.insert("hh")
cvode = h.CVode()
cvode.active(1)
cvode.atol(1e-8)
cvode.rtol(1e-8)
clamp = h.IClamp(soma(0.5))
clamp.delay, clamp.dur = {onset}, {duration}
ts = h.Vector(0.005 * np.arange(round({t1} / 0.005) + 1))
V = h.Vector().record(soma(0.5)._ref_v, ts)
runs = []
for amplitude, V0 in {cases}:
    clamp.amp = amplitude * 1e3 * soma(0.5).area() * 1e-8  # uA/cm^2 over um^2, in nA
    h.finitialize(V0)
    h.continuerun({t1} + 1.0)
    v = np.array(V)
    (k,) = np.nonzero((v[:-1] < 0) & (v[1:] >= 0))
    spikes = 0.005 * (k - v[k] / (v[k + 1] - v[k]))
    runs.append({{"V": v[::20].tolist(), "spikes": spikes.tolist()}})
print("RUNS", json.dumps(runs))
"""


@pytest.fixture(scope="module")
def neuron_runs(run_python):
    code = NEURON.format(cases=CASES, onset=ONSET, duration=DURATION, t1=T1)
    printed = run_python(code)
    return json.loads(printed.split("RUNS")[1])


# spike times [ms] and root mean square of the voltage [mV] that must not be exceeded
SOLVERS = {"Adaptive": (Adaptive(), 0.01, 0.1), "FixedStep": (FixedStep(0.01), 0.02, 0.3)}


@pytest.mark.parametrize("name", SOLVERS)
def test_hodgkin_huxley_equals_neuron(name, neuron_runs):
    solver, in_time, in_voltage = SOLVERS[name]

    def run(amplitude, V0):
        model = HodgkinHuxley()
        stimulus = Step(amplitude, ONSET, DURATION)
        return simulate(model, stimulus, t1=T1, dt_save=0.1, y0=model.state_at(V0), solver=solver)

    ours = jax.jit(jax.vmap(run))(*(jnp.array(column) for column in zip(*CASES, strict=True)))
    assert np.all(ours.result == RESULTS.successful)
    counts = set()
    for k, (case, theirs) in enumerate(zip(CASES, neuron_runs, strict=True)):
        spikes = np.asarray(ours.spikes[k])
        spikes = spikes[np.isfinite(spikes)]
        assert spikes.size == len(theirs["spikes"]), case
        # linear interpolation of NEURON's voltage between samples of 0.005 ms costs 3e-5 ms
        np.testing.assert_allclose(spikes, theirs["spikes"], atol=in_time, err_msg=str(case))
        difference = np.asarray(ours.voltage[k]) - theirs["V"]
        assert np.sqrt(np.mean(difference**2)) < in_voltage, case
        counts.add(spikes.size)
    assert {0, 1} <= counts and max(counts) >= 4
