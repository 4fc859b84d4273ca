"""What fits may know and free: priors, shared names, the electrode; screened starts; targets made from sweeps."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused
from scipy import optimize

from jaxneuro import LIF, HodgkinHuxley, Levels, Recording, Sampled, Step, params, simulate
from jaxneuro.channels import Leak
from jaxneuro.fitters import (
    Electrode,
    FeatureLoss,
    Joint,
    LogNormal,
    Normal,
    SpikeLikelihood,
    SpikeTimeLoss,
    SpikeTimes,
    SpikeTrains,
    StepResponse,
    TraceLoss,
    VoltageTrace,
    fit,
    load,
    spikes_of,
    stimulus_of,
    trace_of,
)
from jaxneuro.fitters.search._engine import Problem, losses_at
from jaxneuro.fitters.search._experiment import Experiment, checked_free
from jaxneuro.models import Membrane, VoltageClamp
from jaxneuro.sweeps import sobol

QUICK = {"n_starts": 1, "strategy": "newton", "progress": False}

# -- priors ------------------------------------------------------------------------------------------------------------

REST = VoltageTrace(1.0, np.full(11, -68.0), Step(0.0))


def test_prior_and_noisy_data_meet_where_the_posterior_is_highest():
    """11 ln(mean square) + (deviation of the prior)^2 is least, however large the noise, which the data alone tell; and
    the prior's precision is added to theirs."""
    for scatter in (0.3, 3.0):
        V = -68.0 + scatter * np.random.default_rng(0).normal(size=11)
        middle, std = -68.0 - 2 * scatter, 0.5 * scatter
        prior = {"E_L": Normal(middle, std)}
        target = VoltageTrace(1.0, V, Step(0.0))
        result = fit(LIF(), target, free={"E_L": (-120.0, -50.1)}, priors=prior, steps=40, **QUICK)

        def minus_log(E, V=V, middle=middle, std=std):
            return 11 * np.log(np.mean((V - E) ** 2)) + ((E - middle) / std) ** 2

        best = optimize.minimize_scalar(minus_log, bracket=(middle, -68.0)).x
        assert result.values["E_L"] == pytest.approx(best, abs=1e-5 * scatter)
        variance = np.mean((V - best) ** 2)
        precision = (11 / variance + 1 / std**2) / 1.1  # a degree of freedom less
        assert result.params["E_L"].std == pytest.approx(precision**-0.5, rel=1e-3)
        assert result.errors["all"][0] == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_log_normal_prior_weighs_the_logarithm():
    """Against a loss of the user's own with 4 residuals, of x = ln(g / 0.2) give or take 0.5."""

    def residuals(solution, target):
        return jnp.log(solution.model.channels["leak"].g_max / 0.2) + jnp.array([-0.5, 0.5, -0.5, 0.5])

    leaky = Membrane(channels={"leak": Leak(g_max=0.1)})
    options = {"free": {"leak.g_max": (0.0, 10.0)}, "priors": {"leak.g_max": LogNormal(0.05, 0.5)}, "steps": 20}
    result = fit(leaky, REST, loss=residuals, **options | QUICK)
    best = optimize.minimize_scalar(lambda x: 4 * np.log(x**2 + 0.25) + ((x + np.log(4)) / 0.5) ** 2, bracket=(-1, 0)).x
    assert result.values["leak.g_max"] == pytest.approx(0.2 * np.exp(best), rel=1e-4)


