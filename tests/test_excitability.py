"""Classical experiments: thresholds, refractoriness, rebound, accommodation, onset and block of firing.

A leaky integrate-and-fire neuron has closed forms for most of them; the squid axon is compared with simulations by
another solver, with the eigenvalues of its linearised equations, and with the literature.
"""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compilations
from jax.flatten_util import ravel_pytree
from refusals import refused

import jaxneuro
from jaxneuro import AMPA, LIF, RESULTS, RK4, Adaptive, FixedStep, HodgkinHuxley, Network, Step, params, simulate
from jaxneuro.analysis import (
    accommodation,
    after_effects,
    all_or_none,
    excitability,
    fi_hysteresis,
    fit_lapicque,
    fit_weiss,
    onset,
    ramps,
    rebound,
    rebound_threshold,
    refractory_period,
    repetitive,
    strength_duration,
    threshold,
)
from jaxneuro.models import ConnorStevens, FitzHughNagumo, MorrisLecar

TAU, RHEOBASE = 20.0, 0.2  # ms and nA of LIF(): 20 mV from rest to threshold over 100 MOhm
# what a search promises, and rounding
RTOL = 1.01e-5


@pytest.fixture(scope="module")
def hh_curve():
    return strength_duration(HodgkinHuxley(), [0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 50.0])


@pytest.fixture(scope="module")
def hh_refractory():
    return refractory_period(HodgkinHuxley())


@pytest.fixture(scope="module")
def hh_hopf():
    """The currents at which rest loses and regains its stability, from eigenvalues along the steady states."""
    model = HodgkinHuxley()
    rest = model.init_state()
    flat, unravel = ravel_pytree(rest)

    def at(V):
        gates = {name: channel.init(V, {}) for name, channel in model.channels.items()}
        y = ravel_pytree(rest._replace(V=V, gates=gates))[0]
        current = -model.dynamics(unravel(y), 0.0).V * model.C_m  # C_m dV/dt = i_app - ...
        return current, jax.jacfwd(lambda x: ravel_pytree(model.dynamics(unravel(x), current))[0])(y)

    currents, jacobians = jax.jit(jax.vmap(at))(jnp.linspace(-65.0, -30.0, 3501))
    growth = np.linalg.eigvals(np.asarray(jacobians)).real.max(axis=1)
    (change,) = np.nonzero(np.diff(np.sign(growth)))
    return np.asarray(currents)[change]


def spikes_of(amplitude: float, duration: float, *, t1: float = 60.0) -> int:
    """Spikes of the squid axon after a pulse from rest, by the adaptive solver."""
    stimulus = Step(amplitude, 100.0, duration)
    return simulate(HodgkinHuxley(), stimulus, t1=100.0 + t1, solver=Adaptive(rtol=1e-7, atol=1e-9)).spikes.size


def lapicque(duration):
    return RHEOBASE / -np.expm1(-np.asarray(duration) / TAU)


def test_threshold_of_a_leaky_integrator_is_lapicques_law():
    durations = np.array([0.03, 0.5, 4.0, 20.0, 100.0])
    found = threshold(LIF(), durations)
    np.testing.assert_allclose(found.amplitude, lapicque(durations), rtol=RTOL)
    np.testing.assert_allclose(found.latency, durations, rtol=1e-3)  # at threshold the pulse's end is the spike
    assert np.all(found.result._value == RESULTS.successful._value)
    assert threshold(LIF(), 4.0).amplitude.shape == ()


def test_threshold_scales_as_the_model_says():
    # i_th = (V_th - E_L) / R_m / (1 - exp(-d / tau_m))
    found = threshold(LIF(R_m=50.0, tau_m=10.0, V_th=-55.0), 5.0)
    assert found.amplitude == pytest.approx(15.0 / 50.0 / -np.expm1(-0.5), rel=RTOL)


def test_threshold_of_the_squid_axon_separates_silence_from_spikes(hh_curve):
    """Another solver, and 0.5 % to either side: second-order steps of 0.025 ms are off by 0.05 %."""
    for duration, amplitude in zip(hh_curve.duration[[2, 4, 7]], hh_curve.threshold[[2, 4, 7]], strict=True):
        assert spikes_of(0.995 * amplitude, duration) == 0
        assert spikes_of(1.005 * amplitude, duration) >= 1


def test_threshold_is_zero_for_a_neuron_that_fires_by_itself():
    assert threshold(LIF(E_L=-45.0), 5.0).amplitude == 0.0


