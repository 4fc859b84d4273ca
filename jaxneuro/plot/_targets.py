"""A target and a model's answer to it, in one panel."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxneuro import units
from jaxneuro.fitters import (
    AbstractTarget,
    ClampCurrent,
    FICurve,
    MultipleShooting,
    SpikeTimes,
    SpikeTrains,
    StepResponse,
    VoltageTrace,
)
from jaxneuro.models import AbstractModel
from jaxneuro.plot._fi import plot_fi
from jaxneuro.plot._style import BLACK, RED, axis_label

__all__ = ["draw_target"]

# Data lie as a broad pale line under the model's thin one, so that both are seen where they agree.
_PALE = "#bbbbbb"
_QUANTITIES = {"mV": "Membrane potential", "pA": "Recorded current"}


def draw_target(ax: Axes, target: AbstractTarget, prediction: Any, model: AbstractModel) -> None:
    """Data and model of any target but a `Joint`."""
    _DRAWN[type(target)](ax, target, prediction, model)


def _draw_trace(ax: Axes, target: Any, prediction: Any, model: AbstractModel) -> None:
    _draw_pair(ax, target, target.ts, target.recorded(prediction))
    ax.set_ylabel(axis_label(_QUANTITIES[target.unit], target.unit))


def _draw_windows(ax: Axes, target: Any, prediction: Any, model: AbstractModel) -> None:
    """The model in each window, which begins on the data; a gap between windows."""
    trace, voltage = target.trace, np.asarray(prediction.voltage)
    ts = target.in_windows(trace.ts)
    broken = lambda values: np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan).ravel()  # noqa: E731
    _draw_pair(ax, trace, broken(ts), broken(voltage))
    ax.set_ylabel(axis_label("Membrane potential", "mV"))


def _draw_pair(ax: Axes, target: VoltageTrace | ClampCurrent, ts: Any, model: Any) -> None:
    ax.plot(target.ts, target.data, color=_PALE, linewidth=2.2, label="Data")
    ax.plot(ts, model, color=RED, label="Model")
    ax.set_xlim(target.t0, target.t1)
    ax.set_xlabel(axis_label("Time", "ms"))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)  # above, where no spike is


def _draw_response(ax: Axes, target: Any, prediction: Any, model: AbstractModel) -> None:
    ax.plot(target.ts, target.voltage, color=_PALE, linewidth=2.2, label="Data")
    ax.plot(target.ts, target.recorded(prediction)[: target.ts.size], color=RED, label="Model")
    ax.set_xlim(0.0, target.end)
    ax.set_xlabel(axis_label("Time", "ms"))
    ax.set_ylabel(axis_label("Membrane potential", "mV"))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)


def _draw_trains(ax: Axes, target: Any, prediction: Any, model: AbstractModel) -> None:
    """Spikes of every trial above the mean rate that the model has along them."""
    is_held, log_rate = np.asarray(prediction.is_held), np.asarray(prediction.log_rate)
    rate = 1e3 * np.mean(np.where(is_held, 0.0, np.exp(log_rate)), axis=0)
    ax.plot(target.dt * np.arange(rate.size), rate, color=RED, linewidth=0.7)
    top = 1.05 * float(rate.max())
    for row, times in enumerate(np.asarray(target.times)):
        shown = times[np.isfinite(times)]
        ax.vlines(shown, top * (1 + 0.05 * row), top * (1.04 + 0.05 * row), color=BLACK, linewidth=0.7)
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick < top])  # no rate stands beside the trials
    ax.set_xlim(0.0, target.t1)
    ax.set_xlabel(axis_label("Time", "ms"))
    ax.set_ylabel(axis_label("Rate of the model", "Hz"))


def _draw_fi(ax: Axes, target: Any, prediction: Any, model: AbstractModel) -> None:
    unit = model.input_unit
    shown = "pA" if units.same_dimension(unit, "pA") else unit
    current = units.convert(np.asarray(target.current_in(unit)), unit, shown)
    plot_fi(current, target.rate, model_rate=prediction.rate, unit=shown, axes=ax)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _draw_spikes(ax: Axes, target: Any, prediction: Any, model: AbstractModel) -> None:
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


_DRAWN = {
    VoltageTrace: _draw_trace,
    ClampCurrent: _draw_trace,
    FICurve: _draw_fi,
    SpikeTimes: _draw_spikes,
    SpikeTrains: _draw_trains,
    StepResponse: _draw_response,
    MultipleShooting: _draw_windows,
}
