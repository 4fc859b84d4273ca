"""Voltage, spikes and stimulus of a simulation over time."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from jaxneuro._solution import Solution
from jaxneuro.models import AbstractSpikingModel
from jaxneuro.plot._style import BLACK, GREY, axis_label, line_colors, new_axes, style
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["draw_raster", "plot_solution"]

_MAX_RUNS = 20
_MAX_TRACES = 8
# Where a drawn spike ends: at an action potential's usual peak [mV]; where the threshold itself is
# not negative, as in dimensionless models, 40 % of the trace's range above it.
_PEAK = 20.0
_RISE = 0.4
_INPUT_NAMES = {"1": "Input", "mV": "Command"}
_STEPS = [1, 2, 5, 10]  # of ticks
_HEIGHTS = {"voltage": 3.0, "raster": 1.6, "stimulus": 0.9}


def plot_solution(solution: Solution, axes: Any = None) -> np.ndarray:
    """Draw a simulation over time: voltage above, stimulus below, for a network a raster between.

    Models that reset are drawn with their spikes, vertical lines at the exact spike times. A batch
    from jax.vmap is overlaid, up to 20 runs evenly picked from it. A network has up to 8 traces,
    evenly picked, and a raster of all its spikes.

    **Arguments:**

    - `solution`: what `simulate` returns.
    - `axes`: matplotlib axes to draw into, one for the voltage alone or one per panel (2, or 3 for
      a network); a new figure if None.

    Returns the axes, an array.

    **Raises:** ValueError for a wrong number of axes and for a batch of networks.

    >>> plot_solution(simulate(LIF(), Step(amplitude=0.3, onset=10.0, duration=80.0), t1=100.0))
    """
    is_network = solution.voltage.ndim > solution.ts.ndim
    batch = solution.ts.shape[:-1]
    if is_network and batch:
        raise ValueError(
            f"Argument `solution` must be one run of a network, but is a batch of shape {batch}; "
            "pick one with jax.tree.map(lambda leaf: leaf[0], solution)."
        )
    panels = _panels(("voltage", "raster", "stimulus") if is_network else ("voltage", "stimulus"), axes)
    runs = _runs(solution)
    colors = line_colors(solution.voltage.shape[-1] if is_network else len(runs))
    with style():
        if is_network:
            _draw_cells(panels["voltage"], runs[0], colors)
        else:
            _draw_runs(panels["voltage"], runs, colors, math.prod(batch))
        if "raster" in panels:
            draw_raster(panels["raster"], np.asarray(runs[0].spikes), colors)
        if "stimulus" in panels:
            _draw_stimulus(panels["stimulus"], runs, colors)
        *upper, last = panels.values()
        last.set_xlabel(axis_label("Time", _time_unit(solution)))
        last.set_xlim(float(np.min(solution.ts)), float(np.max(solution.ts)))
    if axes is None:
        for ax in upper:
            ax.spines["bottom"].set_visible(False)
            ax.tick_params(axis="x", length=0)
        last.figure.align_ylabels()
    return np.array([*upper, last], dtype=object)


def _time_unit(solution: Solution) -> str:
    return "1" if solution.model.input_unit == "1" else "ms"


def _voltage_unit(solution: Solution) -> str:
    return "1" if solution.model.input_unit == "1" else "mV"


def _panels(names: tuple[str, ...], axes: Any) -> dict[str, Axes]:
    if axes is None:
        height = 3.4 if len(names) == 2 else 4.8
        given = new_axes([_HEIGHTS[name] for name in names], size=(5.6, height))
    else:
        given = [axes] if isinstance(axes, Axes) else list(np.ravel(axes))
    if len(given) not in (1, len(names)):
        raise ValueError(
            f"Argument `axes` must hold 1 or {len(names)} axes ({', '.join(names)}), but holds "
            f"{len(given)}; make them with plt.subplots({len(names)})."
        )
    return dict(zip(names, given, strict=False))


def _runs(solution: Solution) -> list[Solution]:
    """The single runs, at most `_MAX_RUNS`, evenly picked from a batch with any number of axes."""
    batch = solution.ts.shape[:-1]
    if not batch:
        return [solution]
    arrays, rest = eqx.partition(solution, eqx.is_array)

    def run(i: int) -> Solution:
        at = np.unravel_index(i, batch)
        return eqx.combine(jax.tree.map(lambda leaf: leaf[at], arrays), rest)

    return [run(i) for i in _evenly(math.prod(batch), _MAX_RUNS)]


def _evenly(n: int, n_max: int) -> np.ndarray:
    """At most `n_max` of the indices 0 to n - 1, the first and the last among them."""
    return np.linspace(0, n - 1, min(n, n_max)).round().astype(int)


def _traces(run: Solution) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times [ms] and voltages [mV] of the line of every cell, with its spikes if it resets."""
    ts, V = np.asarray(run.ts), np.asarray(run.voltage)
    # a line ends where its run failed
    cells = np.where(np.isfinite(V), V, np.nan).reshape(ts.size, -1).T
    reset = _around_reset(run)
    if reset is None:
        return [(ts, v) for v in cells]
    thresholds, afters = (values.reshape(ts.size, -1).T for values in reset)
    spikes = np.asarray(run.spikes).reshape(len(cells), -1)
    return [_with_spikes(ts, *one_cell) for one_cell in zip(cells, spikes, thresholds, afters, strict=True)]


