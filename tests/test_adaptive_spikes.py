"""Spike times of `Adaptive` on smooth models: as exact as its steps, with exact derivatives."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxneuro import RK4, Adaptive, Euler, FitzHughNagumo, HodgkinHuxley, Tsit5, simulate, sweep


def spike_times(model, i, t1, rtol):
    solver = Adaptive(rtol=rtol, atol=0.01 * rtol)
    return simulate(model, i, t1=t1, solver=solver, max_spikes=3, throw=False).spike_times


def test_adaptive_finds_spikes_as_exactly_as_it_steps():
    """In `simulate` and in the loop of a sweep; a cubic through the ends of the steps would be off by 4e-4 ms."""
    exact, found = (np.asarray(spike_times(HodgkinHuxley(), 10.0, 32.0, rtol)) for rtol in (1e-10, 3e-4))
    assert np.isfinite(exact).all()
    np.testing.assert_allclose(found, exact, atol=1e-4)
    solver = Adaptive(rtol=3e-4, atol=3e-6)
    swept = sweep(HodgkinHuxley(), 10.0, {"C_m": [1.0]}, t1=32.0, solver=solver, keep="first_spike", progress=False)
    np.testing.assert_allclose(swept.first_spike, exact[:1], atol=1e-4)


def test_adaptive_spikes_have_two_exact_derivatives():
    def times(i):
        return spike_times(FitzHughNagumo(), i, 100.0, 1e-10)

    values, slopes = jax.jit(times), jax.jit(jax.jacfwd(times))
    i, h = 0.8, 1e-4
    assert np.isfinite(values(i)).all()
    np.testing.assert_allclose((values(i + h) - values(i - h)) / (2 * h), slopes(i), rtol=1e-5)
    np.testing.assert_allclose((slopes(i + h) - slopes(i - h)) / (2 * h), jax.jacfwd(jax.jacfwd(times))(i), rtol=1e-5)
    # slower in reverse mode, and the same
    np.testing.assert_allclose(jax.grad(lambda i: times(i)[2])(i), slopes(i)[2], rtol=1e-9)


@pytest.mark.parametrize("method", [Euler(), RK4(), Tsit5()], ids=lambda m: type(m).__name__)
def test_a_step_in_a_loop_over_its_stages_is_the_same_step(method):
    term = diffrax.ODETerm(lambda t, y, args: {"a": jnp.cos(t) * y["b"].sum(), "b": -y["a"] * y["b"] ** 2})
    y, (t, h) = {"a": jnp.asarray(0.7), "b": jnp.asarray([1.1, -0.4])}, jnp.asarray([0.3, 0.2])
    written, looped = method.advance(term, t, t + h, y, None), method.advance_in_loop(term, t, h, y, None)
    np.testing.assert_allclose(looped["a"], written["a"], rtol=1e-14)
    np.testing.assert_allclose(looped["b"], written["b"], rtol=1e-14)


def test_course_of_a_step_is_of_fourth_order():
    """On dy/dt = cos(t) y from 1, exp(sin(t)): halving the step divides the error inside it by 2^5."""
    u = np.linspace(0.1, 0.9, 9)

    def error(h):
        method, term = Tsit5(), diffrax.ODETerm(lambda t, y, args: jnp.cos(t) * y)
        y = jnp.asarray(1.0)
        ks = method.slopes(term, jnp.asarray(0.0), jnp.asarray(h), y, None)
        ks.append(jnp.cos(h) * method.combined(y, h, ks))
        course = method.course(h, ks)
        return np.max(np.abs(1 + sum(c * u ** (j + 1) for j, c in enumerate(course)) - np.exp(np.sin(u * h))))

    assert error(0.2) / error(0.1) == pytest.approx(32, rel=0.1)