def test_threshold_is_infinite_where_nothing_excites():
    found = threshold(HodgkinHuxley(), [1.0, 2.0], largest=5.0)  # they need 6.9 and 3.9 uA/cm^2
    assert found.amplitude[0] == np.inf and np.isnan(found.latency[0])
    assert found.amplitude[1] == pytest.approx(3.851, abs=0.002)
    assert np.all(found.result._value == RESULTS.successful._value)


def test_threshold_failure_is_a_value():
    # gates with time constants of 0.1 ms cannot be stepped explicitly over 1 ms
    found = threshold(HodgkinHuxley(), [1.0, 2.0], solver=FixedStep(1.0, solver=RK4()))
    assert np.all(np.isnan(found.amplitude))
    assert np.all(found.result._value != RESULTS.successful._value)


def test_threshold_other_numbers_do_not_compile():
    threshold(LIF(), 5.0)
    with compilations() as messages:
        threshold(LIF(V_th=-51.0, tau_m=17.0), 7.1, rtol=1e-3)
        threshold(LIF(), [5.0, 6.0], largest=30.0)
    assert not [m for m in messages if "run" in m or "_settled" in m]


def test_all_or_none_response_is_small_or_a_whole_spike():
    out = all_or_none(HodgkinHuxley(), np.linspace(0.0, 14.0, 29))
    has_spiked = out.n_spikes > 0
    assert np.all(np.diff(has_spiked.astype(int)) >= 0)
    # a millisecond of 6.9 uA/cm^2 moves 1 uF/cm^2 by at most 6.9 mV from -65 mV
    assert np.all(out.peak[~has_spiked] < -58.0)
    assert np.all(out.peak[has_spiked] > 30.0)
    assert np.ptp(out.peak[has_spiked]) < 10.0
    assert np.all(np.diff(out.latency[has_spiked]) < 0)


def test_all_or_none_a_lane_that_fails_does_not_disturb_the_others():
    # an explicit method blows up where the exponential one would not
    out = all_or_none(HodgkinHuxley(), [5.0, 1e9, 9.0], solver=FixedStep(0.025, solver=RK4()))
    assert np.isnan(out.peak[1]) and out.result._value[1] != RESULTS.successful._value
    np.testing.assert_array_equal(out.n_spikes[[0, 2]], [0, 1])


def test_strength_duration_of_a_leaky_integrator_is_lapicques():
    curve = strength_duration(LIF(), np.geomspace(0.3, 100.0, 10))
    # exp(-200 / 20) = 5e-5 of the rheobase is left in a step of 200 ms
    assert curve.rheobase == pytest.approx(RHEOBASE, rel=7e-5)
    assert curve.chronaxie == pytest.approx(TAU * np.log(2), rel=2e-4)
    assert curve.lapicque.rheobase == pytest.approx(RHEOBASE, rel=2 * RTOL)
    assert curve.lapicque.chronaxie == pytest.approx(TAU * np.log(2), rel=5 * RTOL)
    assert curve.lapicque.error < RTOL < 1e-2 < curve.weiss.error


def test_strength_duration_charge_of_short_pulses_is_constant(hh_curve):
    """What a pulse much shorter than the membrane's time constant has to bring is charge."""
    np.testing.assert_allclose(hh_curve.charge[:3], hh_curve.charge[0], rtol=2e-3)
    # 6.5 nC/cm^2 lift 1 uF/cm^2 by 6.5 mV
    assert hh_curve.charge[0] == pytest.approx(6.5, abs=0.1)
    assert np.all(np.diff(hh_curve.charge) > 0)


def test_strength_duration_of_the_squid_axon_has_rheobase_and_chronaxie(hh_curve):
    assert hh_curve.rheobase == pytest.approx(2.24, abs=0.02)
    # by definition: a pulse of the chronaxie has twice the rheobase as threshold
    at_chronaxie = threshold(HodgkinHuxley(), hh_curve.chronaxie)
    assert at_chronaxie.amplitude == pytest.approx(2 * hh_curve.rheobase, rel=1e-4)
    # the axon's threshold falls more steeply towards the rheobase than either law
    assert hh_curve.chronaxie < hh_curve.lapicque.chronaxie < hh_curve.weiss.chronaxie
    assert hh_curve.lapicque.error < 0.1


