"""What a channel is: gates that relax towards x_inf(V) with tau(V), and a current."""

import abc

from jaxtyping import Array, Float

from jaxneuro.params import AbstractParametrised

__all__ = ["AbstractChannel", "AbstractGatedChannel", "AbstractTransitionChannel", "Gates", "Ions", "opening_rates"]

Gates = dict[str, Float[Array, "*c"]]
"""Gate name -> open probability [1]."""

Ions = dict[str, Float[Array, "*c"]]
"""Concentrations [mM] and reversal potentials [mV] that the cell shares, by name; {} for most cells."""


class AbstractChannel(AbstractParametrised):
    """One ionic current, elementwise in V: the same object serves a point (V: ()) and a cable (V: (n_comp,)).

    dx/dt = (x_inf(V) - x) / tau_x(V) = alpha_x(V) (1 - x) - beta_x(V) x for every gate x. A channel is written in
    either form: as an `AbstractGatedChannel` by x_inf and tau, as an `AbstractTransitionChannel` by alpha and beta.
    """

    @abc.abstractmethod
    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """Steady state x_inf [1] and time constant tau [ms] of every gate at V [mV]; ({}, {}) without gates."""

    @abc.abstractmethod
    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """Opening rate alpha and closing rate beta of every gate at V [mV], both in 1/ms; ({}, {}) without gates."""

    @abc.abstractmethod
    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """Current density [uA/cm^2] at V [mV], outward positive."""

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """Gates in their steady state at V [mV]."""
        return self.rates(V, ions)[0]


class AbstractGatedChannel(AbstractChannel):
    """A channel written by the steady state and the time constant of its gates: implement `rates` and `current`."""

    def transitions(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """alpha = x_inf / tau, beta = (1 - x_inf) / tau [1/ms]."""
        x_inf, tau = self.rates(V, ions)
        per_ms = {gate: 1 / tau[gate] for gate in tau}
        alpha = {gate: x_inf[gate] * per_ms[gate] for gate in tau}
        return alpha, {gate: per_ms[gate] - alpha[gate] for gate in tau}


class AbstractTransitionChannel(AbstractChannel):
    """A channel written by the opening and closing rates of its gates: implement `transitions` and `current`."""

    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """x_inf = alpha / (alpha + beta) [1], tau = 1 / (alpha + beta) [ms]."""
        alpha, beta = self.transitions(V, ions)
        pairs = {gate: opening_rates(alpha[gate], beta[gate]) for gate in alpha}
        return {gate: pair[0] for gate, pair in pairs.items()}, {gate: pair[1] for gate, pair in pairs.items()}


def opening_rates(alpha: Float[Array, "*c"], beta: Float[Array, "*c"]) -> tuple[Array, Array]:
    """(x_inf, tau [ms]) from opening and closing rates alpha, beta [1/ms]: alpha/(alpha+beta), 1/(alpha+beta)."""
    tau = 1 / (alpha + beta)
    return alpha * tau, tau
