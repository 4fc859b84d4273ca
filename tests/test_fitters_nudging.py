"""Fits of smooth models to voltage traces: nudged runs, the convex start, and how sure the result is."""

import numpy as np
import pytest
from refusals import refused

from jaxneuro import LIF, FitzHughNagumo, FixedStep, HodgkinHuxley, Leak, Membrane, Sampled, Step, params, simulate
from jaxneuro.fitters import Guide, Nudged, VoltageTrace, fit
from jaxneuro.fitters.search._experiment import Experiment, checked_free
from jaxneuro.fitters.search._weak_form import conductances, weak_start
from jaxneuro.models import RegularSpiking
from jaxneuro.solvers import RK4, Adaptive

DT, T1 = 0.025, 60.0
STIMULUS = Step(10.0, onset=5.0)
TRUE = {"na.g_max": 120.0, "k.g_max": 36.0, "leak.g_max": 0.3}  # mS/cm^2
SOLVER = FixedStep(DT, solver=RK4())


@pytest.fixture(scope="module")
def voltage() -> np.ndarray:
    """Four spikes of the squid axon, solved to 1e-8."""
    return np.asarray(simulate(HodgkinHuxley(), STIMULUS, t1=T1, dt_save=DT, solver=Adaptive(1e-8, 1e-8)).voltage)


def nudged(model, k, voltage, stimulus=STIMULUS, dt=DT):
    guide = Guide(stimulus, Sampled(voltage, dt=dt))
    return simulate(Nudged(model, k=k), guide, t1=dt * (len(voltage) - 1), dt_save=dt, solver=SOLVER, max_spikes=1)


def test_nudged_model_is_free_without_force_and_on_the_data_with_a_strong_one(voltage):
    other = params.replace(HodgkinHuxley(), {"na.g_max": 60.0})
    free = simulate(other, STIMULUS, t1=T1, dt_save=DT, solver=SOLVER).voltage
    np.testing.assert_allclose(nudged(other, 0.0, voltage).voltage, free, rtol=1e-12)
    errors = [np.sqrt(np.mean((nudged(other, k, voltage).voltage - voltage) ** 2)) for k in (0.0, 1.0, 5.0, 50.0)]
    assert errors[0] > 20 and errors[3] < 2
    assert np.all(np.diff(errors) < 0)


def test_nudged_run_of_the_truth_stays_true(voltage):
    """The data are interpolated within the steps: no lag, whatever the force."""
    for k in (0.1, 2.0):
        assert np.max(np.abs(nudged(HodgkinHuxley(), k, voltage).voltage - voltage)) < 0.05  # one sample of lag: 4 mV


def test_nudged_linear_model_has_the_mean_of_both_voltages():
    """A leak g and the force C k, at rest: V = (g E + C k V_data) / (g + C k)."""
    cell = Membrane(channels={"leak": Leak(g_max=0.3, E_rev=-70.0)}, C_m=2.0, V_init=-70.0)
    end = nudged(cell, 0.25, np.full(4001, -40.0), stimulus=Step(0.0)).voltage[-1]
    np.testing.assert_allclose(end, (0.3 * -70 + 0.5 * -40) / 0.8, rtol=1e-9)


def test_convex_start_finds_conductances_from_the_voltage_alone(voltage):
    """Whatever the model's own are; with noise too, and with zero where a channel does not take part."""
    model = params.replace(HodgkinHuxley(), {"na.g_max": 20.0, "k.g_max": 200.0, "leak.g_max": 2.0})
    bounds = {name: (1e-3, 1e3) for name in [*TRUE, "C_m"]}
    experiment = Experiment(model, VoltageTrace(DT, voltage, STIMULUS))
    free = checked_free(experiment, bounds)
    assert conductances(model, free) == {"na.g_max": "na", "k.g_max": "k", "leak.g_max": "leak"}
    del free["C_m"]
    found = weak_start(experiment, free, {})
    assert found.n_runs == 1
    for name, value in TRUE.items():
        np.testing.assert_allclose(found.values[name], [value], rtol=0.02)
    noisy = voltage + 0.5 * np.random.default_rng(0).normal(size=voltage.size)
    found = weak_start(Experiment(model, VoltageTrace(DT, noisy, STIMULUS)), free, {})
    for name, value in TRUE.items():
        np.testing.assert_allclose(found.values[name], [value], rtol=0.15)


def test_convex_start_chooses_among_kinetics():
    true = params.replace(RegularSpiking(), {"m.tau_max": 600.0})
    stimulus = Step(4.0, onset=5.0)
    voltage = simulate(true, stimulus, t1=150.0, dt_save=0.05, solver=FixedStep(0.025, solver=RK4())).voltage
    candidates = {"m.tau_max": np.array([[150.0, 600.0, 2400.0], [100.0, 300.0, 650.0]])}
    experiment = Experiment(RegularSpiking(), VoltageTrace(0.05, voltage, stimulus))
    free = checked_free(experiment, {"na.g_max": (1, 500), "m.g_max": (1e-3, 1), "m.tau_max": (50, 3000)})
    found = weak_start(experiment, free, candidates)
    np.testing.assert_array_equal(found.values["m.tau_max"], [600.0, 650.0])
    np.testing.assert_allclose(found.values["m.g_max"], 0.07, rtol=0.1)


