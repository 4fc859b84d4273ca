"""What data leave of parameters: samples of posteriors known in closed form, fits to other draws of sweeps, figures."""

import dataclasses
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import compilations
from refusals import refused
from scipy import stats

from jaxneuro import LIF, EscapeRate, FixedStep, Leak, Membrane, Step, simulate
from jaxneuro.fitters import (
    Bootstrap,
    Electrode,
    Joint,
    LogNormal,
    Normal,
    Posterior,
    SpikeTrains,
    VoltageTrace,
    bootstrap,
    fit,
    posterior,
)
from jaxneuro.fitters.search._transforms import Above, Below, Between, BetweenPositive, Unbounded
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.uncertainty import _bootstrap, _posterior
from jaxneuro.fitters.uncertainty._posterior import _log_volume, _warn_of_trouble, _with_gradient
from jaxneuro.plot import plot_posterior

STIMULUS = Step(1.0, onset=3.0)
NOISE = 0.5  # mV
SOLVER = FixedStep(0.5)
QUICK = {"n_starts": 1, "steps": 20, "strategy": "newton", "solver": SOLVER, "progress": False}
# E_rev of channels that are closed has no effect, so that its posterior is its prior
CHANNELS = {"leak": Leak(0.1, -70.0)} | {name: Leak(0.0, 30.0) for name in ("second", "third")}
CELL = Membrane(channels=CHANNELS, C_m=1.0, V_init=-70.0)


def noisy(seed: int, *, dt: float = 2.0, R_s: float = 5.0) -> VoltageTrace:
    """Few samples, so that Student's t is not a normal distribution; linear in E_rev, R_s and offset."""
    V = simulate(CELL, STIMULUS, t1=22.0, dt_save=dt, solver=SOLVER).voltage
    rng = np.random.default_rng(seed)
    electrode = Electrode(R_s=R_s, area=1e5)  # 1 nA for 1 uA/cm^2
    seen = V + electrode.added(STIMULUS(dt * np.arange(V.size))) + NOISE * rng.normal(size=V.size)
    return VoltageTrace(dt, seen, STIMULUS, electrode=electrode)


def least_squares(result, names):
    """Best values, their covariance for a noise of 1, and the sum of squares, of residuals linear in parameters."""
    fitted = {name: result.values[name] for name in names}

    def residuals(values):
        held = result.problem.holding(values)
        prediction = held.target.predict(held.model, SOLVER)
        return np.asarray(held.target.recorded(prediction) - held.target.voltage)

    here = residuals(fitted)
    J = np.stack([residuals(fitted | {name: fitted[name] + 1.0}) - here for name in names], axis=-1)
    step, (squares,), *_ = np.linalg.lstsq(J, -here, rcond=None)
    return np.array(list(fitted.values())) + step, np.linalg.inv(J.T @ J), squares


def assert_mean(found: Posterior, name: str, expected: float, std: float) -> None:
    """Within four standard errors: one seed in 16,000 is farther off."""
    assert abs(found.mean[name] - expected) < 4 * std / np.sqrt(found.n_effective[name])


@pytest.fixture(scope="module")
def linear():
    free = {"leak.E_rev": (-90.0, -50.0), "electrode.R_s": (0.0, 10.0)}
    result = fit(CELL, noisy(0), free=free, **QUICK)
    return result, posterior(result, n_samples=1000, progress=False)


def test_posterior_of_a_linear_model_is_students_t(linear):
    """With N - P degrees of freedom: 15 % wider than were the variance taken as that of the best fit."""
    result, found = linear
    best, inverse, squares = least_squares(result, found.names)
    freedom = result.target.voltage.size - 2
    scale = np.sqrt(np.diag(inverse) * squares / freedom)
    t = stats.t(freedom)
    for k, name in enumerate(found.names):
        assert found.samples[name].shape == (4, 1000)
        assert_mean(found, name, best[k], t.std() * scale[k])
        # their own standard errors are 3 % with 800 effective samples of heavy tails
        np.testing.assert_allclose(found.std[name], t.std() * scale[k], rtol=0.1)
        np.testing.assert_allclose(
            found.interval[name], best[k] + np.array([-1, 1]) * t.ppf(0.975) * scale[k], atol=0.25 * scale[k]
        )
        np.testing.assert_allclose(result.params[name].std, scale[k], rtol=1e-3)
        assert found.r_hat[name] < 1.01 and found.n_effective[name] > 800
    expected = inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    np.testing.assert_allclose(found.correlation[0, 1], expected, atol=0.06)
    assert found.n_divergent == 0 and 0.7 < found.acceptance < 0.95
    assert len(found.table().splitlines()) == 4 and "R-hat" in found.table()


