"""Runs from spike to spike, of a LIF neuron under a current that is constant in pieces, against runs in steps."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, quick_jit

from jaxneuro import LIF, RESULTS, Constant, ExactSpikes, Levels, Pulses, Reducer, Sine, Step, product, simulate, sweep
from jaxneuro.models._lif import LIFState

CELL = LIF(tau_w=60.0, b_w=0.01)
T1 = 70.05  # its last step is half as long as the others
STIMULI = {
    "constant": Constant(0.4),
    "silent": Constant(0.1999),
    "step": Step(0.4, 5.0, 50.0),
    "pulses": Constant(0.3) + Pulses(0.5, 10.033, 1.7, 8.3, 5),
    "levels": Levels([0.0, 0.5, -0.3, 0.6], [0.0, 7.77, 30.0, 45.3]),
    "outside": Step(0.4, -5.0, 500.0),
    "jumps at once": Step(0.2, 5.0, 40.0) + Step(0.2, 5.0),
}


def in_steps(stimulus):
    """The same current, not known to be constant in pieces."""
    return stimulus + Sine(0.0)


@pytest.mark.parametrize("stimulus", STIMULI.values(), ids=list(STIMULI))
def test_spike_to_spike_equals_steps(stimulus):
    """States, spikes by time and by step, and outcome; over t0 /= 0, a start above threshold, another saving time."""
    starts = {"t0": 0.0}, {"t0": -3.7, "dt_save": 0.3}, {"y0": LIFState(-45.0, 0.05)}
    for options in starts:
        a, b = (simulate(CELL, s, t1=T1, max_spikes=32, **options) for s in (stimulus, in_steps(stimulus)))
        assert a.stats["n_steps"] < 30 < 200 < b.stats["n_steps"]
        assert a.result == b.result == RESULTS.successful
        np.testing.assert_array_equal(a.spike_steps, b.spike_steps)
        kept = (a.ys, a.spike_times, a.spike_offsets), (b.ys, b.spike_times, b.spike_offsets)
        assert_close(*kept, rtol=1e-10, atol=1e-10)


def test_spike_to_spike_derivatives_equal_those_of_steps():
    """By every parameter of cell, stimulus and start, of spikes and states; forwards, and backwards in a batch. One of
    the jumps lies on the grid, and one where a state is saved."""

    def outcome(inputs, wrapped):
        cell, stimulus, y0 = inputs
        run = simulate(cell, wrapped(stimulus), t1=T1, dt_save=0.3, y0=y0, max_spikes=16)
        weights = jnp.cos(jnp.arange(run.ts.size))  # so that no derivative cancels
        spikes = jnp.where(jnp.isfinite(run.spike_times), run.spike_times, 0.0)
        return jnp.sum(spikes * jnp.arange(1, 17)) + jnp.sum(weights * (run.voltage + 10 * run.ys.w))

    inputs = (CELL, STIMULI["levels"] + Step(0.1, 6.0, 20.05), CELL.init_state())
    a, b = (eqx.filter_jacfwd(outcome)(inputs, wrapped) for wrapped in (lambda s: s, in_steps))
    assert_close(a, b, rtol=1e-9, atol=1e-9)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 1.01]), inputs)
    backwards = eqx.filter_vmap(lambda x: eqx.filter_grad(outcome)(x, lambda s: s))(batch)
    assert_close(jax.tree.map(lambda leaf: leaf[0], backwards), a, rtol=1e-9, atol=1e-9)


def test_spike_to_spike_second_derivatives_equal_those_of_steps():
    def last(theta, wrapped):
        cell = LIF(tau_m=theta[0], b_w=theta[1], t_ref=theta[2], tau_w=60.0)
        times = simulate(cell, wrapped(Constant(0.4)), t1=60.0, max_spikes=3).spike_times
        return times[2]

    theta = jnp.array([20.0, 0.01, 2.0])
    a, b = (quick_jit(jax.hessian(partial(last, wrapped=w)))(theta) for w in (lambda s: s, in_steps))
    np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def test_sweep_from_spike_to_spike_keeps_what_steps_keep():
    """What needs spikes alone; with what needs the voltage in between, or is the user's, all steps are taken."""
    grid = product({"stimulus.0.amplitude": np.linspace(0.1, 0.6, 7), "tau_m": [10.0, 20.0]})
    spikes = ("spike_count", "rate", "first_spike", "isi_mean", "isi_cv", "V_end")
    voltages = ("V_min", "V_max", "V_mean", Reducer(lambda y: 0, lambda n, span: n + 1, name="n_steps"))

    def run(stimulus, keep):
        return sweep(CELL, stimulus, grid, t1=T1, keep=keep, progress=False)

    stimulus = Step(0.3, 5.0, 50.0) + Constant(0.01)
    few, all_ = run(stimulus, spikes), run(in_steps(stimulus), spikes)
    for name in (*spikes, "result"):
        np.testing.assert_allclose(few[name], all_[name], rtol=1e-9, atol=1e-9)
    assert few["spike_count"].max() > 3 > 0 == few["spike_count"].min()
    both, all_ = run(stimulus, (*spikes, *voltages)), run(in_steps(stimulus), voltages)
    assert both["n_steps"].min() > 700
    np.testing.assert_allclose(both["V_mean"], all_["V_mean"], rtol=1e-12)


@pytest.mark.parametrize("t_ref", [0.0, 2.0])
def test_spike_to_spike_fires_as_the_formula_whatever_the_step(t_ref):
    for current in (0.2001, 0.3, 20.0):
        cell = LIF(t_ref=t_ref)
        period = 1e3 / cell.rate(current)
        n = int(400.0 / period)
        for dt in (0.1, 3.0):
            spikes = simulate(cell, current, t1=400.0, solver=ExactSpikes(dt), max_spikes=10_000).spikes
            assert abs(spikes.size - n) <= 1
            np.testing.assert_allclose(np.diff(spikes)[1:], period, rtol=1e-11)


def test_several_neurons_in_one_model_take_steps_and_agree_with_each_alone():
    """Parameters with a shape make uncoupled cells of one model; each fires at times of its own."""
    thresholds = jnp.array([-50.0, -52.0, -40.0])
    cells = LIF(*(jnp.full(3, x) for x in (20.0, 100.0, -70.0)), V_th=thresholds, V_reset=jnp.full(3, -65.0))
    run = simulate(cells, Constant(0.25), t1=80.0, max_spikes=8)
    for k, V_th in enumerate(thresholds):
        alone = simulate(LIF(V_th=V_th), Constant(0.25), t1=80.0, max_spikes=8)
        np.testing.assert_allclose(run.spike_times[k], alone.spike_times, rtol=1e-10)
        np.testing.assert_allclose(run.voltage[:, k], alone.voltage, rtol=1e-10)
