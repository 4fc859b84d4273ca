"""The Markov scheme that a channel with independent gates is."""

import itertools
import math
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractKineticChannel, Gates, Ions, Source
from jaxneuro.channels._markov import AbstractMarkovChannel

__all__ = ["GatingScheme"]


class GatingScheme(AbstractMarkovChannel):
    """The same channel, state by state: m^3 h as the eight states m0h0 ... m3h1, n^4 as the five states n0 ... n4.

    dp/dt = Q(V) p;   from k to k + 1 open particles (N - k) alpha(V), back (k + 1) beta(V)    [1/ms]

    State: probability p of every state [1], V in mV. Only the state with all particles open conducts. Started from
    independent gates (a binomial distribution, as `init` gives) it equals the gated channel for ever; with a finite
    number of channels it is what fluctuates.

    **Arguments:** `channel`, any channel with gates, e.g. HHSodium(); its parameters are the scheme's.

    >>> GatingScheme(HHSodium()).states
    ('m0h0', 'm0h1', 'm1h0', 'm1h1', 'm2h0', 'm2h1', 'm3h0', 'm3h1')

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764; the scheme as in
    Fitzhugh (1965), J Cell Comp Physiol 66:111. doi:10.1002/jcp.1030660518
    """

    source: ClassVar[Source] = Source(
        "any", "any", None, "Hodgkin & Huxley (1952), J Physiol 117:500", "10.1113/jphysiol.1952.sp004764"
    )
    channel: AbstractKineticChannel

    def __check_init__(self):
        if not isinstance(self.channel, AbstractKineticChannel) or self.channel.instantaneous:
            raise ValueError(
                f"Argument `channel` must have gates that all take time, but is {type(self.channel).__name__}; use "
                "e.g. HHSodium()."
            )

    @property
    def ion(self) -> str:
        """The ion of `channel`."""
        return self.channel.ion

    @property
    def needs(self) -> tuple[str, ...]:
        """What `channel` needs."""
        return self.channel.needs

    @property
    def g_max(self) -> Float[Array, "*c"]:
        """Maximal conductance of `channel` [mS/cm^2]."""
        return self.channel.g_max

    @property
    def E_rev(self) -> Float[Array, "*c"]:
        """Reversal potential of `channel` [mV]."""
        return self.channel.E_rev

    @property
    def states(self) -> tuple[str, ...]:
        """All combinations of open particles, e.g. "m2h1"."""
        return tuple(map(self._name, self._counts()))

    @property
    def open_states(self) -> tuple[str, ...]:
        """The last one: every particle open."""
        return self.states[-1:]

    def _counts(self) -> list[tuple[int, ...]]:
        return list(itertools.product(*(range(power + 1) for _, power in self.channel.powers)))

    def _name(self, counts: tuple[int, ...]) -> str:
        return "".join(f"{gate}{k}" for (gate, _), k in zip(self.channel.powers, counts, strict=True))

    def transition_rates(self, V: Float[Array, "*c"], ions: Ions) -> dict[tuple[str, str], Float[Array, "*c"]]:
        alpha, beta = self.channel.transitions(V, ions)
        speed, found = self.channel.speed(ions), {}
        for counts in self._counts():
            for position, (gate, power) in enumerate(self.channel.powers):
                k = counts[position]
                if k == power:
                    continue
                more = (*counts[:position], k + 1, *counts[position + 1 :])
                found[self._name(counts), self._name(more)] = (power - k) * alpha[gate] * speed
                found[self._name(more), self._name(counts)] = (k + 1) * beta[gate] * speed
        return found

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """The binomial distribution of independent gates in their steady states."""
        return {"p": self.distribution(self.channel.init(V, ions))}

    def distribution(self, gates: dict[str, Any]) -> Float[Array, "*c n"]:
        """Probability of every state for independent gates: the product of binomial probabilities."""
        total = []
        for counts in self._counts():
            p = 1.0
            for (gate, power), k in zip(self.channel.powers, counts, strict=True):
                p = p * math.comb(power, k) * gates[gate] ** k * (1 - gates[gate]) ** (power - k)
            total.append(p)
        return jnp.stack(total, axis=-1)
