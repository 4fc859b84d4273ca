"""What a fit says against itself: counts of spikes, where it begins, correlated residuals."""

import dataclasses

import numpy as np
import pytest

from jaxneuro import LIF, Leak, Membrane, Step, simulate
from jaxneuro.fitters import Joint, SpikeTimes, VoltageTrace, fit

CELL = Membrane({"leak": Leak(0.2, -70.0)}, V_init=-70.0)
OPTIONS = {"n_starts": 1, "start": "model", "strategy": "newton", "steps": 10, "progress": False}


def fitted(noise, cell=CELL, **options):
    V = simulate(CELL, Step(1.0, onset=5.0), t1=60.0, dt_save=0.1).voltage + noise
    target = VoltageTrace(0.1, V, Step(1.0, onset=5.0), **options)
    return fit(cell, target, free={"leak.g_max": (0.05, 1.0)}, **OPTIONS)


def test_other_numbers_of_spikes_are_said():
    target = SpikeTimes([20.0, 40.0, 60.0], Step(0.4), t1=80.0)
    silent = fit(LIF(), target, free={"V_th": (-20.0, -10.0)}, n_starts=1, steps=2, progress=False)
    assert "other numbers of spikes than the data: 0 for 3." in silent.table()
    both = dataclasses.replace(silent, target=Joint({"a": target}), problem=None)
    assert "0 for 3 in a." in both.open_questions[0]
    true = np.asarray(simulate(LIF(), Step(0.4), t1=80.0).spikes)
    met = fit(LIF(), SpikeTimes(true, Step(0.4), t1=80.0), free={"V_th": (-51.0, -49.0)}, n_starts=2, progress=False)
    assert not any("spikes" in sentence for sentence in met.open_questions)


def test_white_noise_is_no_doubt_and_correlated_noise_is_said_with_its_factor():
    """Of a first-order process of correlation r standard errors are too small by sqrt((1 + r) / (1 - r))."""
    rng = np.random.default_rng(0)
    white = 0.2 * rng.normal(size=601)
    assert fitted(white).open_questions == []
    assert fitted(0.0).open_questions == []  # what rounding leaves is no noise
    red = np.zeros(601)
    for k in range(1, 601):
        red[k] = 0.9 * red[k - 1] + white[k]
    (sentence,) = fitted(red).open_questions
    assert sentence.startswith("Neighbouring residuals are correlated (0.")
    assert float(sentence.split("some ")[1].rstrip(".")) == pytest.approx(np.sqrt(19), rel=0.2)


def test_rounding_in_a_sweep_that_does_not_move_is_no_noise():
    """Beside one that does."""
    V = simulate(CELL, Step(1.0, onset=5.0), t1=60.0, dt_save=0.1).voltage
    flat = -70.0 + 1e-7 * np.sin(np.linspace(0.0, 9.0, V.size))
    joint = Joint({"a": VoltageTrace(0.1, V, Step(1.0, onset=5.0)), "b": VoltageTrace(0.1, flat, Step(0.0, onset=5.0))})
    found = fit(CELL, joint, free={"leak.g_max": (0.05, 1.0)}, **OPTIONS)
    assert found.sensitivity is not None and found.open_questions == []


def test_run_that_begins_elsewhere_than_its_data_is_said():
    away = Membrane({"leak": Leak(0.2, -70.0)}, V_init=-60.0)
    white = 0.2 * np.random.default_rng(0).normal(size=601)
    first = fitted(white, away).open_questions[0]
    assert first.startswith("The model begins at -60 mV and the data at -69.97 mV") and "free y0.V" in first
    known = fitted(white, away, y0=CELL.init_state()).open_questions
    masked = fitted(white, away, mask=np.arange(601) > 300).open_questions
    assert not any("begins" in sentence for sentence in known + masked)
