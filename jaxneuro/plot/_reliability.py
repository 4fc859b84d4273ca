"""Channel noise: spontaneous firing, reliability and jitter against the number of channels."""

import numpy as np
from matplotlib.axes import Axes

from jaxneuro.analysis.reliability import Reliability
from jaxneuro.plot._style import BLACK, axis_label, new_axes, style

__all__ = ["plot_reliability"]


def plot_reliability(result: Reliability, *, axes: list[Axes] | None = None) -> list[Axes]:
    """Draw spontaneous rate, probability and jitter of the answer to a pulse against the membrane's area.

    **Arguments:** `result`, from `jaxneuro.analysis.reliability`; `axes`, three matplotlib axes, a new figure if None.
    Returns the axes. Bars are two standard errors.

    >>> plot_reliability(reliability(HodgkinHuxley(), [20.0, 100.0], amplitude=6.0, trials=4, rest=20.0))
    """
    axes = new_axes((1.0, 1.0, 1.0), size=(4.2, 5.4)) if axes is None else axes
    look = {"color": BLACK, "markersize": 4}
    with style():
        axes[0].errorbar(result.area, result.spontaneous_rate, 2 * result.rate_error, fmt="o-", capsize=2, **look)
        axes[1].plot(result.area, result.probability, "o-", **look)
        axes[2].plot(result.area, result.jitter, "o-", **look)
        axes[0].set_ylabel(axis_label("Spontaneous rate", "Hz"))
        axes[1].set_ylabel("Probability of a spike")
        axes[2].set_ylabel(axis_label("Jitter", "ms"))
        axes[1].set_ylim(-0.03, 1.03)
        for ax in (axes[0], axes[2]):
            ax.set_ylim(bottom=0.0)
        axes[2].set_xscale("log")
        axes[2].set_xticks(result.area, [f"{area:g}" for area in np.asarray(result.area)])
        axes[2].minorticks_off()
        axes[2].set_xlabel(axis_label("Membrane area", "um^2"))
    return axes
