"""Voltage clamp: command, currents and conductances of a family of steps."""

import numpy as np
from matplotlib.axes import Axes

from jaxneuro.analysis.clamp import ClampResult
from jaxneuro.plot._style import axis_label, line_colors, new_axes, style

__all__ = ["plot_clamp"]


def plot_clamp(
    clamp: ClampResult, channels: tuple[str, ...] | None = None, *, axes: list[Axes] | None = None
) -> list[Axes]:
    """Draw the command, the clamp's current and the conductances of some channels, one line per step of a family.

    **Arguments:** `clamp`, from `voltage_clamp` or `clamp_family`; `channels`, names of those whose conductance is
    drawn, all with a conductance that changes if None; `axes`, two matplotlib axes and one more per channel, a new
    figure if None. Returns the axes.

    **Raises:** ValueError for a channel that has no conductance.

    >>> plot_clamp(clamp_family(HodgkinHuxley(), [-40.0, 0.0, 40.0]))
    """
    of = {name: np.atleast_2d(np.asarray(g)) for name, g in clamp.conductances.items()}
    names = [name for name, g in of.items() if np.ptp(g) > 0 and name != "leak"] if channels is None else list(channels)
    unknown = [name for name in names if name not in of]
    if unknown:
        raise ValueError(
            f"Argument `channels` must name channels with a conductance, but has {unknown[0]!r}; choose from "
            f"{', '.join(of)}."
        )
    t = np.atleast_2d(np.asarray(clamp.ts))[0]
    panels = [("Command", "mV", clamp.command), ("Current", "uA/cm^2", clamp.i_clamp)]
    panels += [(f"$g_{{{name}}}$", "mS/cm^2", of[name]) for name in names]
    if axes is None:
        axes = new_axes([1.0] * len(panels), size=(4.6, 0.6 + 1.6 * len(panels)))
    with style():
        for ax, (quantity, unit, values) in zip(axes, panels, strict=True):
            lines = np.atleast_2d(np.asarray(values))
            for color, line in zip(line_colors(len(lines)), lines, strict=True):
                ax.plot(t, line, color=color)
            ax.set_ylabel(axis_label(quantity, unit))
        axes[-1].set_xlabel(axis_label("Time", "ms"))
        axes[-1].set_xlim(t[0], t[-1])
    return axes
