"""Fits to features of spikes, by populations, with priors, and of parameters by shared or the target's own names."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, finite_differences
from refusals import refused

from jaxneuro import LIF, EscapeRate, HodgkinHuxley, Levels, Recording, Sampled, Step, params, simulate
from jaxneuro.channels import Leak
from jaxneuro.fitters import (
    Electrode,
    FeatureLoss,
    Joint,
    LogNormal,
    Normal,
    SpikeTimeLoss,
    SpikeTimes,
    SpikeTrains,
    StepResponse,
    VoltageTrace,
    _strategy,
    fit,
    load,
    spikes_of,
    stimulus_of,
    trace_of,
)
from jaxneuro.fitters._engine import Problem, _evaluate, losses_at
from jaxneuro.fitters._experiment import Experiment, checked_free
from jaxneuro.fitters._features import LAGS, spike_features
from jaxneuro.fitters._transforms import transform_for
from jaxneuro.models import Membrane, VoltageClamp

DT = 0.05  # ms
TS = DT * np.arange(1401)  # up to 70 ms
SHAPE = {"height": 95.0, "width": 0.8, "dip": 12.0, "delay": 3.1, "shift": 0.0, "tilt": 0.03}
QUICK = {"n_starts": 1, "strategy": "newton", "progress": False}


# -- features of a sampled voltage -------------------------------------------------------------------------------------


def spiking(shape, centres, ts=TS):
    """Bell-shaped spikes, each lower than the one before, and a dip after each, on a line [mV]."""
    V = -65.0 + shape["tilt"] * ts
    for k, centre in enumerate(centres):
        after = ts - centre - shape["shift"] * (k + 1)
        V = V + shape["height"] * 0.95**k * jnp.exp(-((after / shape["width"]) ** 2))
        V = V - shape["dip"] * (1 + 0.1 * k) * jnp.exp(-(((after - shape["delay"]) / 1.7) ** 2))
    return V


def by_loop(V, threshold, stop):
    """The features of all spikes, sample by sample."""
    found, k = [], 0
    while k < V.size - 1:
        if not V[k] < threshold <= V[k + 1]:
            k += 1
            continue
        spike = {"time": TS[k] + DT * (threshold - V[k]) / (V[k + 1] - V[k]), "peak": -np.inf, "trough": np.inf}
        k += 1
        while V[k] >= threshold:
            spike["peak"] = max(spike["peak"], V[k])
            k += 1
        spike["end"] = TS[k - 1] + DT * (V[k - 1] - threshold) / (V[k - 1] - V[k])
        begun = k
        while k < V.size - 1 and V[k] < threshold:
            spike["trough"] = min(spike["trough"], V[k]) if TS[k] <= stop else spike["trough"]
            k += 1
        k = max(k - 1, begun)
        found.append(spike)
    for k, spike in enumerate(found):
        at = spike["time"] + np.array(LAGS)
        low = (found[k - 1]["end"] if k else TS[0]) + 3.0
        high = (found[k + 1]["time"] if k + 1 < len(found) else stop) - 1.5
        spike["waveform"], spike["is_own"] = np.interp(at, TS, V), (at > low) & (at < high)
    return found


@pytest.mark.parametrize(
    "centres, threshold, room",
    [
        pytest.param([10.013, 24.31, 39.77], 0.0, 3, id="room for all"),
        pytest.param([10.013, 24.31, 39.77], -20.0, 7, id="room to spare"),
        pytest.param([0.1, 18.11, 33.3], 0.0, 5, id="begins above the threshold"),
        pytest.param([10.013, 24.31, 33.77, 51.2], 0.0, 2, id="more than there is room for"),
        pytest.param([15.5], 0.0, 4, id="one"),
        pytest.param([], 0.0, 4, id="none"),
    ],
)
def test_spike_features_are_those_of_a_loop_over_samples(centres, threshold, room):
    V, stop = np.asarray(spiking(SHAPE, centres)), 60.0
    features = jax.jit(spike_features, static_argnums=4)(jnp.asarray(V), 0.0, DT, threshold, room, stop)
    expected = by_loop(V, threshold, stop)[:room]
    n = len(expected)
    assert n == min(len(centres) - (V[0] > threshold), room)
    np.testing.assert_array_equal(features.has_spike, np.arange(room) < n)
    for name in ("time", "end", "peak", "trough", "waveform"):
        found = getattr(features, name)
        assert found.shape[0] == room and np.all(np.isfinite(found))
        np.testing.assert_allclose(found[:n], [s[name] for s in expected] or found[:0], rtol=1e-12, atol=1e-12)
    for s, width, is_own in zip(expected, features.width, features.is_own, strict=False):
        assert width == pytest.approx(s["end"] - s["time"], rel=1e-9)
        np.testing.assert_array_equal(is_own, s["is_own"])
    assert not np.any(features.is_own[n:]) and np.all(features.width[n:] == 0)
    assert np.all(features.peak[n:] == threshold) and np.all(features.trough[n:] == threshold)


def test_spike_features_derivatives_are_those_of_differences():
    """Also where there is room to spare, and spikes of other shapes than one another."""

    def answer(shape):
        found = spike_features(spiking(shape, [10.013, 24.31, 39.77]), 0.0, DT, 0.0, 5, 60.0)
        return found.time, found.end, found.width, found.peak, found.trough, found.waveform

    assert_derivatives_agree(answer, SHAPE, rtol=1e-5, atol=1e-6, step=1e-5, modes=("forward",))


# -- the loss of an answer to a step -----------------------------------------------------------------------------------

HH = HodgkinHuxley()
G_MAX = {"na.g_max": (60.0, 240.0), "k.g_max": (18.0, 72.0), "leak.g_max": (0.1, 0.9)}


def response(amplitude, end, **options):
    """The model's own answer to a step that begins after 5 ms, with the solver of the target."""
    blank = StepResponse(DT, np.zeros(9), amplitude=1.0, onset=0.1)
    run = simulate(HH, Step(amplitude, 5.0), t1=end, dt_save=DT, solver=blank.solver_for(HH), max_spikes=8)
    return StepResponse(DT, run.voltage, amplitude=amplitude, onset=5.0, **options)


