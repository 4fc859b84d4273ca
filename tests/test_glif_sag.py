"""GLIF neurons whose voltage sags: the linear system's exact solution, its steady state, t_ref, derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree
from scipy.linalg import expm

from jaxneuro import GLIF, ExactSpikes, Levels, SpikeCurrent, SpikeThreshold, Step, params, simulate

DT = 0.1  # ms
SAG = {"tau_m": 12.0, "R_m": 80.0, "E_L": -66.0, "a_w": 0.03, "tau_w": 45.0}
PASSIVE = GLIF(**SAG, V_th=1e3)
FIRING = GLIF(
    **SAG | {"a_w": None},
    V_th=-55.0,
    t_ref=2.07,
    reset_gain=0.2,
    reset_drop=3.0,
    a_V=0.02,
    b_V=0.05,
    currents={"slow": SpikeCurrent(-0.05, 60.0)},
    thresholds={"fast": SpikeThreshold(2.0, 15.0)},
)


@functools.partial(jax.jit, static_argnames=("t1", "dt", "n"))
def run(model, stimulus, *, t1=120.0, dt=DT, n=16):
    return simulate(model, stimulus, t1=t1, dt_save=0.5, solver=ExactSpikes(dt), max_spikes=n)


def with_sag(a_w):
    return GLIF(**{name: getattr(FIRING, name) for name in vars(FIRING)} | {"a_w": a_w})


def test_glif_with_a_current_of_zero_conductance_is_glif_without():
    """The RK4 step of one and the closed form of the other."""
    plain, zero = run(FIRING, Step(0.4, 5.0)), run(with_sag(0.0), Step(0.4, 5.0))
    assert plain.ys.w is None and np.all(zero.ys.w == 0)
    assert np.sum(np.isfinite(plain.spike_times)) > 4
    np.testing.assert_allclose(zero.spike_times, plain.spike_times, rtol=0, atol=1e-7)
    np.testing.assert_allclose(zero.voltage, plain.voltage, rtol=0, atol=1e-8)
    np.testing.assert_allclose(zero.ys.theta_V, plain.ys.theta_V, rtol=0, atol=1e-8)


def system():
    """Matrix of (V - E_L, w), and what one nA adds."""
    tau_m, R_m, a_w, tau_w = (SAG[name] for name in ("tau_m", "R_m", "a_w", "tau_w"))
    return np.array([[-1 / tau_m, -R_m / tau_m], [a_w / tau_w, -1 / tau_w]]), np.array([R_m / tau_m, 0.0])


@pytest.mark.parametrize("i_app", [0.2, -0.3])
def test_glif_sag_answers_to_a_step_as_the_exponential_of_its_matrix(i_app):
    A, b = system()
    steady = -np.linalg.solve(A, b * i_app)
    found = run(PASSIVE, Step(i_app, 0.0))
    exact = np.array([steady - expm(A * t) @ steady for t in np.asarray(found.ts)])
    np.testing.assert_allclose(found.voltage, SAG["E_L"] + exact[:, 0], rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.ys.w, exact[:, 1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("i_app", [0.2, -0.3])
def test_glif_sags_to_its_steady_state_and_rebounds_beyond_rest(i_app):
    """V = E_L + R i / (1 + R a_w) after an excursion beyond it, and rest after one to the other side."""
    found = run(PASSIVE, Levels([i_app, 0.0], starts=[0.0, 600.0]), t1=1200.0)
    moved, ts = np.sign(i_app) * (np.asarray(found.voltage) - SAG["E_L"]), np.asarray(found.ts)
    during, after = moved[ts <= 600.0], moved[ts > 600.0]
    steady = abs(i_app) * SAG["R_m"] / (1 + SAG["R_m"] * SAG["a_w"])
    # the slowest mode has 1 / Re = 19 ms: rounding is left of it after 600 ms
    assert during[-1] == pytest.approx(steady, rel=1e-9)
    assert np.max(during) > 1.2 * steady
    assert np.min(after) < -0.1 * steady
    assert after[-1] == pytest.approx(0.0, abs=1e-9)
    plain = run(params.replace(PASSIVE, {"a_w": 0.0}), Levels([i_app, 0.0], starts=[0.0, 600.0]), t1=1200.0)
    assert np.min(np.sign(i_app) * (np.asarray(plain.voltage) - SAG["E_L"])) > -1e-9


def test_glif_holds_its_voltage_in_t_ref_while_w_relaxes_towards_it():
    """In closed form, as long as t_ref may be."""
    model = with_sag(0.01)
    y = model.init_state()._replace(V=jnp.asarray(-61.0), w=jnp.asarray(0.2))
    for h in (0.1, 7.0, 1e3):
        held = model.flow(y, jnp.asarray(5.0), jnp.asarray(h), is_held=True)
        assert held.V == y.V and held.theta_V == y.theta_V
        w_inf = 0.01 * 5.0
        np.testing.assert_allclose(held.w, w_inf + (0.2 - w_inf) * np.exp(-h / 45.0), rtol=1e-13)


def test_glif_sag_stays_at_its_reset_for_t_ref_and_leaves_it_then():
    model = params.replace(with_sag(0.01), {"t_ref": 6.0})
    found = run(model, Step(0.6, 5.0))
    spikes = np.asarray(found.spikes)[np.isfinite(found.spikes)]
    assert spikes.size > 3
    V, w, ts = (np.asarray(x) for x in (found.voltage, found.ys.w, found.ts))
    for spike in spikes[:-1]:
        k = np.flatnonzero((ts > spike) & (ts < spike + 6.0))
        assert k.size >= 11 and np.ptp(V[k]) == 0
        assert abs(V[k[-1] + 2] - V[k[0]]) > 0.1
        w_inf = 0.01 * (V[k[0]] - SAG["E_L"])
        np.testing.assert_allclose(w[k], w_inf + (w[k[0]] - w_inf) * np.exp(-(ts[k] - ts[k[0]]) / 45.0), rtol=1e-9)


def test_glif_sag_derivatives_are_those_of_differences():
    """Of voltages on the way and of spike times, by the current's own parameters, also where it is zero."""
    firing = with_sag(0.01)

    @jax.vmap
    def answer(x):
        found = run(params.replace(firing, x), Step(0.8, 5.0), t1=40.0, n=3)
        return found.voltage[15::10], found.ys.w[15::10], found.spike_times

    x = {"a_w": jnp.array([0.02, 0.0]), "tau_w": jnp.array([40.0, 60.0])}
    assert np.all(np.isfinite(answer(x)[2]))
    assert_derivatives_agree(answer, x, rtol=1e-6, modes=("forward",))


def test_glif_is_made_inside_a_compiled_function():
    """Also of arrays that are known there, which JAX makes tracers of as soon as they are computed with."""
    fields = {name: getattr(FIRING, name) for name in vars(FIRING)}
    made = jax.jit(lambda tau_m: GLIF(**fields | {"tau_m": tau_m}))(jnp.asarray(9.0))
    assert made.tau_m == 9.0 and made.reset_gain == FIRING.reset_gain
