"""Channel noise and noisy currents: variances, correlation, orders of convergence, paths and what is refused."""

import functools
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_derivatives_agree, cast, finite_differences, quick_jit
from jax.flatten_util import ravel_pytree
from jaxtyping import Array
from registry import NOISY_MODELS, NOISY_SOLVERS

from jaxneuro import (
    Adaptive,
    DiscreteChannels,
    EulerMaruyama,
    HHPotassium,
    HodgkinHuxley,
    Leak,
    Membrane,
    NoisyMembrane,
    simulate,
    sweep,
    with_channel_noise,
)
from jaxneuro.channels import GatingScheme, MarkovChannel, Rate, StateNoise, SubunitNoise
from jaxneuro.models import AbstractNoisyModel
from jaxneuro.params import get, names, replace
from jaxneuro.solvers._brownian import BrownianPath

TWO_STATES = MarkovChannel({"C->O": Rate(0.5), "O->C": Rate(1.0)}, open_states=("O",))
PASSIVE = Membrane({"leak": Leak(g_max=0.2, E_rev=-70.0)}, C_m=0.9, V_init=-60.0)
TAU, SIGMA = 0.9 / 0.2, 2.0
NOISY_CURRENT = NoisyMembrane(PASSIVE, sigma=SIGMA)
SMALL = with_channel_noise(HodgkinHuxley(), area=20.0)
SUBUNIT = with_channel_noise(HodgkinHuxley(), area=20.0, kind="subunit")


def clamped(channel, noise, V=-30.0):
    """A membrane so large that its voltage does not move."""
    return NoisyMembrane(Membrane({"x": channel}, C_m=1e12, V_init=V), {"x": noise})


def over_seeds(model, solver, n, kept, *, t1, dt_save, i_app=0.0, jit=jax.jit):
    """`kept` of the saved states of runs with seeds 0 ... n - 1."""

    def lane(seed):
        run = simulate(replace(model, {"seed": seed}), i_app, t1=t1, dt_save=dt_save, solver=solver)
        return kept(run.ys)

    return np.asarray(jit(jax.vmap(lane))(jnp.arange(n, dtype=float)))


N, V_CLAMP = 400.0, -30.0
POTASSIUM = clamped(GatingScheme(HHPotassium()), StateNoise(N))
n_inf = float(HHPotassium().init(jnp.asarray(V_CLAMP), {})["n"])
P_OPEN = n_inf**4
VARIANCES = {"binomial": P_OPEN * (1 - P_OPEN) / N, "subunit": 16 * n_inf**7 * (1 - n_inf) / N}


@pytest.mark.parametrize(
    "model, solver, kind",
    [
        (POTASSIUM, EulerMaruyama(0.02), "binomial"),
        (clamped(HHPotassium(), SubunitNoise(N)), EulerMaruyama(0.02), "subunit"),
        (POTASSIUM, DiscreteChannels(0.5), "binomial"),
        (POTASSIUM, DiscreteChannels(4.0), "binomial"),
    ],
    ids=["state", "subunit", "discrete", "discrete-large-step"],
)
def test_channel_noise_has_the_variance_of_its_kind(model, solver, kind):
    """p (1 - p) / N on the scheme and channel by channel, whatever the step; 16 n^7 (1 - n) / N, 2.6 times too much,
    for noise on the subunits."""

    def open_fraction(ys):
        gates = ys.gates["x"]
        return gates["n"] ** 4 if "n" in gates else gates["p"][:, -1]

    # a sample every 16 ms, five time constants of n: 1920 independent ones, less the start
    samples = over_seeds(model, solver, 96, open_fraction, t1=336.0, dt_save=16.0)[:, 2:]
    assert VARIANCES["subunit"] > 2.5 * VARIANCES["binomial"]
    n = samples.size
    assert samples.var() == pytest.approx(VARIANCES[kind], rel=4 * np.sqrt(2 / n) + 0.02)  # 0.02: curvature of n^4
    bias = 6 * (n_inf**2) * n_inf * (1 - n_inf) / N if kind == "subunit" else 0.0  # the mean of n^4 is not that of n
    assert samples.mean() == pytest.approx(P_OPEN + bias, abs=4 * np.sqrt(VARIANCES[kind] / n))


