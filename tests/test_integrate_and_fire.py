"""The integrate-and-fire family: known formulas, spikes and derivatives of others, whatever falls where in a step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import exact_spikes as spikes
from oracles import adex_spikes, diffrax_spikes
from registry import SPIKING_MODELS
from scipy.integrate import quad

from jaxneuro import (
    EIF,
    LIF,
    QIF,
    RESULTS,
    AdEx,
    Constant,
    ExactSpikes,
    Izhikevich,
    Step,
    SynapticLIF,
    fi_curve,
    fi_gain,
    simulate,
)
from jaxneuro.numerics import cos_sqrt, exp_difference, exp_second_difference, sinc_sqrt
from jaxneuro.params import get, names, replace

FAMILY = [name for name in SPIKING_MODELS if name != "SpikeDetector"]
CLOSED = [name for name in FAMILY if SPIKING_MODELS[name]().flow_rtol == 0.0]
N_SPIKES = 6


spikes_of = jax.jit(spikes, static_argnames=("dt", "t1", "n"))


# -- derivatives -------------------------------------------------------------------------------------------------------


def parametrised(name):
    """Spike times as a function of all parameters and the input, where they are, and their names."""
    case = SPIKING_MODELS[name]()
    free = [path for path in names(case.model) if path != "seed"]
    point = jnp.stack([*(get(case.model, path) for path in free), jnp.asarray(case.i_app)])

    def times(x):
        model = replace(case.model, dict(zip(free, x[:-1], strict=True)))
        found = spikes(model, Constant(x[-1]), case.model.dt_default, t1=3 * case.t1, n=N_SPIKES)
        return found, found

    return times, point, [*free, "i_app"]


@pytest.mark.parametrize("name", FAMILY)
def test_spike_derivatives_in_a_batch(name):
    """Three lanes, silent, firing late and firing, over six spikes with all that a model has of adaptation and
    refractoriness: finite differences in every parameter, zero for the silent one; for two models also one lane by one
    and in reverse mode."""
    times, point, free = parametrised(name)
    i_app = float(point[-1])
    batch = jnp.stack([point.at[-1].set(i) for i in (-0.1 * i_app, 0.8 * i_app, i_app)])
    jacobians, found = jax.jit(jax.vmap(jax.jacfwd(times, has_aux=True)))(batch)
    assert np.all(np.isfinite(jacobians)) and np.all(np.isfinite(found[2]))
    if name != "EscapeRate":  # which is never silent
        assert np.all(np.isinf(found[0])) and np.all(jacobians[0] == 0)

    # per relative change of a parameter, beside the time itself: a peak that is reached in 1e-15 ms has no derivative
    step = 1e-5 * jnp.maximum(jnp.abs(point), 1e-2)
    moved = jnp.concatenate([point[None] + side * jnp.diag(step) for side in (1, -1)])
    high, low = jnp.split(jax.jit(jax.vmap(lambda x: times(x)[0]))(moved), 2)
    differences = ((high - low) / (2 * step[:, None])).T
    size = np.abs(point)
    error = (
        np.abs(jacobians[2] - differences) * size / (np.abs(differences) * size + 1e-2 * np.asarray(found[2])[:, None])
    )
    worst = np.unravel_index(np.argmax(error), error.shape)
    assert error[worst] < 1e-6, (free[worst[1]], error[worst])

    if name in ("AdEx", "GLIF"):
        alone = jax.jit(jax.jacfwd(times, has_aux=True))
        for lane in (0, 2):
            jacobian, spike = alone(batch[lane])
            np.testing.assert_allclose(spike, found[lane], rtol=1e-12)
            np.testing.assert_allclose(jacobian, jacobians[lane], rtol=1e-8, atol=1e-9)
        weights = jnp.linspace(-1.0, 2.0, N_SPIKES)
        gradient = jax.jit(jax.grad(lambda x: weights @ times(x)[0]))(point)
        np.testing.assert_allclose(gradient, weights @ jacobians[2], rtol=1e-8, atol=1e-12)


# -- formulas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form_spikes_do_not_depend_on_the_step(name):
    case = SPIKING_MODELS[name]()
    runs = [spikes_of(case.model, Constant(case.i_app), dt, t1=case.t1, n=N_SPIKES) for dt in (0.1, 0.37)]
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-11)


def test_exact_rate_of_eif_and_qif_equals_the_formula():
    for model, tolerance in ((EIF(), 1e-8), (EIF(t_ref=0.0, V_peak=-30.0), 1e-8), (QIF(), 1e-12)):
        currents = jnp.array([2.0, 3.0, 6.0]) * model.rheobase
        curve = fi_curve(model, currents, duration=250.0)
        np.testing.assert_allclose(curve.steady_rate, model.rate(currents), rtol=tolerance)
        np.testing.assert_allclose(curve.analytic_rate, model.rate(currents), rtol=1e-13)


def test_qif_period_and_derivative_by_hand():
    """tau u' = u^2 + I in units in which E_L and V_c are -1 / 2 and 1 / 2: T = (tau / sqrt I) [atan - atan]."""
    model = QIF(tau_m=7.0, E_L=-0.5, V_c=0.5, R_m=1.0, V_reset=-2.0, V_peak=9.0, t_ref=0.0)

    def period(i):
        return 7.0 / np.sqrt(i - 0.25) * (np.arctan(9.0 / np.sqrt(i - 0.25)) + np.arctan(2.0 / np.sqrt(i - 0.25)))

    times = spikes_of(model, Constant(0.6), 0.1, t1=120.0, n=3)
    np.testing.assert_allclose(np.diff(times), period(0.6), rtol=1e-12)
    np.testing.assert_allclose(1e3 / model.rate(0.6), period(0.6), rtol=1e-14)
    assert model.rheobase == 0.25 and model.rate(0.25) == 0.0