def test_prior_weighs_as_the_posterior_says_or_1():
    """Of mean squares over 7 data, S -> S e^(P / 7), whose logarithm is the posterior's, with exact slopes; half a
    square by a likelihood per datum; 1 beside features in tolerances."""
    step = StepResponse(0.5, np.full(61, -68.0), amplitude=0.1, onset=5.0)
    trains = SpikeTrains([[5.0, 20.0], [11.0]], 0.4, t1=40.0)
    deviations = {"a": jnp.asarray(-3.0), "b": jnp.asarray(0.5)}

    def made(target, loss, tells_scatter):
        return Problem(Experiment(LIF(), target), (), None, (), (), loss, {}, 7, tells_scatter)

    assert made(trains, SpikeLikelihood(), False).prior_weight == 0.5 / 7
    errors = jnp.linspace(-1.0, 2.0, 7)
    features = made(step, FeatureLoss(), False)
    added = features.value((errors, deviations)) - features.value((errors, {}))
    assert float(added) == pytest.approx(9.25, rel=1e-12)
    for loss in (TraceLoss(), lambda prediction, target: jnp.ones(7)):
        problem = made(REST, loss, True)
        grown = problem.value((errors, deviations))
        assert float(grown) == pytest.approx(np.mean(np.asarray(errors) ** 2) * np.exp(9.25 / 7), rel=1e-12)
        slopes = jax.grad(lambda of_all, problem=problem: jnp.log(problem.value(of_all)))((errors, deviations))
        np.testing.assert_allclose(slopes[0], 2 * np.asarray(errors) / np.sum(np.asarray(errors) ** 2), rtol=1e-12)
        np.testing.assert_allclose([float(slopes[1]["a"]), float(slopes[1]["b"])], [-6 / 7, 1 / 7], rtol=1e-12)
    far = [made(REST, TraceLoss(), True).value((errors, {"a": jnp.asarray(x)})) for x in (1e2, 1e4, 1e6)]
    assert np.all(np.isfinite(far)) and np.all(np.diff(far) > 0)


def test_priors_wrong_use_is_one_sentence():
    free = {"E_L": (-90.0, -50.1), "R_m": (None, None)}
    with refused("priors.*free parameters.*'V_th'.*choose from E_L, R_m"):
        fit(LIF(), REST, free=free, priors={"V_th": Normal(-50.0, 1.0)})
    with refused("priors.*Normal or LogNormal.*'E_L'", TypeError):
        fit(LIF(), REST, free=free, priors={"E_L": (-70.0, 3.0)})
    with refused("priors.*Normal where.*negative.*LogNormal.*'E_L'"):
        fit(LIF(), REST, free=free, priors={"E_L": LogNormal(70.0, 0.3)})
    for std in (0.0, -1.0, np.nan):
        with refused(f"std.*positive.*{std:g}"):
            Normal(-70.0, std)
        with refused(f"sigma.*positive.*{std:g}"):
            LogNormal(70.0, std)
        with refused(f"median.*positive.*{std:g}"):
            LogNormal(std, 0.5)


# -- names of free parameters ------------------------------------------------------------------------------------------

LEAKS = Membrane(channels={"a": Leak(g_max=0.2, E_rev=-60.0), "b": Leak(g_max=0.05, E_rev=-80.0)})
SHARED = {"a.E_rev = b.E_rev": (-90.0, -50.0), "*.g_max": (0.01, 1.0)}


@pytest.fixture(scope="module")
def shared_fit():
    """Two leaks of one reversal potential and one conductance."""
    truth = {"a.E_rev": -72.0, "b.E_rev": -72.0, "a.g_max": 0.11, "b.g_max": 0.11}
    V = simulate(params.replace(LEAKS, truth), Step(1.0, 5.0), t1=30.0, dt_save=0.5).voltage
    return fit(LEAKS, VoltageTrace(0.5, V, Step(1.0, 5.0)), free=SHARED, start="model", steps=20, **QUICK)


def test_free_names_of_several_parameters_give_them_one_value(shared_fit):
    assert shared_fit.values == pytest.approx({"a.E_rev = b.E_rev": -72.0, "*.g_max": 0.11}, rel=1e-5)
    for part in ("g_max", "E_rev"):
        found = [float(params.get(shared_fit.model, f"{channel}.{part}")) for channel in "ab"]
        assert found == [next(v for name, v in shared_fit.values.items() if part in name)] * 2
    assert all(p.of_model for p in shared_fit.params.values())


def test_saved_fit_of_shared_names_applies_to_the_model(shared_fit, tmp_path):
    shared_fit.save(tmp_path / "fit.json")
    again = load(tmp_path / "fit.json").apply(LEAKS)
    for name in ("a.g_max", "b.g_max", "a.E_rev", "b.E_rev"):
        assert float(params.get(again, name)) == float(params.get(shared_fit.model, name))


