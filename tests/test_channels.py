"""Laws of every channel, and the squid axon's rates against the formulas of the 1952 paper."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_derivatives_agree, assert_finite, cast, eps
from registry import CHANNELS

from jaxneuro.channels import HHPotassium, HHSodium, Leak, opening_rates
from jaxneuro.params import replace

DTYPES = (np.float64, np.float32)
# -40 and -55 mV are the removable singularities of the squid axon's rates
SPECIAL = [V + d for V in (-40.0, -55.0, -35.0, 0.0) for d in (0.0, 1e-6, -1e-6, 1e-3, -5.0, 5.0)]
VOLTAGES = np.concatenate([np.linspace(-1000, 1000, 401), SPECIAL])
GATED = [name for name in CHANNELS if CHANNELS[name]().init(jnp.asarray(-60.0), {})]


def rates(channel, V):
    return channel.rates(V, {})


@jax.jit
def rates_everywhere(channel, V):
    return jax.vmap(partial(rates, channel))(V)


@jax.jit
def slopes_everywhere(channel, V):
    return jax.vmap(jax.jacfwd(partial(rates, channel)))(V)


@jax.jit
def curvatures_everywhere(channel, V):
    return jax.vmap(jax.jacfwd(jax.jacrev(partial(rates, channel))))(V)


@jax.jit
def currents(channel, V, gates):
    return channel.current(V, gates, {})


def halfway_gates(channel, V):
    """Gates that are open, shut and in steady state nowhere."""
    return jax.tree.map(lambda x: 0.3 + 0.4 * x, channel.init(V, {}))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHANNELS)
def test_channel_gates_lie_between_0_and_1_and_times_are_positive(name, dtype):
    x_inf, tau = rates_everywhere(cast(CHANNELS[name](), dtype), VOLTAGES.astype(dtype))
    assert x_inf.keys() == tau.keys()
    for gate in x_inf:
        assert x_inf[gate].dtype == tau[gate].dtype == dtype
        assert x_inf[gate].shape == tau[gate].shape == VOLTAGES.shape
        assert np.all((x_inf[gate] >= 0) & (x_inf[gate] <= 1)), gate
        assert np.all((tau[gate] > 0) & np.isfinite(tau[gate])), gate


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GATED)
def test_channel_rates_have_two_finite_derivatives_everywhere(name, dtype):
    channel, V = cast(CHANNELS[name](), dtype), VOLTAGES.astype(dtype)
    assert_finite(slopes_everywhere(channel, V))
    assert_finite(curvatures_everywhere(channel, V))


@pytest.mark.parametrize("V", [-40.0, -55.0])
@pytest.mark.parametrize("name", GATED)
def test_channel_rates_are_smooth_at_the_removable_singularities(name, V):
    """At +-1e-6 mV, value, slope and curvature differ by no more than 1e-6 of the next derivative."""
    channel = CHANNELS[name]()
    near = jnp.array([V - 1e-6, V, V + 1e-6])
    for table in (rates_everywhere, slopes_everywhere, curvatures_everywhere):
        for leaf in jax.tree.leaves(table(channel, near)):
            below, at, above = leaf
            # tau is of the order of 1 ms and changes over 10 mV: derivatives are at most 1 of it
            assert abs(above - at) < 2e-6 and abs(at - below) < 2e-6
            assert abs(above - 2 * at + below) < 1e-11


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GATED)
def test_channel_derivatives_of_rates_agree(name, dtype):
    channel = cast(CHANNELS[name](), dtype)
    for V in (-71.3, -40.0, 12.7):
        assert_derivatives_agree(partial(rates, channel), dtype(V), atol=20 * eps(dtype) ** (2 / 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHANNELS)
def test_channel_derivatives_of_the_current_agree(name, dtype):
    channel, V = cast(CHANNELS[name](), dtype), jnp.asarray(-52.1, dtype)
    inputs = (channel, V, halfway_gates(channel, V))
    assert_derivatives_agree(lambda x: currents(*x), inputs)


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_is_steady_at_init(name):
    channel = CHANNELS[name]()
    for V in (-80.0, -40.0, 20.0):
        gates = channel.init(jnp.asarray(V), {})
        x_inf, tau = rates(channel, jnp.asarray(V))
        for gate in gates:
            assert (x_inf[gate] - gates[gate]) / tau[gate] == 0.0


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_on_a_cable_equals_a_loop_over_points(name):
    channel, V = CHANNELS[name](), jnp.linspace(-90.0, 40.0, 7)
    gates = halfway_gates(channel, V)
    together = (rates(channel, V), currents(channel, V, gates))
    points = [
        (rates(channel, v), currents(channel, v, jax.tree.map(lambda x, k=k: x[k], gates))) for k, v in enumerate(V)
    ]
    assert_close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *points), rtol=1e-14)


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_current_reverses_at_its_reversal_potential(name):
    """Outward (positive) above E_rev, inward below, none at it."""
    channel = CHANNELS[name]()
    gates = halfway_gates(channel, channel.E_rev)
    assert currents(channel, channel.E_rev, gates) == 0.0
    assert currents(channel, channel.E_rev + 1.0, gates) > 0.0
    assert currents(channel, channel.E_rev - 1.0, gates) < 0.0


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_current_is_proportional_to_its_conductance(name):
    channel, V = CHANNELS[name](), jnp.asarray(-20.0)
    gates = halfway_gates(channel, V)
    doubled = replace(channel, {"g_max": 2 * channel.g_max})
    assert currents(doubled, V, gates) == 2 * currents(channel, V, gates)


def test_opening_rates_give_the_steady_state_and_the_time_constant():
    x_inf, tau = opening_rates(jnp.asarray(0.3), jnp.asarray(0.1))
    assert x_inf == pytest.approx(0.75, rel=1e-15) and tau == pytest.approx(2.5, rel=1e-15)


def paper_rates(V):
    """alpha, beta [1/ms] of m, h, n as printed in the paper, with its v = -(V + 65) mV."""
    v = -(V + 65.0)
    return {
        "m": (0.1 * (v + 25) / (math.exp((v + 25) / 10) - 1), 4 * math.exp(v / 18)),
        "h": (0.07 * math.exp(v / 20), 1 / (math.exp((v + 30) / 10) + 1)),
        "n": (0.01 * (v + 10) / (math.exp((v + 10) / 10) - 1), 0.125 * math.exp(v / 80)),
    }


@pytest.mark.parametrize("V", [-85.0, -65.0, -47.5, -12.0, 35.0])
def test_squid_axon_rates_are_those_of_the_paper(V):
    x_inf, tau = {}, {}
    for channel in (HHSodium(), HHPotassium()):
        for table, values in zip((x_inf, tau), rates(channel, jnp.asarray(V)), strict=True):
            table.update(values)
    for gate, (alpha, beta) in paper_rates(V).items():
        assert x_inf[gate] == pytest.approx(alpha / (alpha + beta), rel=1e-13)
        assert tau[gate] == pytest.approx(1 / (alpha + beta), rel=1e-13)


def test_squid_axon_currents_are_those_of_the_paper():
    V, gates = jnp.asarray(-30.0), {"m": jnp.asarray(0.4), "h": jnp.asarray(0.3)}
    assert currents(HHSodium(), V, gates) == pytest.approx(120 * 0.4**3 * 0.3 * -80, rel=1e-14)
    assert currents(HHPotassium(), V, {"n": jnp.asarray(0.6)}) == pytest.approx(36 * 0.6**4 * 47)
    assert currents(Leak(), V, {}) == pytest.approx(0.3 * (54.3 - 30), rel=1e-14)
