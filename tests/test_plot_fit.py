"""Figures of fits: what they show, with which units."""

import dataclasses

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from refusals import refused

from jaxneuro import LIF, Leak, Membrane, Step
from jaxneuro.fitters import Electrode, FICurve, FitResult, Joint, SpikeTimes, VoltageTrace, fit
from jaxneuro.plot import plot_fit, plot_residuals, plot_terms

CELL = Membrane(channels={"leak": Leak(g_max=0.4, E_rev=-70.0)}, V_init=-70.0)
TRACE = VoltageTrace(0.5, -70 + np.linspace(0.0, 1.0, 30), Step(0.4))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def quick(model, target, free) -> FitResult:
    return fit(model, target, free=free, n_starts=3, steps=4, progress=False)


@pytest.fixture(scope="module")
def trace_fit() -> FitResult:
    return quick(CELL, TRACE, {"C_m": (0.3, 3.0)})


def test_plot_fit_shows_trace_and_losses(trace_fit):
    data, losses = trace_fit.plot()
    assert data.get_xlabel() == "Time (ms)" and data.get_ylabel() == "Membrane potential (mV)"
    np.testing.assert_array_equal(data.lines[0].get_ydata(), TRACE.voltage)
    np.testing.assert_array_equal(data.lines[1].get_ydata(), trace_fit.predict().voltage)
    assert [text.get_text() for text in data.get_legend().get_texts()] == ["Data", "Model"]
    assert losses.get_ylabel() == "Lowest loss (mV²)" and losses.get_yscale() == "log"
    # a line per start that never rises but from one stage to the next, the best one last
    assert len(losses.lines) == 4 + 3
    n_border = 4  # of the stages: nudged four times, and free
    for line in losses.lines[n_border:]:
        assert np.sum(np.isnan(line.get_ydata())) == n_border and not np.any(np.diff(line.get_ydata()) > 0)
    assert losses.lines[-1].get_ydata()[-1] == trace_fit.loss


def test_plot_fit_without_unit_and_with_a_dead_start():
    def broken(solution, target):
        is_bad = solution.model.C_m > 1.0
        return jnp.mean(jnp.where(is_bad, jnp.nan, solution.voltage - target.voltage) ** 2)

    start = {"C_m": np.array([2.0, 0.5])}
    result = fit(CELL, TRACE, free={"C_m": (0.3, 3.0)}, loss=broken, n_starts=2, steps=3, start=start, progress=False)
    losses = result.plot()[1]
    assert losses.get_ylabel() == "Lowest loss"
    assert np.all(np.isnan(losses.lines[0].get_ydata()))


def test_plot_fit_draws_into_given_axes(trace_fit):
    axes = plt.subplots(1, 3)[1]
    assert list(plot_fit(trace_fit, axes[:2])) == list(axes[:2])
    assert list(plot_fit(trace_fit, axes[2])) == [axes[2]]
    with refused(r"`axes` must hold 1 or 2 axes \(data and losses\), but holds 3; "):
        plot_fit(trace_fit, axes)


@pytest.mark.slow
def test_plot_fit_shows_rates_in_pA():
    target = FICurve([0.1, 0.3, 0.5], [0.0, 40.0, 90.0], duration=50.0)
    data, losses = quick(LIF(), target, {"V_th": (-55.0, -45.0)}).plot()
    assert data.get_xlabel() == "Current (pA)" and data.get_ylabel() == "Firing rate (Hz)"
    np.testing.assert_allclose(data.lines[0].get_xdata(), [100.0, 300.0, 500.0])
    assert losses.get_ylabel() == "Lowest loss (Hz²)"


@pytest.mark.slow
def test_plot_fit_shows_spike_times_in_rows():
    target = SpikeTimes([20.0, 40.0], Step(0.3), t1=60.0)
    result = quick(LIF(), target, {"V_th": (-55.0, -45.0)})
    data = result.plot()[0]
    assert data.get_xlabel() == "Time (ms)"
    assert [label.get_text() for label in data.get_yticklabels()] == ["Data", "Model"]
    first, second = (rows.get_segments() for rows in data.collections)
    assert [segment[0, 0] for segment in first] == [20.0, 40.0]
    assert len(second) == int(np.isfinite(result.predict().spike_times).sum())