def test_channel_noise_is_correlated_over_the_relaxation_time():
    """Of the two states, e^{-(alpha + beta) s}; 1 / (alpha + beta) = 2/3 ms."""
    model = clamped(TWO_STATES, StateNoise(200.0))
    p = over_seeds(model, EulerMaruyama(0.02), 64, lambda ys: ys.gates["x"]["p"][:, 1], t1=200.0, dt_save=0.2)[:, 50:]
    z = (p - 1 / 3) / np.sqrt(2 / 9 / 200)
    # 64 runs of 190 ms hold 9000 independent pieces of two relaxation times
    error = 4 / np.sqrt(9000)
    assert np.mean(z) == pytest.approx(0.0, abs=error) and np.mean(z**2) == pytest.approx(1.0, abs=2 * error)
    for lag in (2, 4, 8):
        assert np.mean(z[:, lag:] * z[:, :-lag]) == pytest.approx(np.exp(-1.5 * 0.2 * lag), abs=error)


@functools.cache
def firing(name):
    """A run of 40 ms through spikes, in which V moves."""
    return simulate(SMALL, 10.0, t1=40.0, solver=NOISY_SOLVERS[name]())


@pytest.mark.parametrize("name", NOISY_SOLVERS)
def test_noisy_solver_keeps_probability(name):
    run = firing(name)
    assert run.spikes.size >= 2
    for channel in ("na", "k"):
        np.testing.assert_allclose(run.ys.gates[channel]["p"].sum(axis=-1), 1.0, rtol=0, atol=1e-12)


def test_discrete_channels_are_whole_and_as_many_as_there_are():
    run = firing("DiscreteChannels")
    for channel, n in (("na", 1200), ("k", 360)):
        counts = np.asarray(run.ys.gates[channel]["p"])[1:] * n
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
        np.testing.assert_array_equal(np.round(counts).sum(axis=-1), n)
        assert counts.min() > -1e-9 and len(np.unique(np.round(counts[:, -1]))) > 3


def test_discrete_channels_save_the_start_that_they_drew():
    start = firing("DiscreteChannels").ys.gates["k"]["p"][0] * 360
    np.testing.assert_allclose(start, np.round(start), atol=1e-9)


@pytest.mark.parametrize("dt", [TAU / 2, TAU / 4, 0.05])
def test_euler_maruyama_gives_the_mean_and_variance_of_a_noisy_current(dt):
    """An Ornstein-Uhlenbeck process: mean E + (V_0 - E)(1 - dt/tau)^k and, in the end, the variance
    sigma^2 / (2 g C) / (1 - dt / (2 tau)) of Euler-Maruyama steps: of weak order 1."""
    V = over_seeds(NOISY_CURRENT, EulerMaruyama(dt), 256, lambda y: y.V, t1=TAU * 120, dt_save=TAU * 4)
    variance = SIGMA**2 / (2 * 0.2 * 0.9)
    late = V[:, 5:]
    wanted = variance / (1 - dt / (2 * TAU))
    # samples 4 tau apart: independent; four standard errors
    assert late.mean() == pytest.approx(-70.0, abs=4 * np.sqrt(wanted / late.size))
    assert late.var() == pytest.approx(wanted, rel=4 * np.sqrt(2 / late.size))
    assert 4 * np.sqrt(2 / late.size) < 0.08  # which tells dt = tau / 4 (1.14) from the limit
    early = over_seeds(NOISY_CURRENT, EulerMaruyama(dt), 1024, lambda y: y.V[1], t1=TAU, dt_save=TAU)
    mean = -70.0 + 10.0 * (1 - dt / TAU) ** round(TAU / dt)
    assert early.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 1024))


class _Value(NamedTuple):
    V: Array


