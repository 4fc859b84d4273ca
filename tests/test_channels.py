"""Laws of every channel, and the squid axon's rates against the formulas of the 1952 paper."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_derivatives_agree, assert_finite, cast, eps, in_factors
from registry import CHANNELS

from jaxneuro.channels import AbstractKineticChannel, AbstractOhmicChannel, HHPotassium, HHSodium, Leak, opening_rates
from jaxneuro.params import replace

DTYPES = (np.float64, np.float32)
# removable singularities of rates x / (e^x - 1) [mV]
SINGULAR = {
    "HHSodium": [-40.0],
    "HHPotassium": [-55.0],
    "TraubMilesSodium": [-50.0, -23.0],
    "TraubMilesPotassium": [-48.0],
    "LTypeCalcium": [-27.0],
    "ConnorStevensSodium": [-29.7],
    "ConnorStevensPotassium": [-45.7],
    "WangBuzsakiSodium": [-35.0],
    "WangBuzsakiPotassium": [-34.0],
    "MainenSejnowskiSodium": [-30.0, -45.0, -70.0],
    "MainenSejnowskiPotassium": [25.0],
    "MainenSejnowskiM": [-30.0],
    "HCurrent": [-154.9],
    "PersistentSodium": [-17.0, -64.4],
}
SPECIAL = [V + d for V in {0.0}.union(*SINGULAR.values()) for d in (0.0, 1e-6, -1e-6, 1e-3, -5.0, 5.0)]
VOLTAGES = np.concatenate([np.linspace(-1000, 1000, 401), SPECIAL])
IONS = {"ca_i": 1e-3, "ca_o": 2.0, "na_i": 12.0, "k_o": 4.0, "displacement": 0.1, "celsius": 20.0}
KINETIC = [name for name in CHANNELS if isinstance(CHANNELS[name](), AbstractKineticChannel)]
OHMIC = [name for name in CHANNELS if isinstance(CHANNELS[name](), AbstractOhmicChannel)]


def around(channel, dtype=np.float64):
    """What the channel needs of its cell."""
    return {name: jnp.asarray(IONS[name], dtype) for name in channel.needs}


def rates(channel, V):
    return channel.rates(V, around(channel, V.dtype))


def slopes(channel, V):
    """dx/dt and A of gates that are in steady state nowhere."""
    ions = around(channel, V.dtype)
    gates = jax.tree.map(lambda x: 0.3 + 0.4 * x, channel.init(V, ions))
    return channel.linearised(V, gates, ions)


@jax.jit
def tables(channel, V):
    """Rates, their slopes and their curvatures over the voltage, all by one compiled program."""
    f = partial(rates, channel)
    return jax.vmap(lambda v: (f(v), jax.jacfwd(f)(v), jax.jacfwd(jax.jacrev(f))(v)))(V)


@jax.jit
def currents(channel, V, gates):
    return channel.current(V, gates, around(channel, V.dtype))


def halfway_gates(channel, V):
    """Gates that are open, shut and in steady state nowhere."""
    return jax.tree.map(lambda x: 0.3 + 0.4 * x, channel.init(V, around(channel, V.dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINETIC)
def test_channel_gates_lie_between_0_and_1_and_times_are_positive(name, dtype):
    (x_inf, tau), *_ = tables(cast(CHANNELS[name](), dtype), VOLTAGES.astype(dtype))
    instantaneous = CHANNELS[name]().instantaneous
    assert dict(CHANNELS[name]().powers).keys() == x_inf.keys() == tau.keys() | set(instantaneous)
    for gate in x_inf:
        assert x_inf[gate].dtype == dtype and x_inf[gate].shape == VOLTAGES.shape
        assert np.all((x_inf[gate] >= 0) & (x_inf[gate] <= 1)), gate
    for gate in tau:
        assert tau[gate].dtype == dtype and tau[gate].shape == VOLTAGES.shape
        assert np.all((tau[gate] > 0) & np.isfinite(tau[gate])), gate


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINETIC)
def test_channel_rates_have_two_finite_derivatives_everywhere(name, dtype):
    _, slopes, curvatures = tables(cast(CHANNELS[name](), dtype), VOLTAGES.astype(dtype))
    assert_finite(slopes)
    assert_finite(curvatures)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHANNELS)
def test_channel_currents_and_movements_are_finite_everywhere(name, dtype):
    """In value and slope over V, of gates that are open, shut and in steady state nowhere."""
    channel = cast(CHANNELS[name](), dtype)
    V = jnp.asarray(VOLTAGES[np.abs(VOLTAGES) <= 200], dtype)
    gates = halfway_gates(channel, jnp.asarray(-50.0, dtype))

    def all_of(v):
        return currents(channel, v, gates), channel.linearised(v, gates, around(channel, dtype))

    # one program for both: half the compilations
    assert_finite(jax.jit(lambda V: (jax.vmap(all_of)(V), jax.vmap(jax.jacfwd(all_of))(V)))(V))


@pytest.mark.parametrize("name, V", [(name, V) for name, voltages in SINGULAR.items() for V in voltages])
def test_channel_rates_are_smooth_at_the_removable_singularities(name, V):
    """At +-1e-6 mV, value, slope and curvature differ by no more than 1e-6 of the next derivative."""
    channel = CHANNELS[name]()
    # filled up to the size for which `tables` is compiled already
    near = np.concatenate([V + 1e-6 * np.array([-1.0, 0.0, 1.0]), VOLTAGES[3:]])
    found = tables(channel, near)
    sizes = [abs(leaf[1]) for leaf in jax.tree.leaves(found[0])]
    for table in found:
        for leaf, largest in zip(jax.tree.leaves(table), sizes, strict=True):
            scale = max(1.0, float(largest))
            below, at, above = np.asarray(leaf)[:3] / scale
            # rates change by their own size over 2.6 mV or more: derivatives are at most 1 of it
            assert abs(above - at) < 2e-6 and abs(at - below) < 2e-6
            assert abs(above - 2 * at + below) < 1e-11


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in KINETIC if name != "SKChannel"])  # no voltage dependence
def test_channel_derivatives_of_rates_agree(name, dtype):
    channel, V = cast(CHANNELS[name](), dtype), np.array([-71.3, -40.0, 12.7], dtype)
    assert_derivatives_agree(jax.vmap(partial(rates, channel)), V, atol=20 * eps(dtype) ** (2 / 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHANNELS)
def test_channel_derivatives_of_the_current_agree(name, dtype):
    channel, V = cast(CHANNELS[name](), dtype), jnp.asarray(-52.1, dtype)
    inputs = (channel, V, halfway_gates(channel, V))
    assert_derivatives_agree(*in_factors(lambda x: currents(*x), inputs))


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_is_steady_at_init(name):
    """Rates of up to 20 / ms leave rounding of 1e-14 / ms."""
    channel = CHANNELS[name]()
    for V in jnp.array([-80.0, -40.0, 20.0]):
        ions = around(channel)
        for change in jax.tree.leaves(channel.linearised(V, channel.init(V, ions), ions)[0]):
            assert np.all(abs(change) < 1e-14)


@pytest.mark.parametrize("name", KINETIC)
def test_channel_written_by_steady_states_equals_the_one_written_by_transitions(name):
    """x_inf = alpha / (alpha + beta), tau = 1 / (alpha + beta); dx/dt = (x_inf - x) / tau = alpha (1 - x) - beta x."""
    channel = CHANNELS[name]()
    for V in jnp.array([-95.3, -52.1, 3.7]):
        x_inf, tau = rates(channel, V)
        alpha, beta = channel.transitions(V, around(channel))
        change, A = slopes(channel, V)
        for gate in tau:
            assert alpha[gate] * tau[gate] == pytest.approx(float(x_inf[gate]), rel=1e-12, abs=1e-15)
            assert (alpha[gate] + beta[gate]) * tau[gate] == pytest.approx(1.0, rel=1e-12)
        for gate in change:
            x = 0.3 + 0.4 * x_inf[gate]
            assert change[gate] == pytest.approx(float((x_inf[gate] - x) / tau[gate]), rel=1e-9)
            assert A[gate] == pytest.approx(float(-1 / tau[gate]), rel=1e-12)


@pytest.mark.parametrize("name", [name for name in KINETIC if name != "BKChannel"])  # feels F / RT
def test_channel_in_a_warmer_cell_is_faster_by_its_q10(name):
    channel, V = CHANNELS[name](), jnp.asarray(-47.0)
    ions = around(channel)
    gates = jax.tree.map(lambda x: 0.3 + 0.4 * x, channel.init(V, ions))
    cold, warm = (channel.linearised(V, gates, ions | {"celsius": jnp.asarray(T)}) for T in (20.0, 30.0))
    factor = 1.0 if channel.source.celsius is None else channel.q10
    assert_close(warm, jax.tree.map(lambda x: x * factor, cold), rtol=1e-13)
    if channel.source.celsius is not None:
        as_published = channel.linearised(V, gates, ions | {"celsius": jnp.asarray(channel.source.celsius)})
        assert_close(as_published, channel.linearised(V, gates, ions), rtol=1e-15)


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_on_a_cable_equals_a_loop_over_points(name):
    channel, V = CHANNELS[name](), jnp.linspace(-90.0, 40.0, 7)
    gates = halfway_gates(channel, V)
    together = (slopes(channel, V), currents(channel, V, gates))
    points = [
        (slopes(channel, v), currents(channel, v, jax.tree.map(lambda x, k=k: x[k], gates))) for k, v in enumerate(V)
    ]
    assert_close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *points), rtol=1e-14)


@pytest.mark.parametrize("name", OHMIC)
def test_channel_current_reverses_at_its_reversal_potential(name):
    """Outward (positive) above E_rev, inward below, none at it."""
    channel = CHANNELS[name]()
    gates = halfway_gates(channel, channel.E_rev)
    assert currents(channel, channel.E_rev, gates) == 0.0
    assert currents(channel, channel.E_rev + 1.0, gates) > 0.0
    assert currents(channel, channel.E_rev - 1.0, gates) < 0.0


@pytest.mark.parametrize("name", OHMIC)
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