@pytest.fixture(scope="module")
def joint_fit() -> FitResult:
    electrode = Electrode(R_s=5.0, area=1e5)
    terms = {name: VoltageTrace(0.5, TRACE.voltage + k, Step(0.4)) for k, name in enumerate(("10", "2", "3", "4"))}
    masked = VoltageTrace(0.5, TRACE.voltage, Step(0.4), electrode=electrode, mask=np.arange(30) > 9)
    held_out = Joint({"5": masked, "times": SpikeTimes([3.0], Step(0.4), t1=14.5)})
    options = {"n_starts": 1, "steps": 2, "strategy": "newton", "progress": False}
    return fit(CELL, Joint(terms), free={"C_m": (0.3, 3.0)}, held_out=held_out, **options)


def test_plot_terms_has_a_panel_for_each_in_the_order_given(joint_fit):
    panels = plot_terms(joint_fit)
    assert [ax.get_title(loc="right") for ax in panels] == ["10", "2", "3", "4"]
    assert [ax.get_ylabel() != "" for ax in panels] == [True, False, True, False]  # two by two
    assert [ax.get_xlabel() != "" for ax in panels] == [False, False, True, True]
    np.testing.assert_array_equal(panels[3].lines[0].get_ydata(), joint_fit.target.terms["4"].voltage)
    held_out = plot_terms(joint_fit, is_held_out=True)
    assert [ax.get_title(loc="right") for ax in held_out] == ["5", "times"]
    assert held_out[1].get_ylabel() == "" and len(held_out[1].collections) == 2


def test_plot_fit_of_several_terms_shows_errors_in_their_unit_or_over_their_scales(joint_fit):
    bars, _ = plot_fit(joint_fit)
    assert bars.get_xlabel() == "Error (mV)" and not bars.lines
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], [e for e, _ in joint_fit.errors.values()])
    target = Joint(joint_fit.target.terms, scales={"10": 2.0})
    bars, _ = plot_fit(dataclasses.replace(joint_fit, target=target))
    assert bars.get_xlabel() == "Error over its scale" and len(bars.lines) == 1


def test_plot_residuals_are_those_of_the_loss(joint_fit, trace_fit):
    over_time, distribution = plot_residuals(joint_fit)
    errors = np.concatenate([line.get_ydata() for line in over_time.lines[:4]])
    assert np.mean(errors**2) == pytest.approx(joint_fit.loss / 4)
    assert f"RMS {np.sqrt(joint_fit.loss / 4):.3g} mV" in distribution.get_title(loc="right")
    assert [text.get_text() for text in over_time.get_legend().get_texts()] == ["10", "2", "3", "4"]
    assert len({str(line.get_color()) for line in over_time.lines[:4]}) == 4
    masked = dataclasses.replace(joint_fit, target=joint_fit.held_out)
    (line, *_) = plot_residuals(masked)[0].lines
    assert np.isnan(line.get_ydata()[:10]).all() and np.isfinite(line.get_ydata()[10:]).all()
    assert plot_residuals(dataclasses.replace(joint_fit, target=joint_fit.held_out.terms["times"])) is None
    with refused("`result` must be of a fit with held-out data"):
        plot_terms(trace_fit, is_held_out=True)


def test_plot_fit_shows_starts_that_were_given_up():
    result = fit(CELL, TRACE, free={"C_m": (0.3, 3.0)}, n_starts=4, kept=1, steps=8, strategy="newton", progress=False)
    losses = result.plot()[1]
    assert losses.lines[-1].get_ydata()[-1] == result.loss
    assert all(np.isnan(line.get_ydata()).sum() > 3 for line in losses.lines[:-1])
