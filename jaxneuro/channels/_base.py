"""What a channel is: gates that relax towards x_inf(V) with tau(V), and a current."""

import abc

from jaxtyping import Array, Float

from jaxneuro.params import AbstractParametrised

__all__ = ["AbstractGatedChannel", "Gates", "Ions", "opening_rates"]

Gates = dict[str, Float[Array, "*c"]]
"""Gate name -> open probability [1]."""

Ions = dict[str, Float[Array, "*c"]]
"""Concentrations [mM] and reversal potentials [mV] that the cell shares, by name; {} for most cells."""


class AbstractGatedChannel(AbstractParametrised):
    """One ionic current, elementwise in V: the same object serves a point (V: ()) and a cable (V: (n_comp,)).

    dx/dt = (x_inf(V) - x) / tau_x(V) for every gate x. Subclasses implement `rates` and `current`.
    """

    @abc.abstractmethod
    def rates(self, V: Float[Array, "*c"], ions: Ions) -> tuple[Gates, Gates]:
        """Steady state x_inf [1] and time constant tau [ms] of every gate at V [mV]; ({}, {}) without gates."""

    @abc.abstractmethod
    def current(self, V: Float[Array, "*c"], gates: Gates, ions: Ions) -> Float[Array, "*c"]:
        """Current density [uA/cm^2] at V [mV], outward positive."""

    def init(self, V: Float[Array, "*c"], ions: Ions) -> Gates:
        """Gates in their steady state at V [mV]."""
        return self.rates(V, ions)[0]


def opening_rates(alpha: Float[Array, "*c"], beta: Float[Array, "*c"]) -> tuple[Array, Array]:
    """(x_inf, tau [ms]) from opening and closing rates alpha, beta [1/ms]: alpha/(alpha+beta), 1/(alpha+beta)."""
    tau = 1 / (alpha + beta)
    return alpha * tau, tau