class _Geometric(AbstractNoisyModel):
    """dV = a V dt + b V dW, whose solution in the sense of Ito is V_0 exp((a - b^2 / 2) t + b W)."""

    seed: Array
    a: Array = eqx.field(default_factory=lambda: jnp.asarray(0.3))
    b: Array = eqx.field(default_factory=lambda: jnp.asarray(0.8))
    input_unit: ClassVar[str] = "1"
    spike_threshold: ClassVar[float] = 1e9
    n_motions: ClassVar[int] = 1

    def init_state(self):
        return _Value(jnp.ones(()))

    def voltage(self, y):
        return y.V

    def dynamics(self, y, i_app):
        return _Value(self.a * y.V)

    def diffuse(self, y, dW):
        return _Value(self.b * y.V * dW[0])


def test_euler_maruyama_is_of_strong_order_one_half():
    """Multiplicative noise against its solution on the same path."""
    fine, factors, seeds = 1 / 64, (1, 2, 4, 8), 500

    def exact(seed):
        path = BrownianPath(jax.random.key(seed), 1, dt=1.0, per_step=round(1.0 / fine))
        return jnp.exp(0.3 - 0.32 + 0.8 * path.increment(jnp.asarray(0), jnp.asarray(0.0), jnp.asarray(1.0))[0])

    solution = np.asarray(jax.vmap(exact)(jnp.arange(seeds)))

    def lane(dt):
        def run(seed):
            solver = EulerMaruyama(dt, resolution=fine)
            return simulate(_Geometric(seed), 0.0, t1=1.0, dt_save=1.0, solver=solver).voltage[-1]

        return np.asarray(jax.jit(jax.vmap(run))(jnp.arange(seeds, dtype=float)))

    runs = [lane(k * fine) for k in factors]
    errors = [np.sqrt(np.mean((run - solution) ** 2)) for run in runs]
    slope = np.polyfit(np.log(factors), np.log(errors), 1)[0]
    # the root mean squares of 500 paths are known to 5 %, and are of the same paths
    assert slope == pytest.approx(0.5, abs=0.12), errors
    # of weak order 1: the mean of the steps is (1 + a dt)^k, whatever the noise
    for k, run in zip(factors, runs, strict=True):
        wanted, deviation = (1 + 0.3 * k * fine) ** (64 // k), np.exp(0.3) * np.sqrt(np.expm1(0.64))
        assert run.mean() == pytest.approx(wanted, abs=4 * deviation / np.sqrt(seeds))


@pytest.mark.parametrize("what", ["current", "channel", "cell"])
def test_euler_maruyama_converges_on_one_path(what):
    """Towards the finest step, at order 1: noise that is additive, or nearly so."""
    model, fine, t1, i_app, kept = {
        "current": (NOISY_CURRENT, 1 / 256, 4.0, 0.0, lambda y: y.V[-1]),
        "channel": (clamped(TWO_STATES, StateNoise(100.0)), 1 / 256, 4.0, 0.0, lambda y: y.gates["x"]["p"][-1, 1]),
        "cell": (with_channel_noise(HodgkinHuxley(), 100.0), 1 / 512, 2.0, 10.0, lambda y: y.V[-1]),
    }[what]
    factors = (4, 8, 16)

    def ends(k):
        solver = EulerMaruyama(k * fine, fine)
        return over_seeds(model, solver, 64, kept, t1=t1, dt_save=t1, i_app=i_app, jit=quick_jit)

    exact = ends(1)
    errors = [float(np.sqrt(np.mean((ends(k) - exact) ** 2))) for k in factors]
    # the finest run has an error itself: theirs grow as k - 1
    assert np.polyfit(np.log(np.subtract(factors, 1)), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.15), errors


def test_euler_maruyama_path_belongs_to_the_seed():
    first, again, other = (
        simulate(replace(SMALL, {"seed": seed}), 5.0, t1=2.0, solver=EulerMaruyama(0.02)).voltage for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_brownian_path_adds_up_and_has_the_variance_of_its_time():
    fine, n = 0.1, 3000
    path = BrownianPath(jax.random.key(2), n, dt=4 * fine, per_step=4)
    borders = np.array([0.0, 1.0, 2.0, 2.5, 4.0]) / 4

    def over(path, step, start, stop):
        return path.increment(jnp.asarray(step), jnp.asarray(start), jnp.asarray(stop))

    parts = [over(path, step, a, b) for step in (0, 1) for a, b in zip(borders[:-1], borders[1:], strict=True)]
    longer = BrownianPath(jax.random.key(2), n, dt=8 * fine, per_step=8)
    whole = over(longer, 0, 0.0, 1.0)
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=0, atol=1e-13)
    later = BrownianPath(jax.random.key(2), n, dt=fine, first=5)  # its cells are those of the others
    np.testing.assert_allclose(over(later, 0, 0.0, 1.0), over(longer, 0, 5 / 8, 6 / 8), rtol=0, atol=1e-13)
    cells = np.stack([over(longer, 0, k / 8, (k + 1) / 8) for k in range(8)])
    # variances of 3000 samples, to four standard errors
    np.testing.assert_allclose(cells.var(axis=1), fine, rtol=4 * np.sqrt(2 / n))
    np.testing.assert_allclose(np.asarray(whole).var(), 0.8, rtol=4 * np.sqrt(2 / n))
    correlation = np.corrcoef(cells) - np.eye(8)
    assert np.abs(correlation).max() < 4 / np.sqrt(n)
    np.testing.assert_allclose(cells.mean(axis=1), 0.0, atol=4 * np.sqrt(fine / n))


@pytest.mark.parametrize("kind", ["state", "subunit"])
def test_noisy_membrane_of_countless_channels_is_the_deterministic_cell(kind):
    quiet = with_channel_noise(HodgkinHuxley(), area=1e14, kind=kind)
    noisy = simulate(quiet, 10.0, t1=20.0, solver=EulerMaruyama(0.005))
    exact = simulate(HodgkinHuxley(), 10.0, t1=20.0, solver=Adaptive(1e-8, 1e-8))
    # Euler's own error at 0.005 ms
    np.testing.assert_allclose(noisy.spikes, exact.spikes, rtol=0, atol=0.05)


def spontaneous_rate(model, solver, n, t1):
    """Mean rate [Hz] of n cells without input, and its standard error."""
    grid = {"seed": np.arange(n, dtype=float)}
    counts = sweep(model, None, grid, t1=t1, solver=solver, keep="spike_count", progress=False).spike_count.values
    return 1e3 * counts.mean() / t1, 1e3 * counts.std() / np.sqrt(n) / t1


@pytest.mark.slow
def test_noisy_membrane_fires_alone_less_often_the_more_channels_it_has():
    rates = [
        spontaneous_rate(with_channel_noise(HodgkinHuxley(), area), EulerMaruyama(0.01), 16, 250.0)
        for area in (20.0, 100.0, 1e4)
    ]
    for (more, error), (less, other) in zip(rates[:-1], rates[1:], strict=True):
        assert more - less > 4 * np.hypot(error, other)
    assert rates[-1][0] == 0.0
    subunit, error = spontaneous_rate(SUBUNIT, EulerMaruyama(0.01), 16, 250.0)
    assert rates[0][0] - subunit > 4 * np.hypot(error, rates[0][1])  # 13 Hz instead of 35


@pytest.mark.slow
def test_noisy_membrane_fires_alone_as_often_as_with_its_channels_counted():
    """20 um^2: 1200 sodium channels, some 140 spontaneous spikes in each estimate."""
    langevin, error = spontaneous_rate(SMALL, EulerMaruyama(0.01), 32, 250.0)
    # one by one: lanes of rejection sampling wait for each other
    counts = [
        simulate(replace(SMALL, {"seed": k}), t1=250.0, solver=DiscreteChannels(0.05)).spikes.size for k in range(16)
    ]
    counted, other = 4 * np.mean(counts), np.std(counts, ddof=1)
    assert langevin == pytest.approx(counted, abs=4 * np.hypot(error, other))
    assert 4 * np.hypot(error, other) < 0.25 * counted


@pytest.mark.parametrize("name", NOISY_MODELS)
def test_noisy_model_drifts_as_its_cell_and_diffuses_linearly(name):
    model, y, i_app = NOISY_MODELS[name]()
    assert_close(model.dynamics(y, i_app), model.cell.dynamics(y, i_app))
    a, b = (jnp.asarray(np.random.default_rng(k).normal(size=model.n_motions)) for k in (0, 1))
    parts = (model.diffuse(y, a), model.diffuse(y, b))
    combined = jax.tree.map(lambda u, v: 2 * u - 3 * v, *parts)
    assert_close(model.diffuse(y, 2 * a - 3 * b), combined, rtol=1e-12, atol=1e-14)
    assert all(abs(gates["p"].sum()) < 1e-15 for gates in parts[0].gates.values() if "p" in gates)
    low = cast((model, y, a), np.float32)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(low[0].diffuse(low[1], low[2])))


