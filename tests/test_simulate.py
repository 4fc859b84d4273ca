"""The front door: what it returns, what it refuses, and that nothing changes under jit and vmap."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, compilations
from precision import RUNS, report
from registry import SMOOTH_MODELS, SOLVERS, SPIKING_MODELS
from systems import PASSIVE

from jaxneuro import (
    LIF,
    RESULTS,
    Adaptive,
    Constant,
    ExactSpikes,
    FitzHughNagumo,
    FixedStep,
    HodgkinHuxley,
    Ramp,
    Sampled,
    Step,
    simulate,
)
from jaxneuro.params import replace

MODELS = SMOOTH_MODELS | {name: SPIKING_MODELS[name] for name in ("LIF", "SpikeDetector")}


def test_simulate_returns_states_and_spikes_with_their_times():
    solution = simulate(LIF(), 0.4, t1=50.0, dt_save=0.5)
    assert solution.ts.shape == solution.voltage.shape == solution.i_app.shape == (101,)
    assert solution.ys.w.shape == (101,) and solution.result == RESULTS.successful
    assert solution.spikes.ndim == 1 and np.all(np.isfinite(solution.spikes))
    assert solution.spikes.size == 3 and np.all(np.diff(solution.spikes) > 0)
    assert solution.stats["n_steps"] == 4  # three to the spikes, and one to the end
    np.testing.assert_array_equal(solution.i_app, 0.4)


def test_simulate_pads_spikes_where_the_size_must_be_known():
    batch = jax.vmap(lambda i: simulate(LIF(), i, t1=50.0))(jnp.array([0.1, 0.4]))
    assert batch.spikes.shape == (2, 64) and batch.voltage.shape == (2, 501)
    np.testing.assert_array_equal(np.isfinite(batch.spikes).sum(axis=1), [0, 3])
    assert np.all(np.isinf(batch.spikes[1, 3:]))


@pytest.mark.parametrize(
    "name",
    # the step of a SpikeDetector holds a dozen RK4 flows, which take long to compile
    [pytest.param(n, marks=pytest.mark.slow) if n == "SpikeDetector" else n for n in MODELS],
)
def test_simulate_runs_every_model_with_its_default_solver(name):
    case = MODELS[name]()
    solution = simulate(case.model, case.i_app, t1=case.t1)
    assert np.all(np.isfinite(solution.voltage))
    assert (solution.spikes.size >= 1) == (name not in ("PassiveMembrane", "HairCell", "WholeCell"))  # which never fire
    expected = jax.tree.map(lambda leaf: (*np.shape(solution.ts), *leaf.shape), case.y)
    assert jax.tree.map(jnp.shape, solution.ys) == expected


def test_simulate_takes_no_stimulus_or_a_number():
    runs = [simulate(PASSIVE, stimulus, t1=1.0) for stimulus in (None, 0.0, 0, Constant(0.0))]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.voltage, runs[0].voltage)


def test_simulate_saves_every_tenth_of_a_millisecond_unless_told():
    for solver, dt in ((None, 0.1), (FixedStep(0.025), 0.1), (FixedStep(0.04), 0.08), (FixedStep(0.5), 0.5)):
        ts = simulate(PASSIVE, 0.0, t1=1.0, solver=solver).ts
        np.testing.assert_allclose(ts[1] - ts[0], dt, rtol=1e-12)
        assert ts[-1] == 1.0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"t1": -1.0}, r"`t1` must be later than t0=0 ms, but is t1=-1 ms; "),
        ({"t1": 5.0, "t0": 5.0}, r"`t1` must be later than t0=5 ms, but is t1=5 ms; "),
        ({"t1": np.nan}, r"`t1` must be a finite number \[ms\], but is nan; "),
        ({"t1": np.inf}, r"`t1` must be a finite number \[ms\], but is inf; "),
        ({"t1": [1.0, 2.0]}, r"`t1` must be a finite number \[ms\], but is \[1.0, 2.0\]; "),
        ({"t1": "5"}, r"`t1` must be a finite number"),
        ({"t1": 5.0, "t0": "now"}, r"`t0` must be a finite number \[ms\], but is 'now'; "),
        ({"t1": 5.0, "dt_save": 0.0}, r"`dt_save` must be positive, but is dt_save=0 ms; "),
        ({"t1": 5.0, "dt_save": -0.1}, r"`dt_save` must be positive, but is dt_save=-0.1 ms; "),
        ({"t1": 5.0, "max_spikes": 0}, r"`max_spikes` must be a whole number of at least 1, but is 0; "),
        ({"t1": 5.0, "max_spikes": 2.5}, r"`max_spikes` must be a whole number"),
        ({"t1": 5.0, "y0": (1.0, 2.0)}, r"`y0` must be a state like LIF.init_state\(\), but is tuple; "),
        ({"t1": 5.0, "y0": FitzHughNagumo().init_state()}, r"but is FitzHughNagumoState; "),
        ({"t1": 5.0, "y0": LIF(E_L=jnp.zeros(3)).init_state()}, r"`y0` must have the shapes .*\(3,\)"),
    ],
)
def test_simulate_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate(LIF(), 0.3, **arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"model": HodgkinHuxley}, r"`model` must be a model, but is <class .*; build one"),
        ({"stimulus": "10"}, r"`stimulus` must be a stimulus such as Step\(.*, but is '10'; "),
        ({"stimulus": jnp.ones(5)}, r"use Sampled\(values, dt\) for recorded samples"),
        ({"solver": "adaptive"}, r"`solver` must be Adaptive, FixedStep or ExactSpikes, but is 'ad"),
    ],
)
def test_simulate_refuses_things_of_the_wrong_kind(arguments, message):
    chosen = {"model": PASSIVE, "stimulus": 1.0, **arguments}
    with pytest.raises(TypeError, match=message):
        simulate(**chosen, t1=1.0)


def test_simulate_refuses_a_traced_end():
    with pytest.raises(TypeError, match="`t1` must be a plain number, but is traced by jax; "):
        jax.jit(lambda t1: simulate(PASSIVE, 1.0, t1=t1).voltage)(5.0)


def test_simulate_refuses_a_stimulus_shorter_than_the_run():
    recorded = Sampled(jnp.zeros(51), dt=0.1)
    message = r"must cover the run from 0 to 5.2 ms, but is defined from 0 to 5 ms; shorten the run"
    with pytest.raises(ValueError, match=message):
        simulate(PASSIVE, recorded, t1=5.2)
    late = Sampled(jnp.zeros(51), dt=0.1, onset=0.3)
    with pytest.raises(ValueError, match=r"but is defined from 0.3 to 5.3 ms"):
        simulate(PASSIVE, late + Constant(1.0), t1=5.0)
    assert simulate(PASSIVE, recorded, t1=5.0).result == RESULTS.successful


def test_simulate_refuses_several_currents_for_one_cell():
    with pytest.raises(ValueError, match=r"`stimulus` must give one current, but gives shape \(3,\)"):
        simulate(PASSIVE, Constant(jnp.ones(3)), t1=1.0)


def test_simulate_refuses_nan_parameters_where_they_are_made():
    with pytest.raises(ValueError, match="`amplitude` must be a number, but is nan"):
        simulate(HodgkinHuxley(), jnp.nan, t1=1.0)
    with pytest.raises(ValueError, match=r"`na.g_max` must be a number >= 0 \[mS/cm\^2\], but is nan"):
        replace(HodgkinHuxley(), {"na.g_max": np.nan})


def test_simulate_starts_from_a_given_state_of_any_precision():
    y0 = PASSIVE.init_state()
    runs = [
        simulate(PASSIVE, 1.0, t1=1.0, solver=FixedStep(0.1), y0=y0._replace(V=V))
        for V in (-50.0, -50, np.float32(-50))
    ]
    for run in runs:
        assert run.voltage[0] == -50.0 and run.voltage.dtype == jnp.float64
        np.testing.assert_array_equal(run.voltage, runs[0].voltage)


@pytest.mark.parametrize("solver", [Adaptive(), FixedStep(0.05), ExactSpikes(0.1)])
def test_simulate_second_call_does_not_recompile(solver):
    """Other parameter values, amplitude, onset and start; numbers of any type."""

    def run(k):
        is_spiking = isinstance(solver, ExactSpikes)
        model = LIF(tau_m=20 + k, R_m=100.0 + k) if is_spiking else FitzHughNagumo(a=0.7 + 0.01 * k)
        model = replace(model, {"V_th" if is_spiking else "b": -50.0 - k if is_spiking else 0.8})
        y0 = model.init_state()._replace(V=model.init_state().V + 0.1 * k)
        stimulus = Step(0.3 + 0.1 * k, 2 + k, np.float32(5)) + Constant(k)
        return simulate(model, stimulus, t1=10.0, y0=y0, solver=solver).voltage

    first = run(1)
    with compilations() as messages:
        second = run(2)
    assert not messages and not np.array_equal(first, second)


def lane(name, x):
    """Voltage at the end and first spike [ms] of a run with other amplitude, onset and parameter."""
    solver = SOLVERS[name]()
    if isinstance(solver, ExactSpikes):
        model, amplitude = replace(LIF(b_w=0.02), {"tau_m": 20.0 * x[2]}), 0.4
    elif name in ("FixedStep", "FixedStep-ExponentialEuler"):
        model, amplitude = replace(PASSIVE, {"C_m": 0.9 * x[2]}), 10.0
    else:
        model, amplitude = replace(FitzHughNagumo(), {"tau": 12.5 * x[2]}), 0.8
    stimulus = Step(amplitude * x[0], x[1])
    run = simulate(model, stimulus, t1=20.0, dt_save=5.0, solver=solver, max_spikes=1)
    # an infinite spike time has no derivative
    first = jnp.where(jnp.isfinite(run.spike_times[0]), run.spike_times[0], 0.0)
    result = jnp.stack([run.voltage[-1], first])
    return result, result


LANES = jnp.array([[1.0, 2.0, 1.0], [1.3, 2.01, 0.8], [0.7, 19.5, 1.1]])


@pytest.mark.parametrize("name", SOLVERS)
def test_simulate_vmap_equals_a_loop_with_derivatives(name):
    derivative = jax.jacfwd if name == "Adaptive" else jax.jacrev
    alone = jax.jit(derivative(lambda x: lane(name, x), has_aux=True))
    together = jax.jit(jax.vmap(derivative(lambda x: lane(name, x), has_aux=True)))(LANES)
    assert np.all(np.isfinite(together[0])) and np.all(np.any(together[0] != 0, axis=(1, 2)))
    for k, x in enumerate(LANES):
        jacobian, value = alone(x)
        np.testing.assert_allclose(together[1][k], value, rtol=1e-10)
        np.testing.assert_allclose(together[0][k], jacobian, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", [Adaptive(), FixedStep(0.1)])
def test_simulate_under_jit_equals_alone(solver):
    def run(a):
        solution = simulate(FitzHughNagumo(), Step(a, 1.0), t1=5.0, solver=solver, max_spikes=4)
        return solution.ys, solution.spike_times, solution.ts

    assert_close(jax.jit(run)(0.8), run(0.8), rtol=1e-12)


def test_simulate_failure_is_a_value_inside_compiled_code():
    stimulus = lambda i: Ramp(i, i, 0.0, 10.0)  # noqa: E731
    run = jax.jit(lambda i: simulate(LIF(t_ref=0.0), stimulus(i), t1=10.0, solver=ExactSpikes(5.0)).result)
    assert run(3.0) == RESULTS.several_spikes_in_step and run(0.3) == RESULTS.successful


@pytest.fixture(scope="module")
def precisions(run_python):
    """The runs of precision.py in float32 and in float64."""
    code = "import sys, runpy; sys.path.insert(0, 'tests'); runpy.run_path('tests/precision.py', run_name='__main__')"
    return json.loads(run_python(code)), report()


@pytest.mark.parametrize("name", RUNS)
def test_simulate_in_float32_stays_there_and_finds_the_same(name, precisions):
    low, high = (result[name] for result in precisions)
    assert low["dtypes"] == ["float32"] and high["dtypes"] == ["float64"]
    assert len(low["spikes"]) == len(high["spikes"]) >= 1
    # 500 steps of rounding 1e-7, amplified a hundredfold by the upstroke of 300 mV/ms
    np.testing.assert_allclose(low["spikes"], high["spikes"], atol=2e-3)
    np.testing.assert_allclose(low["voltage"], high["voltage"], atol=0.3)


def test_simulate_from_the_removable_singularities_is_finite(precisions):
    """From -40 and -55 mV, in both precisions: as beside them, and with the same derivatives."""
    low, high = (result["start"] for result in precisions)
    assert low["dtypes"] == ["float32"] and high["dtypes"] == ["float64"]
    for result, rtol in ((low, 1e-3), (high, 1e-5)):
        value, gradient = np.array(result["value"]), np.array(result["gradient"])
        assert np.all(np.isfinite(value)) and np.all(np.isfinite(gradient)) and np.all(gradient != 0)
        np.testing.assert_allclose(value[:2], value[2:4], rtol=rtol)
        np.testing.assert_allclose(gradient[:, :2], gradient[:, 2:4], rtol=rtol)
    np.testing.assert_allclose(low["value"], high["value"], rtol=1e-4)
    np.testing.assert_allclose(low["gradient"], high["gradient"], rtol=1e-3)