PASSIVE = LIF(E_L=-70.0, R_m=120.0, tau_m=15.0, V_th=1e3)
PULSE = Step(0.2, onset=10.0, duration=40.0)


def behind_electrode():
    """60 ms of a passive cell behind 12 MOhm and -3 mV, and the guess that there is neither."""
    V = simulate(PASSIVE, PULSE, t1=60.0, dt_save=0.5).voltage
    I = np.where((0.5 * np.arange(V.size) >= 10.0) & (0.5 * np.arange(V.size) < 50.0), 0.2, 0.0)  # noqa: E741
    return VoltageTrace(0.5, V + 12.0 * I - 3.0, PULSE, electrode=Electrode())


def test_fit_recovers_series_resistance_and_offset_of_the_electrode(tmp_path):
    """Which are not the model's; a saved fit gives the model its own parameters back."""
    free = {"R_m": (40.0, 400.0), "electrode.R_s": (0.1, 100.0), "offset": (-20.0, 20.0)}
    start = {"R_m": 80.0, "electrode.R_s": 40.0, "offset": 2.0}
    result = fit(PASSIVE, behind_electrode(), free=free, start=start, steps=20, **QUICK)
    assert result.values == pytest.approx({"R_m": 120.0, "electrode.R_s": 12.0, "offset": -3.0}, rel=1e-6)
    assert [p.of_model for p in result.params.values()] == [True, False, False]
    assert float(result.target.electrode.R_s) == result.values["electrode.R_s"]
    result.save(tmp_path / "fit.json")
    assert {"offset", "electrode.R_s"} & set(json.loads((tmp_path / "fit.json").read_text())["fixed"]) == set()
    assert load(tmp_path / "fit.json").apply(LIF()).R_m == result.model.R_m


def test_free_name_of_the_model_wins_over_one_of_the_target():
    experiment = Experiment(VoltageClamp(HodgkinHuxley()), behind_electrode())
    chosen = checked_free(experiment, {"R_s": (0.1, 1.0), "electrode.R_s": (0.1, 100.0)})
    assert [one.of_model for one in chosen.values()] == [True, False]


def test_free_names_wrong_use_is_one_sentence():
    two = Joint({"low": behind_electrode(), "high": behind_electrode()})
    with refused(r"'amplitude'.*\"\*.amplitude\""):
        fit(PASSIVE, two, free={"amplitude": (0.1, 0.3)})
    twice = [("R_m", "*.R_m"), ("offset", "electrode.offset"), ("R_m", "R_m = tau_m")]
    for pair in twice:
        with refused("name each parameter once"):
            fit(PASSIVE, behind_electrode(), free=dict.fromkeys(pair, (1.0, 30.0)))
    with refused("'nonsense'"):
        fit(PASSIVE, behind_electrode(), free={"R_m = nonsense": (1.0, 30.0)})


def test_screened_fit_starts_at_the_best_of_its_points():
    free, target = {"R_m": (40.0, 400.0), "tau_m": (3.0, 60.0)}, behind_electrode()
    options = {"steps": 5, "strategy": "newton", "progress": False, "seed": 2}
    best = fit(PASSIVE, target, free=free, n_starts=3, screened=16, **options)
    points = sobol(dict.fromkeys(free, (0.0, 1.0)), 16, seed=2).columns
    u = jnp.stack([jnp.log(jnp.asarray(p / (1 - p))) for p in points.values()], axis=1)
    every = losses_at(best.problem, u)
    np.testing.assert_allclose(best.history[0], np.sort(every)[:3], rtol=1e-9)
    report = best.stages[0]
    assert report.name == "screening" and report.loss == pytest.approx(best.history[0, 0], rel=1e-9)
    assert best.loss < 0.5 * report.loss


# -- sweeps of a recording ---------------------------------------------------------------------------------------------


TS = 0.05 * np.arange(1401)  # ms
SPIKES = np.array([20.013, 44.31])  # ms, upward crossings of 0 mV