def test_eif_period_equals_its_integral():
    """With the derivative in the current, -int dV / (C F^2) of spiking.md, by adaptive quadrature."""
    model, i_app = EIF(t_ref=0.0, V_peak=-35.0), 0.1

    def slope(V):
        drive = float(model.E_L) - V + float(model.R_m) * i_app
        return (drive + float(model.Delta_T) * np.exp((V - float(model.V_T)) / float(model.Delta_T))) / 10.0

    options = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 200}
    period = quad(lambda V: 1 / slope(V), -68.0, -35.0, **options)[0]
    change = quad(lambda V: -10.0 / slope(V) ** 2, -68.0, -35.0, **options)[0]
    rate, d_rate = jax.value_and_grad(model.rate)(i_app)
    np.testing.assert_allclose([1e3 / rate, -1e3 * d_rate / rate**2], [period, change], rtol=1e-9)


@pytest.mark.parametrize("tau_s", [5.0, 20.0, 20.0 * (1 + 1e-9), 60.0])
def test_synaptic_current_gives_the_known_potential(tau_s):
    """w R tau_s / (tau_s - tau_m) (e^{-t / tau_s} - e^{-t / tau_m}); w R (t / tau) e^{-t / tau} at tau_s = tau_m."""
    model = SynapticLIF(tau_s=tau_s)
    y0 = model.init_state()._replace(i_syn=jnp.asarray(0.2))

    def voltage(model, t):
        return model.flow(y0, jnp.asarray(0.0), t, is_held=False).V - model.E_L

    t, ratio = 13.0, tau_s / 20.0
    if abs(ratio - 1) < 1e-6:
        wanted = 0.2 * 100 * t / 20.0 * np.exp(-t / 20.0)
    else:
        wanted = 0.2 * 100 * ratio / (ratio - 1) * (np.exp(-t / tau_s) - np.exp(-t / 20.0))
    np.testing.assert_allclose(voltage(model, t), wanted, rtol=1e-8 if ratio != 1 else 1e-13)
    gradient = jax.grad(lambda tau: voltage(replace(model, {"tau_s": tau}), t))(tau_s)
    h = 1e-4
    sides = [float(voltage(replace(model, {"tau_s": tau_s + d}), t)) for d in (-h, h)]
    np.testing.assert_allclose(gradient, (sides[1] - sides[0]) / (2 * h), rtol=1e-7)
    if ratio not in (1.0, 3.0) and ratio < 1:
        peak = 20.0 * tau_s / (20.0 - tau_s) * np.log(20.0 / tau_s)
        assert abs(jax.grad(voltage, argnums=1)(model, peak)) < 1e-13


