"""Escape noise: intervals and hazards of a point process, its seeds, its limit, derivatives, and the GIF model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree
from scipy import stats

from jaxneuro import GLIF, LIF, RESULTS, RK4, EscapeRate, ExactSpikes, FixedStep, HodgkinHuxley, Sine, simulate, sweep
from jaxneuro.models import SpikeCurrent, SpikeThreshold
from jaxneuro.params import get, params, replace

T_REF = 2.0


def assert_exponential(samples, mean):
    """With fixed seeds: Kolmogorov and Smirnov would refuse one sample in a hundred that is right, the mean one in 370;
    neighbours on both axes, seed and spike, are not correlated."""
    assert stats.kstest(samples.ravel() / mean, "expon").pvalue > 0.01
    assert samples.mean() == pytest.approx(mean, abs=3 * mean / np.sqrt(samples.size))
    z = samples - samples.mean()
    for pair in (z[1:] * z[:-1], z[:, 1:] * z[:, :-1]):
        assert abs(pair.mean()) < 3 * mean**2 / np.sqrt(pair.size)


N_SEED, N = 96, 16


@functools.partial(jax.jit, static_argnames="dt")
def trains_and_result(model, i_app, *, dt):
    def of_seed(seed):
        cell = replace(model, {"seed": seed})
        run = simulate(cell, i_app, t1=1200.0, dt_save=dt, solver=ExactSpikes(dt), max_spikes=N)
        # the state at a saving time holds the limit of the next spike
        before = jnp.searchsorted(run.ts, run.spike_times) - 1
        return run.spike_times, run.ys.limit[before], run.result

    return jax.vmap(of_seed)(jnp.arange(float(N_SEED)))


def trains(model, i_app, dt=0.4):
    """First spikes [ms] of every seed, and the limits that the hazard had to reach, (n_seed, n); one program a step."""
    spikes, limits, result = trains_and_result(model, jnp.asarray(i_app), dt=dt)
    assert np.all(np.isfinite(spikes)) and jnp.all(result == RESULTS.successful)
    return np.asarray(spikes), np.asarray(limits)


def test_escape_rate_intervals_at_a_constant_gap_are_exponential():
    """V is reset to where it rests: 1 / rate beside t_ref, and never less than t_ref."""
    still = LIF(E_L=-52.0, V_reset=-52.0, t_ref=T_REF)
    model = EscapeRate(still, rate_0=200.0, Delta_u=3.0)
    mean = 1e3 / (200.0 * np.exp(-2.0 / 3.0))
    spikes, limits = trains(model, 0.0)
    intervals = np.diff(spikes, prepend=-T_REF)
    assert intervals.min() >= T_REF
    assert_exponential(intervals - T_REF, mean)
    np.testing.assert_allclose(intervals - T_REF, mean * limits, rtol=1e-11, atol=1e-11)


def hazards(model, i_app, spikes):
    """Integral of the rate between spikes of a LIF without adaptation, from its closed form and 40 nodes."""
    p = {name: float(getattr(model.cell, name)) for name in ("tau_m", "R_m", "E_L", "V_th", "V_reset", "t_ref")}
    V_inf = p["E_L"] + p["R_m"] * i_app
    first = np.arange(spikes.shape[1]) == 0
    length = np.diff(spikes, prepend=0.0) - np.where(first, 0.0, p["t_ref"])
    x, weight = np.polynomial.legendre.leggauss(40)
    t = 0.5 * length[..., None] * (x + 1)
    start = np.where(first, p["E_L"], p["V_reset"])[:, None]
    V = V_inf + (start - V_inf) * np.exp(-t / p["tau_m"])
    rate = 1e-3 * float(model.rate_0) * np.exp((V - p["V_th"]) / float(model.Delta_u))
    return 0.5 * length * (rate @ weight)


MOVING, CURRENT = EscapeRate(LIF(t_ref=3.1), rate_0=80.0, Delta_u=4.0), 0.21


def test_escape_rate_hazards_between_spikes_are_exponential():
    """Time rescaling: whatever V does, mean 1, and exactly what was drawn but for Simpson's rule, whose error falls by
    16 where the step halves."""
    errors = []
    for dt in (0.8, 0.4):
        spikes, limits = trains(MOVING, CURRENT, dt)
        errors.append(np.abs(hazards(MOVING, CURRENT, spikes) - limits).mean())
    assert np.diff(spikes).min() > 3.1 and errors[1] < 1e-6
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.2)
    assert_exponential(hazards(MOVING, CURRENT, spikes), 1.0)


def test_escape_rate_spikes_do_not_depend_on_the_step():
    """A hazard that is off by 1e-5 moves a spike by as much over its rate, here 1e-3 per ms at least."""
    coarse, fine = (trains(MOVING, CURRENT, dt)[0] for dt in (0.8, 0.4))
    np.testing.assert_allclose(coarse[:, :4], fine[:, :4], rtol=0, atol=0.01)


def test_escape_rate_trains_have_names():
    """One seed, one train; another one, another; a cell that fires twice as fast has the same numbers drawn."""
    (first, limits), (again, _) = (trains(MOVING, CURRENT) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(limits)) == limits.size
    faster, limits_of_faster = trains(replace(MOVING, {"rate_0": 160.0}), CURRENT)
    np.testing.assert_array_equal(limits_of_faster, limits)
    assert np.all(faster < first)


def test_escape_rate_without_noise_is_the_cell_itself():
    """As Delta_u goes to 0 the spike comes where V is at threshold, up to some Delta_u over the slope of V there."""
    cell = LIF(b_w=0.03, tau_w=60.0, t_ref=T_REF)
    expected = np.asarray(simulate(cell, 0.5, t1=300.0).spikes)[:N]
    for Delta_u in (0.1, 0.01, 1e-3):
        spikes, _ = trains(EscapeRate(cell, rate_0=100.0, Delta_u=Delta_u), 0.5)
        # V rises by 1 mV per ms; the hazard is 1 where the gap is Delta_u ln(10 ms / Delta_u) or less
        assert np.all(np.abs(spikes - expected) < 10 * Delta_u * np.arange(1, N + 1))


# the loops of a step that looks for a spike take long to transpose
@pytest.mark.parametrize("mode", ["forward", pytest.param("reverse", marks=pytest.mark.slow)])
def test_escape_rate_spike_derivatives_agree(mode):
    """At a fixed seed, in every parameter, with adaptation and a moving input."""
    model = EscapeRate(LIF(b_w=0.03, tau_w=60.0), rate_0=80.0, Delta_u=4.0, seed=5)
    chosen = {path: get(model, path) for path in params(model) if path != "seed"}

    def spikes(values):
        values = dict(values)
        stimulus = Sine(0.05, 30.0, offset=values.pop("offset"), onset=values.pop("onset"))
        cell = replace(model, values)
        return simulate(cell, stimulus, t1=80.0, dt_save=0.5, solver=ExactSpikes(0.5), max_spikes=3).spike_times

    assert_derivatives_agree(spikes, chosen | {"offset": 0.35, "onset": 3.21}, rtol=1e-6, modes=(mode,))


def test_escape_rate_takes_the_steps_of_any_method():
    """On the grid: its own flow, or a one-step method on all of its state."""
    model = EscapeRate(LIF(), seed=3)
    runs = [simulate(model, 0.5, t1=60.0, solver=FixedStep(0.1, solver=solver)) for solver in (None, RK4())]
    assert runs[0].spikes.size > 3
    np.testing.assert_allclose(runs[1].spikes, runs[0].spikes)


# Fitted to a neuron by Mensi et al. (2012), from NEST's examples/gif_population.py; NEST subtracts its currents.
GIF = {
    "tau_m": 83.1 / 3.7,
    "R_m": 1e3 / 3.7,
    "E_L": -67.0,
    "V_reset": -36.7,
    "t_ref": 4.0,
    "V_th": -39.6,
    "stc": ((-0.0567, 57.8), (0.0069, 218.2)),
    "sfa": ((11.7, 53.8), (1.8, 640.0)),
    "rate_0": 1.0,
    "Delta_u": 1.4,
}
GIF_CURRENT, N_GIF, T_GIF = 0.15, 7, 1000.0


def gif_model():
    cell = GLIF(
        currents={f"stc_{k}": SpikeCurrent(*values) for k, values in enumerate(GIF["stc"])},
        thresholds={f"sfa_{k}": SpikeThreshold(*values) for k, values in enumerate(GIF["sfa"])},
        reset_drop=GIF["E_L"] - GIF["V_reset"],
        **{name: GIF[name] for name in ("tau_m", "R_m", "E_L", "V_th", "t_ref")},
    )
    return EscapeRate(cell, rate_0=GIF["rate_0"], Delta_u=GIF["Delta_u"])


def gif_spikes(n, dt=0.1):
    """First spikes of n neurons in the way of NEST: a step of each linear part, then a spike by chance."""
    rng, p = np.random.default_rng(0), GIF
    V, held, count = np.full(n, p["E_L"]), np.zeros(n, int), np.zeros(n, int)
    stc, sfa, spikes = np.zeros((2, n)), np.zeros((2, n)), np.full((n, N_GIF + 1), np.inf)
    (jump_i, tau_i), (jump_th, tau_th) = (np.array(p[name]).T[..., None] for name in ("stc", "sfa"))
    for k in range(round(T_GIF / dt)):
        V_inf = p["E_L"] + p["R_m"] * (GIF_CURRENT + stc.sum(axis=0))
        V = np.where(held > 0, p["V_reset"], V_inf + (V - V_inf) * np.exp(-dt / p["tau_m"]))
        stc, sfa = stc * np.exp(-dt / tau_i), sfa * np.exp(-dt / tau_th)
        rate = 1e-3 * p["rate_0"] * np.exp(np.minimum((V - p["V_th"] - sfa.sum(axis=0)) / p["Delta_u"], 25))
        fires = (held <= 0) & (rng.random(n) < -np.expm1(-rate * dt))
        held = np.where(fires, round(p["t_ref"] / dt), held - 1)
        spikes[fires, np.minimum(count[fires], N_GIF)] = (k + 0.5) * dt
        V, count = np.where(fires, p["V_reset"], V), count + fires
        stc, sfa = stc + fires * jump_i, sfa + fires * jump_th
    return spikes[:, :N_GIF], count


def test_escape_rate_of_a_glif_is_the_gif_model():
    """The spikes of a published cell, over seeds of a sweep, are distributed as those of an independent simulation."""
    times, counts = gif_spikes(1000)
    assert 5 < counts.mean() < 15
    model, keep, solver = gif_model(), ["spike_times"], FixedStep(0.1)
    seeds = {"seed": np.arange(128.0)}
    kept = sweep(model, GIF_CURRENT, seeds, t1=T_GIF, solver=solver, keep=keep, max_spikes=24, progress=False)
    found = kept.spike_times.values
    n_spikes = np.isfinite(found).sum(axis=1)
    error = np.hypot(counts.std() / np.sqrt(counts.size), n_spikes.std() / np.sqrt(n_spikes.size))
    assert n_spikes.mean() == pytest.approx(counts.mean(), abs=3 * error)
    assert np.diff(found[:, :N_GIF]).min() > GIF["t_ref"]
    for k in range(0, N_GIF, 2):
        assert stats.ks_2samp(found[:, k], times[:, k]).pvalue > 0.01


def test_escape_rate_refuses_bad_input():
    with pytest.raises(TypeError, match=r"`cell` must be a model with a reset, but is HodgkinHuxley; use e.g. LIF\(\)"):
        EscapeRate(HodgkinHuxley())
    for values, message in (
        ({"rate_0": -1.0}, r"`rate_0` must be a number >= 0 \[Hz\], but is -1; "),
        ({"Delta_u": 0.0}, r"`Delta_u` must be a number > 0 \[mV\], but is 0; "),
        ({"seed": 0.5}, r"`seed` must be a whole number >= 0, but is 0.5; "),
        ({"seed": -1}, r"`seed` must be a whole number >= 0, but is -1; "),
    ):
        with pytest.raises(ValueError, match=message):
            EscapeRate(LIF(), **values)