@pytest.fixture(scope="module")
def single():
    """30 ms with one spike, which none follows."""
    return response(5.0, 30.0)


@pytest.fixture(scope="module")
def double():
    """29 ms with two spikes, half way to the third."""
    return response(10.0, 29.0)


@jax.jit
def errors_of(values, target):
    model = params.replace(HH, values)
    return FeatureLoss()(target.predict(model, target.solver_for(model)), target)


def loss_of(values, target):
    return float(FeatureLoss().value(errors_of(values, target), target))


def test_feature_loss_of_its_own_trace_is_zero_but_for_the_phase(single, double):
    """The count's error is how far the next spike is from half way, over 0.5; without a next spike there is none."""
    assert int(jnp.sum(single.features.has_spike)) == 1 and int(jnp.sum(double.features.has_spike)) == 2
    assert loss_of({}, single) < 1e-12
    run = double.predict(HH, double.solver_for(HH))
    times = double.model_features(run.voltage).time
    phase = (double.end - times[1]) / (times[2] - times[1])
    errors = np.asarray(errors_of({}, double))
    k = int(np.argmax(np.abs(errors)))
    assert 1e-3 < abs(errors[k]) == pytest.approx(abs(phase - 0.5) / 0.5, rel=1e-9)
    assert np.sum(np.delete(errors, k) ** 2) < 1e-12


@pytest.mark.parametrize("name", G_MAX)
def test_feature_loss_grows_as_a_conductance_moves_away(single, name):
    at = float(params.get(HH, name))
    for side in (-1, 1):
        losses = [loss_of({name: at * (1 + side * share)}, single) for share in (0.0, 0.05, 0.1, 0.2)]
        assert losses[1] > 0.01 and np.all(np.diff(losses) > 0)