def test_noisy_model_diffuses_alike_inside_compiled_code():
    model, y, _ = NOISY_MODELS["NoisyMembrane"]()
    dW = jnp.linspace(-1.0, 1.0, model.n_motions)
    assert_close(eqx.filter_jit(model.diffuse)(y, dW), model.diffuse(y, dW), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NOISY_MODELS)
def test_noisy_model_derivatives_of_its_noise_agree(name):
    model, y, _ = NOISY_MODELS[name]()
    dW = jnp.asarray(np.random.default_rng(2).normal(size=model.n_motions))
    paths = [path for path in names(model).values() if path != "seed"]
    chosen = {path: get(model, path) for path in paths}

    def f(inputs):
        parameters, y = inputs
        return ravel_pytree(replace(model, parameters).diffuse(y, dW))[0]

    assert_derivatives_agree(f, (chosen, y), step=1e-6, rtol=1e-5, atol=1e-8)


def mean_open(x):
    model = replace(SMALL, {"na.channel.g_max": 120.0 * x[0], "noise.na.n": 1200.0 * x[1], "C_m": x[2]})
    run = simulate(model, 8.0, t1=2.0, dt_save=0.1, solver=EulerMaruyama(0.02))
    return jnp.mean(run.ys.gates["na"]["p"][:, -1])