def test_adaptation_settles_at_its_steady_value():
    """w before a spike is b q / (1 - q), q = exp(-(T + t_ref) / tau_w), T the interval without t_ref."""
    model = LIF(b_w=0.03, tau_w=60.0, t_ref=3.0)
    run = simulate(model, 0.6, t1=1500.0, solver=ExactSpikes(0.3))
    interval = float(np.diff(run.spikes)[-1])
    q = np.exp(-interval / 60.0)
    settled = 0.03 * q / (1 - q)
    after = run.spikes[-2]
    w = run.ys.w[int(np.searchsorted(run.ts, after))] * np.exp((run.ts[np.searchsorted(run.ts, after)] - after) / 60.0)
    np.testing.assert_allclose(w - 0.03, settled, rtol=1e-9)


def test_state_after_a_spike_moves_by_the_saltation_rule():
    """S+ = D_yR S- + (D_yR f- - f+) dT/dp at a fixed time, here for V: f+ is 0 in the refractory period and runs after
    it, where the state is that of a reset neuron started dT later."""
    model, t = LIF(b_w=0.03, tau_w=60.0, t_ref=3.0), 18.5

    def end(i):
        run = simulate(model, i, t1=t, solver=ExactSpikes(0.37), max_spikes=4, dt_save=0.37)
        return (run.ys.V[-1], run.ys.w[-1], run.spike_times[0]), run.spike_times

    (dV, dw, dT), times = jax.jacfwd(end, has_aux=True)(0.5)
    T = float(times[0])
    assert np.isfinite(T) and np.isinf(times[1])
    s, tau, i = t - T - 3.0, 20.0, 0.5
    w0 = 0.03 * np.exp(-3.0 / 60.0)

    def V(s, i):
        mu = -70 + 100 * i
        return mu + (-65 - mu) * np.exp(-s / tau) - 100 * w0 / tau * float(exp_difference(1 / 60.0, 1 / tau, s))

    h = 1e-6
    f_plus = (V(s + h, i) - V(s - h, i)) / (2 * h)
    np.testing.assert_allclose(dV, (V(s, i + h) - V(s, i - h)) / (2 * h) - f_plus * dT, rtol=1e-7)
    np.testing.assert_allclose(dw, 0.03 * np.exp(-(t - T) / 60.0) / 60.0 * dT, rtol=1e-12)
    np.testing.assert_allclose(dT, tau * 100 * (1 / (100 * i) - 1 / (100 * i - 20)), rtol=1e-10)


@pytest.mark.parametrize("kind", ["saddle-node", "Hopf"])
def test_adex_rheobase_is_where_rest_loses_its_stability(kind):
    """a / g_L below or above tau_m / tau_w: at the formula's current the Jacobian has a zero, or an imaginary pair."""
    model = AdEx(a=0.001) if kind == "saddle-node" else AdEx(a=0.03, tau_w=100.0)
    i = float(model.rheobase)

    def field(y):
        state = model.dynamics(type(model.init_state())(y[0], y[1]), jnp.asarray(i))
        return jnp.stack([state.V, state.w])

    slope = float(model.a / model.g_L)
    lowest = min(slope, float(model.C_m / (model.g_L * model.tau_w)))
    V = float(model.V_T) + float(model.Delta_T) * np.log1p(lowest)
    y = jnp.array([V, float(model.a) * (V - float(model.E_L))])
    np.testing.assert_allclose(field(y), 0.0, atol=1e-12)
    eigenvalues = np.linalg.eigvals(jax.jacfwd(field)(y))
    if kind == "saddle-node":
        assert np.min(np.abs(eigenvalues)) < 1e-12
    else:
        np.testing.assert_allclose(eigenvalues.real, 0.0, atol=1e-12)
        assert np.all(eigenvalues.imag != 0)