def test_posterior_of_other_data_does_not_recompile(linear):
    result, found = linear
    free = {name: (p.low, p.high) for name, p in result.params.items()}
    other = fit(CELL, noisy(1), free=free, **QUICK)
    with compilations() as messages:
        new = posterior(other, n_samples=1000, seed=3, progress=False)
    assert messages == []
    assert new.mean["leak.E_rev"] != found.mean["leak.E_rev"] and max(new.r_hat.values()) < 1.02


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The posterior")
def test_posterior_respects_bounds_and_is_flat_between_them():
    """Of the value, and of its logarithm if both bounds are positive."""
    target, silent = noisy(2), {"second.E_rev": (10.0, 100.0), "third.E_rev": (-10.0, 50.0)}
    wide = fit(CELL, target, free={"leak.E_rev": (-90.0, -50.0)} | silent, **QUICK)
    (best,), ((inverse,),), squares = least_squares(wide, ["leak.E_rev"])
    freedom = target.voltage.size - 1
    scale = np.sqrt(inverse * squares / freedom)
    low = best + scale
    result = fit(CELL, target, free={"leak.E_rev": (low, low + 20 * scale)} | silent, **QUICK)
    assert result.sensitivity.on_bound == ("leak.E_rev",)
    found = posterior(result, n_samples=1000, progress=False)
    x = np.linspace(1.0, 21.0, 20_001)
    weight = stats.t(freedom).pdf(x)
    mean = np.sum(weight * x) / np.sum(weight)
    std = np.sqrt(np.sum(weight * (x - mean) ** 2) / np.sum(weight))
    assert found.samples["leak.E_rev"].min() >= low
    assert_mean(found, "leak.E_rev", best + scale * mean, scale * std)
    np.testing.assert_allclose(found.std["leak.E_rev"], scale * std, rtol=0.1)
    assert_mean(found, "third.E_rev", 20.0, 60 / np.sqrt(12))
    np.testing.assert_allclose(found.interval["third.E_rev"], [-8.5, 48.5], atol=1.0)
    factor = np.log(100.0 / 10.0)
    assert_mean(found, "second.E_rev", 90.0 / factor, found.std["second.E_rev"])
    np.testing.assert_allclose(
        found.interval["second.E_rev"], 10 * np.exp(factor * np.array([0.025, 0.975])), rtol=0.03
    )


class KnownNoise(AbstractLoss):
    """The likelihood of residuals with a known standard deviation."""

    unit = "1"
    targets = (VoltageTrace,)
    is_likelihood = True

    def __call__(self, solution, target):
        return (target.recorded(solution) - target.voltage) / NOISE

    def value(self, errors, target):
        return 0.5 * jnp.mean(errors**2)


@pytest.mark.slow
def test_posterior_is_the_product_of_likelihood_and_priors():
    """Each normal in what its prior is normal in, whatever its bounds."""
    free = {"leak.E_rev": (-90.0, -50.0), "second.E_rev": (5.0, 200.0), "third.E_rev": (0.0, 2000.0)}
    priors = {"leak.E_rev": Normal(-72.0, 0.5), "second.E_rev": Normal(40.0, 6.0), "third.E_rev": LogNormal(30.0, 0.6)}
    result = fit(CELL, noisy(3), free=free, priors=priors, loss=KnownNoise(), **QUICK)
    found = posterior(result, n_samples=1000, progress=False)
    (best,), ((inverse,),), _ = least_squares(result, ["leak.E_rev"])
    precisions = np.array([1 / (inverse * NOISE**2), 1 / 0.5**2])
    mean, std = precisions @ [best, -72.0] / precisions.sum(), precisions.sum() ** -0.5
    assert abs(mean - best) > std  # the prior has a say
    assert_mean(found, "leak.E_rev", mean, std)
    assert_mean(found, "second.E_rev", 40.0, 6.0)
    logs = np.log(found.samples["third.E_rev"])
    assert abs(logs.mean() - np.log(30.0)) < 4 * 0.6 / np.sqrt(found.n_effective["third.E_rev"])
    np.testing.assert_allclose(
        [found.std["leak.E_rev"], found.std["second.E_rev"], logs.std()], [std, 6.0, 0.6], rtol=0.1
    )


