"""What data leave of parameters: each by itself, and each with each."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from jaxneuro import params
from jaxneuro._arguments import check_kind
from jaxneuro.fitters import Bootstrap, Posterior
from jaxneuro.plot._style import BLACK, BLUE, RED, axis_label, style, tidy_ticks

__all__ = ["plot_posterior"]

_PANEL = 1.55  # inch
_BINS, _SMOOTHING = 40, 1.5  # of a density of two parameters, and how many of the bins it is smoothed by
_SHARES = (0.95, 0.68)  # of the draws inside the contours
_ENOUGH = 400  # draws for contours
_SHOWN = 1500  # points at most
_PALE = "#b9d3e6"


def plot_posterior(
    found: Posterior | Bootstrap, *, true: Mapping[str, float] | None = None, axes: Any = None
) -> np.ndarray:
    """Draw the distribution of every parameter on the diagonal, and of every two of them below it.

    Marginals are histograms, pale outside the 95 % interval. Pairs are points, with contours around 68 and 95 % of 400
    draws or more; red lines are true values.

    **Arguments:** `found`, what `posterior` or `bootstrap` returns; `true`, name -> true or published value; `axes`, an
    array (n_param, n_param) of matplotlib axes, a new figure if None.

    Returns the axes, an array (n_param, n_param); those above the diagonal are None in a new figure.

    **Raises:** ValueError for another name or shape.

    >>> plot_posterior(posterior(result), true={"leak.g_max": 0.1})
    """
    check_kind("found", found, (Posterior, Bootstrap), "a Posterior or a Bootstrap", "give what `posterior` returns")
    names, p = found.names, len(found.names)
    true = dict(true or {})
    unknown = [name for name in true if name not in names]
    if unknown:
        raise ValueError(
            f"Argument `true` must name parameters of `found`, but has {unknown[0]!r}; "
            f"{params.guess(unknown[0], names)}."
        )
    grid = _grid(p) if axes is None else np.atleast_2d(np.asarray(axes, dtype=object))
    if grid.shape != (p, p):
        raise ValueError(
            f"Argument `axes` must hold {p} x {p} axes, one for every two parameters, but has shape {grid.shape}; make "
            f"them with plt.subplots({p}, {p})."
        )
    with style():
        for row in range(p):
            for column in range(row + 1):
                ax = grid[row, column]
                if row == column:
                    _draw_marginal(ax, found, row, true.get(names[row]))
                else:
                    _draw_pair(ax, found, row, column, true)
                _label(ax, found, row, column)
    return grid


def _grid(p: int) -> np.ndarray:
    """The lower triangle of a new figure."""
    with style():
        size = max(p * _PANEL + 0.6, 2.6)
        figure, axes = plt.subplots(p, p, figsize=(size, size), sharex="col", squeeze=False, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    grid = np.full((p, p), None, dtype=object)
    for row, column in np.ndindex(p, p):
        if column <= row:
            grid[row, column] = axes[row, column]
        else:
            axes[row, column].remove()
    shown = grid[np.tril_indices(p)]
    tidy_ticks(shown)
    figure.align_labels(list(shown))
    return grid


def _draw_marginal(ax: Axes, found: Posterior | Bootstrap, k: int, true: float | None) -> None:
    name, draws = found.names[k], found.draws[:, k]
    low, high = found.interval[name]
    n_bins = int(np.clip(2 * draws.size ** (1 / 3), 8, 40))  # Rice's rule
    _, edges, bars = ax.hist(draws, bins=n_bins, color=_PALE)
    for bar, middle in zip(bars, (edges[1:] + edges[:-1]) / 2, strict=True):
        bar.set_facecolor(BLUE if low <= middle <= high else _PALE)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.margins(x=0.05)
    ax.set_ylim(bottom=0.0)
    if true is not None:
        ax.axvline(true, color=RED)


def _draw_pair(ax: Axes, found: Posterior | Bootstrap, row: int, column: int, true: Mapping[str, float]) -> None:
    x, y = found.draws[:, column], found.draws[:, row]
    has_contours = x.size >= _ENOUGH
    step = -(-x.size // _SHOWN)
    color, size = (_PALE, 3) if has_contours else (BLUE, 8)
    ax.scatter(x[::step], y[::step], s=size, color=color, linewidths=0, rasterized=True)
    if has_contours and np.ptp(x) > 0 and np.ptp(y) > 0:
        _draw_contours(ax, x, y)
    ax.margins(0.05)
    for name, line in ((found.names[column], ax.axvline), (found.names[row], ax.axhline)):
        if name in true:
            line(true[name], color=RED)


def _draw_contours(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Lines of equal density around shares of the draws."""
    counts, *edges = np.histogram2d(x, y, bins=_BINS, range=[_widened(x), _widened(y)])
    density = gaussian_filter(counts, _SMOOTHING)
    falling = np.sort(density.ravel())[::-1]
    inside = np.cumsum(falling) / falling.sum()
    levels = [falling[np.searchsorted(inside, share)] for share in _SHARES]
    if levels[0] < levels[1]:
        centres = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
        ax.contour(*centres, density.T, levels=levels, colors=[BLUE, BLACK], linewidths=[0.8, 1.0])


def _widened(values: np.ndarray) -> tuple[float, float]:
    """The range of the histogram, with room for the smoothed density to fall to 0."""
    room = 0.1 * np.ptp(values)
    return float(values.min() - room), float(values.max() + room)


def _label(ax: Axes, found: Posterior | Bootstrap, row: int, column: int) -> None:
    """Names and units at the outer panels alone."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
    if row != column:
        ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
    if row == len(found.names) - 1:
        ax.set_xlabel(_named(found, column))
    else:
        ax.tick_params(labelbottom=False)
    if column == 0 and row > 0:
        ax.set_ylabel(_named(found, row))
    elif column > 0:
        ax.tick_params(labelleft=False)


def _named(found: Posterior | Bootstrap, k: int) -> str:
    """A parameter with its unit below, where it fits a panel of a side."""
    name, unit = found.names[k], found.units[k]
    return axis_label(name, unit).replace(" (", "\n(", 1)