def test_fits_recover_their_own_laws_and_skip_what_is_not_finite():
    d = np.array([0.1, 0.7, 3.0, 9.0, 50.0])
    i = 1.7 * (1 + 2.3 / d)
    np.testing.assert_allclose(fit_weiss(d, i), [1.7, 2.3, 0.0], rtol=1e-12, atol=1e-14)
    i = 1.7 / -np.expm1(-d / 2.3)
    i[2] = np.inf
    # a sum of squares near its minimum shows tau to the root of rounding only
    np.testing.assert_allclose(fit_lapicque(d, i), [1.7, 2.3 * np.log(2), 0.0], rtol=1e-7, atol=1e-8)
    for fit in (fit_weiss, fit_lapicque):
        assert np.all(np.isnan(fit([1.0, 2.0], [3.0, np.nan])))


@pytest.mark.parametrize("t_ref", [2.0, 5.0])
def test_refractory_period_of_a_leaky_integrator_is_the_closed_form(t_ref):
    model, d, strength, factor = LIF(t_ref=t_ref), 0.1, 1.2, 20.0
    intervals = t_ref + np.array([1.0, 3.0, 10.0, 40.0])
    found = refractory_period(model, intervals, duration=d, strength=strength, factor=factor)
    i_th = lapicque(d)
    mu = 100.0 * strength * i_th
    t_spike = TAU * np.log(mu / (mu - 20.0))
    # from V_reset, 5 mV above rest, at t_spike + t_ref; the second pulse lifts what has decayed until its end
    left = 5.0 * np.exp(-(intervals + d - t_spike - t_ref) / TAU)
    expected = (20.0 - left) / 100.0 / -np.expm1(-d / TAU)
    assert found.first_threshold == pytest.approx(i_th, rel=RTOL)
    np.testing.assert_allclose(found.threshold, expected, rtol=2 * RTOL)
    # the shortest interval is that at which the pulse's end beyond t_ref just suffices
    drive = 100.0 * factor * i_th
    beyond = TAU * np.log((drive - 5.0) / (drive - 20.0))
    assert found.absolute == pytest.approx(t_spike + t_ref + beyond - d, abs=1e-4)
    np.testing.assert_allclose(found.spike_interval, intervals + d - t_spike, rtol=1e-4)


def test_refractory_period_of_the_squid_axon(hh_refractory):
    out = hh_refractory
    assert np.all(np.isinf(out.ratio[out.interval < out.absolute]))
    assert np.all(out.ratio[out.interval > out.absolute] <= out.factor)
    # falls all the way through the relative period, then below 1: supernormal, as the axon's after-oscillation says
    is_relative = (out.interval > out.absolute) & (out.interval < out.relative)
    assert np.all(np.diff(out.ratio[is_relative]) < 0) and np.all(out.ratio[is_relative] > 1.05)
    assert 0.8 < out.ratio[out.interval == 20.0] < 0.9
    assert 7.0 < out.absolute < 8.5 and 15.0 < out.relative < 18.0
    assert np.all(out.spike_interval[np.isfinite(out.ratio)] > out.absolute)


def test_refractory_period_without_a_threshold_is_nan():
    out = refractory_period(LIF(E_L=-45.0), [5.0, 10.0])
    assert out.first_threshold == 0.0 and np.isnan(out.absolute) and np.all(np.isnan(out.ratio))


def test_refractory_period_is_shorter_in_the_warm(hh_refractory):
    # gates are 3.8 times faster at 18.5 degC, the membrane is not
    warm = refractory_period(HodgkinHuxley(celsius=18.5), [10.0])
    assert hh_refractory.absolute / 3.8 < warm.absolute < hh_refractory.absolute / 2
    assert warm.relative < hh_refractory.relative / 2


def test_rebound_of_the_squid_axon_is_an_anodal_break_spike():
    out = rebound(HodgkinHuxley(), -10.0, 20.0)
    assert out.has_spiked and out.n_spikes == 1
    (time,) = simulate(HodgkinHuxley(), Step(-10.0, 100.0, 20.0), t1=180.0).spikes
    assert out.latency == pytest.approx(float(time) - 120.0, abs=0.01)  # second-order steps of 0.025 ms
    assert -90.0 < out.V_end < -85.0 and out.peak > 40.0


def test_rebound_threshold_separates_silence_from_spikes():
    out = rebound_threshold(HodgkinHuxley(), [5.0, 20.0])
    assert np.all(out.amplitude < 0) and out.amplitude[0] < out.amplitude[1]
    assert not rebound(HodgkinHuxley(), 0.99 * out.amplitude[1], 20.0).has_spiked
    assert rebound(HodgkinHuxley(), 1.01 * out.amplitude[1], 20.0).has_spiked


