"""Channels whose states are nodes of a Markov scheme: what a scheme is, and schemes from a table of transitions."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.channels._base import AbstractOhmicChannel, Gates, Ions, Source, ion_or_mixture
from jaxneuro.numerics import bounded_exp
from jaxneuro.params import AbstractParametrised, param

__all__ = ["AbstractMarkovChannel", "MarkovChannel", "Rate", "transition_table"]


class AbstractMarkovChannel(AbstractOhmicChannel):
    """An ohmic channel with n states and transitions between them: dp/dt = Q(V) p, sum p = 1.

    The gates are {"p": (..., n)}, the probability of every state. Column i of Q holds the rates out of state i and
    sums to 0, so that probability is conserved: by Runge-Kutta methods as they stand, by the exponential ones because
    they take Q as a whole (`numerics.linear_update`); with those keep dt times the fastest rate below 2, 0.05 ms for
    squid sodium, if no probability may fall below 0.
    """

    states: eqx.AbstractVar[tuple[str, ...]]
    open_states: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def transition_rates(self, V: Float[Array, "*c"], ions: Ions) -> dict[tuple[str, str], Float[Array, "*c"]]:
        """(from, to) -> rate [1/ms] of every transition at V [mV], at the cell's temperature."""

    def generator(self, V: Float[Array, "*c"], ions: Ions) -> Float[Array, "*c n n"]:
        """Q [1/ms]: Q[j, i] is the rate from state i to state j, and every column sums to 0."""
        n = len(self.states)
        entries: list[list[Any]] = [[jnp.zeros_like(V) for _ in range(n)] for _ in range(n)]
        for (start, end), rate in self.transition_rates(V, ions).items():
            i, j = self.states.index(start), self.states.index(end)
            entries[j][i] = entries[j][i] + rate
            entries[i][i] = entries[i][i] - rate
        return jnp.stack([jnp.stack([jnp.broadcast_to(e, V.shape) for e in row], -1) for row in entries], -2)

    def linearised(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> tuple[Gates, Any]:
        """(Q p, Q) [1/ms]."""
        Q = self.generator(V, ions)
        return {"p": jnp.sum(Q * gates["p"][..., None, :], axis=-1)}, {"p": Q}

    def open_fraction(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """Probability of the open states together [1]."""
        return sum(gates["p"][..., self.states.index(state)] for state in self.open_states)


class Rate(AbstractParametrised):
    """Rate of a transition: rate e^{per_mV V}, times a concentration where a ligand must bind   [1/ms]

    **Arguments:** `rate`, at 0 mV [1/ms], per mM with a ligand; `per_mV` [1/mV]; `ligand`, e.g. "ca_i", or "".

    >>> Rate(0.5, per_mV=0.04)
    """

    rate: Array = param(unit="1/ms", bounds=(0, None), doc="Rate at 0 mV.")
    per_mV: Array = param(0.0, unit="1/mV", doc="Voltage dependence.")
    ligand: str = eqx.field(static=True, default="")

    def __call__(self, V: Float[Array, "*c"], ions: Ions) -> Float[Array, "*c"]:
        rate = self.rate * bounded_exp(self.per_mV * V)
        return rate * ions[self.ligand] if self.ligand else rate


class MarkovChannel(AbstractMarkovChannel):
    """A channel with any states and transitions: dp/dt = Q(V) p,   i = g_max sum_open p (V - E_rev)   [uA/cm^2]

    State: probability p of every state [1], in the order of `states`, the alphabet; steady at the start. The sum of p
    stays 1. V in mV.

    **Arguments:** `transitions`, "from->to" -> Rate; `open_states`, those that conduct; `g_max` [mS/cm^2]; `E_rev`
    [mV]; `ion`, "na", "k", "ca", "cl" or "".

    >>> MarkovChannel({"C->O": Rate(1.0, per_mV=0.04), "O->C": Rate(0.2)}, open_states=("O",), ion="k", E_rev=-77.0)

    References: Colquhoun & Hawkes (1981), Proc R Soc Lond B 211:205. doi:10.1098/rspb.1981.0003
    """

    source: ClassVar[Source] = Source(
        "any", "any", None, "Colquhoun & Hawkes (1981), Proc R Soc Lond B 211:205", "10.1098/rspb.1981.0003"
    )
    transitions: dict[str, Rate]
    open_states: tuple[str, ...] = eqx.field(static=True, converter=tuple)
    g_max: Array = param(1.0, unit="mS/cm^2", bounds=(0, None), doc="Conductance with all channels open.")
    E_rev: Array = param(0.0, unit="mV", doc="Reversal potential.")
    ion: str = eqx.field(static=True, default="", converter=ion_or_mixture)

    def __check_init__(self):
        for name, rate in self.transitions.items():
            if "." in name or len(_ends(name)) != 2 or "" in _ends(name) or _ends(name)[0] == _ends(name)[1]:
                raise ValueError(
                    f"Argument `transitions` must name its transitions 'from->to', but has {name!r}; write e.g. 'C->O'."
                )
            if not isinstance(rate, Rate):
                raise TypeError(
                    f"Argument `transitions` must map names to rates, but {name!r} is {rate!r}; write e.g. Rate(0.5)."
                )
        if not _is_connected([_ends(name) for name in self.transitions]):
            raise ValueError(
                f"Argument `transitions` must lead from any state to a common set, but the states fall apart in "
                f"{', '.join(self.transitions)}; connect them."
            )
        unknown = [state for state in self.open_states if state not in self.states]
        if unknown or not self.open_states:
            raise ValueError(
                f"Argument `open_states` must name one or more of {', '.join(self.states)}, but is "
                f"{self.open_states!r}; choose the ones that conduct."
            )

    @property
    def states(self) -> tuple[str, ...]:
        """All states, by the alphabet: the order of a dict is not kept inside compiled code."""
        return tuple(sorted({state for name in self.transitions for state in _ends(name)}))

    @property
    def needs(self) -> tuple[str, ...]:
        """The ligands."""
        return tuple(sorted({rate.ligand for rate in self.transitions.values() if rate.ligand}))

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """Steady state: Q p = 0 with sum p = 1."""
        Q, n = self.generator(V, ions), len(self.states)
        bordered = jnp.concatenate([Q[..., :-1, :], jnp.ones((*V.shape, 1, n), Q.dtype)], axis=-2)
        wanted = jnp.zeros((*V.shape, n, 1), Q.dtype).at[..., -1, :].set(1.0)
        return {"p": jnp.linalg.solve(bordered, wanted)[..., 0]}

    def transition_rates(self, V: Float[Array, "*c"], ions: Ions) -> dict[tuple[str, str], Float[Array, "*c"]]:
        return {_ends(name): rate(V, ions) for name, rate in self.transitions.items()}


def _is_connected(edges: list[tuple[str, ...]]) -> bool:
    """Whether some state can be reached from every other one, so that the steady state is unique."""
    states = {state for edge in edges for state in edge}

    def reached_from(goal: str) -> set[str]:
        found = {goal}
        while more := {a for a, b in edges if b in found} - found:
            found |= more
        return found

    return any(reached_from(state) == states for state in states)


def _ends(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in name.split("->"))


def transition_table(table: Any, states: Sequence[str]) -> Mapping[str, Rate]:
    """`transitions` of a MarkovChannel from a matrix of constant rates [1/ms], as papers print it.

    **Arguments:** `table`, (n, n): row i holds the rates from state i to the others, and on the diagonal minus their
    sum; `states`, the n names.

    **Raises:** ValueError for a matrix of another shape, a negative rate, or a row that does not sum to 0.

    >>> transition_table([[-1.0, 1.0], [0.2, -0.2]], ("C", "O"))
    """
    table, n = np.asarray(table, float), len(states)
    if table.shape != (n, n):
        raise ValueError(f"Argument `table` must be {n} x {n}, one row per state, but has shape {table.shape}; fix it.")
    for i, state in enumerate(states):
        rates = np.delete(table[i], i)
        if np.any(rates < 0) or not np.all(np.isfinite(rates)):
            raise ValueError(f"Argument `table` must hold rates >= 0, but row {state!r} is {table[i]}; fix its signs.")
        if abs(table[i].sum()) > 1e-9 * max(rates.sum(), 1e-300):
            raise ValueError(
                f"Argument `table` must have rows that sum to 0, but row {state!r} sums to {table[i].sum():g}; put "
                f"{-rates.sum():g} on its diagonal."
            )
    pairs = ((i, j) for i in range(n) for j in range(n) if i != j and table[i, j] > 0)
    return {f"{states[i]}->{states[j]}": Rate(table[i, j]) for i, j in pairs}
