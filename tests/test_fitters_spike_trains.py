"""Fits to several data at once: spike trains by their likelihood, joint targets, masks; and what trials agree on."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree
from refusals import refused

from jaxneuro import GLIF, LIF, EscapeRate, ExactSpikes, Levels, Sampled, Step, params, simulate
from jaxneuro.analysis import consensus
from jaxneuro.fitters import (
    Electrode,
    FICurve,
    FILoss,
    Joint,
    JointLoss,
    SpikeLikelihood,
    SpikeTimeLoss,
    SpikeTimes,
    SpikeTrains,
    TraceLoss,
    VoltageTrace,
    fit,
)
from jaxneuro.fitters.targets._forced import run_along
from jaxneuro.models import SpikeCurrent, SpikeThreshold

DT = 0.2  # ms
THRESHOLD = {"slow": SpikeThreshold(jump=4.0, tau=30.0)}
GIF = GLIF(
    tau_m=8.0,
    R_m=40.0,
    E_L=-65.0,
    V_th=-50.0,
    t_ref=2.07,
    reset_drop=3.0,
    a_V=0.02,
    b_V=0.05,
    thresholds=THRESHOLD,
    currents={"fast": SpikeCurrent(jump=-0.1, tau=12.0)},
)
NOISY = EscapeRate(GIF, rate_0=100.0, Delta_u=2.0)
LEVELS = Levels([0.0, 0.9, 0.2, 0.6], starts=[0.0, 10.0, 60.0, 80.0])
CELLS = {
    "LIF": LIF(t_ref=3.13, b_w=0.02),
    "LIF at once": LIF(t_ref=0.0),
    "LIF within a step": LIF(t_ref=0.07),
    "GLIF": GIF,
    "MAT": GLIF.preset("MAT-RS"),
    "noisy": NOISY,
}


along = jax.jit(run_along, static_argnames="n_step")


@pytest.mark.parametrize("name, stimulus", [("LIF", 0.7), *((name, LEVELS) for name in CELLS)])
def test_run_along_its_own_spikes_is_the_free_run(name, stimulus):
    """At all times of the grid; the spikes and the ends of t_ref lie within steps."""
    model, t1 = CELLS[name], 120.0
    free = simulate(model, stimulus, t1=t1, dt_save=DT, solver=ExactSpikes(DT), max_spikes=64)
    assert free.spikes.size > 2
    forced = along(model, free.stimulus, free.spike_times, 0.0, n_step=round(t1 / DT), dt=DT)
    np.testing.assert_allclose(forced.voltage, free.voltage, rtol=0, atol=1e-9)
    since = np.asarray(free.ts)[:, None] - free.spikes[None, :]
    t_ref = float(model.t_ref)
    np.testing.assert_array_equal(forced.is_held, np.any((since >= 0) & (since < t_ref), axis=1))
    if name != "noisy":  # a neuron without noise spikes where it reaches its threshold
        np.testing.assert_allclose(forced.at_spikes, np.zeros(64), atol=1e-9)


def test_run_along_no_spikes_never_resets():
    low = along(CELLS["LIF"], LEVELS, jnp.full(64, jnp.inf), 0.0, n_step=600, dt=DT)
    never = params.replace(CELLS["LIF"], {"V_th": 1e3})
    free = simulate(never, LEVELS, t1=120.0, dt_save=DT, solver=ExactSpikes(DT))
    np.testing.assert_allclose(low.voltage, free.voltage, rtol=0, atol=1e-9)
    assert not np.any(low.is_held) and np.all(low.at_spikes == 0)


TRIALS = [[5.03, 21.17, 60.41], [33.33], []]
SIMPLE = EscapeRate(GLIF(tau_m=9.0, R_m=30.0, E_L=-60.0, t_ref=2.05, reset_drop=2.0, thresholds=THRESHOLD))


@jax.jit
def loss_at(model, target):
    loss = SpikeLikelihood()
    return loss.value(loss(target.predict(model, target.solver_for(model)), target), target)


def log_rates(model, current, spikes, ts):
    """ln rate [1/ms] at times between given spikes from the closed form, -inf where it is held."""
    cell, spikes = model.cell, np.asarray(spikes)
    part = cell.thresholds["slow"]
    found = []
    for t in ts:
        past = spikes[spikes < t]
        begun = past[-1] + cell.t_ref if past.size else 0.0
        V_inf = cell.E_L + cell.R_m * current
        V_0 = cell.E_L - cell.reset_drop if past.size else cell.E_L
        V = V_inf + (V_0 - V_inf) * np.exp(-(t - begun) / cell.tau_m)
        theta = cell.V_th + np.sum(part.jump * np.exp(-(t - past) / part.tau))
        log_rate = np.log(1e-3 * model.rate_0) + (V - theta) / model.Delta_u
        found.append(-np.inf if t < begun else float(log_rate))
    return np.array(found)


def test_likelihood_is_that_of_numpy():
    """Three trials, one of them silent, with the rate from the closed form at the beginning of each step."""
    target = SpikeTrains(TRIALS, 0.4, t1=80.0, dt=DT)
    starts = DT * np.arange(400)
    expected = sum(DT * np.sum(np.exp(log_rates(SIMPLE, 0.4, spikes, starts))) for spikes in TRIALS)
    at_spikes = sum(np.sum(log_rates(SIMPLE, 0.4, spikes, spikes)) for spikes in TRIALS)
    np.testing.assert_allclose(loss_at(SIMPLE, target), (expected - at_spikes) / 4, rtol=1e-12)


def test_run_of_each_trial_takes_its_own_stimulus_and_spikes():
    stimuli = [Step(0.3, onset=2.0), Step(0.5), Step(0.1)]
    target = SpikeTrains(TRIALS, stimuli, t1=80.0, dt=DT)
    together = target.predict(SIMPLE, target.solver_for(SIMPLE))
    for k, stimulus in enumerate(stimuli):
        alone = along(SIMPLE, stimulus, target.times[k], 0.0, n_step=target.n_step, dt=DT)
        np.testing.assert_allclose(together.log_rate[k], alone.log_rate, rtol=1e-13)
        np.testing.assert_allclose(together.at_spikes[k], alone.at_spikes, rtol=1e-13)


@pytest.mark.parametrize("t_ref", [0.0, 2.0])
def test_likelihood_of_a_constant_rate_is_that_of_poisson(t_ref):
    """-ln L / n = rate T / n - ln rate, T without n t_ref; the steps on the border of t_ref count whole."""
    still = GLIF(R_m=1e-9, E_L=-53.0, V_th=-50.0, t_ref=t_ref)
    model = EscapeRate(still, rate_0=200.0, Delta_u=4.0)
    rate = 0.2 * np.exp(-3 / 4)
    target = SpikeTrains([[20.0, 50.04], [31.0]], 1.0, t1=100.0, dt=0.1)
    expected = rate * (200 - 3 * t_ref) / 3 - np.log(rate)
    np.testing.assert_allclose(loss_at(model, target), expected, rtol=1e-9, atol=rate * 0.1 if t_ref else 0)


def test_likelihood_derivatives_are_those_of_differences():
    target = SpikeTrains(TRIALS, LEVELS, t1=80.0, dt=DT)
    names = ["V_th", "R_m", "tau_m", "reset_drop", "a_V", "b_V", "slow.jump", "slow.tau", "fast.jump", "fast.tau"]
    names += ["E_L", "rate_0", "Delta_u"]
    x = {name: params.get(NOISY, name) for name in names}
    assert_derivatives_agree(lambda x: loss_at(params.replace(NOISY, x), target), x, rtol=1e-5, modes=("forward",))


@pytest.mark.slow
def test_fit_to_spikes_recovers_their_neuron_as_well_as_fisher_says():
    """12 trials of 1.5 s of a noisy neuron, from a start well off; the intervals are those of Fisher's information."""
    truth = {"V_th": -48.0, "R_m": 60.0, "tau_m": 12.0, "slow.jump": 6.0}
    cell = GLIF(E_L=-65.0, t_ref=2.0, thresholds=THRESHOLD)
    model = EscapeRate(cell, rate_0=100.0, Delta_u=2.0)
    noise = np.random.default_rng(3).normal(size=1501)
    current = Sampled(0.25 + 0.3 * np.convolve(noise, np.exp(-np.arange(20) / 4.0))[:1501], dt=1.0)

    @jax.jit
    def spikes_of(seed):
        true = params.replace(model, truth | {"seed": seed})
        return simulate(true, current, t1=1500.0, dt_save=100.0, solver=ExactSpikes(DT), max_spikes=256).spike_times

    target = SpikeTrains(np.stack([spikes_of(float(seed)) for seed in range(12)]), current, t1=1500.0)
    free = {"V_th": (-60.0, -35.0), "R_m": (20.0, 200.0), "tau_m": (3.0, 50.0), "slow.jump": (0.0, 30.0)}
    start = {"V_th": -55.0, "R_m": 30.0, "tau_m": 25.0, "slow.jump": 2.0}
    result = fit(model, target, free=free, n_starts=1, start=start, steps=20, progress=False)
    for name, value in truth.items():
        p = result.params[name]
        assert abs(p.value - value) < 3 * p.std < 0.3 * abs(value)

    def log_rate(values):
        return target.predict(params.replace(model, values), result.solver).log_rate[:, :-1]

    run = target.predict(result.model, result.solver)
    weight = DT * np.where(run.is_held, 0.0, np.exp(run.log_rate))[:, :-1].ravel()
    slopes = jax.jit(jax.jacfwd(log_rate))(result.values)
    J = np.stack([np.ravel(slopes[name]) for name in truth], axis=1)
    stds = np.sqrt(np.diag(np.linalg.inv(J.T @ (weight[:, None] * J))))
    np.testing.assert_allclose([result.params[name].std for name in truth], stds, rtol=1e-6)
    assert [stage.name for stage in result.stages] == ["Levenberg-Marquardt"]