def test_rebound_of_a_leaky_integrator_there_is_none():
    out = rebound(LIF(), -1.0, 20.0)
    assert not out.has_spiked and np.isnan(out.latency) and out.n_spikes == 0
    assert out.V_end == pytest.approx(-70.0 + 100.0 * np.expm1(-1.0), rel=1e-9)
    assert rebound_threshold(LIF(), 20.0).amplitude == -np.inf


def test_accommodation_of_a_leaky_integrator_there_is_none():
    slopes = np.array([0.001, 0.01, 0.03])
    out = accommodation(LIF(), slopes)
    assert out.minimal_slope == 0.0
    np.testing.assert_allclose(out.threshold, RHEOBASE, rtol=1e-4)  # 5e-5 is left after 200 ms
    # V - E_L = R s (t - tau (1 - exp(-t / tau))) on the ramp
    t = out.latency
    # the input of a step of 0.1 ms is that in its middle, off by (dt / tau)^2 / 24 = 1e-6
    np.testing.assert_allclose(100.0 * slopes * (t + TAU * np.expm1(-t / TAU)), 20.0, rtol=2e-6)
    np.testing.assert_allclose(out.current, slopes * t, rtol=1e-12)


def test_accommodation_of_the_squid_axon_raises_the_threshold_of_slow_rises():
    out = accommodation(HodgkinHuxley(), np.array([0.1, 0.3, 0.5, 1.0, 3.0, 30.0]))
    is_slow = out.slope < out.minimal_slope
    np.testing.assert_array_equal(is_slow, np.isinf(out.threshold))
    assert 0.3 < out.minimal_slope < 0.5
    assert np.all(np.diff(out.threshold[~is_slow]) < 0)
    # a fast rise is a step
    assert out.threshold[-1] == pytest.approx(out.rheobase, rel=1e-3)


def test_onset_of_the_squid_axon_is_class_two():
    out = onset(HodgkinHuxley())
    assert 6.0 < out.current < 6.5
    assert 48.0 < out.rate < 56.0 and out.rate_above < 2 * out.rate
    assert out.rheobase == pytest.approx(2.24, abs=0.02)
    assert out.firing_class == 2


def test_onset_of_connor_stevens_is_class_one_because_of_its_a_current():
    out = onset(ConnorStevens())
    assert out.firing_class == 1 and out.rate < 10.0
    # without it the leak alone would make it fire; reversed at -72 mV it keeps the rest where it was
    without = onset(params.replace(ConnorStevens(), {"a.g_max": 0.0, "leak.E_rev": -72.0}))
    assert without.firing_class == 2 and without.rate > 50.0


@pytest.mark.parametrize("model", [FitzHughNagumo(), MorrisLecar(), HodgkinHuxley(celsius=18.5)])
def test_onset_class_does_not_depend_on_the_unit_of_time(model):
    # Hopf bifurcations all, at 16, 7 and 144 Hz
    assert onset(model).firing_class == 2


def test_onset_of_a_leaky_integrator_is_its_rheobase():
    out = onset(LIF())
    assert out.current == pytest.approx(RHEOBASE, rel=RTOL)
    assert out.current == out.rheobase and out.firing_class == 1
    assert out.rate == pytest.approx(float(LIF().rate(out.current)), rel=1e-6)


def test_onset_of_a_neuron_that_fires_by_itself_is_not_judged():
    out = onset(LIF(E_L=-45.0), duration=200.0)
    assert out.current == 0.0 and out.rate > 0.0 and out.firing_class == 0


def test_onset_where_nothing_fires_is_infinite():
    out = onset(HodgkinHuxley(), largest=4.0, duration=300.0)
    assert out.current == np.inf and np.isnan(out.rate) and out.firing_class == 0
    assert out.rheobase < 4.0


