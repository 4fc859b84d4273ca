"""The look of all figures, which never leaks into the user's own settings."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "RED",
    "axis_label",
    "line_colors",
    "new_axes",
    "style",
    "tidy_ticks",
]

# Okabe & Ito's colours, which the common kinds of colour blindness keep apart. Data are black, a
# model's answer to them is red.
BLACK, GREY, BLUE, RED, GREEN = "#000000", "#7f7f7f", "#0072B2", "#D55E00", "#009E73"

_SETTINGS = {
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.dpi": 150,
    "font.size": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.solid_joinstyle": "round",
}
_TICKS = {"labelsize": 9, "width": 0.8, "length": 3}

_UNIT_SYMBOLS = {
    "uA/cm^2": "µA/cm²",
    "mS/cm^2": "mS/cm²",
    "uF/cm^2": "µF/cm²",
    "uS": "µS",
    "um": "µm",
    "um^2": "µm²",
    "MOhm": "MΩ",
}


@contextmanager
def style() -> Iterator[None]:
    """A context in which matplotlib has jaxneuro's settings; on leaving it the user's are back."""
    # rc_context would also put `interactive` back, which a notebook's backend sets when it makes its first figure
    before = {name: mpl.rcParams[name] for name in _SETTINGS}
    mpl.rcParams.update(_SETTINGS)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


def new_axes(height_ratios: Sequence[float] = (1.0,), *, size: tuple[float, float]) -> list[Axes]:
    """Axes of a new figure, one above the other over one x axis; `size`: width, height [inch]."""
    with style():
        _, axes = plt.subplots(
            len(height_ratios),
            figsize=size,
            height_ratios=height_ratios,
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
    tidy_ticks(axes[:, 0])
    return list(axes[:, 0])


def tidy_ticks(axes: Iterable[Axes]) -> None:
    """Give ticks the settings that they would else take from the user's, being made when they are first drawn."""
    for ax in axes:
        ax.tick_params(**_TICKS)


def axis_label(quantity: str, unit: str) -> str:
    """Text such as "Current (µA/cm²)"; dimensionless quantities (unit "1") stand alone."""
    return quantity if unit == "1" else f"{quantity} ({_UNIT_SYMBOLS.get(unit, unit)})"


def line_colors(n: int) -> list[str]:
    """Colours of n lines in an order that the eye sees; black for a single one."""
    if n == 1:
        return [BLACK]
    # the yellow end of the map is too pale for a thin line
    return [mpl.colors.to_hex(mpl.colormaps["viridis"](x)) for x in np.linspace(0.0, 0.85, n)]