def test_spike_trains_wrong_use_is_one_sentence():
    cases = {
        "trials.*must hold spikes.*none": {"trials": [[], []]},
        "between 0 and t1=50 ms.*12 to 60 ms": {"trials": [[12.0, 60.0]]},
        "between 0 and t1=50 ms.*-1 to 4 ms": {"trials": [[-1.0, 4.0]]},
        "dt.*shorter than every interval.*0.2 ms.*0.15 ms": {"trials": [[12.0, 30.0], [12.0, 12.15]]},
        "t1.*dt.*positive numbers": {"trials": [[12.0]], "dt": 0.0},
        "dt <= t1": {"trials": [[12.0]], "dt": 51.0},
        "t1.*positive": {"trials": [[12.0]], "t1": -1.0},
        "one for each of 2 trials.*2 of 2 kinds": {"trials": [[12.0], [13.0]], "stimulus": [Step(1.0), LEVELS]},
        "one for each of 2 trials.*1 of 1 kinds": {"trials": [[12.0], [13.0]], "stimulus": [Step(1.0)]},
        "stimulus.*must cover.*50 ms": {"trials": [[12.0]], "stimulus": Sampled(np.zeros(11), dt=1.0)},
    }
    for message, wrong in cases.items():
        with refused(message):
            SpikeTrains(**{"stimulus": Step(1.0), "t1": 50.0} | wrong)
    with refused("model.*escape noise.*GLIF.*EscapeRate"):
        fit(GIF, SpikeTrains([[12.0]], Step(1.0), t1=50.0), free={"V_th": (-60.0, -40.0)})


