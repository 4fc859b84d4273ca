"""Integrate-and-fire spikes: exact times and derivatives at any step, whatever falls where in a step."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import exact_spikes
from scipy.integrate import solve_ivp
from systems import (
    ADAPTING,
    adapting_lif_spikes,
    adapting_spike_derivatives,
    lif_period,
    lif_period_derivatives,
    lif_spike_times,
)

from jaxneuro import LIF, RESULTS, Constant, ExactSpikes, Sine, Step, simulate
from jaxneuro.models._lif import LIFState
from jaxneuro.params import replace

DTS = (0.1, 0.3, 0.37, 1.7)
I_APP = 0.35


def spikes(model, stimulus, dt, *, t1=60.0, n=64, y0=None):
    return exact_spikes(model, stimulus, dt, t1=t1, n=n, y0=y0)


spikes_of_batch = jax.jit(
    jax.vmap(lambda t_ref, i, dt: spikes(LIF(t_ref=t_ref), Constant(i), dt), (0, 0, None)),
    static_argnums=2,
)


@pytest.mark.parametrize("dt", DTS)
def test_lif_rate_equals_the_closed_form(dt):
    """For refractory times of 0, of less than a step, of no multiple of it, and of many steps."""
    cases = [(t_ref, i) for t_ref in (0.0, 0.05, 2.0, 3.3, 11.1) for i in (0.23, 0.35, 0.9)]
    found = spikes_of_batch(*map(jnp.array, zip(*cases, strict=True)), dt)
    for (t_ref, i), times in zip(cases, found, strict=True):
        model, times = LIF(t_ref=t_ref), np.asarray(times)[np.isfinite(times)]
        wanted = lif_spike_times(model, i, times.size + 1)
        assert wanted[-1] > 60.0 and wanted[-2] <= 60.0
        np.testing.assert_allclose(times, wanted[:-1], rtol=1e-12)
        if times.size > 1:
            rate = 1e3 / np.diff(times)
            np.testing.assert_allclose(rate, float(model.rate(i)), rtol=1e-9)
            np.testing.assert_allclose(1e3 / rate, lif_period(model, i), rtol=1e-9)


def times_and_times(x, dt):
    """First 3 spikes as a function of the parameters ADAPTING, twice: once to be differentiated."""
    model = replace(LIF(), dict(zip(ADAPTING[:-1], x[:-1], strict=True)))
    times = spikes(model, Constant(x[-1]), dt, n=3)
    return times, times


def jitted(derivative):
    return jax.jit(derivative(times_and_times, has_aux=True), static_argnums=1)


forward, reverse = jitted(jax.jacfwd), jitted(jax.jacrev)
# name -> (Jacobian and spikes) as a function of (x, dt); every program serves several tests
JACOBIANS = {"forward": (forward, 0.37), "reverse": (reverse, 0.37), "forward, 0.1": (forward, 0.1)}


def point(model, i_app=I_APP):
    return jnp.stack([*(getattr(model, name) for name in ADAPTING[:-1]), jnp.asarray(i_app)])


@pytest.mark.parametrize("mode", JACOBIANS)
def test_lif_period_derivatives_equal_the_closed_form(mode):
    derivative, dt = JACOBIANS[mode]
    for t_ref in (0.0, 2.0, 3.3):
        exact = lif_period_derivatives(LIF(t_ref=t_ref), I_APP)
        jacobian, _ = derivative(point(LIF(t_ref=t_ref)), dt)
        for k in (1, 2):
            found = dict(zip(ADAPTING, jacobian[k] - jacobian[k - 1], strict=True))
            for name in exact.keys() & found.keys():
                np.testing.assert_allclose(found[name], exact[name], rtol=1e-9, err_msg=name)


def test_lif_period_second_derivative_equals_the_closed_form():
    def period(i):
        times = spikes(LIF(), Constant(i), 0.37, n=2)
        return times[1] - times[0]

    exact = lif_period_derivatives(LIF(), I_APP)["i_app i_app"]
    found = jax.jit(jax.jacfwd(jax.grad(period)))(I_APP)
    assert float(found) == pytest.approx(exact, rel=1e-9)


def test_lif_spikes_move_with_the_onset():
    """One to one from rest, with the onset between two grid points, on one, and rounding away from one."""

    def f(onset):
        times = spikes(LIF(), Step(0.4, onset), 0.37, t1=40.0, n=2)
        return times, times

    slope_and_times = jax.jit(jax.jacfwd(f, has_aux=True))
    for onset in (2.0123, 3.7, np.nextafter(3.7, 4), np.nextafter(3.7, 3)):
        slope, times = slope_and_times(onset)
        np.testing.assert_allclose(times, onset + lif_spike_times(LIF(), 0.4, 2), rtol=1e-13)
        np.testing.assert_allclose(slope, [1, 1], rtol=1e-12)


ADAPTIVE_MODELS = {
    "usual": LIF(b_w=0.03, tau_w=60.0),
    "no refractory period": LIF(b_w=0.03, tau_w=60.0, t_ref=0.0),
    "equal time constants": LIF(b_w=0.05, tau_w=20.0, t_ref=3.3),
    "fast and strong": LIF(b_w=0.4, tau_w=7.0, t_ref=1.1),
    "facilitation": LIF(b_w=-0.01, tau_w=30.0, t_ref=2.7),
}
adapting_spikes = jax.jit(lambda model, i, y0, dt: spikes(model, Constant(i), dt, y0=y0), static_argnums=3)


@pytest.mark.parametrize("name", ADAPTIVE_MODELS)
def test_lif_adapting_spikes_equal_an_independent_solution(name):
    """1e-9 ms: what the reference's event location leaves over 60 ms."""
    model = ADAPTIVE_MODELS[name]
    for y0 in ((-70.0, 0.0), (-57.0, 0.08)):
        exact = adapting_lif_spikes(model, I_APP, 60.0, y0)
        assert exact.size >= 2
        for dt in (0.1, 0.37):
            times = adapting_spikes(model, I_APP, LIFState(*map(jnp.asarray, y0)), dt)
            assert np.isfinite(times).sum() == exact.size
            np.testing.assert_allclose(times[: exact.size], exact, atol=1e-9)