@pytest.mark.slow
def test_fit_by_nudging_recovers_a_cell_from_far_away(voltage):
    """Four-fold wrong starts of conductances and capacitance: the noise is reached and the truth within 3 std."""
    truth = TRUE | {"C_m": 1.0}
    noise = 0.5 * np.random.default_rng(1).normal(size=voltage.size)
    factors = np.array([[4.0, 0.25, 4.0, 0.7], [0.25, 4.0, 0.25, 1.5]])
    start = {name: value * factors[:, k] for k, (name, value) in enumerate(truth.items())}
    result = fit(
        HodgkinHuxley(),
        VoltageTrace(DT, voltage + noise, STIMULUS),
        free={name: (value / 8, value * 8) for name, value in truth.items()},
        n_starts=2,
        start=start,
        progress=False,
    )
    assert np.all(np.sqrt(result.start_losses) < 1.01 * np.std(noise))
    for name, value in truth.items():
        p = result.params[name]
        assert abs(p.value - value) < 3 * p.std < 0.03 * value
        assert p.interval == (p.value - 1.96 * p.std, p.value + 1.96 * p.std)
    names = [stage.name for stage in result.stages]
    nudged = [f"nudged {k} /ms" for k in ("2", "0.5", "0.1", "0.02")]
    assert names == ["convex start", *nudged, "free run", "features"]  # the last one sees all spikes
    assert [stage.n_simulations for stage in result.stages[:2]] == [5, 5 * (1 + len(truth))]
    assert sum(stage.n_steps for stage in result.stages) == len(result.history)
    assert result.stages[-2].loss == result.loss


def test_standard_errors_are_those_of_linear_regression():
    """V = E + i / g of a leak at rest: its derivatives by hand give the covariance of E and g."""
    dt, n = 0.5, 400
    stimulus = Sampled(np.linspace(0.0, 3.0, n + 1), dt=dt)
    cell = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-70.0)}, C_m=1e-3, V_init=-70.0)  # follows at once
    noise = 0.3 * np.random.default_rng(0).normal(size=n + 1)
    current = np.asarray(stimulus.values)
    target = VoltageTrace(dt, -70.0 + current / 0.2 + noise, stimulus)
    free = {"leak.g_max": (0.1, 0.4), "leak.E_rev": (-90.0, -50.0)}
    # an exponential step, since C_m is so small
    result = fit(
        cell, target, free=free, solver=FixedStep(dt), strategy="descent", n_starts=2, steps=60, progress=False
    )
    g = result.values["leak.g_max"]
    J = np.stack([-current / g**2, np.ones(n + 1)], axis=1)
    covariance = result.loss * (n + 1) / (n - 1) * np.linalg.inv(J.T @ J)
    stds = [result.params[name].std for name in free]
    np.testing.assert_allclose(stds, np.sqrt(np.diag(covariance)), rtol=1e-2)
    assert "+-" in result.table() and result.to_dict()["params"]["leak.g_max"]["std"] == stds[0]


def test_nudging_fits_a_model_without_channels():
    """FitzHugh-Nagumo from another regime: it rests at the start's parameters, and the data oscillate."""
    stimulus = Step(0.5)
    true = FitzHughNagumo(a=0.7, b=0.8)
    target = VoltageTrace(0.1, simulate(true, stimulus, t1=80.0, dt_save=0.1).voltage, stimulus)
    free = {"a": (0.1, 2.0), "b": (0.1, 2.0)}
    result = fit(FitzHughNagumo(), target, free=free, start={"a": 1.5, "b": 0.4}, n_starts=1, steps=40, progress=False)
    assert [stage.name for stage in result.stages][0] == "nudged 2 /ms"  # no conductance to begin with
    np.testing.assert_allclose([result.values["a"], result.values["b"]], [0.7, 0.8], rtol=1e-4)


def test_nudging_wrong_use_is_one_sentence(voltage):
    trace = VoltageTrace(DT, voltage, STIMULUS)
    free = {"leak.g_max": (0.1, 1.0)}
    cases = {
        "strategy.*auto, nudging, descent.*'genetic'": (HodgkinHuxley(), {"strategy": "genetic"}),
        'is "nudging", which needs a smooth model': (LIF(), {"strategy": "nudging", "free": {"tau_m": (5.0, 50.0)}}),
        'use "descent"': (HodgkinHuxley(), {"strategy": "nudging", "polish": False}),
    }
    for message, (model, options) in cases.items():
        with refused(message):
            fit(model, trace, **{"free": free} | options)
    with refused("cell.*smooth model.*LIF", TypeError):
        Nudged(LIF())
    with refused("k.*>= 0.*-1"):
        Nudged(HodgkinHuxley(), k=-1.0)
