"""Networks: uncoupled cells as if alone, delays and weights as the formulas say, derivatives exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree

import jaxneuro as jn

DRIVE = jn.Step(jnp.array([0.5, 0.15, 0.1]), 2.0, 100.0)


def ring(weight=1.0, delay=(1.5, 2.03, 1.7), **options):
    return jn.Network([jn.LIF()] * 3, jn.AMPA(g_max=0.02), [0, 1, 2], [1, 2, 0], weight=weight, delay=delay, **options)


def test_network_without_weight_is_its_cells_alone():
    solution = jn.simulate(ring(weight=0.0), DRIVE, t1=100.0)
    for i, amplitude in enumerate(DRIVE.amplitude):
        alone = jn.simulate(jn.LIF(), jn.Step(amplitude, 2.0, 100.0), t1=100.0)
        times = solution.spikes[i][jnp.isfinite(solution.spikes[i])]
        # the network's flow is RK4 at dt/tau = 0.005: (dt/tau)^4 / 120 per step, below 1e-8 ms over the run
        np.testing.assert_allclose(times, alone.spikes, atol=1e-8)


def test_network_spike_times_converge_at_second_order():
    """The sharing of arrivals between grid points keeps the mean arrival time, so halving dt quarters the error."""
    last = [
        float(jn.simulate(ring(), DRIVE, t1=40.0, solver=jn.ExactSpikes(dt)).spikes[1, 1])
        for dt in (0.4, 0.2, 0.1, 0.0125)
    ]
    errors = np.abs(np.array(last[:3]) - last[3])
    assert errors[2] < 2e-3
    order = np.polyfit(np.log([0.4, 0.2, 0.1]), np.log(errors), 1)[0]
    # arrivals fall anywhere between grid points, which makes the error uneven
    assert 1.3 < order < 3.5


def test_network_psp_arrives_after_the_delay():
    """A weak synapse onto a resting cell: nothing before spike + delay, then the conductance PSP's initial slope."""
    net = jn.Network([jn.LIF(), jn.LIF()], jn.AMPA(g_max=1e-4), [0], [1], delay=3.0)
    solution = jn.simulate(net, jn.Step(jnp.array([0.5, 0.0]), 0.0), t1=20.0, dt_save=0.1)
    arrival = float(solution.spikes[0, 0]) + 3.0
    V, ts = np.asarray(solution.voltage[:, 1]), np.asarray(solution.ts)
    assert np.all(V[ts < arrival - 0.1] == -70.0)
    late = (ts > arrival + 0.2) & (ts < arrival + 6.0)
    # weak limit: V - E_L = R g (E - E_L) tau_s/(tau_s - tau_m) (e^{-t/tau_s} - e^{-t/tau_m}); its error is of order R g
    t, tau_s, tau_m = ts[late] - arrival, 2.0, 20.0
    psp = 100.0 * 1e-4 * 70.0 * tau_s / (tau_s - tau_m) * (np.exp(-t / tau_s) - np.exp(-t / tau_m))
    np.testing.assert_allclose(V[late] + 70.0, psp, rtol=0.02)


@pytest.mark.slow
def test_network_spike_times_are_differentiable_in_weight_and_delay():
    def spikes(p):
        net = ring(weight=p[0], delay=jnp.stack([p[1], jnp.asarray(2.03), jnp.asarray(1.7)]), max_delay=3.0)
        return jn.simulate(net, DRIVE, t1=45.0, max_spikes=1, solver=jn.ExactSpikes(0.1)).spikes[:, 0]

    assert_derivatives_agree(spikes, jnp.array([1.0, 1.5]))


def test_network_of_membranes_equals_membrane_alone():
    net = jn.Network([jn.HodgkinHuxley()] * 2, jn.AMPA(g_max=1.0), [0], [1], delay=1.0)
    solution = jn.simulate(net, jn.Step(jnp.array([10.0, 0.0]), 1.0, 10.0), t1=10.0)
    alone = jn.simulate(jn.HodgkinHuxley(), jn.Step(10.0, 1.0, 10.0), t1=10.0)
    assert jnp.isfinite(solution.spikes).sum(1).tolist() == [1, 1]
    # RK4 at 0.025 ms on the upstroke
    np.testing.assert_allclose(solution.spikes[0, 0], alone.spikes[0], atol=1e-5)
    assert 0.5 < float(solution.spikes[1, 0] - solution.spikes[0, 0]) - 1.0 < 2.0


def test_network_sweeps_like_any_model():
    swept = jn.sweep(
        ring(), DRIVE, jn.product({"weight": [0.0, 1.0]}), t1=40.0, keep=("spike_count", "V_max"), progress=False
    )
    assert swept.spike_count.dims == ("weight", "cell")
    alone = jn.simulate(ring(), DRIVE, t1=40.0)
    np.testing.assert_array_equal(swept.spike_count[1], jnp.isfinite(alone.spikes).sum(1))


def test_network_delay_below_dt_is_refused():
    with pytest.raises(ValueError, match="must not exceed the shortest delay"):
        jn.simulate(ring(delay=0.05), DRIVE, t1=5.0, solver=jn.ExactSpikes(0.1))
    assert jn.simulate(ring(delay=0.05), DRIVE, t1=1.0).stats["n_steps"] > 20


@pytest.mark.parametrize("solver", [jn.Adaptive(), jn.FixedStep(0.1)])
def test_network_refuses_smooth_solvers(solver):
    with pytest.raises(ValueError, match="ExactSpikes"):
        jn.simulate(ring(), DRIVE, t1=5.0, solver=solver)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([jn.LIF()], jn.AMPA(), [0], [1]), "`post` must list cells by index from 0 to 0"),
        (([jn.LIF()] * 2, jn.AMPA(), [0, 1], [1]), "one entry per synapse"),
        (([jn.LIF(), jn.HodgkinHuxley()], jn.AMPA(), [0], [1]), "one class"),
        (([jn.LIF()] * 2, [jn.AMPA()] * 3, [0], [1]), "one per connection"),
        (([jn.LIF()] * 2, jn.AMPA(), [0.5], [1]), "`pre` must list cells"),
    ],
)
def test_network_refuses_bad_wiring_in_one_sentence(arguments, match):
    with pytest.raises(ValueError, match=match) as caught:
        jn.Network(*arguments)
    assert "\n" not in str(caught.value)


def test_network_without_synapses_runs():
    net = jn.Network([jn.LIF()] * 2, jn.AMPA(), [], [])
    assert jax.tree.leaves(net.init_state())[0].shape == (2,)
    assert jn.simulate(net, 0.5, t1=30.0).spikes.shape[0] == 2