@pytest.mark.parametrize("name", ["usual", "equal time constants"])
def test_lif_adapting_spike_derivatives_equal_60_digits(name):
    """Every parameter, every spike: the reset and the held phase must carry their derivatives on."""
    model = ADAPTIVE_MODELS[name]
    for derivative, dt in JACOBIANS.values():
        jacobian, times = derivative(point(model), dt)
        exact = adapting_spike_derivatives(model, I_APP, np.asarray(times))
        for k, parameter in enumerate(ADAPTING):
            np.testing.assert_allclose(jacobian[:, k], exact[parameter], rtol=1e-9, atol=1e-12)


def test_lif_adaptation_reaches_its_steady_state():
    """w before a spike is b q / (1 - q) with q = e^{-T / tau_w}, T the whole interval."""
    model = LIF(b_w=0.05, tau_w=25.0)
    run = simulate(model, 0.6, t1=800.0, dt_save=1.0, solver=ExactSpikes(0.5))
    T = np.diff(run.spikes)
    np.testing.assert_allclose(T[-3:], T[-1], rtol=1e-12)
    q = np.exp(-T[-1] / 25.0)
    since = 800.0 - run.spikes[-1]
    before_spike = run.ys.w[-1] * np.exp(since / 25.0) - 0.05
    np.testing.assert_allclose(before_spike, 0.05 * q / (1 - q), rtol=1e-11)


def test_lif_spike_at_a_step_end_counts_once():
    """The current for a first spike after ten steps sharp, and some last places around it."""
    decay = np.exp(-3.7 / 20.0)
    i = (20.0 / (1 - decay)) / 100.0  # V - E_L = R i (1 - decay) = V_th - E_L
    currents = jnp.array([i * (1 + k * 2**-52) for k in range(-8, 9)])
    found = spikes_of_batch(jnp.full(17, 2.0), currents, 0.37)[:, :3]
    for times, current in zip(found, currents, strict=True):
        np.testing.assert_allclose(times, lif_spike_times(LIF(), float(current), 3), rtol=1e-13)
    exact = 20.0 * (1 / i - 1 / (i - 0.2))  # derivative of tau ln(R i / (R i - 20 mV)) in i
    for derivative in (forward, reverse):
        jacobian, _ = derivative(point(LIF(), i), 0.37)
        np.testing.assert_allclose(jacobian[0, -1], exact, rtol=1e-11)


def test_lif_above_threshold_at_the_start_spikes_at_once():
    for V in (-50.0, -45.0):
        y0 = LIFState(jnp.asarray(V), jnp.asarray(0.0))
        times = spikes(LIF(), Constant(I_APP), 0.37, y0=y0)
        period = float(lif_period(LIF(), I_APP))
        assert times[0] == 0.0
        np.testing.assert_allclose(times[1:4], period * np.arange(1, 4), rtol=1e-12)


def test_lif_is_silent_at_and_below_rheobase():
    for i in (-1.0, 0.0, 0.19, 0.2):
        run = simulate(LIF(), i, t1=200.0, dt_save=1.0, solver=ExactSpikes(1.0))
        assert run.spikes.size == 0 and run.voltage.max() <= -50.0


