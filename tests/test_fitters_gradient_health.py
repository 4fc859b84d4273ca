"""Sizes, growth and horizons of derivatives, where they are known."""

import dataclasses
import functools

import numpy as np
import pytest
from refusals import refused

from jaxneuro import FixedStep, HodgkinHuxley, Leak, Membrane, Step, simulate
from jaxneuro.fitters import FICurve, VoltageTrace, fit, gradient_health
from jaxneuro.fitters.uncertainty._gradient_health import _growth, _horizon


def fitted(cell, free, t1, step, start="model"):
    stimulus = Step(step, onset=0.0)
    run = simulate(cell, stimulus, t1=t1, dt_save=0.1, solver=FixedStep(0.05))
    target = VoltageTrace(0.1, run.voltage, stimulus)
    return fit(cell, target, free=free, start=start, n_starts=1, steps=5, strategy="newton", progress=False)


@functools.cache
def passive():
    cell = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-65.0)}, C_m=1.0)
    return gradient_health(fitted(cell, {"leak.g_max": (0.05, 1.0), "C_m": (0.3, 3.0)}, 40.0, 2.0))


def test_passive_sensitivity_is_the_formulas():
    """V = E + (i / g)(1 - exp(-g t / C)) of a step from rest on."""
    health = passive()
    g, C, i, ts = 0.2, 1.0, 2.0, health.ts
    decay = np.exp(-g * ts / C)
    of_g = -(i / g) * (1 - decay) + i * ts / C * decay
    of_C = -(i / g) * (g * ts / C) * decay
    np.testing.assert_allclose(health.sensitivity, [of_g, of_C], atol=3e-3)
    np.testing.assert_allclose(health.norm, np.sqrt(np.mean(health.sensitivity**2, axis=1)))
    assert np.all(np.isinf(health.horizon)) and not health.sentences()
    assert "to the end" in health.table()
    assert repr(health).startswith("GradientHealth(leak.g_max ") and len(repr(health)) < 120


def test_spiking_trace_has_a_horizon_and_a_silent_one_does_not():
    free = {"k.g_max": (20.0, 60.0)}
    spiking = gradient_health(fitted(HodgkinHuxley(), free, 150.0, 10.0))
    silent = gradient_health(fitted(HodgkinHuxley(), free, 150.0, 1.0))
    assert 20.0 < spiking.horizon[0] < 150.0 and np.isinf(silent.horizon[0])
    assert any("foretells a change of 1 %" in sentence for sentence in spiking.sentences())
    sooner = gradient_health(fitted(HodgkinHuxley(), free, 150.0, 10.0), change=0.05)
    assert sooner.horizon[0] < spiking.horizon[0]


def test_growth_and_horizon_of_made_up_derivatives():
    ts = np.arange(0.0, 100.0, 0.1)
    assert _growth(ts, 1e-3 * np.exp(0.07 * ts)) == pytest.approx(0.07, rel=1e-2)
    assert _growth(ts, np.sin(ts)) == pytest.approx(0.0, abs=2e-3) and _growth(ts, np.zeros(ts.size)) == 0.0
    # a shift of the phase by more than a third of a radian is no longer linear
    assert _horizon(ts, ts * 0.01, np.sin(0.01 * ts)) == np.inf
    assert _horizon(ts, ts, np.where(ts < 50, ts, 0.0)) == pytest.approx(55.0, abs=5.0)
    # what is rounding before the trace begins to move is foretold by nothing
    noise = 1e-15 * np.random.default_rng(0).normal(size=ts.size)
    late = np.where(ts < 50, 0.0, ts - 50)
    assert _horizon(ts, late, late + noise) == np.inf
    broken = np.where(ts < 30, ts, np.nan)
    assert _horizon(ts, broken, ts) == pytest.approx(30.0, abs=0.2)


def test_parameters_without_effect_are_named():
    cell = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-65.0)}, C_m=1.0)
    health = gradient_health(fitted(cell, {"C_m": (0.3, 3.0)}, 10.0, 0.0))
    assert health.norm[0] == 0 and "C_m does not move the trace" in health.sentences()[0]


def test_other_fits_are_refused():
    result = fitted(Membrane(channels={"leak": Leak(g_max=0.2)}), {"C_m": (0.3, 3.0)}, 10.0, 1.0)
    with refused("`change` must be a positive number .* but is 0"):
        gradient_health(result, change=0)
    curve = FICurve([0.1, 1.0], [0.0, 2.0], duration=100.0)
    with refused("`result` must be of a fit to one trace, but is of a FICurve"):
        gradient_health(dataclasses.replace(result, target=curve))
