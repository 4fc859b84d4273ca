"""Figures of the classical experiments on one neuron."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from jaxneuro.analysis.after_effects import Rebound, Refractory
from jaxneuro.analysis.excitability import AllOrNone, StrengthDuration
from jaxneuro.analysis.ramps import Accommodation
from jaxneuro.analysis.repetitive import FIHysteresis
from jaxneuro.plot._solution import plot_solution
from jaxneuro.plot._style import BLACK, BLUE, GREY, RED, axis_label, new_axes, style

__all__ = [
    "plot_accommodation",
    "plot_all_or_none",
    "plot_fi_hysteresis",
    "plot_rebound",
    "plot_refractory",
    "plot_strength_duration",
]

_SIZE = (3.8, 3.0)
_DARK, _LIGHT = "#c8c8c8", "#ececec"


def plot_strength_duration(result: StrengthDuration, axes: Axes | None = None) -> Axes:
    """Draw a strength-duration curve, both axes logarithmic: thresholds, both laws, rheobase and chronaxie.

    The open circle is what was measured at twice the rheobase. **Arguments:** `result`, from `strength_duration`;
    `axes`, matplotlib axes to draw into, a new figure if None. Returns the axes.

    >>> plot_strength_duration(strength_duration(LIF(), [1.0, 3.0, 10.0, 30.0]))
    """
    axes = _axes(axes)
    lapicque, weiss = result.lapicque, result.weiss
    d = np.geomspace(result.duration.min(), result.duration.max(), 200)
    with style():
        axes.plot(result.duration, result.threshold, "o", color=BLACK, markersize=4, label="Threshold", zorder=3)
        tau = lapicque.chronaxie / np.log(2)
        axes.plot(d, lapicque.rheobase / -np.expm1(-d / tau), color=RED, label="Lapicque", zorder=2)
        axes.plot(d, weiss.rheobase * (1 + weiss.chronaxie / d), "--", color=BLUE, label="Weiss", zorder=2)
        axes.axhline(result.rheobase, color=GREY, linewidth=0.8, linestyle=":", label="Rheobase", zorder=1)
        axes.plot(
            result.chronaxie,
            2 * result.rheobase,
            "o",
            color=GREY,
            markersize=7,
            fillstyle="none",
            label=f"Chronaxie {result.chronaxie:.3g} ms",
            linestyle="",
            zorder=4,
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes.xaxis, *axes.get_xlim())
        _plain_ticks(axes.yaxis, *axes.get_ylim())
        axes.set_xlabel(axis_label("Pulse duration", _time_unit(result.unit)))
        axes.set_ylabel(axis_label("Threshold", result.unit))
        axes.legend(loc="upper right")
    return axes


def plot_refractory(result: Refractory, axes: Axes | None = None) -> Axes:
    """Draw the recovery of the threshold after a spike; the absolute refractory period is shaded dark, the relative
    one light.

    **Arguments:** `result`, from `refractory_period`; `axes`, matplotlib axes to draw into, a new figure if None.
    Returns the axes.

    >>> plot_refractory(refractory_period(HodgkinHuxley()))
    """
    axes = _axes(axes)
    with style():
        unit = _time_unit(result.unit)
        end = float(result.interval.max())
        ends = [x if np.isfinite(x) else end for x in (result.absolute, result.relative)]
        labels = [
            f"{name} {x:.3g} {'' if unit == '1' else unit}".strip()
            for name, x in (("Absolute", result.absolute), ("Relative", result.relative))
        ]
        axes.axvspan(0.0, ends[0], color=_DARK, linewidth=0, label=labels[0], zorder=0)
        axes.axvspan(ends[0], max(ends), color=_LIGHT, linewidth=0, label=labels[1], zorder=0)
        axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        is_finite = np.isfinite(result.ratio)
        axes.plot(result.interval[is_finite], result.ratio[is_finite], "o-", color=BLACK, markersize=4, zorder=3)
        axes.set_yscale("log")
        low = 0.8 * min(result.ratio[is_finite].min(initial=1.0), 1.0)
        axes.set_ylim(low, 1.1 * result.factor)
        _plain_ticks(axes.yaxis, low, 1.1 * result.factor)
        axes.set_xlim(0.0, end)
        axes.set_xlabel(axis_label("Interval between pulses", unit))
        axes.set_ylabel("Threshold / threshold at rest")
        _legend_above(axes)
    return axes


def plot_all_or_none(result: AllOrNone, axes: Axes | None = None) -> Axes:
    """Draw peak voltages over the amplitude of a pulse: full circles with a spike, open ones without.

    **Arguments:** `result`, from `all_or_none`; `axes`, matplotlib axes to draw into, a new figure if None. Returns the
    axes.

    >>> plot_all_or_none(all_or_none(HodgkinHuxley(), np.linspace(0.0, 14.0, 29)))
    """
    axes = _axes(axes)
    order = np.argsort(result.amplitude, kind="stable")
    x, y, has_spiked = result.amplitude[order], result.peak[order], result.n_spikes[order] > 0
    with style():
        axes.plot(x, y, color=GREY, linewidth=0.8, zorder=1)
        axes.plot(
            x[~has_spiked],
            y[~has_spiked],
            "o",
            color=BLACK,
            markersize=4,
            markerfacecolor="white",
            label="No spike",
            zorder=2,
        )
        axes.plot(x[has_spiked], y[has_spiked], "o", color=BLACK, markersize=4, label="Spike", zorder=2)
        axes.set_xlabel(axis_label("Pulse amplitude", result.unit))
        axes.set_ylabel(axis_label("Peak voltage", _voltage_unit(result.unit)))
        if has_spiked.any() and not has_spiked.all():
            axes.legend(loc="center left")
    return axes


def plot_fi_hysteresis(result: FIHysteresis, axes: Axes | None = None) -> Axes:
    """Draw the f-I curve going up (full circles) and coming down (open ones), and where firing is blocked.

    **Arguments:** `result`, from `fi_hysteresis`; `axes`, matplotlib axes to draw into, a new figure if None. Returns
    the axes.

    >>> plot_fi_hysteresis(fi_hysteresis(HodgkinHuxley(), np.arange(4.0, 13.0, 0.5)))
    """
    axes = _axes(axes)
    with style():
        up, down = result.up_rate, result.down_rate
        axes.plot(result.current, up, "o-", color=RED, markersize=4, label="Rising", zorder=3)
        axes.plot(result.current, down, "o--", color=BLUE, markersize=6, fillstyle="none", label="Falling", zorder=2)
        if np.isfinite(result.block):
            axes.axvline(result.block, color=GREY, linewidth=0.8, linestyle=":", label="Block", zorder=1)
        axes.set_xlabel(axis_label("Current", result.unit))
        axes.set_ylabel(axis_label("Firing rate", "1" if result.unit == "1" else "Hz"))
        axes.set_ylim(bottom=-0.03 * max(np.nanmax([up, down], initial=0.0), 1.0))
        _legend_above(axes)
    return axes


def plot_accommodation(result: Accommodation, axes: Axes | None = None) -> Axes:
    """Draw the threshold of slowly rising currents over their slope; below the minimal slope none excites.

    **Arguments:** `result`, from `accommodation`; `axes`, matplotlib axes to draw into, a new figure if None. Returns
    the axes.

    >>> plot_accommodation(accommodation(HodgkinHuxley(), np.geomspace(0.1, 10.0, 20)))
    """
    axes = _axes(axes)
    with style():
        order = np.argsort(result.slope, kind="stable")
        x, y = result.slope[order], result.threshold[order]
        is_finite = np.isfinite(y)
        axes.plot(x[is_finite], y[is_finite], "o-", color=BLACK, markersize=4, label="Threshold", zorder=3)
        axes.axhline(result.rheobase, color=GREY, linewidth=0.8, linestyle=":", label="Rheobase", zorder=1)
        left, right = x[0] / 1.1, x[-1] * 1.1
        if np.isfinite(result.minimal_slope) and result.minimal_slope > 0:
            left = min(left, 0.5 * result.minimal_slope)
            axes.axvspan(left, result.minimal_slope, color=_DARK, linewidth=0, label="Too slow", zorder=0)
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(0.0, 1.1 * max(y[is_finite].max(initial=0.0), result.rheobase))
        _plain_ticks(axes.xaxis, left, right)
        unit = result.unit
        axes.set_xlabel(axis_label("Slope", "1" if unit == "1" else _per_ms(unit)))
        axes.set_ylabel(axis_label("Threshold", unit))
        _legend_above(axes)
    return axes


def plot_rebound(result: Rebound, axes: Any = None) -> np.ndarray:
    """Draw voltage and current of a hyperpolarising step, and the latency of the spike after it.

    **Arguments:** `result`, from `rebound`; `axes`, two matplotlib axes to draw into (one for the voltage alone), a new
    figure if None. Returns the axes, an array.

    >>> plot_rebound(rebound(HodgkinHuxley()))
    """
    axes = plot_solution(result.solution, axes)
    with style():
        for ax in axes:
            ax.axvline(result.end, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        if result.has_spiked:
            unit = _time_unit(result.solution.model.input_unit)
            text = f"{result.latency:.1f}" + ("" if unit == "1" else f" {unit}")
            spike = result.end + result.latency
            low, high = axes[0].get_ylim()
            y = low + 0.6 * (high - low)
            axes[0].annotate(
                "",
                (spike, y),
                (result.end, y),
                arrowprops={"arrowstyle": "<->", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
            )
            axes[0].text(result.end - 1, y, text, ha="right", va="center")
    return axes


def _axes(axes: Axes | None) -> Axes:
    return new_axes(size=_SIZE)[0] if axes is None else axes


def _legend_above(axes: Axes) -> None:
    """Where curves and shades leave no corner free."""
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2, handlelength=1.6)


def _time_unit(unit: str) -> str:
    return "1" if unit == "1" else "ms"


def _voltage_unit(unit: str) -> str:
    return "1" if unit == "1" else "mV"


def _per_ms(unit: str) -> str:
    return f"{axis_label('', unit).strip(' ()')} per ms"


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Numbers such as 0.5, 1, 2, 5 on a logarithmic axis of few decades, where powers of ten would be too few."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
