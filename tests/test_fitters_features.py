"""Features of spikes in a sampled voltage, the loss of them, fits to it by Newton steps and by populations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, finite_differences, quick_jit
from refusals import refused

from jaxneuro import LIF, ExactSpikes, HodgkinHuxley, Step, params, simulate
from jaxneuro.fitters import FeatureLoss, StepResponse, VoltageTrace, fit
from jaxneuro.fitters.search import _strategy
from jaxneuro.fitters.search._engine import Problem, _evaluate, losses_at
from jaxneuro.fitters.search._experiment import Experiment, checked_free
from jaxneuro.fitters.search._transforms import transform_for
from jaxneuro.fitters.targets._features import LAGS, spike_features

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
        rose = k
        while V[k] >= threshold - 5.0:  # which noise on the flank does not fall by
            k += 1
        top = rose + int(np.argmax(V[rose:k]))
        parabola = np.polyfit([-1.0, 0.0, 1.0], V[top - 1 : top + 2], 2)
        spike["peak"] = np.polyval(parabola, -parabola[1] / (2 * parabola[0]))
        spike["end"] = TS[k - 1] + DT * (V[k - 1] - threshold + 5.0) / (V[k - 1] - V[k])
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
        pytest.param([0.1, 18.11, 33.3], 0.0, 2, id="begins above the threshold"),
        pytest.param([0.1, 18.11, 58.3], 0.0, 5, id="lowest where no trough is sought"),
        pytest.param([10.013, 24.31, 33.77, 51.2], 0.0, 2, id="more than there is room for"),
        pytest.param([15.5], 0.0, 4, id="one"),
        pytest.param([], 0.0, 4, id="none"),
    ],
)
def test_spike_features_are_those_of_a_loop_over_samples(centres, threshold, room):
    V, stop = np.asarray(spiking(SHAPE, centres)), 60.0
    features = jax.jit(spike_features, static_argnums=4)(jnp.asarray(V), 0.0, DT, threshold, room, stop)
    every = by_loop(V, threshold, stop)
    expected = every[:room]
    n = len(expected)
    assert n == min(len(centres) - (V[0] > threshold), room)
    np.testing.assert_array_equal(features.has_spike, np.arange(room) < n)
    for name in ("time", "end", "peak", "trough", "waveform"):
        found = getattr(features, name)
        assert found.shape[0] == room and np.all(np.isfinite(found))
        np.testing.assert_allclose(found[:n], [s[name] for s in expected] or found[:0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(features.width[:n], [s["end"] - s["time"] for s in expected], rtol=1e-9)
    whole = n if len(every) == n else n - 1  # of the last one the end is not known
    is_own = np.array([s["is_own"] for s in expected], bool).reshape(n, len(LAGS))
    np.testing.assert_array_equal(features.is_own[:whole], is_own[:whole])
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


@jax.jit
def voltage_of(amplitude):
    """45 ms of the model's own answer to a step after 5 ms, with the solver of the target."""
    solver = StepResponse(DT, np.zeros(9), amplitude=1.0, onset=0.1).solver_for(HH)
    return simulate(HH, Step(amplitude, 5.0), t1=45.0, dt_save=DT, solver=solver, max_spikes=8).voltage


def response(amplitude):
    return StepResponse(DT, voltage_of(amplitude)[:601], amplitude=amplitude, onset=5.0, room=6)


@pytest.fixture(scope="module")
def single():
    """30 ms with one spike, which none follows."""
    return response(5.0)


@pytest.fixture(scope="module")
def double():
    """30 ms with two spikes, half way to the third."""
    return response(9.1)


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
    times = spike_features(voltage_of(9.1), 0.0, DT, 0.0, 3, 30.0).time
    phase = float((30.0 - times[1]) / (times[2] - times[1]))
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
    for target, n in ((single, 1), (double, 2)):
        assert np.any(np.isclose(errors_of({"na.g_max": 20.0}, target), 9.0 * np.sqrt(n), rtol=1e-12))


def test_feature_loss_of_a_spike_that_the_end_of_the_data_cuts_is_zero_for_its_own_trace(single):
    """Cut at its peak: neither its height nor its width is known."""
    V = voltage_of(5.0)
    cut = StepResponse(DT, V[: int(jnp.argmax(V)) + 1], amplitude=5.0, onset=5.0)
    assert 0 <= float(cut.features.width[0]) < 5.0
    run = single.predict(HH, single.solver_for(HH))
    assert float(jnp.sum(FeatureLoss()(run, cut) ** 2)) < 1e-12


