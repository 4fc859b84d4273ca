"""A fit: data against the model, and how the loss fell."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from jaxneuro.fitters import FICurve, FitResult, Joint
from jaxneuro.plot._style import GREY, RED, axis_label, style
from jaxneuro.plot._targets import draw_target

__all__ = ["plot_fit"]

_WIDTH, _WIDTH_FI = 2.2, 1.15  # of the data's panel over its height


def plot_fit(result: FitResult, axes: Any = None) -> np.ndarray:
    """Draw a fit: data (black or grey) and the fitted model (red) at the left, losses at the right.

    The right panel has one line per start, its lowest loss so far over the steps; the best start
    is red. Where a stage begins with another loss there is a dotted line with its name, and the lowest is sought anew.

    **Arguments:** `result`, what `fit` returns; `axes`, one or two matplotlib axes to draw into, a
    new figure if None.

    Returns the axes, an array.

    **Raises:** ValueError for a wrong number of axes.

    >>> plot_fit(fit(LIF(), target, free={"V_th": (-60.0, -40.0)}))
    """
    target = result.target
    panels = _panels(axes, _WIDTH_FI if isinstance(target, FICurve) else _WIDTH)
    with style():
        if isinstance(target, Joint):
            _draw_terms(panels[0], result)
        else:
            draw_target(panels[0], target, result.predict(), result.model)
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


def _draw_terms(ax: Axes, result: FitResult) -> None:
    """The error of each term: in its unit where all have one and the same scale, else over its scale, so that 1 is
    what was called one error."""
    scales, errors = result.target.scales, result.errors
    units, sizes = {unit for _, unit in errors.values()}, {float(scale) for scale in scales.values()}
    is_alike = len(units) == len(sizes) == 1
    lengths = [value if is_alike else value / float(scales[name]) for name, (value, _) in errors.items()]
    ax.barh(range(len(lengths)), lengths, color=RED, height=0.6)
    ax.set_yticks(range(len(lengths)), list(errors))
    ax.invert_yaxis()
    if not is_alike or sizes != {1.0}:
        ax.axvline(sizes.pop() if is_alike else 1.0, color=GREY, linewidth=0.7, linestyle=":")
    ax.set_xlabel(axis_label("Error", units.pop()) if is_alike else "Error over its scale")


def _name_stages(ax: Axes, result: FitResult, begins: list[int]) -> None:
    """What each loss is of, once, beside the border where it begins."""
    first = dict(zip(np.cumsum([0, *(s.n_steps for s in result.stages[:-1])]).tolist(), result.stages, strict=True))
    names = {}
    for begin in begins:
        # of "features, population" and "features, Levenberg-Marquardt" what they have in common
        names.setdefault(first[begin].name.split(",")[0], begin)
    for name, begin in names.items():
        ax.text(
            begin,
            1.02,
            name,
            rotation=40,
            ha="left",
            va="bottom",
            rotation_mode="anchor",
            fontsize="x-small",
            color=GREY,
            transform=ax.get_xaxis_transform(),
        )


def _draw_losses(ax: Axes, result: FitResult) -> None:
    finite = np.where(np.isfinite(result.history), result.history, np.inf)
    ends = np.cumsum([stage.n_steps for stage in result.stages])
    later = zip(ends.tolist(), result.stages[1:], strict=False)
    borders = sorted({end for end, stage in later if stage.is_new and 0 < end < len(finite)})
    for border in borders:
        ax.axvline(border - 0.5, color=GREY, linewidth=0.7, linestyle=":")
    if borders:
        _name_stages(ax, result, [0, *borders])
    lowest = np.concatenate([np.minimum.accumulate(part, axis=0) for part in np.split(finite, borders)])
    # the line of a start that was given up ends there
    lowest = np.where(np.isnan(result.history) & np.isnan(result.start_losses)[None], np.nan, lowest)
    # a line is broken where the loss becomes another one
    lowest = np.insert(lowest, borders, np.nan, axis=0)
    steps = np.insert(np.arange(len(finite), dtype=float), borders, np.nan)
    best = int(np.nanargmin(result.start_losses))
    others = np.delete(lowest, best, axis=1)
    ax.plot(steps, np.where(np.isfinite(others), others, np.nan), color=GREY, linewidth=0.7)
    ax.plot(steps, np.where(np.isfinite(lowest[:, best]), lowest[:, best], np.nan), color=RED)
    if np.nanmin(np.where(np.isfinite(lowest), lowest, np.nan)) > 0:  # a likelihood may be of either sign
        ax.set_yscale("log")
    ax.set_xlim(0, max(len(finite) - 1, 1))
    ax.set_xlabel("Step")
    is_mixed = {"free run", "features"} <= {
        stage.name.split(",")[0] for stage in result.stages if stage.loss is not None
    }
    unit = "own unit" if is_mixed else result.loss_unit.replace("^2", "²") or "1"
    ax.set_ylabel(axis_label("Lowest loss", unit))
