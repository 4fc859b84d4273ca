"""f-I curves: firing rate against injected current."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxneuro.plot._style import BLACK, RED, axis_label, new_axes, style

__all__ = ["plot_fi"]


def plot_fi(
    current: Any,
    rate: Any = None,
    *,
    model_rate: Any = None,
    model_current: Any = None,
    unit: str = "nA",
    axes: Axes | None = None,
) -> Axes:
    """Draw an f-I curve: measured rates as points, a model's as a line; either may be left out.

    **Arguments:**

    - `current`: injected currents [`unit`], shape (n,).
    - `rate`: measured firing rates [Hz] at `current`.
    - `model_rate`: the model's firing rates [Hz], at `model_current` [`unit`] or, if that is None,
      at `current`.
    - `unit`: unit of the currents, e.g. "nA", "pA" or "uA/cm^2".
    - `axes`: matplotlib axes to draw into; a new figure if None.

    Returns the axes.

    **Raises:** ValueError if nothing is to be drawn or currents and rates differ in length.

    >>> plot_fi([0.1, 0.2, 0.3], [0.0, 8.0, 21.0], model_rate=[0.0, 7.0, 22.0])
    """
    if rate is None and model_rate is None:
        raise ValueError("Argument `rate` must be given where `model_rate` is not, but both are None; give one.")
    data = None if rate is None else _pair("current", current, "rate", rate)
    name, at = ("current", current) if model_current is None else ("model_current", model_current)
    curve = None if model_rate is None else _pair(name, at, "model_rate", model_rate)
    if axes is None:
        (axes,) = new_axes(size=(3.8, 3.0))
    with style():
        if data is not None:
            axes.plot(*data, "o", color=BLACK, markersize=4, label="Data", zorder=3)
        if curve is not None:
            order = np.argsort(curve[0], kind="stable")
            axes.plot(*(values[order] for values in curve), color=RED, label="Model", zorder=2)
        axes.set_xlabel(axis_label("Current", unit))
        axes.set_ylabel(axis_label("Firing rate", "Hz"))
        if data is not None and curve is not None:
            axes.legend(loc="upper left")
    return axes


def _pair(x_name: str, x: Any, y_name: str, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            f"Argument `{y_name}` must have one rate per entry of `{x_name}` (1-D, shape "
            f"{x.shape}), but has shape {y.shape}; give both the same length."
        )
    return x, y