def test_series_of_the_closed_forms_join_their_formulas():
    """Divided differences of exponentials and functions of a root, on both sides of where a series takes over."""
    for spread in (0.0, 1e-9, 1e-3, 0.2499, 0.2501, 3.0):
        a, b, c, h = 0.3, 0.3 + spread, 0.3 + 0.6 * spread, 2.0
        found = float(exp_second_difference(*map(jnp.asarray, (a, b, c, h))))
        wanted = quad(lambda s: np.exp(-c * (h - s)) * float(exp_difference(a, b, s)), 0, h, epsabs=1e-14)[0]  # noqa: B023
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    for x in (-30.0, -1.001, -0.999, 0.0, 0.999, 1.001, 30.0):
        root = np.sqrt(complex(x))
        np.testing.assert_allclose(cos_sqrt(jnp.asarray(x)), np.cos(root).real, rtol=1e-13)
        np.testing.assert_allclose(sinc_sqrt(jnp.asarray(x)), np.sinc(root / np.pi).real, rtol=1e-13)
        slopes = [(f(x + 1e-5) - f(x - 1e-5)) / 2e-5 for f in (cos_sqrt, sinc_sqrt)]
        np.testing.assert_allclose([jax.grad(f)(x) for f in (cos_sqrt, sinc_sqrt)], slopes, rtol=1e-5)


# -- others ------------------------------------------------------------------------------------------------------------

PUBLISHED = [
    *((AdEx.preset(name), preset.i_app) for name, preset in AdEx.PRESETS.items()),
    (AdEx(), 1.0),
    (AdEx(a=0.01, V_reset=-60.0, t_ref=1.37), 1.0),
]


def adex_errors(sets, dt):
    """Worst error [ms] of the first five spikes of each neuron and its current."""
    models = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(model for model, _ in sets))
    found = run_all(models, jnp.array([i for _, i in sets]), dt)
    wanted = [adex_spikes(*one, t1=150.0)[:5] for one in sets]
    return [np.max(np.abs(times[: exact.size] - exact)) for times, exact in zip(found, wanted, strict=True)]


@functools.partial(jax.jit, static_argnums=2)
def run_all(models, currents, dt):
    return jax.vmap(lambda model, i: spikes(model, Constant(i), dt, t1=150.0, n=5))(models, currents)


def test_adex_spikes_are_right_to_nanoseconds():
    """At the default step, with the published peaks (Brette-Gerstner 20 mV, Naud 0 mV)."""
    assert max(adex_errors(PUBLISHED, 0.05)) < 5e-6


def test_adex_spikes_converge_at_fourth_order():
    """With a /= 0, adaptation and a refractory period that no step divides. The peak is 3 Delta_T above V_T: with the
    published ones there is a floor of some 1e-8 ms a spike."""
    low = {"V_peak": -44.0}
    sets = [(replace(model, low), i) for model, i in (PUBLISHED[1], PUBLISHED[-1])]
    coarse, fine = (np.array(adex_errors(sets, dt)) for dt in (0.1, 0.025))
    np.testing.assert_allclose(np.log(coarse / fine) / np.log(4), 4.0, atol=0.3)


@pytest.mark.parametrize("name", ["LIF", pytest.param("AdEx", marks=pytest.mark.slow)])
def test_spikes_and_derivatives_equal_those_of_diffrax_between_events(name):
    if name == "LIF":
        build, point, t1 = (lambda x: LIF(b_w=x[0], t_ref=x[1], tau_w=60.0)), jnp.array([0.03, 2.3, 0.4]), 60.0
    else:
        build = lambda x: AdEx(a=x[0], b=0.04, t_ref=x[1], V_reset=-60.0, V_peak=-40.0)  # noqa: E731
        point, t1 = jnp.array([0.004, 1.3, 0.9]), 60.0

    def both(solve):
        def f(x):
            times = solve(x)
            return times, times

        return jax.jit(jax.jacfwd(f, has_aux=True))(point)

    ours, our_times = both(lambda x: spikes(build(x), Constant(x[2]), 0.02, t1=t1, n=3))
    theirs, their_times = both(lambda x: diffrax_spikes(build(x), x[2], t1, 3))
    np.testing.assert_allclose(our_times, their_times, rtol=2e-9)
    np.testing.assert_allclose(ours, theirs, rtol=2e-6)


