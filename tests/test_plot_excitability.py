"""Figures of the classical experiments: what is drawn, where, and with which units."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxneuro import LIF, RESULTS, FitzHughNagumo, HodgkinHuxley
from jaxneuro.analysis import (
    Accommodation,
    FIHysteresis,
    Refractory,
    accommodation,
    all_or_none,
    rebound,
    strength_duration,
)
from jaxneuro.plot import (
    plot_accommodation,
    plot_all_or_none,
    plot_fi_hysteresis,
    plot_rebound,
    plot_refractory,
    plot_strength_duration,
)

GOOD = RESULTS.successful


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def curve():
    return strength_duration(LIF(), [1.0, 3.0, 10.0, 30.0])


@pytest.fixture(scope="module")
def responses():
    return all_or_none(HodgkinHuxley(), [8.0, 2.0, 6.0, 12.0])


@pytest.fixture(scope="module")
def break_spike():
    return rebound(HodgkinHuxley())


@pytest.fixture(scope="module")
def recovery():
    """As `refractory_period` returns it, with one interval in the absolute period."""
    interval, ratio = np.array([4.0, 8.0, 12.0, 20.0]), np.array([np.inf, 5.0, 1.5, 0.9])
    return Refractory(interval, 7 * ratio, ratio, interval, 7.0, 6.0, 15.0, 10.0, 0.05, "uA/cm^2", GOOD)


@pytest.fixture(scope="module")
def branches():
    """As `fi_hysteresis` returns it: bistable at 2, blocked above 4."""
    up, down = np.array([0.0, 0.0, 60.0, 70.0, 0.0]), np.array([0.0, 50.0, 60.0, 70.0, 0.0])
    return FIHysteresis(np.arange(1.0, 6.0), up, down, up, down, 3.0, 2.0, 4.0, 4.0, 2, "nA", GOOD, GOOD)


@pytest.fixture(scope="module")
def slow_rises():
    """As `accommodation` returns it, with one slope too slow."""
    slope, level = np.array([0.1, 1.0, 10.0]), np.array([np.inf, 2.5, 2.3])
    return Accommodation(slope, level, level, level, 2.24, 0.4, 6.7, "uA/cm^2", GOOD)


def drawn(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_plot_strength_duration_shows_thresholds_and_both_laws(curve):
    ax = plot_strength_duration(curve)
    lines = drawn(ax)
    np.testing.assert_array_equal(lines["Threshold"].get_xydata(), np.stack([curve.duration, curve.threshold], axis=1))
    d, lapicque = lines["Lapicque"].get_data()
    np.testing.assert_allclose(lapicque, 0.2 / -np.expm1(-d / 20.0), rtol=1e-4)
    d, weiss = lines["Weiss"].get_data()
    np.testing.assert_allclose(weiss, curve.weiss.rheobase * (1 + curve.weiss.chronaxie / d), rtol=1e-12)
    np.testing.assert_array_equal(lines["Rheobase"].get_ydata(), curve.rheobase)
    mark = lines["Chronaxie 13.9 ms"]
    assert (*mark.get_xdata(), *mark.get_ydata()) == (curve.chronaxie, 2 * curve.rheobase)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Pulse duration (ms)", "Threshold (nA)")
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_plot_refractory_shades_both_periods(recovery):
    ax = plot_refractory(recovery)
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]
    assert spans == [(0.0, 6.0), (6.0, 15.0)]
    assert legend_texts(ax) == ["Absolute 6 ms", "Relative 15 ms"]
    (curve,) = (line for line in ax.get_lines() if len(line.get_xdata()) == 3)
    np.testing.assert_array_equal(curve.get_xdata(), [8.0, 12.0, 20.0])  # inf is not drawn
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Interval between pulses (ms)", "Threshold / threshold at rest")


def test_plot_refractory_without_recovery_shades_all(recovery):
    never = recovery._replace(ratio=np.full(4, np.inf), absolute=np.inf, relative=np.inf)
    ax = plot_refractory(never)
    assert ax.patches[0].get_x() + ax.patches[0].get_width() == 20.0
    assert np.all(np.isfinite(ax.get_ylim()))


def test_plot_all_or_none_tells_spikes_by_the_fill(responses):
    ax = plot_all_or_none(responses)
    lines = drawn(ax)
    np.testing.assert_array_equal(lines["No spike"].get_xdata(), [2.0, 6.0])
    np.testing.assert_array_equal(lines["Spike"].get_xdata(), [8.0, 12.0])
    assert lines["Spike"].get_ydata().min() > 0 > lines["No spike"].get_ydata().max()
    assert lines["No spike"].get_markerfacecolor() == "white"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Pulse amplitude (µA/cm²)", "Peak voltage (mV)")


def test_plot_all_or_none_dimensionless_models_have_no_units():
    ax = plot_all_or_none(all_or_none(FitzHughNagumo(), [0.1, 1.0], 5.0))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Pulse amplitude", "Peak voltage")


def test_plot_fi_hysteresis_shows_both_branches_and_the_block(branches):
    ax = plot_fi_hysteresis(branches)
    lines = drawn(ax)
    np.testing.assert_array_equal(lines["Rising"].get_ydata(), branches.up_rate)
    np.testing.assert_array_equal(lines["Falling"].get_ydata(), branches.down_rate)
    assert set(lines["Block"].get_xdata()) == {4.0}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Current (nA)", "Firing rate (Hz)")
    without = plot_fi_hysteresis(branches._replace(block=np.nan))
    assert legend_texts(without) == ["Rising", "Falling"]


def test_plot_fi_hysteresis_does_not_draw_what_failed(branches):
    rate = np.array([0.0, np.nan, 60.0, 70.0, 0.0])
    ax = plot_fi_hysteresis(branches._replace(up_rate=rate))
    np.testing.assert_array_equal(drawn(ax)["Rising"].get_ydata(), rate)
    assert np.all(np.isfinite(ax.get_ylim()))


def test_plot_accommodation_shades_what_is_too_slow(slow_rises):
    ax = plot_accommodation(slow_rises)
    np.testing.assert_array_equal(drawn(ax)["Threshold"].get_xdata(), [1.0, 10.0])
    (shade,) = ax.patches
    assert shade.get_x() + shade.get_width() == pytest.approx(0.4)
    assert ax.get_xlim()[0] == shade.get_x()
    assert ax.get_ylim()[0] == 0.0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Slope (µA/cm² per ms)", "Threshold (µA/cm²)")
    assert legend_texts(ax) == ["Threshold", "Rheobase", "Too slow"]


def test_plot_accommodation_of_a_neuron_without_it_has_no_shade():
    assert not plot_accommodation(accommodation(LIF(), [0.01, 0.1])).patches


def test_plot_rebound_marks_the_end_of_the_step_and_the_latency(break_spike):
    voltage, current = plot_rebound(break_spike)
    for ax in (voltage, current):
        assert any(set(line.get_xdata()) == {break_spike.end} for line in ax.get_lines())
    texts = [text.get_text() for text in voltage.texts]
    assert f"{break_spike.latency:.1f} ms" in texts
    assert (voltage.get_ylabel(), current.get_xlabel()) == ("Membrane potential (mV)", "Time (ms)")


def test_plots_use_given_axes(curve, responses, break_spike):
    figure, axes = plt.subplots(2, 2)
    assert plot_strength_duration(curve, axes[0, 0]) is axes[0, 0]
    assert plot_all_or_none(responses, axes[0, 1]) is axes[0, 1]
    assert list(plot_rebound(break_spike, axes[1])) == list(axes[1])
    assert plt.get_fignums() == [figure.number]


def test_plots_leave_the_users_settings_alone(curve, recovery, responses, branches, slow_rises, break_spike):
    before = dict(mpl.rcParams)
    plot_strength_duration(curve)
    plot_refractory(recovery)
    plot_all_or_none(responses)
    plot_fi_hysteresis(branches)
    plot_accommodation(slow_rises)
    plot_rebound(break_spike)
    assert dict(mpl.rcParams) == before


def test_plots_keep_legends_off_the_data(curve, recovery, responses, branches, slow_rises):
    """No point of a curve lies under its legend."""
    pictures = (
        (plot_strength_duration, curve),
        (plot_refractory, recovery),
        (plot_all_or_none, responses),
        (plot_fi_hysteresis, branches),
        (plot_accommodation, slow_rises),
    )
    for plot, result in pictures:
        ax = plot(result)
        ax.figure.canvas.draw()
        box = ax.get_legend().get_window_extent()
        for line in ax.get_lines():
            if line.get_marker() not in ("None", None):
                points = ax.transData.transform(line.get_xydata())
                assert not np.any(box.count_contains(points)), plot.__name__