def test_posterior_volume_is_the_slope_of_what_is_flat():
    u = jnp.array([-3.0, 0.5, 4.0])
    linear = [Between(-1.0, 4.0), Above(2.0, 3.0), Below(2.0, 3.0), Unbounded(1.0, 2.0)]
    cases = [(t, t.forward, None) for t in linear] + [(t, t.forward, Normal(1.0, 1.0)) for t in linear]
    logarithmic = BetweenPositive(2.0, 30.0)
    cases += [(logarithmic, lambda x: jnp.log(logarithmic.forward(x)), prior) for prior in (None, LogNormal(3.0, 1.0))]
    cases += [(logarithmic, logarithmic.forward, Normal(3.0, 1.0))]
    cases += [(linear[1], lambda x: jnp.log(linear[1].forward(x)), LogNormal(3.0, 1.0))]
    for transform, flat, prior in cases:
        found = jnp.array([_log_volume(transform, x, prior) for x in u])
        slopes = jnp.log(jnp.array([jax.grad(flat)(x) for x in u]))
        np.testing.assert_allclose(found - found[0], slopes - slopes[0], rtol=1e-9)


def test_posterior_of_a_failed_simulation_is_nothing(linear):
    """-inf and a gradient of 0, which a trajectory can do with; elsewhere it is that of finite differences."""
    problem, n_data, u = linear[0].problem, jnp.asarray(12.0), linear[0].u
    both = eqx.filter_jit(_with_gradient)
    h = 1e-5 * jnp.eye(2)
    fd = [(both(problem, n_data, u + 0.1 + d)[0] - both(problem, n_data, u + 0.1 - d)[0]) / 2e-5 for d in h]
    np.testing.assert_allclose(both(problem, n_data, u + 0.1)[1], fd, rtol=1e-6)
    value, gradient = both(problem, n_data, jnp.full(2, jnp.nan))
    assert value == -jnp.inf and np.all(gradient == 0)


@pytest.mark.filterwarnings("ignore:The posterior")
def test_posterior_returns_what_was_drawn_before_ctrl_c(linear, monkeypatch):
    calls, moved = [], _posterior._moved

    def interrupted(*args):
        calls.append(args)
        if len(calls) > 4 + 2:  # of the warm-up of three windows, one of two calls, and of the sampling
            raise KeyboardInterrupt
        return moved(*args)

    monkeypatch.setattr(_posterior, "_moved", interrupted)
    found = posterior(linear[0], n_warmup=80, n_samples=500, progress=False)
    assert found.samples["leak.E_rev"].shape == (4, 50)
    calls.extend([None] * 10)
    with pytest.raises(KeyboardInterrupt):
        posterior(linear[0], progress=False)


def made(r_hat: float = 1.0, n_divergent: int = 0) -> Posterior:
    z = np.random.default_rng(0).normal(size=(2, 4, 300))
    samples = {"leak.E_rev": -70 + z[0], "leak.g_max": 0.1 + 0.01 * (z[0] + z[1])}
    names = tuple(samples)
    return Posterior(
        names, ("mV", "mS/cm^2"), samples, dict.fromkeys(names, r_hat), dict.fromkeys(names, 9.0), n_divergent, 0.8
    )


def test_posterior_warns_where_it_is_not_to_be_trusted():
    with pytest.warns(UserWarning, match=r"\A[^\n]*disagree on leak.E_rev \(R-hat 1.020\) and 3 of its[^\n]*\Z"):
        _warn_of_trouble(made(1.02, 3))
    _warn_of_trouble(made())


def test_posterior_wrong_use_is_one_sentence(linear, monkeypatch):
    result = linear[0]
    with refused("`result` must be of data that tell their own scatter"):
        posterior(dataclasses.replace(result, sensitivity=None, why_unsure="the loss is a number"))
    with refused("`result` must be of data with noise"):
        posterior(dataclasses.replace(result, loss=0.0))
    with refused("`n_chains` must be a whole number of at least 2, but is 1"):
        posterior(result, n_chains=1)
    monkeypatch.setitem(sys.modules, "blackjax.adaptation.step_size", None)
    with refused(r'run `pip install "jaxneuro\[posterior\]"`', ImportError):
        posterior(result)


OFFSETS = np.random.default_rng(4).normal(size=6)


@pytest.fixture(scope="module")
def sweeps():
    clean = simulate(CELL, STIMULUS, t1=22.0, dt_save=2.0, solver=SOLVER).voltage
    terms = {
        f"s{k}": VoltageTrace(2.0, clean + x, STIMULUS, electrode=Electrode(area=1e5)) for k, x in enumerate(OFFSETS)
    }
    return fit(CELL, Joint(terms), free={"*.electrode.offset": (-5.0, 5.0)}, **QUICK)


