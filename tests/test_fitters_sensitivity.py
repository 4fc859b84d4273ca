"""What a fit says about what its data determine."""

import numpy as np
import pytest
from refusals import refused

from jaxneuro import LIF, FixedStep, Leak, Membrane, Step, simulate
from jaxneuro.fitters import Joint, SpikeTimes, TraceLoss, VoltageTrace, WindowLoss, fit, profile
from jaxneuro.fitters._sensitivity import Sensitivity

STIMULUS = Step(1.0, onset=2.0)


def two_leaks(first=0.1, second=0.15, E_second=-70.0, **options) -> Membrane:
    channels = {"first": Leak(g_max=first, E_rev=-70.0), "second": Leak(g_max=second, E_rev=E_second)}
    return Membrane(channels=channels, C_m=1.0, V_init=-70.0, **options)


def fitted(cell, free, noise=0.1, **options):
    V = simulate(cell, STIMULUS, t1=30.0, dt_save=0.1, solver=FixedStep(0.05)).voltage
    target = VoltageTrace(0.1, V + noise * np.random.default_rng(0).normal(size=V.shape), STIMULUS)
    options = {"n_starts": 2, "steps": 30, "strategy": "descent", "progress": False} | options
    return fit(cell, target, free=free, **options)


@pytest.fixture(scope="module")
def degenerate():
    """Two leaks with one reversal potential: only the sum of their conductances counts."""
    return fitted(two_leaks(), {"first.g_max": (0.01, 1.0), "second.g_max": (0.01, 1.0), "C_m": (0.3, 3.0)})


def test_sensitivity_says_what_only_counts_together(degenerate):
    (sentence,) = [s for s in degenerate.sensitivity.sentences() if "separately" in s]
    assert "first.g_max and second.g_max" in sentence and "-1.000" in sentence
    assert sentence in degenerate.table() and sentence in degenerate.to_dict()["open_questions"]
    spread, direction = degenerate.sensitivity.directions[-1]
    assert spread > 1 and abs(direction["C_m"]) < 0.01  # the sloppy one: as much more of one as less of the other
    changes = {name: direction[name] * degenerate.values[name] for name in ("first.g_max", "second.g_max")}
    np.testing.assert_allclose(changes["first.g_max"], -changes["second.g_max"], rtol=1e-3)
    assert degenerate.params["C_m"].std < 0.02  # which the others' quarrel does not touch


def test_sensitivity_is_silent_where_the_data_determine_all():
    result = fitted(two_leaks(), {"first.g_max": (0.01, 1.0), "C_m": (0.3, 3.0)})
    assert result.sensitivity.sentences() == []
    assert result.sensitivity.determined == ("first.g_max", "C_m")
    assert len(result.table().splitlines()) == 4


def test_sensitivity_names_parameters_without_effect_and_on_bounds():
    cell = two_leaks(second=0.0)
    free = {"first.g_max": (0.2, 1.0), "second.E_rev": (-90.0, -50.0), "C_m": (0.3, 3.0)}  # the truth is 0.1
    result = fitted(cell, free)
    sentences = result.sensitivity.sentences()
    assert any(s.startswith("second.E_rev does not change the prediction") for s in sentences)
    assert any(s.startswith("first.g_max has ended on its bound") for s in sentences)
    assert result.params["first.g_max"].std is None and result.params["second.E_rev"].std is None
    assert result.params["C_m"].std > 0


def test_sensitivity_is_that_of_a_known_matrix():
    """Covariance variance (J^T J)^-1 by relative changes, of a well-determined and a vague parameter."""
    J = np.random.default_rng(1).normal(size=(50, 2)) @ np.diag([10.0, 0.05])
    found = Sensitivity(("a", "b"), np.array([2.0, -4.0]), J.T @ J, 0.25)
    covariance = 0.25 * np.linalg.inv(J.T @ J)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)
    np.testing.assert_allclose(list(found.std.values()), np.sqrt(np.diag(covariance)) * [2.0, 4.0], rtol=1e-9)
    spreads = [spread for spread, _ in found.directions]
    np.testing.assert_allclose(spreads, np.sqrt(np.linalg.eigvalsh(covariance)), rtol=1e-9)
    (vague,) = found.sentences()
    assert vague.startswith("b is known to within 1")


def test_sensitivity_is_unknown_for_a_loss_that_is_one_number():
    free = {"first.g_max": (0.01, 1.0)}
    result = fitted(two_leaks(), free, loss=lambda run, target: ((run.voltage - target.voltage) ** 2).mean())
    assert result.sensitivity is None and result.params["first.g_max"].std is None