def test_noisy_gradient_on_one_path_equals_finite_differences():
    found = quick_jit(jax.grad(mean_open))(np.ones(3))
    expected = finite_differences(quick_jit(mean_open), np.ones(3))
    assert np.all(expected != 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", [pytest.param("DiscreteChannels", marks=pytest.mark.slow), "EulerMaruyama"])
def test_noisy_runs_over_seeds_equal_a_loop_and_a_sweep(name):
    solver = NOISY_SOLVERS[name]()
    together = over_seeds(SMALL, solver, 3, lambda y: y.V, t1=4.0, dt_save=0.2, i_app=10.0)
    swept = sweep(
        SMALL, 10.0, {"seed": [0.0, 1.0, 2.0]}, t1=4.0, dt_save=0.2, solver=solver, keep="voltage", progress=False
    )
    for seed in range(3):
        alone = simulate(replace(SMALL, {"seed": seed}), 10.0, t1=4.0, dt_save=0.2, solver=solver).voltage
        # a spike amplifies rounding a thousandfold
        np.testing.assert_allclose(together[seed], alone, rtol=0, atol=1e-8)
        np.testing.assert_allclose(swept.voltage[seed], alone, rtol=0, atol=1e-8)
    assert np.ptp(together[:, -1]) > 0.01


def test_noisy_model_has_a_solver_of_its_own_when_none_is_named():
    named, default = (simulate(SMALL, 5.0, t1=1.0, solver=solver).voltage for solver in (EulerMaruyama(0.01), None))
    np.testing.assert_array_equal(named, default)
    quiet = sweep(SMALL, 5.0, {"seed": [0.0]}, t1=1.0, keep="V_end", progress=False)
    assert quiet.V_end[0] == pytest.approx(float(named[-1]), abs=1e-8)
