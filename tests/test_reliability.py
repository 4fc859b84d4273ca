"""Reliability against the number of channels: fewer channels fire by themselves, and less alike."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from refusals import refused

import jaxneuro as jn
from jaxneuro.analysis import reliability
from jaxneuro.plot import plot_reliability

SOLVER = jn.EulerMaruyama(0.02)


@pytest.fixture(scope="module")
def curve():
    return reliability(jn.HodgkinHuxley(), [20.0, 200.0, 5000.0], amplitude=10.0, trials=24, rest=150.0, solver=SOLVER)


def test_reliability_spontaneous_firing_dies_out_with_the_area(curve):
    assert np.all(np.diff(curve.spontaneous_rate) < 0) and curve.spontaneous_rate[0] > 20.0
    assert curve.spontaneous_rate[-1] == curve.rate_error[-1] == 0.0


def test_reliability_large_membranes_answer_always_and_alike(curve):
    """10 uA/cm^2 for 1 ms is 1.45 times the deterministic threshold."""
    assert curve.probability[-1] == 1.0 and 0.0 < curve.probability[0] < 1.0
    assert np.all(np.diff(curve.jitter) < 0) and curve.jitter[-1] < 0.2
    alone = jn.simulate(jn.HodgkinHuxley(), jn.Step(10.0, 5.0, 1.0), t1=15.0).spikes[0] - 5.0
    # the mean of 24 latencies, plus the first-order error of the step
    assert curve.latency[-1] == pytest.approx(float(alone), abs=3 * curve.jitter[-1] / 24**0.5 + 0.05)


def test_reliability_counts_the_channels(curve):
    np.testing.assert_allclose(curve.n_channel, 78.0 * curve.area)


def test_reliability_is_drawn_against_the_area(curve):
    axes = plot_reliability(curve)
    assert axes[2].get_xlabel() == "Membrane area (µm²)" and axes[2].get_xscale() == "log"
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), curve.probability)
    plt.close("all")


def test_reliability_refuses_bad_areas_and_too_few_trials():
    with refused(r"Argument `areas` must be a list of positive areas \[um\^2\], but is \[-1\.\]; use"):
        reliability(jn.HodgkinHuxley(), [-1.0], amplitude=8.0)
    with refused("Argument `trials` must be a whole number of at least 2, but is 1; use e.g. 100"):
        reliability(jn.HodgkinHuxley(), [10.0], amplitude=8.0, trials=1)
    with refused("Argument `density` must name channels of the cell, but has 'nna'; did you mean 'na'"):
        reliability(jn.HodgkinHuxley(), [10.0], amplitude=8.0, density={"nna": 3.0})
