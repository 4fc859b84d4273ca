"""A recording: all sweeps of voltage above the injected current."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxneuro.plot._style import axis_label, line_colors, new_axes, style
from jaxneuro.recording import Recording

__all__ = ["plot_recording"]

_MAX_POINTS = 20_000  # per sweep; more than any figure has pixels


def plot_recording(recording: Recording) -> list[Axes]:
    """Draw every sweep's voltage [mV] above its injected current [pA]; returns the two axes.

    >>> plot_recording(read_recording("cell.abf"))
    """
    top, bottom = new_axes((3.0, 1.0), size=(6.0, 4.0))
    with style():
        for sweep, color in zip(recording, line_colors(len(recording)), strict=True):
            stride = max(1, sweep.ts.size // _MAX_POINTS)
            ts = sweep.ts[::stride] - sweep.ts[0]
            options: dict[str, Any] = {"color": color, "linewidth": 0.6}
            top.plot(ts, sweep.voltage[::stride], **options)
            bottom.plot(ts, sweep.current[::stride], **options)
        top.set_ylabel(axis_label("Voltage", "mV"))
        bottom.set_ylabel(axis_label("Current", "pA"))
        bottom.set_xlabel(axis_label("Time", "ms"))
        bottom.set_xlim(0, np.max([sweep.t1 - sweep.ts[0] for sweep in recording]))
    return [top, bottom]