def test_feature_loss_of_a_missing_spike_is_more_than_of_any_other_error(single, double):
    """9 tolerances for one, and the more the further the voltage stays below threshold."""
    present = [loss_of({"na.g_max": g}, single) for g in (80.0, 100.0, 130.0, 180.0)]
    missing = [loss_of({"na.g_max": g}, single) for g in (60.0, 40.0, 20.0)]
    assert max(present) < 81.0 < missing[0] < missing[1] < missing[2]
    assert loss_of({"na.g_max": 20.0}, double) > 2 * 81.0


def test_feature_loss_of_a_spike_that_the_end_of_the_data_cuts_is_zero_for_its_own_trace():
    """Cut at its peak: neither its height nor its width is known."""
    full = response(5.0, 30.0)
    k = int(np.argmax(full.voltage))
    cut = StepResponse(DT, full.voltage[: k + 1], amplitude=5.0, onset=5.0)
    assert 0 <= float(cut.features.width[0]) < 5.0
    assert loss_of({}, cut) < 1e-12


def problem_of(model, target, free, loss):
    chosen = checked_free(Experiment(model, target), free)
    transforms = tuple(transform_for(*one.bounds, one.value) for one in chosen.values())
    paths = tuple(one.paths for one in chosen.values())
    return Problem(Experiment(model, target), transforms, target.solver_for(model), tuple(free), paths, loss)


def test_feature_loss_gradient_is_that_of_differences(double):
    """Of the engine, which takes it from residuals."""
    problem = problem_of(HH, double, G_MAX, FeatureLoss())
    u = np.array([-0.2, 0.15, 0.1])
    found = jax.jit(lambda u: _evaluate(problem, u)[0])(jnp.asarray(u))
    value = jax.jit(lambda u: losses_at(problem, u[None]))
    assert float(found.loss) > 0.1
    np.testing.assert_allclose(found.loss, value(u)[0], rtol=1e-12)
    np.testing.assert_allclose(found.gradient, finite_differences(value, u)[0], rtol=1e-5)


def test_step_response_wrong_use_is_one_sentence(double):
    V = np.asarray(double.voltage)
    with refused("voltage.*finite numbers.*1 that are not finite"):
        StepResponse(DT, np.where(np.arange(V.size) == 7, np.nan, V), amplitude=10.0, onset=5.0)
    for wrong in (V[None], V[:1]):
        with refused("voltage.*shape"):
            StepResponse(DT, wrong, amplitude=10.0, onset=5.0)
    for onset in (0.0, -1.0, 29.0, 40.0):
        with refused(f"onset.*within the trace, 0 to 29 ms.*{onset:g}"):
            StepResponse(DT, V, amplitude=10.0, onset=onset)
    with refused("room.*more than the 2 spikes.*2"):
        StepResponse(DT, V, amplitude=10.0, onset=5.0, room=2)


def test_fit_to_features_recovers_conductances(single):
    """From a start 20 % off, to rounding: the data are exact, and no spike follows whose phase would matter."""
    truth = {name: float(params.get(HH, name)) for name in G_MAX}
    start = {"na.g_max": 96.0, "k.g_max": 43.2, "leak.g_max": 0.36}
    result = fit(HH, single, free=G_MAX, start=start, steps=15, **QUICK)
    assert result.history[0, 0] > 1.0
    assert result.values == pytest.approx(truth, rel=1e-6)
    assert result.loss_unit == "tolerances^2"