def problem_of(model, target, free, loss):
    chosen = checked_free(Experiment(model, target), free)
    transforms = tuple(transform_for(*one.bounds, one.value) for one in chosen.values())
    paths = tuple(one.paths for one in chosen.values())
    return Problem(Experiment(model, target), transforms, target.solver_for(model), tuple(free), paths, loss)


def test_feature_loss_gradient_is_that_of_differences(double):
    """Of the engine, which takes it from residuals."""
    problem = problem_of(HH, double, G_MAX, FeatureLoss())
    u = np.array([-0.2, 0.15, 0.1])
    found = quick_jit(lambda u: _evaluate(problem, u)[0])(jnp.asarray(u))
    value = quick_jit(lambda u: losses_at(problem, u[None]))
    assert float(found.loss) > 0.1
    np.testing.assert_allclose(found.loss, value(u)[0], rtol=1e-12)
    np.testing.assert_allclose(found.gradient, finite_differences(value, u)[0], rtol=1e-5)


def test_step_response_wrong_use_is_one_sentence(double):
    V = np.asarray(double.voltage)
    with refused("`voltage` must hold finite numbers.*1 such in all"):
        StepResponse(DT, np.where(np.arange(V.size) == 7, np.nan, V), amplitude=10.0, onset=5.0)
    for wrong in (V[None], V[:1]):
        with refused("voltage.*shape"):
            StepResponse(DT, wrong, amplitude=10.0, onset=5.0)
    for onset in (0.0, -1.0, 30.0, 40.0):
        with refused(f"onset.*within the trace, 0 to 30 ms.*{onset:g}"):
            StepResponse(DT, V, amplitude=10.0, onset=onset)
    with refused("room.*more than the 2 spikes.*2"):
        StepResponse(DT, V, amplitude=10.0, onset=5.0, room=2)


def test_fit_to_features_recovers_conductances(double):
    """From a start 20 % off; peaks of samples have kinks of 0.06 mV, which leave 2 % along the valley."""
    truth = {name: float(params.get(HH, name)) for name in G_MAX}
    start = {"na.g_max": 96.0, "k.g_max": 28.8, "leak.g_max": 0.36}
    result = fit(HH, double, free=G_MAX, start=start, steps=25, **QUICK)
    assert result.history[0, 0] > 1.0 and result.loss < 0.01
    assert result.values == pytest.approx(truth, rel=2e-2)
    assert result.loss_unit == "tolerances^2"


@pytest.mark.slow
def test_population_finds_spikes_that_newton_does_not(double, monkeypatch, tmp_path):
    """From a silent start; to the last bit again with the same seed, and from a finished checkpoint."""
    monkeypatch.setattr(_strategy, "_WIDE", (0.4, 4))
    monkeypatch.setattr(_strategy, "_NARROW", (0.1, 2))
    free = {"na.g_max": (10.0, 240.0), "k.g_max": (10.0, 100.0)}
    options = {"free": free, "start": {"na.g_max": 30.0, "k.g_max": 90.0}, "steps": 20}
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


@pytest.mark.slow
def test_population_serves_a_loss_that_is_one_number(monkeypatch):
    monkeypatch.setattr(_strategy, "_WIDE", (0.4, 3))
    monkeypatch.setattr(_strategy, "_NARROW", (0.1, 2))
    target = VoltageTrace(0.5, simulate(LIF(V_th=0.0), 0.1, t1=20.0, dt_save=0.5, solver=ExactSpikes(0.5)).voltage, 0.1)
    loss = lambda run, data: jnp.mean((run.voltage - data.voltage) ** 2)  # noqa: E731
    options = {"n_starts": 1, "steps": 5, "strategy": "population", "progress": False, "loss": loss}
    result = fit(LIF(V_th=0.0), target, free={"R_m": (50.0, 200.0)}, **options)
    assert np.isfinite(result.loss) and [s.name for s in result.stages] == ["population", "population", "gradient"]
    assert result.values["R_m"] == pytest.approx(100.0, rel=0.05)


