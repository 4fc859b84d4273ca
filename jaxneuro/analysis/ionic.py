"""What the channels did in a simulation: currents, conductances, and where the sodium channels were."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float

from jaxneuro._solution import Solution
from jaxneuro.channels import AbstractKineticChannel, AbstractOhmicChannel
from jaxneuro.models import AbstractMembrane, AbstractNoisyMembrane
from jaxneuro.params import guess

__all__ = ["ChannelTraces", "SodiumStates", "channel_traces", "membrane_traces", "sodium_states"]


class ChannelTraces(NamedTuple):
    """By channel and over time: `currents` [uA/cm^2], outward positive, and `conductances` [mS/cm^2] of ohmic ones."""

    currents: dict[str, Float[Array, "*b n_time"]]
    conductances: dict[str, Float[Array, "*b n_time"]]


class SodiumStates(NamedTuple):
    """Shares of the sodium channels [1], each (n_time,), in the order of an action potential; they sum to 1.

    `resting` (1 - m^3) h: shut, ready to open; `open` m^3 h; `inactivated` m^3 (1 - h): activated, but blocked;
    `recovering` (1 - m^3) (1 - h): shut again and still blocked, which makes the membrane refractory.
    """

    resting: Float[Array, "*b n_time"]
    open: Float[Array, "*b n_time"]
    inactivated: Float[Array, "*b n_time"]
    recovering: Float[Array, "*b n_time"]


def channel_traces(solution: Solution) -> ChannelTraces:
    """Current and conductance of every channel over a simulation of a membrane.

    i_c = g_c (V - E_c)   [uA/cm^2],   g_c = g_max open_fraction   [mS/cm^2]

    **Raises:** TypeError for a model that is no membrane.

    >>> traces = channel_traces(simulate(HodgkinHuxley(), 10.0, t1=10.0))
    >>> sorted(traces.conductances)
    ['k', 'leak', 'na']
    """
    return membrane_traces(_membrane_of(solution), solution.ys)


@eqx.filter_jit
def membrane_traces(cell: AbstractMembrane, ys: Any) -> ChannelTraces:
    """The same of states `ys` with a time axis, as `Solution.ys` holds them."""
    ohmic = {name: c for name, c in cell.channels.items() if isinstance(c, AbstractOhmicChannel)}

    def at(y: Any) -> ChannelTraces:
        ions = cell.environment(y.ions)
        conductances = {name: c.conductance(y.V, y.gates.get(name, {}), ions) for name, c in ohmic.items()}
        return ChannelTraces(cell.currents(y), conductances)

    return jax.vmap(at)(ys)


def sodium_states(solution: Solution, channel: str = "na") -> SodiumStates:
    """Where the channels of a current with activation m^p and inactivation h were over a simulation.

    **Arguments:** `solution`, of a membrane such as `HodgkinHuxley()`; `channel`, its name in the cell, whose gates
    must be m and h, neither of them instantaneous.

    **Raises:** ValueError for another channel.

    >>> states = sodium_states(simulate(HodgkinHuxley(), 10.0, t1=10.0))

    References: Hille (2001), Ion Channels of Excitable Membranes, 3rd ed., Sinauer, ch. 2.
    """
    cell = _membrane_of(solution)
    found = cell.channels.get(channel)
    if not (isinstance(found, AbstractKineticChannel) and set(solution.ys.gates.get(channel, {})) == {"m", "h"}):
        raise ValueError(
            f"Argument `channel` must be one with the gates m and h, but is {channel!r}; "
            f"{guess(channel, cell.channels)}."
        )
    gates, powers = solution.ys.gates[channel], dict(found.powers)
    activated, available = gates["m"] ** powers["m"], gates["h"] ** powers["h"]
    return SodiumStates(
        (1 - activated) * available,
        activated * available,
        activated * (1 - available),
        (1 - activated) * (1 - available),
    )


def _membrane_of(solution: Solution) -> AbstractMembrane:
    model = getattr(solution, "model", None)
    if isinstance(model, AbstractNoisyMembrane):
        return model.cell
    if not isinstance(model, AbstractMembrane):
        what = type(solution if model is None else model).__name__
        raise TypeError(
            f"Argument `solution` must be that of a membrane, but is of a {what}; simulate e.g. HodgkinHuxley()."
        )
    return model