def test_population_finds_spikes_that_newton_does_not(double, monkeypatch, tmp_path):
    """From a silent start; to the last bit again with the same seed, and from a finished checkpoint."""
    monkeypatch.setattr(_strategy, "_WIDE", (0.4, 4))
    monkeypatch.setattr(_strategy, "_NARROW", (0.1, 2))
    free = {"na.g_max": (10.0, 240.0), "k.g_max": (10.0, 100.0)}
    options = {"free": free, "start": {"na.g_max": 30.0, "k.g_max": 60.0}, "steps": 20}
    newton = fit(HH, double, **options | QUICK)
    assert newton.history[0, 0] > 162.0  # the start is silent
    assert newton.loss > 81.0  # and so is one spike at its end
    searches = QUICK | {"strategy": "population"}
    found = fit(HH, double, **options | searches)
    assert found.loss < 1e-3
    assert [stage.name for stage in found.stages] == ["population", "Levenberg-Marquardt"] * 2
    assert [stage.n_simulations for stage in found.stages[::2]] == [1 + 4 * 48, 1 + 2 * 48]
    again = fit(HH, double, checkpoint=tmp_path / "fit.npz", **options | searches)
    resumed = fit(HH, double, checkpoint=tmp_path / "fit.npz", **options | searches)
    other = fit(HH, double, seed=1, **options | searches)
    assert found.values == again.values == resumed.values
    assert [stage.loss for stage in resumed.stages] == [stage.loss for stage in found.stages]
    assert other.stages[0].loss != found.stages[0].loss


# -- priors ------------------------------------------------------------------------------------------------------------

REST = VoltageTrace(1.0, np.full(11, -68.0), Step(0.0))


def test_prior_and_data_meet_at_the_mean_weighted_by_precision():
    """11 samples at -68 mV, each of precision 1, and a resting potential of (-75 +- 0.5) mV."""
    result = fit(LIF(), REST, free={"E_L": (-90.0, -50.1)}, priors={"E_L": Normal(-75.0, 0.5)}, steps=20, **QUICK)
    assert result.values["E_L"] == pytest.approx((11 * -68.0 + 4 * -75.0) / 15, rel=1e-7)


def test_log_normal_prior_weighs_the_logarithm():
    """Against a loss of the user's own with 4 residuals."""

    def residuals(solution, target):
        return jnp.full(4, jnp.log(solution.model.R_m / 150.0))

    options = {"free": {"R_m": (1.0, 1e3)}, "priors": {"R_m": LogNormal(60.0, 0.5)}, "loss": residuals, "steps": 20}
    result = fit(LIF(), REST, **options | QUICK)
    expected = np.exp((4 * np.log(150.0) + 4 * np.log(60.0)) / 8)
    assert result.values["R_m"] == pytest.approx(expected, rel=1e-7)


def test_prior_adds_to_every_loss_as_much_as_one_residual_or_the_likelihood_does():
    trains = SpikeTrains([[5.0, 20.0], [11.0]], 0.4, t1=40.0)
    step = StepResponse(0.5, np.full(61, -68.0), amplitude=0.1, onset=5.0)
    leaky = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-66.0)})
    cases = [(LIF(), REST, "E_L", 1 / 11), (EscapeRate(LIF()), trains, "E_L", 0.5 / 3), (leaky, step, "leak.E_rev", 1)]
    for model, target, name, weight in cases:
        options = {"free": {name: (-90.0, -50.1)}, "start": "model", "steps": 1}
        result = fit(model, target, priors={name: Normal(-75.0, 2.0)}, **options | QUICK)
        u = result.u[None]
        plain = losses_at(dataclasses.replace(result.problem, priors={}), u)
        expected = plain + weight * ((result.values[name] + 75.0) / 2.0) ** 2
        np.testing.assert_allclose(losses_at(result.problem, u), expected, rtol=1e-9)
        assert result.loss == pytest.approx(float(expected[0]), rel=1e-9)