def test_sensitivity_to_spike_times_counts_spikes_and_not_the_room_for_them():
    stimulus = Step(0.4, onset=5.0)
    times = np.asarray(simulate(LIF(tau_m=22.0), stimulus, t1=150.0).spikes)
    times = times + 0.2 * np.random.default_rng(0).normal(size=times.size)
    options = {"n_starts": 1, "start": "model", "strategy": "newton", "steps": 10, "progress": False}
    spread = [
        fit(LIF(), SpikeTimes(times, stimulus, t1=150.0, room=room), free={"tau_m": (10.0, 40.0)}, **options)
        .params["tau_m"]
        .std
        for room in (times.size + 1, times.size + 60)
    ]
    assert spread[0] == pytest.approx(spread[1], rel=1e-6)


def test_profile_of_a_well_determined_parameter_is_a_parabola():
    """Its interval is 1.96 standard deviations to each side, whatever the others do."""
    result = fitted(two_leaks(), {"first.g_max": (0.01, 1.0), "C_m": (0.3, 3.0)})
    found = profile(result, "first.g_max", n=3)
    z = (found.values - result.values["first.g_max"]) / result.params["first.g_max"].std
    np.testing.assert_allclose(z, [-4, -8 / 3, -4 / 3, 0, 4 / 3, 8 / 3, 4], atol=1e-9)
    np.testing.assert_allclose(found.deviance, z**2, rtol=0.1, atol=1e-6)
    np.testing.assert_allclose(found.interval, result.params["first.g_max"].interval, rtol=2e-3)
    alone = profile(fitted(two_leaks(), {"first.g_max": (0.01, 1.0)}), "first.g_max", n=1)
    assert alone.unit == "mS/cm^2" and alone.deviance[1] == 0 and np.all(alone.deviance[[0, 2]] > 10)


def test_profile_is_flat_where_another_parameter_takes_over(degenerate):
    """The second conductance makes up for the first as long as it can: to 0.01 below the sum."""
    found = profile(degenerate, "first.g_max", n=3)
    inside = found.values < sum(degenerate.values[name] for name in ("first.g_max", "second.g_max")) - 0.01
    assert inside.sum() >= 4 and np.all(found.deviance[inside] < 0.1)
    assert found.interval[0] is None  # the bound is nearer than any limit


def test_profile_wrong_use_is_one_sentence(degenerate):
    with refused(r"`name` must be a parameter that was fitted, but is 'leak'; .*first\.g_max"):
        profile(degenerate, "leak")
    number = fitted(two_leaks(), {"C_m": (0.3, 3.0)}, loss=lambda run, target: (run.voltage**2).mean(), steps=2)
    with refused("`result` must be of data that tell their own scatter, but the loss is a number without residuals"):
        profile(number, "C_m")


def test_joint_of_like_sweeps_has_standard_deviations_whatever_their_commands():
    """Those of the sweeps after one another; and where terms differ it is said in what."""
    rng = np.random.default_rng(0)
    steps = {"a": Step(1.0, onset=5.0), "b": Step(0.5, onset=5.0, duration=10.0) + Step(1.0, onset=20.0)}
    cell = Membrane({"leak": Leak(0.2, -70.0)})
    runs = {name: simulate(cell, stimulus, t1=40.0, dt_save=0.1) for name, stimulus in steps.items()}
    traces = {
        name: VoltageTrace(0.1, run.voltage + 0.1 * rng.normal(size=run.ts.size), steps[name])
        for name, run in runs.items()
    }
    options = {"n_starts": 1, "start": "model", "strategy": "newton", "steps": 10, "progress": False}
    free = {"leak.g_max": (0.05, 1.0)}
    result = fit(cell, Joint(traces), free=free, **options)
    assert result.n_errors == 2 * 401
    stds = [fit(cell, trace, free=free, **options).params["leak.g_max"].std for trace in traces.values()]
    expected = np.sum(np.power(stds, -2.0)) ** -0.5
    np.testing.assert_allclose(result.params["leak.g_max"].std, expected, rtol=0.1)

    short = VoltageTrace(0.1, traces["b"].voltage[:201], steps["b"])
    for target, reason in (
        (Joint(traces, scales={"b": 2.0}), "the terms differ in their scales"),
        (Joint(traces, losses={"b": TraceLoss(huber=1.0)}), "the terms differ in their losses"),
        (Joint({"a": traces["a"], "b": short}), "the terms differ in their numbers of samples"),
        (Joint(traces, losses={"b": WindowLoss(5.0)}), "residuals of a WindowLoss hang together"),
    ):
        unsure = fit(cell, target, free=free, **options)
        assert unsure.sensitivity is None and reason in unsure.why_unsure
        assert f"Standard deviations are not known: {unsure.why_unsure}." in unsure.table()
