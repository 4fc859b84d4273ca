"""The phase plane of a model with two variables."""

import numpy as np
from matplotlib.axes import Axes

from jaxneuro.analysis.phase_plane import FixedPoint, PhasePlane
from jaxneuro.plot._style import BLACK, BLUE, RED, axis_label, new_axes, style

__all__ = ["plot_phase_plane"]

_N_ARROWS = 21
_ARROW_GREY = "#b0b0b0"
_FILLS = {"stable node": "full", "stable spiral": "full", "saddle": "left"}


def plot_phase_plane(result: PhasePlane, axes: Axes | None = None) -> Axes:
    """Draw a phase plane: direction field, nullclines, trajectory and fixed points.

    Fixed points are full circles where they are stable, half full for saddles, else open. Arrows
    show directions; all have one length.

    **Arguments:** `result`, from `phase_plane`; `axes`, matplotlib axes to draw into, a new figure
    if None. Returns the axes.

    >>> plot_phase_plane(phase_plane(FitzHughNagumo(), i_app=0.5))
    """
    if axes is None:
        (axes,) = new_axes(size=(4.6, 4.2))
    first, second = result.names
    with style():
        _draw_field(axes, result)
        _draw_nullcline(axes, result.V_nullcline, first, BLUE)
        _draw_nullcline(axes, result.w_nullcline, second, RED)
        axes.plot(*result.trajectory.T, color=BLACK, label="Trajectory", zorder=4)
        axes.plot(*result.trajectory[0], "s", color=BLACK, markersize=4, label="Start", zorder=4)
        _draw_fixed_points(axes, result.fixed_points)
        axes.set_xlim(result.V[0], result.V[-1])
        axes.set_ylim(result.w[0], result.w[-1])
        axes.set_xlabel(axis_label(f"${first}$", "1" if result.model.input_unit == "1" else "mV"))
        axes.set_ylabel(f"${second}$")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2)
    return axes


def _draw_field(axes: Axes, result: PhasePlane) -> None:
    every = max(round((len(result.V) - 1) / (_N_ARROWS - 1)), 1)
    dV, dw = result.dV[::every, ::every], result.dw[::every, ::every]
    speed = np.hypot(dV, dw)
    speed[speed == 0] = 1.0
    axes.quiver(
        result.V[::every],
        result.w[::every],
        dV / speed,
        dw / speed,
        angles="xy",
        pivot="mid",
        units="width",
        scale=1.6 * _N_ARROWS,  # an arrow takes 1/1.6 of the space from one to the next
        width=0.0025,
        headwidth=4,
        color=_ARROW_GREY,
        zorder=1,
    )


def _draw_nullcline(axes: Axes, lines: list[np.ndarray], name: str, color: str) -> None:
    for i, line in enumerate(lines):
        label = None if i else rf"$\mathrm{{d}}{name}/\mathrm{{d}}t = 0$"
        axes.plot(*line.T, color=color, linewidth=1.6, label=label, zorder=3)


def _draw_fixed_points(axes: Axes, points: list[FixedPoint]) -> None:
    named = set()
    for point in points:
        label = None if point.stability in named else point.stability.capitalize()
        named.add(point.stability)
        marker = {"marker": "o", "markersize": 7.5, "linestyle": ""}
        at = ([point.V], [point.w])
        # hides the curves behind an open circle
        axes.plot(*at, color="white", zorder=5, **marker)
        fill = _FILLS.get(point.stability, "none")
        axes.plot(*at, color=BLACK, fillstyle=fill, label=label, zorder=6, **marker)