def test_priors_wrong_use_is_one_sentence():
    free = {"E_L": (-90.0, -50.1), "R_m": (None, None)}
    with refused("priors.*free parameters.*'V_th'.*choose from E_L, R_m"):
        fit(LIF(), REST, free=free, priors={"V_th": Normal(-50.0, 1.0)})
    with refused("priors.*Normal or LogNormal.*'E_L'", TypeError):
        fit(LIF(), REST, free=free, priors={"E_L": (-70.0, 3.0)})
    with refused("priors.*Normal where.*negative.*LogNormal.*'E_L'"):
        fit(LIF(), REST, free=free, priors={"E_L": LogNormal(70.0, 0.3)})
    for std in (0.0, -1.0, np.nan):
        with refused(f"std.*positive.*{std}"):
            Normal(-70.0, std)
        with refused(f"sigma.*positive.*{std}"):
            LogNormal(70.0, std)
        with refused(f"median.*positive.*{std}"):
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
    experiment = Experiment(VoltageClamp(HH), behind_electrode())
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
    free = {"R_m": (40.0, 400.0), "tau_m": (3.0, 60.0)}
    options = {"free": free, "steps": 5, "strategy": "newton", "progress": False, "seed": 2}
    every = fit(PASSIVE, behind_electrode(), n_starts=16, **options)
    best = fit(PASSIVE, behind_electrode(), n_starts=3, screened=16, **options)
    np.testing.assert_allclose(best.history[0], np.sort(every.history[0])[:3], rtol=1e-12)
    report = best.stages[0]
    assert report.name == "screening" and report.loss == pytest.approx(best.history[0, 0], rel=1e-12)
    assert best.loss <= report.loss


# -- sweeps of a recording ---------------------------------------------------------------------------------------------


def sweep_of(current, ts=TS):
    V = np.asarray(spiking(SHAPE, [20.013, 44.31], ts))
    return Recording.from_arrays(ts + 100.0, V, current)[0]


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
    spikes = np.array([s["time"] for s in by_loop(sweep.voltage, 0.0, 70.0)])
    np.testing.assert_allclose(trace.ts, TS[:801:4], atol=1e-9)
    np.testing.assert_array_equal(trace.voltage, sweep.voltage[:801:4])
    since = trace.ts[:, None] - spikes
    np.testing.assert_array_equal(trace.mask, ~np.any((since > -2.0) & (since < 5.0), axis=1))
    assert 30 < np.sum(~np.asarray(trace.mask)) < 40 and trace.electrode.R_s == 3.0
    assert trace_of(sweep).mask is None


def test_spikes_of_a_sweep_are_its_crossings_and_of_a_silent_one_a_sentence():
    sweep = sweep_of(np.where(TS >= 10.0, 150.0, 0.0))
    spikes = np.array([s["time"] for s in by_loop(sweep.voltage, 0.0, 70.0)])
    for t1, n in ((60.0, 2), (30.0, 1)):
        found = spikes_of(sweep, t1=t1, threshold=0.0)
        times = np.asarray(found.times)
        np.testing.assert_allclose(times[np.isfinite(times)], spikes[:n], atol=DT)
        assert found.t1 == t1
    with refused("sweep.*must have spikes.*none above threshold=0 mV up to 15 ms"):
        spikes_of(sweep, t1=15.0, threshold=0.0)


def test_huber_spike_time_loss_is_plain_for_small_errors_and_linear_for_large_ones():
    run = simulate(LIF(), Step(0.5), t1=100.0, max_spikes=6)
    first = run.spike_times[:1]

    def loss(error, huber):
        loss, target = SpikeTimeLoss(huber=huber), SpikeTimes(first - error, Step(0.5), t1=float(first[0]) + 1.0, room=6)
        return float(loss.value(loss(run, target)[:1], target))

    first = run.spike_times[3:4]
    run = dataclasses.replace(run, spike_times=jnp.append(first, jnp.full(5, jnp.inf)))
    assert loss(1e-3, 5.0) == pytest.approx(loss(1e-3, None), rel=1e-7)
    for error in (0.7, 20.0):
        expected = 2 * 5.0**2 * (np.sqrt(1 + (error / 5.0) ** 2) - 1)
        assert loss(error, 5.0) / loss(error, None) == pytest.approx(expected / error**2, rel=1e-9)
    # 2 h |e| - 2 h^2: doubling the error adds 2 h |e|
    ratio = (loss(40.0, 0.1) - loss(20.0, 0.1)) / loss(20.0, None)
    assert ratio == pytest.approx(2 * 0.1 * 20.0 / 20.0**2, rel=1e-4)
    with refused("huber.*positive.*-1"):
        SpikeTimeLoss(huber=-1.0)