PASSIVE = LIF(E_L=-70.0, R_m=120.0, tau_m=15.0, V_th=1e3)
MEMBRANE = {"R_m": (40.0, 400.0), "tau_m": (3.0, 60.0)}


def sweep(amplitude, *, offset=0.0, mask=None):
    """100 ms of a passive cell [mV] behind an electrode of 12 MOhm, and the guess that it is none."""
    stimulus, dt = Step(amplitude, onset=10.0, duration=60.0), 0.5
    V = simulate(PASSIVE, stimulus, t1=100.0, dt_save=dt).voltage
    added = Electrode(R_s=12.0, offset=offset).added(stimulus(dt * jnp.arange(V.size)))
    return VoltageTrace(dt, np.asarray(V + added), stimulus, electrode=Electrode(), mask=mask)


def value_of(target, model, solver, loss):
    """The loss of a model by one target."""
    return float(loss.value(loss(target.predict(model, solver), target), target))


def test_joint_loss_is_the_weighted_sum_of_its_terms():
    run = simulate(LIF(), Step(0.35), t1=100.0, dt_save=0.5)
    terms = {
        "trace": VoltageTrace(0.5, run.voltage, Step(0.25)),
        "rate": FICurve([0.2, 0.3, 0.4], [0.0, 20.0, 40.0], duration=100.0),
        "times": SpikeTimes(run.spikes[:3] + 2.0, Step(0.35), t1=80.0),
    }
    scales, weights = {"trace": 2.0, "times": 5.0}, {"rate": 0.1, "times": 3.0}
    losses = {"trace": TraceLoss(huber=3.0), "rate": FILoss(), "times": SpikeTimeLoss()}
    joint = Joint(terms, scales=scales, weights=weights, losses={"trace": losses["trace"]})
    model, solver = LIF(R_m=110.0), joint.solver_for(LIF())
    alone = {name: value_of(term, model, solver, losses[name]) for name, term in terms.items()}
    assert min(alone.values()) > 0.1
    expected = alone["trace"] / 4 + 0.1 * alone["rate"] + 3 * alone["times"] / 25
    np.testing.assert_allclose(value_of(joint, model, solver, JointLoss()), expected, rtol=1e-12)