def grazing_start():
    """w0 < 0 for which V just touches threshold, between 0 and 20 ms, and the time of the touch."""
    with mpmath.workdps(30):

        def V(t, w0):
            fast, slow = mpmath.exp(-t / 20), mpmath.exp(-t / 5)
            return -70 - 100 * w0 / 20 * (slow - fast) / (mpmath.mpf(1) / 20 - mpmath.mpf(1) / 5)

        t = mpmath.findroot(lambda t: mpmath.diff(lambda s: V(s, -1), t), 9)
        return float(-20 / (V(t, -1) + 70)), float(t)


def test_lif_finds_a_peak_between_two_grid_points():
    """V rises on an inward w and falls again within one step of 20 ms; both ends are below threshold."""
    model = LIF(tau_w=5.0)
    w_touch, t_touch = grazing_start()
    assert 0 < t_touch < 20
    for factor, n_spike in ((1 - 1e-9, 0), (1 + 1e-9, 1), (1.01, 1), (1.3, 1)):
        y0 = LIFState(jnp.asarray(-70.0), jnp.asarray(w_touch * factor))
        for dt in (20.0, 0.1):
            times = adapting_spikes(model, 0.0, y0, dt)
            assert np.isfinite(times).sum() == n_spike
            if factor > 1 + 1e-6:
                exact = adapting_lif_spikes(model, 0.0, 20.0, (-70.0, w_touch * factor))
                np.testing.assert_allclose(times[:1], exact[:1], rtol=1e-9)


def test_lif_reports_two_spikes_in_a_step():
    """With a period of 1.32 ms: a step of 1.3 holds one spike at most, one of 5 does not."""
    model, i = LIF(t_ref=0.0), Sine(0.0, offset=2.4)  # constant, but not known to be
    assert lif_period(model, 2.4) == pytest.approx(1.32, abs=0.01)
    assert simulate(model, i, t1=40.0, solver=ExactSpikes(1.3)).result == RESULTS.successful
    run = simulate(model, i, t1=40.0, solver=ExactSpikes(5.0), throw=False)
    assert run.result == RESULTS.several_spikes_in_step
    with pytest.raises(RuntimeError, match="crossed its threshold twice within one step.*smaller dt"):
        simulate(model, i, t1=40.0, solver=ExactSpikes(5.0))
    known = simulate(model, 2.4, t1=40.0, solver=ExactSpikes(5.0))  # from spike to spike
    np.testing.assert_allclose(np.diff(known.spikes)[1:], lif_period(model, 2.4), rtol=1e-12)


@pytest.mark.parametrize("i", [5.0, Sine(0.0, offset=5.0)], ids=["spike-to-spike", "steps"])
def test_lif_reports_spikes_that_there_is_no_room_for(i):
    """64 of them in 50 ms unless told. A number that was asked for is no failure, unless a run from spike to spike
    finds no room for the others, without which it cannot go on."""
    model = LIF(t_ref=0.0)
    run = simulate(model, i, t1=50.0, throw=False)
    assert run.result in (RESULTS.too_many_spikes, RESULTS.max_spikes_reached) and run.spikes.size == 64
    with pytest.raises(RuntimeError, match="raise `max_spikes`"):
        simulate(model, i, t1=50.0)
    assert simulate(model, i, t1=50.0, max_spikes=200).result == RESULTS.successful
    first = simulate(model, i, t1=30.0, max_spikes=5)
    assert first.result == RESULTS.successful
    np.testing.assert_array_equal(first.spikes, run.spikes[:5])


def test_lif_reports_a_state_that_is_not_finite():
    y0 = LIFState(jnp.asarray(jnp.nan), jnp.asarray(0.0))
    assert simulate(LIF(), 0.3, t1=5.0, y0=y0, throw=False).result == RESULTS.nonfinite


def test_lif_varying_input_counts_to_second_order():
    """The value in the middle of a step: halving the step divides the error of a spike by four."""
    model, current = LIF(), Sine(0.2, 40.0, offset=0.35)

    def slope(t, V):
        return (-70.0 - V + 100 * float(current(jnp.asarray(t)))) / 20

    def gap(t, V):
        return V[0] + 50.0

    gap.terminal = True
    options = {"rtol": 1e-11, "atol": 1e-11, "method": "DOP853"}
    exact = solve_ivp(slope, (0, 30), [-70.0], events=gap, **options).t_events[0][0]
    errors = [abs(float(spikes(model, current, dt, n=1)[0]) - exact) for dt in (0.4, 0.2)]
    assert errors[0] < 0.01 and errors[0] / errors[1] == pytest.approx(4, rel=0.25)
