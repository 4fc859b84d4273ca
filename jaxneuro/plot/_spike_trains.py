"""Spike trains: rasters of trials and histograms of intervals."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from jaxneuro.analysis.spike_trains import as_trials, isi, isi_statistics
from jaxneuro.plot._solution import draw_raster
from jaxneuro.plot._style import BLACK, GREY, axis_label, new_axes, style

__all__ = ["plot_isi", "plot_raster"]


def plot_raster(trains: Any, *, row: str = "Trial", axes: Axes | None = None) -> Axes:
    """Draw spike trains one above the other, one mark per spike, the first at the top.

    **Arguments:** `trains` [ms], a list of trains, an array (n_trial, n) padded with inf, or one train; `row`, what one
    of them is, e.g. "Cell"; `axes`, matplotlib axes to draw into, a new figure if None. Returns the axes.

    >>> plot_raster([[10.0, 30.0], [12.0], [9.0, 31.0, 55.0]])
    """
    trials = np.asarray(as_trials("trains", trains))
    if axes is None:
        (axes,) = new_axes(size=(5.0, float(np.clip(0.9 + 0.13 * len(trials), 1.4, 5.0))))
    with style():
        draw_raster(axes, trials, [BLACK] * len(trials))
        axes.yaxis.get_major_locator().set_params(min_n_ticks=1)  # no fractions of a single row
        axes.set_xlabel(axis_label("Time", "ms"))
        axes.set_ylabel(row)
    return axes


def plot_isi(spikes: Any, *, bins: Any = None, is_log: bool = False, axes: Axes | None = None) -> Axes:
    """Draw a histogram of interspike intervals, with their mean, number and coefficient of variation above.

    **Arguments:**

    - `spikes`: a train [ms], or a list or array (n_trial, n) of trains: the intervals within each are put together.
    - `bins`: how many, or their edges [ms]; between 10 and 60, more of them with more intervals, if None.
    - `is_log`: bins of equal width on a logarithmic axis, on which bursts and pauses are both seen.
    - `axes`: matplotlib axes to draw into; a new figure if None. Returns the axes.

    **Raises:** ValueError if no train has two spikes, or on a logarithmic axis two at the same time.

    >>> plot_isi([0.0, 10.0, 19.0, 42.0, 51.0], is_log=True)
    """
    intervals = np.asarray(isi(as_trials("spikes", spikes)))
    intervals = intervals[np.isfinite(intervals)]
    if not intervals.size:
        raise ValueError("Argument `spikes` must hold two spikes of one train, but has no interval; record for longer.")
    if is_log and not intervals.min() > 0:
        raise ValueError(
            "Argument `spikes` must be at different times for a logarithmic axis, but has an interval of 0 ms; leave "
            "out `is_log`."
        )
    if axes is None:
        (axes,) = new_axes(size=(3.8, 3.0))
    with style():
        axes.hist(intervals, _edges(intervals, bins, is_log), color=GREY, edgecolor="white", linewidth=0.5)
        if is_log:
            axes.set_xscale("log")
            # whole decades, so that there are always two labels and never a crowd
            axes.set_xlim(*_decades(intervals))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(left=0.0)
        axes.set_xlabel(axis_label("Interspike interval", "ms"))
        axes.set_ylabel("Count")
        axes.set_title(_summary(intervals))
    return axes


def _edges(intervals: np.ndarray, bins: Any, is_log: bool) -> np.ndarray:
    n = int(np.clip(np.sqrt(intervals.size), 10, 60)) if bins is None else bins
    if np.ndim(n):
        return np.asarray(n, dtype=float)
    if is_log:
        return np.geomspace(*_decades(intervals), n + 1)
    return np.linspace(0.0, intervals.max() * 1.05, n + 1)


def _decades(intervals: np.ndarray) -> tuple[float, float]:
    """Whole powers of ten a little beyond both ends, which may be the same."""
    low, high = np.log10(intervals.min() / 1.05), np.log10(intervals.max() * 1.05)
    return 10.0 ** np.floor(low), 10.0 ** np.ceil(high)


def _summary(intervals: np.ndarray) -> str:
    # as one train, with the intervals of all
    numbers = isi_statistics(np.append(0.0, np.cumsum(intervals)))
    variation = "" if numbers.n < 2 else f", CV {numbers.cv:.2f}"
    return f"Mean {numbers.mean:.3g} ms{variation}, n = {numbers.n}"
