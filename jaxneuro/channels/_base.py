"""What a channel is: gates that relax towards x_inf(V) with tau(V), and a current."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float

from jaxneuro.electrochemistry import as_ion
from jaxneuro.params import AbstractParametrised

__all__ = [
    "AbstractChannel",
    "AbstractGatedChannel",
    "AbstractKineticChannel",
    "AbstractOhmicChannel",
    "AbstractTransitionChannel",
    "AbstractUngatedChannel",
    "Gates",
    "Ions",
    "Source",
    "gate_powers",
    "ion_or_mixture",
    "opening_rates",
]

Gates = dict[str, Float[Array, "*c"]]
"""Gate name -> open probability [1]."""

Ions = dict[str, Float[Array, "*c"]]
"""What the cell shares with its channels, by name: concentrations [mM] such as "ca_i" and "k_o", reversal potentials
[mV] such as "E_na", the temperature "celsius" [degC]; {} for most cells."""


class Source(NamedTuple):
    """Where the kinetics of a channel come from; `find_channel` searches it."""

    species: str
    cell: str
    celsius: float | None
    """Temperature of the published kinetics [degC]; None where they have none."""
    paper: str
    doi: str


class AbstractChannel(AbstractParametrised):
    """One membrane current, elementwise in V: the same object serves a point (V: ()) and a cable (V: (n_comp,))."""

    ion: eqx.AbstractVar[str]
    """The ion that carries the current: "na", "k", "ca", "cl"; "" for a mixture that no pool follows."""

    source: eqx.AbstractClassVar[Source]
    needs: ClassVar[tuple[str, ...]] = ()
    """What it must find in `ions`, e.g. ("ca_i",)."""

    @abc.abstractmethod
    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """Gates in their steady state at V [mV]; {} without gates."""

    @abc.abstractmethod
    def linearised(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> tuple[Gates, Any]:
        """(dx/dt, A) of every gate [1/ms], where dx/dt = A x + B at fixed V; A is a matrix for a Markov scheme."""

    @abc.abstractmethod
    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """Current density [uA/cm^2] at V [mV], outward positive."""

    @abc.abstractmethod
    def carried(self, i: Float[Array, "*c"]) -> dict[str, Float[Array, "*c"]]:
        """The part of its current `i` that each ion carries [uA/cm^2]; {} for a mixture that no pool follows."""


class AbstractUngatedChannel(AbstractChannel):
    """A channel without gates that take time: a leak, a pump."""

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """No gates."""
        return {}

    def linearised(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> tuple[Gates, Any]:
        """Nothing moves."""
        return {}, {}


class AbstractOhmicChannel(AbstractChannel):
    """A resistor in series with a battery: i = g_max open_fraction (V - E), E the cell's Nernst potential where it
    keeps one for this ion, `E_rev` otherwise."""

    g_max: eqx.AbstractVar[Float[Array, "*c"]]
    E_rev: eqx.AbstractVar[Float[Array, "*c"]]

    @abc.abstractmethod
    def open_fraction(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """Share of the channels that conduct [1]."""

    def conductance(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """g_max open_fraction [mS/cm^2]."""
        return self.g_max * self.open_fraction(V, gates, ions)

    def reversal(self, ions: Ions) -> Float[Array, "*c"]:
        """Reversal potential [mV]."""
        return ions.get(f"E_{self.ion}", self.E_rev)

    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """g_max open_fraction (V - E) [uA/cm^2], outward positive."""
        return self.conductance(V, gates, ions) * (V - self.reversal(ions))

    def carried(self, i: Float[Array, "*c"]) -> dict[str, Float[Array, "*c"]]:
        """All of the current by its ion."""
        return {self.ion: i} if self.ion else {}


class AbstractKineticChannel(AbstractOhmicChannel):
    """An ohmic channel with independent gates: open_fraction = product of x^power over its gates x.

    dx/dt = (x_inf(V) - x) / tau_x(V) = alpha_x(V) (1 - x) - beta_x(V) x. A channel is written in either form: as an
    `AbstractGatedChannel` by x_inf and tau, as an `AbstractTransitionChannel` by alpha and beta, both at the
    temperature of its source. In a cell that has a temperature, all rates are q10^((T - T_source) / 10) times faster.

    A gate in `instantaneous` is always in its steady state, and no part of the model's state.
    """

    q10: eqx.AbstractVar[Float[Array, ""]]
    powers: eqx.AbstractVar[tuple[tuple[str, int], ...]]
    """(gate, power) of every gate."""
    instantaneous: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """Steady state x_inf [1] and time constant tau [ms] of every gate at V [mV], at the source's temperature."""

    @abc.abstractmethod
    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """Opening rate alpha and closing rate beta of every gate at V [mV], in 1/ms, at the source's temperature."""

    def speed(self, ions: Ions) -> Float[Array, ""] | float:
        """How many times faster the gates are than in the source, q10^((T - T_source) / 10) [1]."""
        if "celsius" not in ions or self.source.celsius is None:
            return 1.0
        return self.q10 ** ((ions["celsius"] - self.source.celsius) / 10)

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """Gates in their steady state at V [mV]."""
        return {gate: x for gate, x in self.rates(V, ions)[0].items() if gate not in self.instantaneous}

    def linearised(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> tuple[Gates, Gates]:
        """dx/dt = alpha (1 - x) - beta x and A = -(alpha + beta), faster by `speed` [1/ms]."""
        alpha, beta = self.transitions(V, ions)
        if "celsius" in ions:
            speed = self.speed(ions)
            alpha, beta = jax.tree.map(lambda rate: rate * speed, (alpha, beta))
        A = {gate: -(alpha[gate] + beta[gate]) for gate in gates}
        return {gate: alpha[gate] + A[gate] * x for gate, x in gates.items()}, A

    def open_fraction(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """Product of x^power over the gates [1]."""
        if self.instantaneous:
            x_inf = self.rates(V, ions)[0]
            gates = gates | {gate: x_inf[gate] for gate in self.instantaneous}
        fraction = 1.0
        for gate, power in self.powers:
            fraction = fraction * gates[gate] ** power
        return fraction


class AbstractGatedChannel(AbstractKineticChannel):
    """A channel written by the steady state and the time constant of its gates: implement `rates`."""

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """alpha = x_inf / tau, beta = (1 - x_inf) / tau [1/ms]."""
        x_inf, tau = self.rates(V, ions)
        per_ms = {gate: 1 / tau[gate] for gate in tau}
        alpha = {gate: x_inf[gate] * per_ms[gate] for gate in tau}
        return alpha, {gate: per_ms[gate] - alpha[gate] for gate in tau}


class AbstractTransitionChannel(AbstractKineticChannel):
    """A channel written by the opening and closing rates of its gates: implement `transitions`."""

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """x_inf = alpha / (alpha + beta) [1], tau = 1 / (alpha + beta) [ms]."""
        alpha, beta = self.transitions(V, ions)
        pairs = {gate: opening_rates(alpha[gate], beta[gate]) for gate in alpha}
        return {gate: pair[0] for gate, pair in pairs.items()}, {gate: pair[1] for gate, pair in pairs.items()}


def opening_rates(alpha: Float[Array, "*c"], beta: Float[Array, "*c"]) -> tuple[Array, Array]:
    """(x_inf, tau [ms]) from opening and closing rates alpha, beta [1/ms]: alpha/(alpha+beta), 1/(alpha+beta)."""
    tau = 1 / (alpha + beta)
    return alpha * tau, tau


def ion_or_mixture(ion: str) -> str:
    """Converter of a field that names the ion of a channel: "na" for "Na+", "" for a mixture."""
    return as_ion(ion) if ion else ""


def gate_powers(**powers: int) -> Any:
    """Field of a channel that holds how often each gate counts: `powers: tuple = gate_powers(m=3, h=1)` for m^3 h.

    Given as a dict when a channel is built, e.g. `HHSodium(powers={"m": 4, "h": 1})` for m^4 h.
    """
    names = tuple(powers)

    def as_pairs(given: Any) -> tuple[tuple[str, int], ...]:
        try:
            found = dict(given)
        except (TypeError, ValueError):
            found = {}
        if set(found) != set(names) or not all(map(_is_power, found.values())):
            raise ValueError(
                f"Argument `powers` must give a positive whole number for each of {', '.join(names)}, but is "
                f"{given!r}; write e.g. {powers!r}."
            )
        return tuple((name, found[name]) for name in names)

    return eqx.field(static=True, converter=as_pairs, default=tuple(powers.items()))


def _is_power(n: Any) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n > 0