def test_bootstrap_scatters_as_the_mean_of_sweeps(sweeps):
    """Each replicate is the mean of the sweeps drawn, whose scatter is that of the sweeps over sqrt(K)."""
    found = bootstrap(sweeps, n=200, progress=False)
    assert found.names == ("*.electrode.offset",) and found.units == ("mV",) and found.n_failed == 0
    # a mean of 6 of them: 6 times it is a sum of whole multiples
    rng = np.random.default_rng(0)
    counts = np.stack([rng.multinomial(6, np.full(6, 1 / 6)) for _ in range(200)])
    np.testing.assert_allclose(found.values[:, 0], counts @ OFFSETS / 6, atol=1e-6)
    std = OFFSETS.std() / np.sqrt(6)
    np.testing.assert_allclose(found.std["*.electrode.offset"], std, rtol=0.15)  # three times 1 / sqrt(2 n)
    low, high = found.interval["*.electrode.offset"]
    np.testing.assert_allclose([low, high], OFFSETS.mean() + np.array([-1.96, 1.96]) * std, atol=0.4 * std)
    assert len(found.table().splitlines()) == 3
    with compilations() as messages:
        bootstrap(sweeps, n=2, seed=1, progress=False)
    assert messages == []


def test_bootstrap_drops_what_fails_and_returns_what_is_done(sweeps, monkeypatch):
    losses = iter([1.0, np.inf, 1.0, np.nan, 1.0])

    def refitted(problem, u, steps):
        loss = next(losses, None)
        if loss is None:
            raise KeyboardInterrupt
        return loss, np.ones(1)

    monkeypatch.setattr(_bootstrap, "_refitted", refitted)
    found = bootstrap(sweeps, progress=False)
    assert found.values.shape == (3, 1) and found.n_failed == 2


@pytest.mark.slow
def test_bootstrap_of_spike_trains_draws_trials_with_their_stimuli():
    """rate_0 is the number of spikes over the integral of the rate without it: both are sums over the trials drawn."""
    stimuli = [Step(x) for x in (0.1, 0.15, 0.2, 0.25)]
    noisy = EscapeRate(LIF(), rate_0=20.0, Delta_u=4.0)
    trains = [[61.0], [38.2, 83.0], [24.4, 55.0, 90.3], [18.1, 36.9, 57.0, 75.4, 92.8]]
    target = SpikeTrains(trains, stimuli, t1=100.0, dt=0.5)
    result = fit(noisy, target, free={"rate_0": (1e-3, 1e4)}, n_starts=1, steps=20, progress=False)
    found = bootstrap(result, n=20, progress=False)
    run = result.predict()
    rate = np.where(run.is_held, 0.0, np.exp(run.log_rate)) / result.values["rate_0"]
    integral, n_spikes = 0.5 * rate[:, :-1].sum(axis=1), np.array([len(train) for train in trains])
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(4, size=4) for _ in range(20)])
    np.testing.assert_allclose(found.values[:, 0], n_spikes[rows].sum(axis=1) / integral[rows].sum(axis=1), rtol=1e-5)


def test_bootstrap_wrong_use_is_one_sentence(linear, sweeps):
    with refused(r"`result` must be of several sweeps, .* use `profile`, or result.params\[name\].std"):
        bootstrap(linear[0])
    with refused("`n` must be a whole number of at least 2, but is 1"):
        bootstrap(sweeps, n=1)
    name = "*.electrode.offset"
    lone = dataclasses.replace(sweeps.params[name], paths=("target.terms.s0.electrode.offset",))
    with refused("`result` must have a parameter that several sweeps share"):
        bootstrap(dataclasses.replace(sweeps, params={name: lone}))


def test_plot_posterior_shows_parameters_and_pairs():
    found = made()
    grid = plot_posterior(found, true={"leak.g_max": 0.1})
    assert grid[0, 1] is None
    (first, _), (pair, second) = grid
    assert pair.get_xlabel() == "leak.E_rev\n(mV)" and pair.get_ylabel() == "leak.g_max\n(mS/cm²)"
    assert second.get_xlabel() == "leak.g_max\n(mS/cm²)" and first.get_xlabel() == ""
    points = pair.collections[0].get_offsets()
    np.testing.assert_array_equal(points, found.draws[:: 1200 // len(points)])
    assert sum(bar.get_height() for bar in first.patches) == 1200
    assert not first.lines and second.lines[0].get_xdata() == [0.1, 0.1] and len(pair.lines) == 1
    replicates = Bootstrap(found.names, found.units, found.draws[:50])
    given = plt.subplots(2, 2)[1]
    assert plot_posterior(replicates, axes=given)[1, 0] is given[1, 0]
    assert len(given[1, 0].collections) == 1  # too few for contours
    with refused("`true` must name parameters of `found`, but has 'g_max'"):
        plot_posterior(found, true={"g_max": 1.0})
    with refused(r"`axes` must hold 2 x 2 axes, .* but has shape \(1, 2\)"):
        plot_posterior(found, axes=given[0])
    plt.close("all")
