"""Channels: their gates against voltage, and what they do during an action potential."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from jaxneuro._solution import Solution
from jaxneuro.analysis.ionic import channel_traces, sodium_states
from jaxneuro.channels import AbstractKineticChannel
from jaxneuro.plot._style import BLACK, BLUE, GREEN, GREY, RED, axis_label, new_axes, style, tidy_ticks

__all__ = ["plot_action_potential", "plot_gates", "plot_sodium_states", "plot_window"]

_COLORS = (BLUE, RED, GREEN, GREY, BLACK)
_ORDER = ("na", "k")
_NAMES = {"na": "Na⁺", "k": "K⁺", "ca": "Ca²⁺", "leak": "leak", "cl": "Cl⁻"}


def plot_gates(
    channel: AbstractKineticChannel,
    *,
    V: Any = None,
    ions: dict[str, float] | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """Draw steady state, time constant, opening and closing rate of every gate of a channel against voltage.

    **Arguments:** `channel`, e.g. `HHSodium()`; `V` [mV], -100 to 50 if None; `ions`, what the channel needs of its
    cell, e.g. {"ca_i": 1e-3} [mM], at the temperature of its source unless "celsius" [degC] is given; `axes`, four
    matplotlib axes (2, 2), a new figure if None.

    Returns the axes, an array (2, 2).

    >>> plot_gates(HHSodium())
    """
    _check_kinetic(channel)
    V = np.linspace(-100.0, 50.0, 601) if V is None else np.asarray(V, dtype=float)
    ions = {name: jnp.asarray(value, float) for name, value in (ions or {}).items()}
    x_inf, tau = jax.vmap(lambda v: channel.rates(v, ions))(jnp.asarray(V))
    alpha, beta = jax.vmap(lambda v: channel.transitions(v, ions))(jnp.asarray(V))
    speed = channel.speed(ions)
    if axes is None:
        with style():
            _, axes = plt.subplots(2, 2, figsize=(6.4, 4.6), sharex=True, layout="constrained")
        tidy_ticks(axes.flat)
    panels = (
        (x_inf, axis_label("Steady state", "1"), 1.0),
        (tau, axis_label("Time constant", "ms"), 1 / speed),
        (alpha, axis_label("Opening rate", "1/ms"), speed),
        (beta, axis_label("Closing rate", "1/ms"), speed),
    )
    with style():
        for ax, (values, label, factor) in zip(axes.flat, panels, strict=True):
            for color, (gate, _) in zip(_COLORS, channel.powers, strict=False):
                if gate in values:  # an instantaneous gate has no rates
                    ax.plot(V, values[gate] * factor, color=color, label=gate)
            ax.set_ylabel(label)
            ax.set_ylim(bottom=0.0)
            ax.set_xlim(V[0], V[-1])
        for ax in axes[1]:
            ax.set_xlabel(axis_label("Voltage", "mV"))
        axes[0, 0].legend(loc="center left")
    return axes


def plot_window(channel: AbstractKineticChannel, *, V: Any = None, axes: Axes | None = None) -> Axes:
    """Draw steady activation, inactivation and their product, the share of channels open for ever: the window current.

    **Arguments:** `channel`, with gates m and h, e.g. `HHSodium()`; `V` [mV], -90 to 0 if None; `axes`, matplotlib
    axes, a new figure if None. Returns the axes.

    >>> plot_window(HHSodium())
    """
    _check_kinetic(channel)
    powers = dict(channel.powers)
    if set(powers) != {"m", "h"}:
        raise ValueError(
            f"Argument `channel` must have the gates m and h, but has {', '.join(powers)}; use e.g. HHSodium()."
        )
    V = np.linspace(-90.0, 0.0, 601) if V is None else np.asarray(V, dtype=float)
    x_inf = jax.vmap(lambda v: channel.rates(v, {})[0])(jnp.asarray(V))
    activated, available = x_inf["m"] ** powers["m"], x_inf["h"] ** powers["h"]
    window = np.asarray(activated * available)
    scale = 10.0 ** np.floor(-np.log10(window.max()))  # a power of ten that fits the window into the panel
    if axes is None:
        (axes,) = new_axes(size=(4.2, 3.0))
    with style():
        label = f"$m_\\infty^{powers['m']}$" if powers["m"] > 1 else "$m_\\infty$"
        axes.plot(V, activated, color=BLUE, label=label)
        axes.plot(V, available, color=RED, label="$h_\\infty$")
        axes.fill_between(V, scale * window, color=GREY, alpha=0.5, lw=0, label=f"product × {scale:g}")
        axes.set_xlabel(axis_label("Voltage", "mV"))
        axes.set_ylabel("Steady state")
        axes.set_ylim(0.0, 1.02)
        axes.set_xlim(V[0], V[-1])
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return axes


def plot_action_potential(
    solution: Solution, *, window: tuple[float, float] | None = None, axes: list[Axes] | None = None
) -> list[Axes]:
    """Draw voltage, conductances and ionic currents of a membrane over one time axis.

    **Arguments:** `solution`, of a membrane; `window` [ms], from when to when, all if None; `axes`, three matplotlib
    axes, a new figure if None. Returns the axes.

    >>> plot_action_potential(simulate(HodgkinHuxley(), 10.0, t1=8.0))
    """
    traces = channel_traces(solution)
    axes = new_axes((1.0, 1.0, 1.0), size=(4.6, 5.8)) if axes is None else axes
    t = np.asarray(solution.ts)
    names = sorted(traces.currents, key=_rank)
    colors = {name: color for name, color in zip(names, itertools.cycle(_COLORS), strict=False)}
    with style():
        axes[0].plot(t, solution.voltage, color=BLACK)
        axes[0].set_ylabel(axis_label("Voltage", "mV"))
        for name in names:
            if name in traces.conductances and name != "leak":
                axes[1].plot(t, traces.conductances[name], color=colors[name], label=_NAMES.get(name, name))
            axes[2].plot(t, traces.currents[name], color=colors[name], label=_NAMES.get(name, name))
        axes[2].axhline(0.0, color=GREY, lw=0.6, zorder=0)
        axes[1].set_ylabel(axis_label("Conductance", "mS/cm^2"))
        axes[2].set_ylabel(axis_label("Current", "uA/cm^2"))
        axes[2].set_xlabel(axis_label("Time", "ms"))
        axes[2].set_xlim(*(window or (t[0], t[-1])))
        axes[1].legend(loc="upper right")
        axes[2].legend(loc="upper right")
    return axes


def plot_sodium_states(
    solution: Solution,
    channel: str = "na",
    *,
    window: tuple[float, float] | None = None,
    axes: list[Axes] | None = None,
) -> list[Axes]:
    """Draw where the sodium channels are during an action potential: resting, open, inactivated, recovering.

    **Arguments:** `solution`, of a membrane; `channel`, the name of its sodium channel; `window` [ms]; `axes`, two
    matplotlib axes, a new figure if None. Returns the axes.

    >>> plot_sodium_states(simulate(HodgkinHuxley(), 10.0, t1=8.0))
    """
    states = sodium_states(solution, channel)
    axes = new_axes((1.0, 1.3), size=(4.6, 4.2)) if axes is None else axes
    t = np.asarray(solution.ts)
    with style():
        axes[0].plot(t, solution.voltage, color=BLACK)
        axes[0].set_ylabel(axis_label("Voltage", "mV"))
        shades = ("#cfe3f2", RED, "#6b6b6b", "#bdbdbd")
        axes[1].stackplot(t, *(np.asarray(part) for part in states), colors=shades, labels=states._fields)
        axes[1].set_ylabel("Share of channels")
        axes[1].set_xlabel(axis_label("Time", "ms"))
        axes[1].set_ylim(0.0, 1.0)
        axes[1].set_xlim(*(window or (t[0], t[-1])))
        axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
    return axes


def _rank(name: str) -> tuple:
    """Sodium, potassium, the others, the leak: jax has sorted the names by the alphabet."""
    return name == "leak", _ORDER.index(name) if name in _ORDER else len(_ORDER), name


def _check_kinetic(channel: AbstractKineticChannel) -> None:
    if not isinstance(channel, AbstractKineticChannel):
        raise TypeError(
            f"Argument `channel` must be a channel with gates, but is a {type(channel).__name__}; use e.g. HHSodium()."
        )