def test_joint_terms_side_by_side_answer_as_one_by_one():
    """Three sweeps of one length and one of another."""
    terms = {f"{amplitude} pA": sweep(1e-3 * amplitude) for amplitude in (-100, 50, 200)}
    short = VoltageTrace(0.5, terms["200 pA"].voltage[:101], Step(0.1), electrode=Electrode())
    joint = Joint({"short": short} | terms)
    solver = joint.solver_for(PASSIVE)
    together = joint.predict(PASSIVE, solver).terms
    assert list(together) == list(joint.terms) == ["short", *terms]
    for name, term in joint.terms.items():
        np.testing.assert_allclose(together[name].voltage, term.predict(PASSIVE, solver).voltage, rtol=1e-13)


def test_joint_of_two_equal_terms_fits_as_one():
    """To the same values, of which twice the data are surer."""
    options = {"free": MEMBRANE, "n_starts": 1, "start": "model", "steps": 12, "strategy": "newton", "progress": False}
    single = fit(PASSIVE, sweep(0.1), **options)
    both = fit(PASSIVE, Joint({"a": sweep(0.1), "b": sweep(0.1)}), **options)
    np.testing.assert_allclose(both.loss, 2 * single.loss, rtol=1e-9)
    freedom = (201 - len(MEMBRANE)) / (2 * 201 - len(MEMBRANE))
    for name, p in single.params.items():
        assert both.values[name] == pytest.approx(p.value, rel=1e-6)
        assert both.params[name].std == pytest.approx(p.std * np.sqrt(freedom), rel=1e-6)


def test_joint_fit_shares_what_begins_with_a_star():
    """One series resistance of all sweeps, an offset of each, and the membrane, to rounding."""
    offsets = {"low": -2.0, "middle": 1.5, "high": 0.5}
    terms = {name: sweep(i, offset=offsets[name]) for name, i in zip(offsets, (-0.2, 0.05, 0.3), strict=True)}
    own = {f"{name}.electrode.offset": (-10.0, 10.0) for name in terms}
    free = MEMBRANE | {"*.electrode.R_s": (0.1, 100.0)} | own
    start = {"R_m": 60.0, "tau_m": 30.0, "*.electrode.R_s": 40.0} | dict.fromkeys(own, 0.0)
    options = {"n_starts": 1, "steps": 30, "strategy": "newton", "progress": False}
    result = fit(PASSIVE, Joint(terms), free=free, start=start, **options)
    truth = {"R_m": 120.0, "tau_m": 15.0, "*.electrode.R_s": 12.0}
    truth |= {f"{name}.electrode.offset": offset for name, offset in offsets.items()}
    assert result.values == pytest.approx(truth, rel=1e-6)
    fitted = result.target.terms
    assert [float(fitted[name].electrode.R_s) for name in terms] == [result.values["*.electrode.R_s"]] * 3
    assert [float(fitted[name].electrode.offset) for name in terms] == [result.values[name] for name in own]


