"""Markov schemes: the same channel as its gates, probability kept, schemes of the user's own, and the update of a
linear system by a matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_derivatives_agree, cast, finite_differences
from refusals import refused
from registry import CHANNELS, SMOOTH_MODELS
from scipy.linalg import expm

from jaxneuro import (
    RK4,
    Adaptive,
    CalciumPool,
    ExponentialEuler,
    FixedStep,
    HHPotassium,
    HHSodium,
    HodgkinHuxley,
    Leak,
    Membrane,
    Sine,
    Step,
    simulate,
    sweep,
    voltage_clamp,
    zipped,
)
from jaxneuro.channels import (
    ConnorStevensPotassium,
    GatingScheme,
    MarkovChannel,
    MorrisLecarPotassium,
    Rate,
    WangBuzsakiSodium,
    transition_table,
)
from jaxneuro.models import IdealClamp
from jaxneuro.numerics import linear_update
from jaxneuro.params import get, replace

HH = HodgkinHuxley()
SCHEMES = {"na": GatingScheme(HHSodium()), "k": GatingScheme(HHPotassium())}
CELL = Membrane(SCHEMES | {"leak": Leak()}, HH.C_m, HH.V_init)
VOLTAGES = jnp.array([-95.0, -65.0, -41.3, 0.0, 37.0])
SWING = Sine(amplitude=4.0, frequency=60.0, offset=9.0, phase=0.4)
TWO_STATES = {"C->O": Rate(0.5, per_mV=0.03), "O->C": Rate(0.2, per_mV=-0.02)}
MARKOV = {
    "sodium": SCHEMES["na"],
    "potassium": SCHEMES["k"],
    "delayed": GatingScheme(ConnorStevensPotassium()),
    "one-gate": GatingScheme(MorrisLecarPotassium()),
    "ligand": CHANNELS["MarkovChannel"](),
    "two-states": MarkovChannel(TWO_STATES, open_states=("O",)),
}


def around(channel):
    return {need: jnp.asarray(2e-4) for need in channel.needs}


def test_gating_scheme_fires_when_its_gates_do():
    """Eight states of sodium and five of potassium: three spikes at the times of m^3 h and n^4."""
    gates, states = (simulate(cell, 10.0, t1=40.0, solver=Adaptive(1e-9, 1e-9)) for cell in (HH, CELL))
    assert [scheme.generator(jnp.zeros(()), {}).shape for scheme in SCHEMES.values()] == [(8, 8), (5, 5)]
    assert gates.spikes.size == states.spikes.size == 3
    # the tolerance, times some 20 from one spike to the next
    np.testing.assert_allclose(states.spikes, gates.spikes, rtol=0, atol=1e-6)
    np.testing.assert_allclose(states.voltage, gates.voltage, rtol=0, atol=1e-4)  # 300 mV/ms times 1e-7 ms
    for name, scheme in SCHEMES.items():  # binomial at the start, and so for ever
        np.testing.assert_allclose(
            states.ys.gates[name]["p"], scheme.distribution(gates.ys.gates[name]), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("name", MARKOV)
def test_markov_generator_keeps_probability_and_has_no_negative_rate(name):
    channel = MARKOV[name]
    Q = channel.generator(VOLTAGES, around(channel))
    n = len(channel.states)
    assert Q.shape == (5, n, n)
    # n rates of up to 60 per ms, and their sum
    np.testing.assert_allclose(Q.sum(axis=-2), 0.0, atol=1e-13)
    assert np.all(np.asarray(Q)[:, ~np.eye(n, dtype=bool)] >= 0)


@pytest.mark.parametrize("name", MARKOV)
def test_markov_channel_starts_in_the_steady_state_of_its_generator(name):
    """For a gating scheme too, whose own start is the binomial distribution: the null vector of Q is the same."""
    channel = MARKOV[name]
    ions = around(channel)
    p = channel.init(VOLTAGES, ions)["p"]
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-14)
    assert np.all(p > 0)
    flow, Q = channel.linearised(VOLTAGES, {"p": p}, ions)
    for k in range(VOLTAGES.size):
        null = np.linalg.svd(Q["p"][k])[2][-1]
        np.testing.assert_allclose(p[k], null / null.sum(), rtol=0, atol=1e-13)
    assert np.all(np.abs(flow["p"]) < 1e-15 * np.abs(Q["p"]).max(axis=(-1, -2))[:, None] + 1e-16)


@pytest.mark.parametrize("name", ["sodium", "ligand"])
def test_markov_channel_is_linear_in_its_probabilities(name):
    channel, V = MARKOV[name], jnp.asarray(-37.0)
    ions, p = around(channel), jnp.linspace(0.05, 0.3, len(channel.states))
    jacobian = jax.jacfwd(lambda p: channel.linearised(V, {"p": p}, ions)[0]["p"])(p)
    np.testing.assert_allclose(jacobian, channel.linearised(V, {"p": p}, ions)[1]["p"], rtol=1e-15)


def test_gating_scheme_in_a_warmer_cell_is_faster_by_the_q10_of_its_channel():
    scheme, V = SCHEMES["na"], jnp.asarray(-30.0)
    warm = scheme.generator(V, {"celsius": jnp.asarray(16.3)})
    np.testing.assert_allclose(warm, scheme.generator(V, {}) * scheme.channel.q10, rtol=1e-14)


def test_gating_scheme_conducts_as_its_channel_does():
    gates = {"m": jnp.asarray(0.4), "h": jnp.asarray(0.3)}
    scheme, V = GatingScheme(HHSodium(g_max=80.0, powers={"m": 2, "h": 1})), jnp.asarray(-20.0)
    assert len(scheme.states) == 6 and scheme.open_states == ("m2h1",) and scheme.ion == "na"
    current = scheme.current(V, {"p": scheme.distribution(gates)}, {})
    assert current == pytest.approx(80.0 * 0.16 * 0.3 * -70.0, rel=1e-14)


@pytest.mark.parametrize("stepper", [None, ExponentialEuler(), RK4()], ids=["strang", "exponential-euler", "rk4"])
def test_markov_scheme_keeps_probability_over_1e5_steps(stepper):
    """A second of firing at 0.01 ms: 69 spikes, in each of which the rates grow to 30 per ms."""
    run = simulate(CELL, 10.0, t1=1000.0, dt_save=1.0, solver=FixedStep(0.01, solver=stepper), max_spikes=100)
    assert run.spikes.size > 60
    for name in SCHEMES:
        p = run.ys.gates[name]["p"]
        np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=0, atol=1e-12)
        assert p.min() > 0


def test_exponential_strang_is_of_second_order_with_schemes():
    kept = {"t1": 6.0, "dt_save": 0.2}
    exact = simulate(HH, SWING, **kept, solver=Adaptive(1e-10, 1e-10)).voltage
    dts, errors = (0.02, 0.01, 0.005), []
    for dt in dts:
        V = simulate(CELL, SWING, **kept, solver=FixedStep(dt)).voltage
        errors.append(float(jnp.sqrt(jnp.mean((V - exact) ** 2))))
    assert np.polyfit(np.log(dts), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.1), errors


NAMES = ("na.channel.g_max", "k.channel.E_rev", "C_m", "V_init")


def V_end(factors):
    cell = replace(CELL, {name: get(CELL, name) * factors[k] for k, name in enumerate(NAMES)})
    return simulate(cell, Step(15.0 * factors[-1], 0.53), t1=2.0, dt_save=2.0, solver=FixedStep(0.05)).voltage[-1]


def test_markov_cell_gradient_equals_finite_differences():
    x = np.ones(len(NAMES) + 1)
    found = jax.jit(jax.grad(V_end))(x)
    expected = finite_differences(jax.jit(V_end), x)
    assert np.all(expected != 0)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_markov_cell_vmap_equals_a_loop():
    xs = jnp.array([[1.0, 1.0, 1.0, 1.0, 1.0], [0.7, 1.1, 1.2, 0.9, 1.3], [1.4, 0.9, 0.8, 1.05, 0.6]])
    together = jax.jit(jax.vmap(V_end))(xs)
    np.testing.assert_allclose(together, [V_end(x) for x in xs], rtol=1e-11)


def test_markov_cell_sweep_equals_simulations():
    grid = zipped({"na.channel.g_max": [60.0, 120.0, 150.0]})
    kept = {"t1": 20.0, "solver": FixedStep(0.025)}
    swept = sweep(CELL, Step(10.0, 1.0), grid, keep=("spike_count", "V_end"), progress=False, **kept)
    for k, g in enumerate((60.0, 120.0, 150.0)):
        alone = simulate(replace(CELL, {"na.channel.g_max": g}), Step(10.0, 1.0), **kept)
        assert swept.spike_count[k] == alone.spikes.size
        assert swept.V_end[k] == pytest.approx(float(alone.voltage[-1]), rel=1e-9)
    assert swept.spike_count[0] < swept.spike_count[2]


def two_state_relaxation(ts, V0, V1):
    """Open probability after a step from V0 to V1 [mV], by its closed form."""
    alpha, beta = ([0.5 * np.exp(0.03 * V), 0.2 * np.exp(-0.02 * V)] for V in (V0, V1))
    before, after = alpha[0] / sum(alpha), beta[0] / sum(beta)
    return after + (before - after) * np.exp(-sum(beta) * ts)


def test_markov_channel_of_two_states_relaxes_exponentially():
    cell = Membrane({"x": MARKOV["two-states"], "leak": Leak()})
    y0 = cell.state_at(-70.0)
    run = simulate(IdealClamp(cell), -15.0, t1=6.0, dt_save=0.5, y0=y0, solver=Adaptive(1e-10, 1e-10))
    exact = two_state_relaxation(run.ts, -70.0, -15.0)
    np.testing.assert_allclose(run.ys.gates["x"]["p"][:, 1], exact, rtol=0, atol=1e-8)
    # the trapezoidal rule: t (alpha + beta)^3 h^2 / 12 is 2e-7 at 0.01 ms
    clamp = voltage_clamp(cell, -15.0, t1=6.0)
    assert clamp.conductances["x"] == pytest.approx(float(two_state_relaxation(0.0, -15.0, -15.0)), rel=1e-12)
    run = simulate(IdealClamp(cell), -15.0, t1=6.0, dt_save=0.5, y0=y0, solver=FixedStep(0.01))
    np.testing.assert_allclose(run.ys.gates["x"]["p"][:, 1], exact, rtol=0, atol=1e-6)


def test_markov_channel_waits_for_its_ligand():
    """With C <-> O alone, the open fraction is that of one binding site, c / (c + K) with K = 0.5 / 2000 mM."""
    channel = MarkovChannel({"C->O": Rate(2e3, ligand="ca_i"), "O->C": Rate(0.5)}, open_states=("O",))
    assert channel.needs == ("ca_i",)
    for c in (1e-5, 2.5e-4, 1e-2):
        ions = {"ca_i": jnp.asarray(c)}
        p = channel.init(jnp.asarray(-60.0), ions)
        assert channel.open_fraction(jnp.asarray(-60.0), p, ions) == pytest.approx(c / (c + 2.5e-4), rel=1e-12)
    with refused("`pools` must give what channel 'kca' .MarkovChannel. needs, but .*ca_i"):
        Membrane({"kca": channel})
    model, *_ = SMOOTH_MODELS["Membrane-schemes"]()
    assert isinstance(model.pools["ca"], CalciumPool) and model.channels["kca"].needs == ("ca_i",)


def test_markov_channel_has_the_same_states_inside_compiled_code():
    channel = MarkovChannel(dict(reversed(TWO_STATES.items())), open_states=("O",))
    cell, V = Membrane({"x": channel, "leak": Leak()}), jnp.asarray(-30.0)
    assert jax.tree.map(lambda leaf: leaf, channel).states == channel.states
    inside = jax.jit(lambda channel: channel.init(V, {}))(channel)
    assert_close(inside, channel.init(V, {}), rtol=1e-14)
    # started from its steady state outside, nothing moves
    conductance = voltage_clamp(cell, -30.0, t1=1.0).conductances["x"]
    np.testing.assert_allclose(conductance, conductance[0], rtol=1e-12)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: MarkovChannel({"C-O": Rate(1.0)}, open_states=("O",)), "'from->to', but has 'C-O'; "),
        (lambda: MarkovChannel({"C->": Rate(1.0)}, open_states=("C",)), "'from->to', but has 'C->'; "),
        (lambda: MarkovChannel({"C->C": Rate(1.0)}, open_states=("C",)), "'from->to', but has 'C->C'; "),
        (lambda: MarkovChannel({"A->B->C": Rate(1.0)}, open_states=("C",)), "but has 'A->B->C'; "),
        (lambda: MarkovChannel(TWO_STATES, open_states=("X",)), r"one or more of C, O, but is \('X',\); "),
        (lambda: MarkovChannel(TWO_STATES, open_states=()), r"`open_states` must name .*, but is \(\); "),
        (lambda: MarkovChannel(TWO_STATES, open_states=("O",), g_max=-1.0), "`g_max` must be a number >= 0"),
        (lambda: Rate(-0.1), r"`rate` must be a number >= 0 \[1/ms\], but is -0.1; "),
        (lambda: GatingScheme(Leak()), "`channel` must have gates that all take time, but is Leak; "),
        (lambda: GatingScheme(WangBuzsakiSodium()), "all take time, but is WangBuzsakiSodium; "),
        (lambda: transition_table([[-1.0, 0.9], [0.2, -0.2]], "CO"), r"'C' sums to -0.1; put -0.9 on its diagonal"),
        (lambda: transition_table([[1.0, -1.0], [0.2, -0.2]], "CO"), r"rates >= 0, but row 'C' is \[ 1. -1.\]; "),
        (lambda: transition_table([[-1.0, np.nan], [0.2, -0.2]], "CO"), "rates >= 0, but row 'C' is"),
        (lambda: transition_table([[-1.0, 1.0]], "CO"), r"`table` must be 2 x 2, .*, but has shape \(1, 2\); "),
    ],
)
def test_markov_channel_refuses_what_is_no_scheme(build, message):
    with refused(message):
        build()


def test_markov_channel_refuses_rates_that_are_numbers():
    with refused(r"'C->O' is 0.5; write e.g. Rate\(0.5\)", TypeError):
        MarkovChannel({"C->O": 0.5}, open_states=("O",))


def test_transition_table_holds_the_rates_row_by_row():
    rates = transition_table([[-1.0, 1.0, 0.0], [0.2, -0.5, 0.3], [0.0, 0.7, -0.7]], ("C1", "C2", "O"))
    assert {name: float(rate.rate) for name, rate in rates.items()} == {
        "C1->C2": 1.0,
        "C2->C1": 0.2,
        "C2->O": 0.3,
        "O->C2": 0.7,
    }
    channel = MarkovChannel(rates, open_states=("O",))
    Q = channel.generator(jnp.zeros(()), {})
    np.testing.assert_allclose(Q, np.array([[-1.0, 1.0, 0.0], [0.2, -0.5, 0.3], [0.0, 0.7, -0.7]]).T, rtol=1e-15)


# a reversible scheme of four states: rates up to 20 per ms
RATES = np.array([3.0, 1.0, 20.0, 4.0, 0.5, 2.0])


def chain(rates):
    """Generator of a chain of states with the rates there and back, in the precision of `rates`."""
    n, Q = len(rates) // 2 + 1, jnp.zeros((len(rates) // 2 + 1,) * 2, jnp.asarray(rates).dtype)
    for k in range(n - 1):
        for start, end, rate in ((k, k + 1, rates[2 * k]), (k + 1, k, rates[2 * k + 1])):
            Q = Q.at[end, start].add(rate).at[start, start].add(-rate)
    return Q


def stepped(p, Q, h, n):
    for _ in range(n):
        p = linear_update(p, Q @ p, Q, h)
    return p


START = np.array([0.7, 0.1, 0.15, 0.05])


def test_linear_update_by_a_matrix_is_of_second_order_against_the_exponential():
    Q = chain(RATES)
    exact, ns, errors = expm(0.5 * np.asarray(Q)) @ START, (25, 50, 100), []
    for n in ns:
        errors.append(np.abs(stepped(START, Q, jnp.asarray(0.5 / n), n) - exact).max())
    assert -np.polyfit(np.log(ns), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.05), errors


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("h", [1e-3, 0.05, 1.0, 1e3])
def test_linear_update_by_a_matrix_conserves_and_is_stable(h, dtype):
    """The distance from the steady state, in the norm in which a reversible scheme is symmetric, never grows."""
    Q, p, h = chain(dtype(RATES)), jnp.asarray(START, dtype), dtype(h)
    weights = np.cumprod([1.0, 3.0 / 1.0, 20.0 / 4.0, 0.5 / 2.0])
    steady, distances = weights / weights.sum(), []
    for _ in range(100):
        p = linear_update(p, Q @ p, Q, h)
        assert p.dtype == dtype
        distances.append(np.sqrt(np.sum((np.asarray(p, float) - steady) ** 2 / steady)))
    # of 100 steps; the columns of h Q, of up to 24 h, sum to 0 only to rounding themselves
    rounding = 100 * np.finfo(dtype).eps * max(1.0, h)
    assert abs(p.sum() - 1) < rounding
    assert np.all(np.diff(distances) < 10 * rounding)


def test_linear_update_by_matrices_takes_leading_axes():
    Qs = jnp.stack([chain(RATES), chain(0.3 * RATES)])
    ps = jnp.stack([START, START[::-1]])
    dps = jnp.einsum("kij,kj->ki", Qs, ps)
    together = linear_update(ps, dps, Qs, jnp.asarray(0.1))
    for k in range(2):
        np.testing.assert_allclose(together[k], linear_update(ps[k], dps[k], Qs[k], jnp.asarray(0.1)), rtol=1e-15)


@pytest.mark.parametrize(
    "h, dtype", [(1e-2, np.float64), (1.0, np.float64), (1e3, np.float64), (1e-2, np.float32), (1.0, np.float32)]
)
def test_linear_update_by_a_matrix_derivatives_agree(h, dtype):
    def f(inputs):
        p, rates, log_h = inputs
        Q = chain(rates)
        return linear_update(p, Q @ p, Q, dtype(h) * jnp.exp(log_h))

    # a linear system of condition 24 h loses as many digits in the differences
    atol = 20 * np.finfo(dtype).eps ** (2 / 3) * max(1.0, 24 * h)
    assert_derivatives_agree(f, cast((START, RATES, 0.1), dtype), atol=atol)