def test_fi_hysteresis_rest_and_firing_coexist_below_the_hopf_point(hh_hopf):
    out = fi_hysteresis(HodgkinHuxley(), np.arange(6.0, 11.01, 0.1), duration=400.0)
    # Rinzel & Ermentrout (1998), with 1952's E_L, which is 0.1 mV lower: 0.03 uA/cm^2
    assert hh_hopf[0] == pytest.approx(9.78, abs=0.06)
    # rest is left at the Hopf point or, since deviations of 1e-3 mV grow slowly there, a little beyond
    assert hh_hopf[0] - 0.1 < out.up_onset < hh_hopf[0] + 0.4
    assert 6.1 < out.down_onset < 6.7
    assert np.all(out.up_rate <= out.down_rate + 1.0) and out.firing_class == 2
    is_both = out.up_rate > 0
    # but for the first current going up, where firing has only just set in
    np.testing.assert_allclose(out.up_rate[is_both][1:], out.down_rate[is_both][1:], rtol=1e-4)
    assert np.isnan(out.block)  # it fires at the last current


def test_fi_hysteresis_high_currents_block_firing(hh_hopf):
    out = fi_hysteresis(HodgkinHuxley(), np.r_[np.arange(10.0, 150.0, 10.0), np.arange(150.0, 161.0)])
    # spikes shrink below 0 mV long before the oscillation ends, at the upper Hopf point
    assert out.block == 60.0
    assert hh_hopf[1] == pytest.approx(154.5, abs=0.5)
    assert hh_hopf[1] - 2.0 < out.quench <= hh_hopf[1]
    assert np.all(np.diff(out.down_swing[out.current <= 150.0]) < 0)


def test_fi_hysteresis_of_a_leaky_integrator_there_is_none():
    currents = np.array([0.1, 0.19, 0.21, 0.4])
    out = fi_hysteresis(LIF(), currents, duration=1000.0)
    np.testing.assert_allclose(out.up_rate, np.asarray(LIF().rate(currents)), rtol=1e-9)
    np.testing.assert_allclose(out.down_rate, out.up_rate, rtol=1e-9)
    assert out.up_onset == out.down_onset == 0.21 and out.firing_class == 1


def test_experiments_run_in_float32(run_python):
    code = """
        from jaxneuro import LIF
        from jaxneuro.analysis import strength_duration
        print(strength_duration(LIF(), [1.0, 5.0, 20.0, 60.0]).lapicque.chronaxie)
    """
    # single precision moves times and voltages by 1e-7 of -70 mV, 20 mV below threshold
    assert float(run_python(code)) == pytest.approx(TAU * np.log(2), rel=1e-3)


@pytest.mark.parametrize("module", [excitability, after_effects, ramps, repetitive])
def test_examples_of_the_docstrings_hold(module):
    found = doctest.testmod(module, globs=vars(jaxneuro) | {"np": np} | vars(module))
    assert found.attempted > 0 and found.failed == 0


def test_experiments_refuse_bad_input():
    hh = HodgkinHuxley()
    pair = Network([LIF(), LIF()], AMPA(), pre=[0], post=[1], weight=0.1, delay=[1.0])
    with refused(r"`model` must be a model, but is 3; ", TypeError):
        threshold(3, 1.0)
    with refused(r"`model` must be one neuron, but is a Network of several; "):
        threshold(pair, 1.0)
    with refused(r"`duration` must be a list of positive numbers \[ms\], but is 0\.0; "):
        threshold(hh, 0.0)
    with refused(r"`largest` must be a single positive number \[uA/cm\^2\], but is -1\.0; "):
        threshold(hh, 1.0, largest=-1.0)
    with refused(r"`solver` must be Adaptive, FixedStep or ExactSpikes, but is 'rk4'; ", TypeError):
        threshold(hh, 1.0, solver="rk4")
    with refused(r"`intervals` must be at least duration=1 ms, or the pulses overlap, but one is 0\.5 ms; "):
        refractory_period(hh, [0.5, 3.0])
    with refused(r"`strength` must be above 1, but is 0\.9; "):
        refractory_period(hh, [3.0], strength=0.9)
    with refused(r"`amplitude` must be below 0 \[uA/cm\^2\], but is 10; "):
        rebound(hh, 10.0)
    with refused(r"`slopes` must be a list of positive numbers \[uA/cm\^2/ms\], but is \[-1\.0\]; "):
        accommodation(hh, [-1.0])
    with refused(r"`top` must be given for a model without a rheobase, but is None "):
        accommodation(LIF(E_L=-45.0), [1.0])
    with refused(r"`currents` must be at least two, rising, but is \[2\. 1\.\]; "):
        fi_hysteresis(hh, [2.0, 1.0])
    with refused(r"`amplitude` must have one threshold per duration, shape \(2,\), but has shape \(1,\); "):
        fit_weiss([1.0, 2.0], [1.0])