def sweep_of(current):
    """Two spikes as saw teeth, which rise by 120 mV/ms and fall by 60."""
    since = TS[:, None] - SPIKES
    teeth = np.minimum(120.0 * since, 60.0 - 60.0 * since)
    return Recording.from_arrays(TS + 100.0, np.max(teeth, axis=1, initial=-65.0), current)[0]


def test_stimulus_of_a_sweep_is_its_current():
    """Levels of a command made of steps, samples of another; nA, or uA/cm^2 of a membrane; from its first sample on."""
    steps = np.where((TS >= 10.0) & (TS < 52.5), 150.0, -20.0)
    ramp = np.clip(4.0 * (TS - 12.0), 0.0, 120.0)
    for current, kind in ((steps, Levels), (ramp, Sampled)):
        for area, factor in ((None, 1e-3), (2e4, 100 / 2e4)):
            stimulus = stimulus_of(sweep_of(current), area=area)
            assert isinstance(stimulus, kind)
            # up to rounding, a sample on an edge is on its far side
            found = jax.vmap(stimulus)(jnp.asarray(TS) + 1e-9)
            np.testing.assert_allclose(found[:-1], factor * current[:-1], rtol=1e-6, atol=1e-9)
    assert stimulus_of(sweep_of(steps), t1=30.0).starts.size == 2


def test_trace_of_a_sweep_leaves_out_what_is_near_spikes():
    sweep = sweep_of(np.where(TS >= 10.0, 150.0, 0.0))
    trace = trace_of(sweep, t1=40.0, every=4, without_spikes=(2.0, 5.0), electrode=Electrode(R_s=3.0), threshold=0.0)
    np.testing.assert_allclose(trace.ts, TS[:801:4], atol=1e-9)
    np.testing.assert_array_equal(trace.voltage, sweep.voltage[:801:4])
    since = trace.ts[:, None] - SPIKES
    np.testing.assert_array_equal(trace.mask, ~np.any((since > -2.0) & (since < 5.0), axis=1))
    assert 30 < np.sum(~np.asarray(trace.mask)) < 40 and trace.electrode.R_s == 3.0
    assert trace_of(sweep).mask is None


def test_spikes_of_a_sweep_are_its_crossings_and_of_a_silent_one_a_sentence():
    sweep = sweep_of(np.where(TS >= 10.0, 150.0, 0.0))
    for t1, n in ((60.0, 2), (30.0, 1)):
        found = spikes_of(sweep, t1=t1, threshold=0.0)
        times = np.asarray(found.times)
        np.testing.assert_allclose(times[np.isfinite(times)], SPIKES[:n], atol=1e-9)
        assert found.t1 == t1
    with refused("sweep.*must have spikes.*none above threshold=0 mV up to 15 ms"):
        spikes_of(sweep, t1=15.0, threshold=0.0)


def test_huber_spike_time_loss_is_plain_for_small_errors_and_linear_for_large_ones():
    """The mean over the data's spikes of 2 h^2 (sqrt(1 + (e / h)^2) - 1)."""
    run = simulate(LIF(), Step(0.5), t1=100.0, dt_save=1.0, max_spikes=3)

    def loss(error, huber):
        target = SpikeTimes(run.spike_times - error, Step(0.5), t1=100.0, room=3)
        chosen = SpikeTimeLoss(huber=huber)
        return float(chosen.value(chosen(run, target), target))

    assert np.all(np.isfinite(run.spike_times))
    for error in (1e-3, 0.7, 9.0):
        assert loss(error, None) == pytest.approx(error**2, rel=1e-9)
        assert loss(error, 5.0) == pytest.approx(50.0 * (np.sqrt(1 + (error / 5.0) ** 2) - 1), rel=1e-8)
    assert loss(1e-3, 5.0) == pytest.approx(1e-6, rel=1e-7)
    assert loss(9.0, 0.1) - loss(8.0, 0.1) == pytest.approx(2 * 0.1 * 1.0, rel=1e-3)
    with refused("huber.*positive.*-1"):
        SpikeTimeLoss(huber=-1.0)
