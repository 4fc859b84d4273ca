"""A fit: data against the model, and how the loss fell."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxneuro import units
from jaxneuro._solution import Solution
from jaxneuro.fitters import (
    ClampCurrent,
    FICurve,
    FitResult,
    Joint,
    MultipleShooting,
    SpikeTimes,
    SpikeTrains,
    StepResponse,
    VoltageTrace,
)
from jaxneuro.plot._fi import plot_fi
from jaxneuro.plot._style import BLACK, GREY, RED, axis_label, style

__all__ = ["plot_fit"]

# Data lie as a broad pale line under the model's thin one, so that both are seen where they agree.
_PALE = "#bbbbbb"
_WIDTH, _WIDTH_FI = 2.2, 1.15  # of the data's panel over its height


def plot_fit(result: FitResult, axes: Any = None) -> np.ndarray:
    """Draw a fit: data (black or grey) and the fitted model (red) at the left, losses at the right.

    The right panel has one line per start, its lowest loss so far over the steps; the best start
    is red. Where a stage begins with another loss there is a dotted line, and the lowest is sought anew.

    **Arguments:** `result`, what `fit` returns; `axes`, one or two matplotlib axes to draw into, a
    new figure if None.

    Returns the axes, an array.

    **Raises:** ValueError for a wrong number of axes.

    >>> plot_fit(fit(LIF(), target, free={"V_th": (-60.0, -40.0)}))
    """
    target = result.target
    panels = _panels(axes, _WIDTH_FI if isinstance(target, FICurve) else _WIDTH)
    draw = _DRAWN[type(target)]
    with style():
        draw(panels[0], result)
        if len(panels) > 1:
            _draw_losses(panels[1], result)
    return np.array(panels, dtype=object)


def _panels(axes: Any, width: float) -> list[Axes]:
    if axes is None:
        with style():
            # both panels are as high as an f-I curve alone
            _, axes = plt.subplots(
                1, 2, figsize=(2.9 * (width + 1), 2.9), width_ratios=(width, 1), layout="constrained"
            )
    given = [axes] if isinstance(axes, Axes) else list(np.ravel(axes))
    if len(given) not in (1, 2):
        raise ValueError(
            f"Argument `axes` must hold 1 or 2 axes (data and losses), but holds {len(given)}; "
            "make them with plt.subplots(1, 2)."
        )
    return given


def _draw_trace(ax: Axes, result: FitResult) -> None:
    _draw_both(ax, result, result.target.recorded(result.predict()))
    ax.set_ylabel(axis_label("Membrane potential", "mV"))


def _draw_windows(ax: Axes, result: FitResult) -> None:
    """The model in each window, which begins on the data; a gap between windows."""
    target = result.target
    trace, voltage = target.trace, np.asarray(result.predict().voltage)
    ts = target.in_windows(trace.ts)
    broken = lambda values: np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan).ravel()  # noqa: E731
    _draw_pair(ax, trace, broken(ts), broken(voltage))
    ax.set_ylabel(axis_label("Membrane potential", "mV"))


def _draw_current(ax: Axes, result: FitResult) -> None:
    _draw_both(ax, result, result.model.recorded(result.predict().ys))
    ax.set_ylabel(axis_label("Recorded current", "pA"))


def _draw_both(ax: Axes, result: FitResult, model: Any) -> None:
    _draw_pair(ax, result.target, result.target.ts, model)


def _draw_pair(ax: Axes, target: VoltageTrace | ClampCurrent, ts: Any, model: Any) -> None:
    ax.plot(target.ts, target.data, color=_PALE, linewidth=3.0, label="Data")
    ax.plot(ts, model, color=RED, label="Model")
    ax.set_xlim(target.t0, target.t1)
    ax.set_xlabel(axis_label("Time", "ms"))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)  # above, where no spike is


def _draw_response(ax: Axes, result: FitResult) -> None:
    target = result.target
    ax.plot(target.ts, target.voltage, color=_PALE, linewidth=3.0, label="Data")
    ax.plot(target.ts, target.recorded(result.predict())[: target.ts.size], color=RED, label="Model")
    ax.set_xlim(0.0, target.end)
    ax.set_xlabel(axis_label("Time", "ms"))
    ax.set_ylabel(axis_label("Membrane potential", "mV"))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)


def _draw_trains(ax: Axes, result: FitResult) -> None:
    """Spikes of every trial above the mean rate that the model has along them."""
    target, run = result.target, result.predict()
    rate = 1e3 * np.mean(np.where(np.asarray(run.is_held), 0.0, np.exp(np.asarray(run.log_rate))), axis=0)
    ax.plot(target.dt * np.arange(rate.size), rate, color=RED, linewidth=0.7)
    top = 1.05 * float(rate.max())
    for row, times in enumerate(np.asarray(target.times)):
        shown = times[np.isfinite(times)]
        ax.vlines(shown, top * (1 + 0.05 * row), top * (1.04 + 0.05 * row), color=BLACK, linewidth=0.7)
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick < top])  # no rate stands beside the trials
    ax.set_xlim(0.0, target.t1)
    ax.set_xlabel(axis_label("Time", "ms"))
    ax.set_ylabel(axis_label("Rate of the model", "Hz"))


def _draw_terms(ax: Axes, result: FitResult) -> None:
    """The error of each term over its scale: 1 is what was called one error."""
    target = result.target
    errors = result.errors
    shares = [value / float(target.scales[name]) for name, (value, _) in errors.items()]
    ax.barh(range(len(shares)), shares, color=RED, height=0.6)
    ax.set_yticks(range(len(shares)), list(errors))
    ax.invert_yaxis()
    ax.axvline(1.0, color=GREY, linewidth=0.7, linestyle=":")
    ax.set_xlabel("Error over its scale")


def _draw_fi(ax: Axes, result: FitResult) -> None:
    target, unit = result.target, result.model.input_unit
    shown = "pA" if units.same_dimension(unit, "pA") else unit
    current = units.convert(np.asarray(target.current_in(unit)), unit, shown)
    plot_fi(current, target.rate, model_rate=result.predict().rate, unit=shown, axes=ax)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _draw_spikes(ax: Axes, result: FitResult) -> None:
    target = result.target
    prediction: Solution = result.predict()
    times = np.asarray(prediction.spike_times)
    rows = {"Data": (1, np.asarray(target.times), BLACK), "Model": (0, times, RED)}
    for row, spikes, color in rows.values():
        shown = spikes[np.isfinite(spikes)]
        ax.vlines(shown, row - 0.35, row + 0.35, color=color, linewidth=1.2)
    ax.set_yticks([row for row, *_ in rows.values()], list(rows))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.6, 1.6)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(0.0, target.t1)
    ax.set_xlabel(axis_label("Time", "ms"))


def _draw_losses(ax: Axes, result: FitResult) -> None:
    finite = np.where(np.isfinite(result.history), result.history, np.inf)
    ends = np.cumsum([stage.n_steps for stage in result.stages])
    borders = [
        end for end, later in zip(ends, result.stages[1:], strict=False) if later.is_new and 0 < end < len(finite)
    ]
    for border in borders:
        ax.axvline(border - 0.5, color=GREY, linewidth=0.7, linestyle=":")
    parts = [np.minimum.accumulate(part, axis=0) for part in np.split(finite, borders)]
    # a line is broken where the loss becomes another one
    lowest = np.insert(np.concatenate(parts), borders, np.nan, axis=0)
    steps = np.insert(np.arange(len(finite), dtype=float), borders, np.nan)
    best = int(np.argmin(result.start_losses))
    others = np.delete(lowest, best, axis=1)
    ax.plot(steps, np.where(np.isfinite(others), others, np.nan), color=GREY, linewidth=0.7)
    ax.plot(steps, np.where(np.isfinite(lowest[:, best]), lowest[:, best], np.nan), color=RED)
    if np.nanmin(np.where(np.isfinite(lowest), lowest, np.nan)) > 0:  # a likelihood may be of either sign
        ax.set_yscale("log")
    ax.set_xlim(0, max(len(finite) - 1, 1))
    ax.set_xlabel("Step")
    ax.set_ylabel(axis_label("Lowest loss", result.loss_unit.replace("^2", "²") or "1"))


_DRAWN = {
    VoltageTrace: _draw_trace,
    ClampCurrent: _draw_current,
    FICurve: _draw_fi,
    SpikeTimes: _draw_spikes,
    SpikeTrains: _draw_trains,
    StepResponse: _draw_response,
    Joint: _draw_terms,
    MultipleShooting: _draw_windows,
}