def _around_reset(run: Solution) -> tuple[np.ndarray, np.ndarray] | None:
    """Threshold and voltage after a spike [mV] at the saved times; None if no voltage is reset."""
    model = run.model
    if not isinstance(model, AbstractSpikingModel):
        return None

    def around(y: Any) -> tuple[Any, Any]:
        gap = model.gap(y)
        return model.voltage(y) - gap, model.voltage(model.reset(y, jnp.ones_like(gap)))

    threshold, after = (np.asarray(values) for values in jax.vmap(around)(run.ys))
    return (threshold, after) if np.any(np.abs(after - np.asarray(run.voltage)) > 0) else None


def _with_spikes(
    ts: np.ndarray, V: np.ndarray, spikes: np.ndarray, threshold: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The trace with three points more per spike, at its exact time: threshold, peak, reset."""
    spikes = spikes[np.isfinite(spikes)]
    if not spikes.size:
        return ts, V
    at = np.searchsorted(ts, spikes)
    left = np.maximum(at - 1, 0)
    top = threshold[left].max()
    peak = _PEAK if top < 0 else top + _RISE * (top - np.nanmin(V))
    drawn = np.stack([threshold[left], np.full(spikes.size, peak), after[left]], axis=1)
    at = np.repeat(at, 3)
    return np.insert(ts, at, np.repeat(spikes, 3)), np.insert(V, at, drawn.ravel())


def _draw_runs(ax: Axes, runs: list[Solution], colors: list[str], n_run: int) -> None:
    for run, color in zip(runs, colors, strict=True):
        ((ts, V),) = _traces(run)
        ax.plot(ts, V, color=color)
    unit = _voltage_unit(runs[0])
    ax.set_ylabel("$V$" if unit == "1" else axis_label("Membrane potential", unit))
    if len(runs) < n_run:
        ax.set_title(f"{len(runs)} of {n_run} runs")


def _draw_cells(ax: Axes, run: Solution, colors: list[str]) -> None:
    """Traces of some cells, the first at the top, with a scale bar for the voltage."""
    traces = _traces(run)
    shown = _evenly(len(traces), _MAX_TRACES)
    lows = [np.nanmin(V) for _, V in traces]
    spacing = 1.15 * max(np.nanmax(traces[i][1]) - lows[i] for i in shown) or 1.0
    bottoms = -spacing * np.arange(len(shown))
    for i, bottom in zip(shown, bottoms, strict=True):
        ts, V = traces[i]
        ax.plot(ts, V - lows[i] + bottom, color=colors[i])
    ax.set_yticks(bottoms, [str(i) for i in shown])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylabel("Cell")
    _draw_scale_bar(ax, bottoms[-1], _round_number(0.6 * spacing), _voltage_unit(run))


def _draw_scale_bar(ax: Axes, bottom: float, length: float, unit: str) -> None:
    """A vertical bar of `length` [unit] to the right of the axes."""
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    ends = [bottom, bottom + length]
    ax.plot([1.01, 1.01], ends, color=BLACK, linewidth=1.6, transform=beside, clip_on=False)
    text = f"{length:g}" if unit == "1" else f"{length:g} {unit}"
    ax.text(1.02, bottom + length / 2, text, transform=beside, va="center")


def _round_number(largest: float) -> float:
    """The largest number that is 1, 2 or 5 times a power of ten and not above `largest`."""
    power = 10.0 ** math.floor(math.log10(largest))
    return max(m * power for m in (1, 2, 5) if m * power <= largest)


def draw_raster(ax: Axes, spikes: np.ndarray, colors: list[str]) -> None:
    """One row per cell, the first at the top, one mark per spike."""
    is_spike = np.isfinite(spikes)
    cells, _ = np.nonzero(is_spike)
    mark_colors = [colors[i] for i in cells]
    ax.vlines(spikes[is_spike], cells - 0.4, cells + 0.4, colors=mark_colors, linewidth=1.2)
    ax.set_ylim(len(spikes) - 0.5, -0.5)
    ax.yaxis.set_major_locator(MaxNLocator(_MAX_TRACES, steps=_STEPS, integer=True))
    ax.set_ylabel("Cell")


def _draw_stimulus(ax: Axes, runs: list[Solution], colors: list[str]) -> None:
    """The input of every run, or of every cell of a network whose input is not shared."""
    for run, color in zip(runs, colors, strict=False):
        ts, values = _stimulus_over_time(run.stimulus, np.asarray(run.ts))
        shared_color = GREY if len(runs) == 1 else color
        for leaf in jax.tree.leaves(values):
            columns = leaf.reshape(ts.size, -1).T
            for i, column in enumerate(columns):
                ax.plot(ts, column, color=shared_color if len(columns) == 1 else colors[i])
    unit = runs[0].model.input_unit
    if unit != "mV":  # the size of a current is seen against none, that of a command voltage is not
        ax.update_datalim([(float(runs[0].ts[0]), 0.0)])
        ax.autoscale_view()
    ax.yaxis.set_major_locator(MaxNLocator(3, steps=_STEPS))
    ax.set_ylabel(axis_label(_INPUT_NAMES.get(unit, "Current"), unit).replace(" (", "\n("))


def _stimulus_over_time(stimulus: AbstractStimulus, ts: np.ndarray) -> tuple[np.ndarray, Any]:
    """Times and the values at them, with both sides of every jump, so that edges are upright."""
    jumps = np.asarray(stimulus.jump_ts).astype(ts.dtype)
    jumps = jumps[(jumps > ts[0]) & (jumps <= ts[-1])]
    before = np.nextafter(jumps, ts.dtype.type(-np.inf))
    times = np.sort(np.concatenate([ts, before, jumps]))
    return times, jax.tree.map(np.asarray, jax.vmap(stimulus)(jnp.asarray(times)))
