"""The parts of a fit: data and model of each term, and what is left between them."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from jaxneuro.fitters import AbstractTarget, ClampCurrent, FitResult, Joint, VoltageTrace
from jaxneuro.fitters.targets._joint import terms_of
from jaxneuro.plot._style import RED, axis_label, style
from jaxneuro.plot._targets import draw_target

__all__ = ["plot_residuals", "plot_terms"]

_COLUMNS = 3
_NAMED = 6  # traces, more of which a legend has no room for
_PANEL = (3.3, 1.9)  # inch


def plot_terms(result: FitResult, *, is_held_out: bool = False) -> np.ndarray:
    """Draw data and model of every term of a `Joint`, a panel each, or the one of another target.

    **Arguments:** `result`, what `fit` returns; `is_held_out`, those that were held out instead of those fitted.

    Returns the axes, an array (n_term,).

    **Raises:** ValueError if nothing was held out.

    >>> plot_terms(result, is_held_out=True)
    """
    terms = _terms(result, is_held_out)
    with style():
        columns = 2 if len(terms) == 4 else min(len(terms), _COLUMNS)
        rows = math.ceil(len(terms) / columns)
        size = (_PANEL[0] * columns, _PANEL[1] * rows + 0.3)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        panels = list(axes.ravel())
        for ax in panels[len(terms) :]:
            ax.remove()
        for k, (ax, (name, (target, prediction))) in enumerate(zip(panels, terms.items(), strict=False)):
            draw_target(ax, target, prediction, result.model)
            ax.set_title(name, loc="right")
            if k and ax.get_legend() is not None:
                ax.get_legend().remove()
    panels = panels[: len(terms)]
    _share_scales(panels)
    _say_once(panels, columns)
    return np.array(panels, dtype=object)


def _share_scales(panels: list[Axes]) -> None:
    """One vertical scale for all panels that show the same quantity."""
    for label in {ax.get_ylabel() for ax in panels}:
        alike = [ax for ax in panels if ax.get_ylabel() == label]
        lows, highs = zip(*(ax.get_ylim() for ax in alike), strict=True)
        for ax in alike:
            ax.set_ylim(min(lows), max(highs))


def _say_once(panels: list[Axes], columns: int) -> None:
    """No label that the panel to the left, or the one below, has too."""
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in panels]
    for k, ax in enumerate(panels):
        if k % columns and labels[k][1] == labels[k - 1][1]:
            ax.set_ylabel("")
        if k + columns < len(panels) and labels[k][0] == labels[k + columns][0]:
            ax.set_xlabel("")


def plot_residuals(result: FitResult) -> np.ndarray | None:
    """Draw what the model leaves of traces: its error over time, and the distribution of it.

    Returns the two axes, or None if no term is a trace.

    >>> plot_residuals(result)
    """
    found = {name: _residuals(*term) for name, term in _terms(result, False).items()}
    found = {name: residuals for name, residuals in found.items() if residuals is not None}
    if not found:
        return None
    # traces of one kind share a panel
    unit = next(iter(found.values()))[2]
    traces = {name: (ts, errors) for name, (ts, errors, of_one) in found.items() if of_one == unit}
    with style():
        _, axes = plt.subplots(1, 2, figsize=(8.7, 2.6), width_ratios=(3, 1), layout="constrained")
        # from dark to light in the order given
        colors = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(traces))) if len(traces) > 1 else [RED]
        for color, (name, (ts, errors)) in zip(colors, traces.items(), strict=True):
            axes[0].plot(ts, errors, color=color, linewidth=0.7, label=name)
        if 1 < len(traces) <= _NAMED:
            axes[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(traces))
        everything = np.concatenate([errors[np.isfinite(errors)] for _, errors in traces.values()])
        axes[0].axhline(0.0, color="black", linewidth=0.7)
        axes[0].set_xlabel(axis_label("Time", "ms"))
        axes[0].set_ylabel(axis_label("Model - data", unit))
        axes[0].margins(x=0.0)
        _draw_distribution(axes[1], everything, unit)
    return axes


def _draw_distribution(ax: Axes, errors: np.ndarray, unit: str) -> None:
    """A histogram whose ends hold what lies beyond, and the normal distribution of the same width."""
    rms = float(np.sqrt(np.mean(errors**2)))
    edges = np.linspace(-4 * rms, 4 * rms, 41) if rms > 0 else np.linspace(-1, 1, 3)
    ax.hist(np.clip(errors, edges[0], edges[-1]), bins=edges, density=True, color=RED, alpha=0.6)
    if rms > 0:
        x = np.linspace(edges[0], edges[-1], 200)
        ax.plot(x, np.exp(-0.5 * (x / rms) ** 2) / (rms * np.sqrt(2 * np.pi)), color="black", linewidth=0.8)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(axis_label("Model - data", unit))
    ax.set_title(f"RMS {rms:.3g} {unit}, line: normal", loc="right")


def _residuals(target: AbstractTarget, prediction: Any) -> tuple[np.ndarray, np.ndarray, str] | None:
    if not isinstance(target, VoltageTrace | ClampCurrent):
        return None
    errors = np.where(target.is_compared, target.recorded(prediction) - target.data, np.nan)
    return target.ts, errors, target.unit


def _terms(result: FitResult, is_held_out: bool) -> dict[str, tuple[AbstractTarget, Any]]:
    """Name -> target and prediction; one target by itself has no name."""
    target = result.held_out if is_held_out else result.target
    if target is None:
        raise ValueError(
            "Argument `result` must be of a fit with held-out data, but nothing was held out; give fit(held_out=...)."
        )
    terms = terms_of(target, result.held_out_prediction if is_held_out else result.prediction)
    return terms if isinstance(target, Joint) else {"": terms["all"]}
