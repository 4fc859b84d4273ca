"""Spike counts, the differentiable count and f-I curves, against closed forms and plain simulations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, compilations
from refusals import refused

from jaxneuro import LIF, RESULTS, ExactSpikes, FixedStep, HodgkinHuxley, Step, params, simulate
from jaxneuro.analysis.firing import (
    fi_curve,
    isi_rate,
    mean_rate,
    shortfall,
    smooth_count,
    spike_count,
)

SPIKES = jnp.array([10.0, 40.0, 90.0, 140.0, jnp.inf, jnp.inf])
CURRENTS = jnp.array([0.1, 0.23, 0.31, 0.5])  # nA; the first is below the rheobase of 0.2 nA


def with_t_ref(spikes: np.ndarray) -> jnp.ndarray:
    return jnp.append(jnp.sort(jnp.asarray(spikes)), jnp.full(3, jnp.inf))


def test_counts_include_the_onset_and_exclude_the_end():
    assert spike_count(SPIKES) == 4
    assert spike_count(SPIKES, 10.0, 80.0) == 2
    assert mean_rate(SPIKES, 10.0, 80.0) == 25.0
    assert isi_rate(SPIKES, 10.0, 100.0) == pytest.approx(2 / 0.08)
    assert isi_rate(SPIKES, 85.0, 20.0) == 0.0
    stacked = jnp.stack([SPIKES, jnp.full(6, jnp.inf)])
    np.testing.assert_array_equal(spike_count(stacked, 0.0, 100.0), [3, 0])
    np.testing.assert_allclose(isi_rate(stacked), [3 / 0.13, 0.0])


def test_isi_rate_derivatives_agree():
    assert_derivatives_agree(lambda s: isi_rate(with_t_ref(s), 5.0, 130.0), SPIKES[:4])
    assert jnp.all(jnp.isfinite(jax.grad(lambda s: isi_rate(s, 85.0, 20.0))(SPIKES)))


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_smooth_count_floor_is_the_count(n):
    rng = np.random.default_rng(n)
    for _ in range(50):
        spikes = with_t_ref(np.sort(rng.uniform(0, 150, n)))
        for t1, below in ((None, np.inf), (150.0, 3.0), (150.0, 0.0)):
            smooth = smooth_count(spikes, 5.0, 95.0, t1=t1, below=below)
            assert jnp.floor(smooth) == spike_count(spikes, 5.0, 95.0)


def test_smooth_count_is_the_phase_to_the_next_spike():
    assert smooth_count(SPIKES, 0.0, 100.0) == pytest.approx(3 + 10 / 50)
    assert smooth_count(SPIKES, 0.0, 5.0) == pytest.approx(5 / 10)
    # a next spike at the very end would round up
    assert jnp.floor(smooth_count(SPIKES, 0.0, 90.0)) == 2


def test_smooth_count_without_next_spike_joins_that_with_one_at_t1():
    alone, followed = with_t_ref([20.0]), with_t_ref([20.0, 150.0])
    joined = smooth_count(alone, 0.0, 100.0, t1=150.0, below=0.0)
    assert joined == pytest.approx(smooth_count(followed, 0.0, 100.0, t1=150.0))
    counts = [smooth_count(alone, 0.0, 100.0, t1=150.0, below=b) for b in (0.0, 1.0, 10.0, 1e9)]
    assert all(a > b for a, b in zip(counts, counts[1:], strict=False))
    assert counts[2] - 1 == pytest.approx((joined - 1) / 2)  # 10 mV below counts half


def test_smooth_count_derivatives_agree():
    def f(x):
        cases = (smooth_count(with_t_ref(x["s"]), 0.0, end) for end in (100.0, 5.0))
        silent = smooth_count(jnp.full(2, jnp.inf), 0.0, 100.0, t1=150.0, below=x["b"])
        return jnp.stack([*cases, silent])

    assert_derivatives_agree(f, {"s": SPIKES[:4], "b": jnp.asarray(4.0)})


def test_shortfall_ignores_the_falling_flank_of_a_spike():
    run = simulate(HodgkinHuxley(), Step(10.0, 2.0, 1.0), t1=30.0, solver=FixedStep(0.025))
    assert run.spikes.size == 1
    below = shortfall(run, run.spike_times[0])
    # after the only spike the voltage returns to rest with a small rebound: 50 to 70 mV below 0
    assert 50.0 < below < 70.0


def expected_smooth_rate(model: LIF, current: float, duration: float) -> float:
    """Closed form for b_w = 0: first spike from rest, then one per period."""
    mu = model.E_L + model.R_m * current
    first = model.tau_m * jnp.log((mu - model.E_L) / (mu - model.V_th))
    period = 1e3 / model.rate(current)
    n = jnp.floor((duration - first) / period) + 1
    last = first + (n - 1) * period
    return 1e3 * (n + (duration - last) / period) / duration


@pytest.mark.parametrize("dt", [None, 0.3])
def test_fi_curve_of_lif_is_the_closed_form(dt):
    model = LIF(t_ref=2.7)
    curve = fi_curve(model, CURRENTS, duration=333.0, solver=None if dt is None else ExactSpikes(dt))
    expected = [expected_smooth_rate(model, i, 333.0) for i in CURRENTS[1:]]
    # spike times are exact to rounding; 20 of them and one division
    np.testing.assert_allclose(curve.smooth_rate[1:], expected, rtol=1e-12)
    counts = np.floor(np.asarray(expected) * 0.333)
    np.testing.assert_allclose(curve.rate[1:], counts / 0.333, rtol=1e-14)
    assert curve.rate[0] == 0.0 and 0.0 < curve.smooth_rate[0] < 1 / 0.333
    assert jnp.all(curve.result == RESULTS.successful)


@pytest.mark.slow
def test_fi_curve_derivatives_agree():
    def smooth_rates(values):
        model = params.replace(LIF(b_w=0.02), values)
        return fi_curve(model, CURRENTS, duration=200.0).smooth_rate

    start = {"V_th": -50.3, "V_reset": -64.0, "t_ref": 2.2, "b_w": 0.02, "tau_w": 90.0, "tau_m": 21.0}
    assert_derivatives_agree(smooth_rates, start, atol=1e-9)


def test_fi_curve_silent_neuron_has_a_gradient_towards_firing():
    def smooth_rates(V_th):
        return fi_curve(params.replace(LIF(), {"V_th": V_th}), CURRENTS, duration=100.0).smooth_rate

    slopes = jax.jacfwd(smooth_rates)(-50.0)
    assert jnp.all(slopes < -1e-3)  # Hz/mV; a lower threshold is nearer, the first current silent


def test_fi_curve_of_hodgkin_huxley_counts_its_spikes():
    currents = jnp.array([0.0, 3.0, 10.0])
    curve = fi_curve(HodgkinHuxley(), currents, duration=60.0, onset=5.0)
    for i, rate, smooth in zip(currents, curve.rate, curve.smooth_rate, strict=True):
        spikes = simulate(HodgkinHuxley(), Step(i, 5.0), t1=65.0).spikes
        assert rate == pytest.approx(1e3 * spikes.size / 60.0)
        assert jnp.floor(smooth * 0.06 + 1e-9) == spikes.size


def test_fi_curve_of_hodgkin_huxley_derivatives_agree():
    def smooth_rates(values):
        model = params.replace(HodgkinHuxley(), values)
        return fi_curve(model, [4.0, 12.0], duration=30.0).smooth_rate

    # the cubic between steps leaves kinks of 1e-7 ms, which finite differences see
    start = {"na.g_max": 118.0, "k.g_max": 36.5}
    assert_derivatives_agree(smooth_rates, start, rtol=1e-4, modes=("forward",))


def test_fi_curve_second_call_does_not_compile():
    # the duration of the closed form above, whose program serves here too
    fi_curve(LIF(), CURRENTS, duration=333.0)
    with compilations() as messages:
        fi_curve(LIF(V_th=-51.0, tau_m=17.0), CURRENTS + 0.01, duration=333.0)
    assert not [m for m in messages if "_fi_curve" in m]


def test_fi_curve_bad_input_is_refused():
    from jaxneuro import AMPA, Network

    pair = Network([LIF(), LIF()], AMPA(), pre=[0], post=[1], weight=0.1, delay=[1.0])
    with refused(r"`model` must be one neuron, but is a Network of several; "):
        fi_curve(pair, [0.1])
    with refused(r"`currents` must be a list of finite numbers \[nA\], but is \[ *nan\]; "):
        fi_curve(LIF(), [jnp.nan])
    with refused(r"`duration` must be a positive number \[ms\], but is duration=0; "):
        fi_curve(LIF(), [0.1], duration=0)
    with refused(r"`onset` must be a number >= 0 \[ms\], but is onset=-1\.0; "):
        fi_curve(LIF(), [0.1], onset=-1.0)