def test_noise_on_a_flank_is_no_spike():
    """0.5 mV at samples every 0.02 ms, where the slow flank falls by less from one to the next."""
    ts = 0.02 * np.arange(3001)
    V = -65.0 + 95.0 * sum(np.exp(-(((ts - centre) / 3.0) ** 2)) for centre in (12.0, 31.0, 48.0))
    noisy = V + 0.5 * np.random.default_rng(0).normal(size=ts.size)
    assert np.sum((noisy[1:] >= 0) & (noisy[:-1] < 0)) > 3
    clean, found = (spike_features(jnp.asarray(x), 0.0, 0.02, 0.0, 6, 60.0) for x in (V, noisy))
    np.testing.assert_array_equal(found.has_spike, clean.has_spike)
    np.testing.assert_allclose(found.time, clean.time, atol=0.1)
    np.testing.assert_allclose(found.width, clean.width, atol=0.2)


# -- features of a voltage trace --------------------------------------------------------------------------------------


def trace_of_step(onset, t0=0.0, **options):
    V = voltage_of(9.1)[:601]
    return VoltageTrace(t0 + DT * np.arange(601), V, Step(9.1, onset), **options), V


def run_of(trace):
    return trace.predict(HH, trace.solver_for(HH))


@pytest.mark.parametrize("t0", [0.0, -7.0])
def test_features_of_a_trace_are_those_of_the_step_in_it(double, t0):
    """But for what the trace does not have: the time beyond its end, in which a spike that is late has a time."""
    trace, _ = trace_of_step(5.0 + t0, t0)
    model = params.replace(HH, {"na.g_max": 122.0})
    loss = FeatureLoss()
    of_step = loss(double.predict(model, double.solver_for(model)), double)
    of_trace = loss(trace.predict(model, trace.solver_for(model)), trace)
    n_step, n_trace = (double.features.time.size, int(30.0 / 2.0) + 2)
    spikes = [np.asarray(errors)[: 18 * n] for errors, n in ((of_step, n_step), (of_trace, n_trace))]
    for k in range(5):  # the parts that are one number for each spike
        found, expected = (part[k * n : (k + 1) * n] for part, n in zip(spikes[::-1], (n_trace, n_step), strict=True))
        np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-6, atol=1e-9)
        assert np.any(np.abs(expected[:2]) > 1e-3) and not np.any(found[2:])
    np.testing.assert_allclose(np.asarray(of_trace)[-6:], np.asarray(of_step)[-6:], rtol=1e-6, atol=1e-9)


def test_features_await_spikes_from_the_trace_s_beginning_where_the_cell_fires_before_the_step():
    loss = FeatureLoss()
    late, _ = trace_of_step(25.0)  # after both spikes
    run = run_of(trace_of_step(5.0)[0])
    assert float(jnp.sum(loss(run, late) ** 2)) < 1e-12
    # a spike before the onset that the data have not counts 5 tolerances
    quiet = VoltageTrace(DT, jnp.full(601, -65.0), Step(9.1, 25.0))
    assert np.any(np.isclose(np.asarray(loss(run, quiet)), 10.0))


def test_features_of_a_trace_leave_out_what_is_masked():
    trace, V = trace_of_step(5.0)
    masked, _ = trace_of_step(5.0, mask=np.asarray(V) < -20.0)
    run = run_of(trace_of_step(5.0)[0])
    lower = eqx.tree_at(lambda r: r.ys.V, run, jnp.where(run.voltage < -20.0, run.voltage, run.voltage - 5.0))
    of_whole, of_masked = (float(jnp.sum(FeatureLoss()(lower, target) ** 2)) for target in (trace, masked))
    assert of_whole > 1.0 and of_masked < 1e-12


def test_gradient_of_features_of_a_trace_is_that_of_differences():
    trace, _ = trace_of_step(5.0)
    problem = problem_of(HH, trace, G_MAX, FeatureLoss())
    u = np.array([-0.2, 0.15, 0.1])
    found = quick_jit(lambda u: _evaluate(problem, u)[0])(jnp.asarray(u))
    value = quick_jit(lambda u: losses_at(problem, u[None]))
    assert float(found.loss) > 0.1
    np.testing.assert_allclose(found.gradient, finite_differences(value, u)[0], rtol=1e-5)
