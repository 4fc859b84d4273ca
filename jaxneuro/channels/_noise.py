"""Channel noise: how the gates of a finite number of channels fluctuate (Langevin)."""

import abc
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractChannel, AbstractKineticChannel, Gates, Ions
from jaxneuro.channels._markov import AbstractMarkovChannel
from jaxneuro.params import AbstractParametrised, param

__all__ = ["AbstractChannelNoise", "StateNoise", "SubunitNoise"]


class AbstractChannelNoise(AbstractParametrised):
    """Fluctuations of one channel's gates, driven by independent Brownian motions."""

    @abc.abstractmethod
    def check(self, name: str, channel: AbstractChannel) -> None:
        """Raise a ValueError if this noise does not suit the channel."""

    @abc.abstractmethod
    def n_motions(self, channel: Any) -> int:
        """How many Brownian motions drive it."""

    @abc.abstractmethod
    def diffuse(
        self, channel: Any, V: Float[Array, ""], gates: Gates, ions: Ions, dW: Float[Array, " n_motions"]
    ) -> Gates:
        """What increments dW [sqrt(ms)] of the motions add to the gates [1]."""


class StateNoise(AbstractChannelNoise):
    """Langevin noise of a Markov scheme: one Brownian motion per pair of states, which conserves probability.

    dp_a = -s dW,  dp_b = s dW,   s = sqrt((r_ab p_a + r_ba p_b) / n) for every pair a <-> b    [1/sqrt(ms)]

    The variance of the open fraction is p (1 - p) / n, that of n channels. Voltages in mV.

    **Arguments:** `n`, number of channels.

    References: Fox & Lu (1994), Phys Rev E 49:3421. doi:10.1103/PhysRevE.49.3421; in the form of
    Orio & Soudry (2012), PLoS ONE 7:e36670. doi:10.1371/journal.pone.0036670 (probabilities below 0 add no noise).
    """

    n: Array = param(unit="1", bounds=(0, None), is_open=True, doc="Number of channels.")

    def check(self, name: str, channel: AbstractChannel) -> None:
        if not isinstance(channel, AbstractMarkovChannel):
            raise ValueError(
                f"Argument `noise` must suit its channel, but StateNoise of {name!r} meets a {type(channel).__name__}; "
                "give the cell a Markov scheme, e.g. GatingScheme(HHSodium())."
            )

    def n_motions(self, channel: AbstractMarkovChannel) -> int:
        return len(_pairs(channel, jnp.zeros(()), {need: jnp.ones(()) for need in channel.needs}))

    def diffuse(
        self,
        channel: AbstractMarkovChannel,
        V: Float[Array, ""],
        gates: Gates,
        ions: Ions,
        dW: Float[Array, " n_motions"],
    ) -> Gates:
        p, change = gates["p"], [jnp.zeros_like(V) for _ in channel.states]
        for k, ((a, b), (forth, back)) in enumerate(_pairs(channel, V, ions).items()):
            flow = _sqrt((forth * jnp.maximum(p[a], 0.0) + back * jnp.maximum(p[b], 0.0)) / self.n) * dW[k]
            change[a], change[b] = change[a] - flow, change[b] + flow
        return {"p": jnp.stack(change)}


class SubunitNoise(AbstractChannelNoise):
    """Langevin noise of each gate on its own, as often used: simple, but of the wrong variance.

    dx = sqrt((alpha (1 - x) + beta x) / n) dW for every gate x    [1/sqrt(ms)]

    A gate x of power k then makes the open fraction x^k fluctuate by k^2 x^(2k-1) (1 - x) / n instead of
    x^k (1 - x^k) / n: 16 n^7 (1 - n) / N for n^4, 0.35 times the right variance at rest, 3.4 times at n = 0.9. Use
    StateNoise; this is here to compare. Voltages in mV.

    **Arguments:** `n`, number of channels.

    References: Fox & Lu (1994), Phys Rev E 49:3421. doi:10.1103/PhysRevE.49.3421; its defect:
    Goldwyn & Shea-Brown (2011), PLoS Comput Biol 7:e1002247. doi:10.1371/journal.pcbi.1002247
    """

    n: Array = param(unit="1", bounds=(0, None), is_open=True, doc="Number of channels.")

    def check(self, name: str, channel: AbstractChannel) -> None:
        if not isinstance(channel, AbstractKineticChannel):
            raise ValueError(
                f"Argument `noise` must suit its channel, but SubunitNoise of {name!r} meets a "
                f"{type(channel).__name__}; use StateNoise."
            )

    def n_motions(self, channel: AbstractKineticChannel) -> int:
        return len(channel.powers) - len(channel.instantaneous)

    def diffuse(
        self,
        channel: AbstractKineticChannel,
        V: Float[Array, ""],
        gates: Gates,
        ions: Ions,
        dW: Float[Array, " n_motions"],
    ) -> Gates:
        alpha, beta = channel.transitions(V, ions)
        speed = channel.speed(ions)

        def amplitude(gate: str, x: Array) -> Array:
            x = jnp.clip(x, 0.0, 1.0)
            return _sqrt(speed * (alpha[gate] * (1 - x) + beta[gate] * x) / self.n)

        return {gate: amplitude(gate, x) * dW[k] for k, (gate, x) in enumerate(gates.items())}


def _pairs(
    channel: AbstractMarkovChannel, V: Float[Array, ""], ions: Ions
) -> dict[tuple[int, int], tuple[Float[Array, ""], Float[Array, ""]]]:
    """Pairs of states (a, b), a before b, with the rates from a to b and back."""
    found: dict[tuple[int, int], list] = {}
    for (start, end), rate in channel.transition_rates(V, ions).items():
        i, j = channel.states.index(start), channel.states.index(end)
        both = found.setdefault((min(i, j), max(i, j)), [0.0, 0.0])
        both[0 if i < j else 1] = rate
    return {pair: (both[0], both[1]) for pair, both in found.items()}


def _sqrt(x: Float[Array, ""]) -> Float[Array, ""]:
    """Square root with derivative 0 at 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)