def test_joint_wrong_use_is_one_sentence():
    a, b = sweep(0.1), sweep(0.2)
    cases = {
        "terms.*map names to targets": ({}, {}),
        "terms.*map names.*float for 'a'": ({"a": 1.5}, {}),
        "names without dots.*'a.b'": ({"a.b": a}, {}),
        "names without dots.*1": ({1: a}, {}),
        "scales.*must name terms.*'c'.*choose from a, b": ({"a": a, "b": b}, {"scales": {"c": 1.0}}),
        "weights.*must name terms.*'c'": ({"a": a}, {"weights": {"c": 1.0}}),
        "losses.*must name terms.*'c'": ({"a": a}, {"losses": {"c": TraceLoss()}}),
        "scales.*positive.*0.0 for 'a'": ({"a": a}, {"scales": {"a": 0.0}}),
        "weights.*positive.*-1.0 for 'a'": ({"a": a}, {"weights": {"a": -1.0}}),
    }
    for message, (terms, options) in cases.items():
        with refused(message):
            Joint(terms, **options)
    with refused("Term 'trains'.*escape noise"):
        fit(PASSIVE, Joint({"a": a, "trains": SpikeTrains([[1.0]], t1=5.0)}), free=MEMBRANE)
    with refused(r"'electrode.R_s'.*\*.electrode.R_s"):
        fit(PASSIVE, Joint({"a": a, "b": b}), free={"electrode.R_s": (0.1, 100.0)})
    with refused("name each parameter once"):
        fit(PASSIVE, Joint({"a": a}), free={"a.electrode.R_s": (0.1, 100.0), "*.electrode.R_s": (0.1, 100.0)})


def test_masked_samples_of_a_trace_do_not_matter():
    """The loss is the mean square of the others."""
    mask = np.arange(201) > 60
    trace = sweep(0.1, mask=mask)
    nonsense = np.where(mask, trace.voltage, 1e3)
    other = VoltageTrace(0.5, nonsense, trace.stimulus, electrode=Electrode(), mask=mask)
    solver = trace.solver_for(PASSIVE)
    error = trace.predict(PASSIVE, solver).voltage - trace.voltage
    expected = np.mean(np.asarray(error)[mask] ** 2)
    assert expected > 0.1
    for target in (trace, other):
        np.testing.assert_allclose(value_of(target, PASSIVE, solver, TraceLoss()), expected, rtol=1e-12)
    assert abs(value_of(sweep(0.1), PASSIVE, solver, TraceLoss()) - expected) > 0.01
    for wrong in (mask[1:], mask.astype(int), np.zeros(201, bool)):
        with refused("mask.*201 truth values, some of them True"):
            sweep(0.1, mask=wrong)


def test_consensus_of_equal_trials_is_each_of_them():
    train = np.array([3.0, 20.0, 28.5, 90.0])
    np.testing.assert_array_equal(consensus([train] * 5), train)
    np.testing.assert_array_equal(consensus(train), train)


def test_consensus_is_the_median_of_what_enough_trials_have_within_the_window():
    trials = [[10.0, 40.0], [11.0, 48.0], [15.0], [80.0]]
    np.testing.assert_array_equal(consensus(trials), [11.0, 44.0])  # 3 of 4, and 2 exactly a window apart
    np.testing.assert_array_equal(consensus(trials, share=0.51), [11.0])
    np.testing.assert_array_equal(consensus(trials, window=7.9), [11.0])
    np.testing.assert_array_equal(consensus(trials, share=0.25), [11.0, 44.0, 80.0])


def test_consensus_of_fewer_than_the_share_is_nothing():
    """Silent trials count."""
    for trials in ([[5.0], [], []], [[5.0], [30.0], [60.0]], [[], []]):
        assert consensus(trials).shape == (0,)


def test_consensus_does_not_depend_on_the_order_of_trials_and_spikes():
    rng = np.random.default_rng(0)
    trials = [rng.permutation(np.arange(5) * 20 + rng.normal(0, 3, 5)) for _ in range(4)]
    expected = consensus(trials)
    assert expected.size > 3 and np.all(np.diff(expected) > 0)
    for order in itertools.permutations(trials):
        np.testing.assert_array_equal(consensus(list(order)), expected)
    padded = np.full((4, 9), np.inf)
    padded[:, :5] = trials
    np.testing.assert_array_equal(consensus(padded), expected)


def test_consensus_wrong_use_is_one_sentence():
    for window in (0.0, -1.0, np.nan):
        with refused("window.*positive number.*ms"):
            consensus([[1.0]], window=window)
    for share in (0.0, -0.5, 1.01, np.nan):
        with refused(f"share.*over 0 and at most 1.*{share}"):
            consensus([[1.0]], share=share)
