"""Far from t = 0: steps and offsets of spikes, and runs in single precision where a time has two decimals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from registry import NETWORKS
from systems import adapting_lif_spikes

from jaxneuro import (
    LIF,
    RK4,
    Adaptive,
    Constant,
    ExactSpikes,
    ExponentialEuler,
    ExponentialStrang,
    FitzHughNagumo,
    FixedStep,
    HodgkinHuxley,
    Step,
    Tsit5,
    simulate,
)

FAR = 1e5  # [ms]: two minutes into a recording
ULP = float(np.spacing(np.float32(FAR)))  # 0.008 ms


def since_start(run, dt):
    """Times of the spikes after the start of a run [ms], from what it says in steps and offsets."""
    steps, offsets = np.asarray(run.spike_steps), np.asarray(run.spike_offsets, np.float64)
    is_spike = steps >= 0
    np.testing.assert_array_equal(is_spike, np.isfinite(run.spike_times))
    np.testing.assert_array_equal(is_spike, np.isfinite(offsets))
    assert np.all(steps[~is_spike] == -1) and np.all(np.isposinf(np.asarray(run.spike_times)[~is_spike]))
    assert np.all((offsets[is_spike] >= 0) & (offsets[is_spike] <= dt * (1 + 1e-6)))
    # spikes first, then what is left
    assert np.all(np.diff(is_spike.astype(int), axis=-1) <= 0) and is_spike.any()
    return np.where(is_spike, steps * dt + offsets, np.inf)


# name -> solver, and an onset after the start that is a float32 even far away, the last one between two grid points
SPIKING = {
    "ExactSpikes": (ExactSpikes(0.3), 3.0),
    "FixedStep": (FixedStep(0.1), 2.0),
    "FixedStep-RK4": (FixedStep(0.1, solver=RK4()), 2.0),
    "ExactSpikes-off-grid": (ExactSpikes(0.3), 2.0),
}
N_SPIKE = 9  # in 120 ms


@pytest.mark.parametrize("name", SPIKING)
def test_long_run_in_single_precision_has_the_intervals_of_a_short_one(name):
    """Of a cell that adapts, through refractory times."""
    (solver, onset), cell = SPIKING[name], {"b_w": 0.03, "tau_w": 60.0}

    def run(t0):
        stimulus = Step(0.5, t0 + onset)
        return simulate(LIF(**cell), stimulus, t0=t0, t1=t0 + 120.0, solver=solver, max_spikes=16)

    with jax.enable_x64(False):
        near, far = run(0.0), run(FAR)
        assert far.voltage.dtype == far.spike_offsets.dtype == np.float32
    short, long = (since_start(r, solver.dt)[: N_SPIKE + 1] for r in (near, far))
    assert np.isfinite(long).sum() == N_SPIKE
    if name != "ExactSpikes-off-grid":  # bit for bit: no step knows when it is
        np.testing.assert_array_equal(far.voltage, near.voltage)
        np.testing.assert_array_equal(long, short)
    short, long, times = (x[:N_SPIKE] for x in (short, long, np.asarray(far.spike_times, np.float64)))
    # V is a float32 of -50 mV, which rises by 1 mV per ms: 4e-6 ms, and as much again for every other step
    np.testing.assert_allclose(np.diff(long), np.diff(short), rtol=0, atol=5e-5)
    np.testing.assert_allclose(long, short, rtol=0, atol=ULP)  # the onset may be so far from its place
    if isinstance(solver, ExactSpikes):
        exact = onset + adapting_lif_spikes(LIF(**cell), 0.5, 118.0, (-70.0, 0.0))[:N_SPIKE]
        np.testing.assert_allclose(np.diff(long), np.diff(exact), rtol=0, atol=1e-4)
    assert np.abs(np.diff(times) - np.diff(long)).max() > 1e-3, "the times themselves say it as well"


@pytest.mark.parametrize("stepper", [ExponentialStrang(), ExponentialEuler(), Tsit5()], ids=lambda s: type(s).__name__)
def test_long_run_of_a_smooth_model_in_single_precision_equals_a_short_one(stepper):
    """Bit for bit: no step knows when it is."""
    solver = FixedStep(0.025, solver=stepper)
    with jax.enable_x64(False):
        near, far = (
            simulate(HodgkinHuxley(), Step(10.0, t0 + 1.0), t0=t0, t1=t0 + 30.0, solver=solver, max_spikes=8)
            for t0 in (0.0, FAR)
        )
    assert far.voltage.dtype == np.float32 and far.voltage.max() > 20
    np.testing.assert_array_equal(far.voltage, near.voltage)
    np.testing.assert_array_equal(since_start(far, 0.025), since_start(near, 0.025))
    assert np.isfinite(since_start(far, 0.025)).sum() == 2


def test_long_run_keeps_refractory_times():
    """FixedStep holds V for the whole number of steps nearest to t_ref after every spike, now or two minutes later."""
    t_ref = jnp.array([0.0, 0.04, 0.06, 0.7, 1.13, 2.0])

    def voltages(t0):
        def of(t_ref):
            model = LIF(t_ref=t_ref)
            return simulate(model, 2.0, t0=t0, t1=t0 + 60.0, solver=FixedStep(0.1), max_spikes=64).voltage

        return np.asarray(jax.jit(jax.vmap(of))(t_ref.astype(jnp.result_type(float))))

    near = voltages(0.0)
    with jax.enable_x64(False):
        far = voltages(FAR)
    for V in (near, far):
        for trace, n_held in zip(V, (0, 0, 1, 7, 11, 20), strict=True):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], trace == -65.0, [0]]).astype(int)))
            lengths = np.diff(edges)[::2][:-1]  # the last one may be cut off by the end
            assert lengths.size > 10 and set(lengths) == {n_held + 1}


CELLS = {
    # a spike within 0.03 ms of a jump, both inside one step, which the end of the pulse splits again
    "LIF, ExactSpikes": (LIF(b_w=0.01), lambda t: Constant(0.3) + Step(80.0, t, 0.2), ExactSpikes(0.37)),
    "LIF, FixedStep": (LIF(b_w=0.01), lambda t: Constant(0.3) + Step(80.0, t, 0.2), FixedStep(0.37)),
    "HodgkinHuxley": (HodgkinHuxley(), lambda t: Constant(8.0) + Step(400.0, t, 0.1), FixedStep(0.037)),
    "Network": (NETWORKS["Network"](), lambda t: Constant(0.3) + Step(0.4, t, 30.0), ExactSpikes(0.37)),
}


@pytest.mark.parametrize("name", CELLS)
def test_spike_times_are_steps_and_offsets(name):
    """t0 + step dt + offset, wherever a jump splits the step: inside, on the grid, outside the run; over lanes, and
    of every cell of a network. The offset counts from the grid point, not from the jump."""
    model, stimulus, solver = CELLS[name]
    t0, dt = -3.7, solver.dt
    onsets = jnp.array([10.05, 10.11, t0 + 30 * dt, t0 + 31 * dt - 1e-3, -40.0, 400.0])

    def run(model, onset):
        return simulate(model, stimulus(onset), t0=t0, t1=31.4, solver=solver, max_spikes=12)

    found = jax.jit(jax.vmap(run, (None, 0)))(model, onsets)
    since = since_start(found, dt)
    np.testing.assert_allclose(found.spike_times, t0 + since, rtol=0, atol=1e-12)
    steps = np.asarray(found.spike_steps)
    if solver != FixedStep(0.37):  # whose spikes are at ends of steps, so that rounding decides
        whole = np.floor((np.asarray(found.spike_times) - t0) / dt)
        np.testing.assert_array_equal(steps, np.where(steps < 0, -1, whole))
    if name.startswith("LIF"):
        after_jump = np.min(np.abs(np.asarray(found.spike_times[0]) - 10.05))
        assert after_jump < 0.25


def test_network_runs_under_jit_with_the_delays_that_it_has():
    """Its delays are known there: comparing them with the step must not trace them."""
    net, solver = NETWORKS["Network"](), ExactSpikes(0.5)
    jitted = jax.jit(lambda i: simulate(net, i, t1=30.0, solver=solver, max_spikes=8).spike_times)
    np.testing.assert_allclose(jitted(0.5), simulate(net, 0.5, t1=30.0, solver=solver, max_spikes=8).spike_times)


def test_spike_offsets_have_the_derivatives_of_the_times():
    """In a parameter and in the time of the jump that splits the step of the spike."""

    def f(x):
        model, stimulus = LIF(tau_m=x[0]), Constant(0.3) + Step(80.0, x[1], 0.2)
        run = simulate(model, stimulus, t0=-3.7, t1=31.4, solver=ExactSpikes(0.37), max_spikes=2)
        return run.spike_offsets, run.spike_times

    offsets, times = jax.jit(jax.jacfwd(f))(jnp.array([20.0, 10.05]))
    np.testing.assert_allclose(offsets, times, rtol=1e-12)
    assert np.all(times != 0)


def test_adaptive_spikes_are_all_in_step_0():
    """There is no grid: the offset is the time after t0."""
    t0 = 1234.5
    run = simulate(FitzHughNagumo(), 0.6, t0=t0, t1=t0 + 120.0, solver=Adaptive(), max_spikes=8)
    n = run.spikes.size
    assert 1 < n < 8 and np.all(run.spike_steps[:n] == 0) and np.all(run.spike_steps[n:] == -1)
    np.testing.assert_array_equal(run.spike_offsets[:n], run.spike_times[:n] - t0)
    assert np.all(np.isposinf(run.spike_offsets[n:]))