# -- whatever falls where ----------------------------------------------------------------------------------------------


def test_refractory_period_does_not_depend_on_time_or_step():
    """1,000 neurons with random t_ref, current and onset: intervals are those of the formula."""
    rng = np.random.default_rng(5)
    t_ref, i_app, onset = rng.uniform(0, 9, 1000), rng.uniform(0.25, 1.5, 1000), rng.uniform(0, 1000, 1000)
    t_ref[:50], onset[50:100] = np.round(t_ref[:50], 1), np.round(onset[50:100])

    for dt in (0.25, 0.9):

        def intervals(t_ref, i, onset, dt=dt):
            model = LIF(t_ref=t_ref)
            # the run ends some spikes after the onset, wherever that is: only then is it short
            start = jnp.floor(onset / 100.0) * 100.0
            times = spikes(model, Step(i, onset - start), dt, t1=220.0, n=3)
            return jnp.diff(times), 1e3 / model.rate(i)

        found, wanted = jax.jit(jax.vmap(intervals))(t_ref, i_app, onset)
        is_seen = np.isfinite(found)
        assert np.mean(is_seen) > 0.95
        np.testing.assert_allclose(found[is_seen], np.broadcast_to(wanted[:, None], found.shape)[is_seen], rtol=1e-11)


@pytest.mark.parametrize("model", [EIF(), QIF(), AdEx(), Izhikevich()], ids=lambda model: type(model).__name__)
def test_neuron_above_its_peak_spikes_at_once(model):
    """A spike at t = 0, from the peak itself and from above it; then as from the reset."""
    y0 = model.init_state()
    times = [
        spikes_of(model, Constant(0.0), 0.1, t1=5.0, n=2, y0=y0._replace(V=model.V_peak + above))
        for above in (0.0, 15.0)
    ]
    for found in times:
        assert found[0] == 0.0 and found[1] > 0.0


def test_spike_on_a_grid_point_is_one_spike():
    """LIF that crosses at exactly 3 dt, and with rounding on either side of it."""
    model = LIF(t_ref=0.0)
    for shift in (-1e-15, 0.0, 1e-15):
        mu = (-50.0 - -70.0 * np.exp(-0.6 / 20)) / -np.expm1(-0.6 / 20) * (1 + shift)
        times = spikes_of(model, Constant((mu + 70) / 100), 0.2, t1=0.9, n=3)
        np.testing.assert_allclose(times[0], 0.6, rtol=1e-12)
        period = 20 * np.log((mu + 65) / (mu + 50))
        np.testing.assert_allclose(times[1], 0.6 + period, rtol=1e-12) if period < 0.3 else None


def test_rate_saturates_at_the_refractory_period():
    currents = [1e2, 1e4]
    curve = fi_curve(LIF(t_ref=2.0), currents, duration=50.0)
    np.testing.assert_allclose(curve.steady_rate, LIF(t_ref=2.0).rate(jnp.array(currents)), rtol=1e-11)
    assert 499.9 < curve.steady_rate[1] < 500.0


def test_two_spikes_in_a_step_are_reported():
    run = simulate(QIF(t_ref=0.0), 3000.0, t1=5.0, solver=ExactSpikes(1.0), dt_save=1.0, throw=False)
    assert run.result == RESULTS.several_spikes_in_step


def test_fi_curve_tells_the_first_interval_from_the_steady_state():
    model = LIF(b_w=0.02, tau_w=80.0, t_ref=2.0)
    curve = fi_curve(model, [0.0, 0.3, 0.8], duration=400.0)
    assert curve.initial_rate[0] == curve.steady_rate[0] == 0.0
    assert np.all(curve.initial_rate[1:] > 1.2 * curve.steady_rate[1:])
    gain = fi_gain(model, [0.0, 0.8], duration=400.0)
    sides = fi_curve(model, [0.8 - 1e-6, 0.8 + 1e-6], duration=400.0).steady_rate
    np.testing.assert_allclose(gain, [0.0, (sides[1] - sides[0]) / 2e-6], rtol=1e-6)
