"""AMPA synapse: a conductance that decays exponentially."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.params import param
from jaxneuro.synapses._base import AbstractSynapse

__all__ = ["AMPA", "AMPAState"]


class AMPAState(NamedTuple):
    """s: conductance in units of g_max [1]."""

    s: Float[Array, "*n_syn"]


class AMPA(AbstractSynapse):
    """Exponential synapse: i = g_max s (V - E_rev),  ds/dt = -s / tau,  s -> s + weight at a spike.

    With E_rev = -75 mV and tau = 6 ms it is a GABA_A synapse.

    >>> AMPA(g_max=0.01, tau=2.0)

    References: Destexhe, Mainen & Sejnowski (1998), in Methods in Neuronal Modeling, 2nd ed., ch. 1 (kinetics of AMPA
    receptors; the rise, below 0.5 ms, is instantaneous here).
    """

    g_max: Array = param(0.01, unit="uS", bounds=(0, None), doc="Conductance that one spike opens.")
    tau: Array = param(2.0, unit="ms", bounds=(0, None), is_open=True, doc="Decay time constant.")
    E_rev: Array = param(0.0, unit="mV", doc="Reversal potential.")

    def init(self) -> AMPAState:
        return AMPAState(jnp.zeros_like(self.tau))

    def dynamics(self, s: AMPAState, V_pre: Float[Array, "*n_syn"]) -> AMPAState:
        return AMPAState(-s.s / self.tau)

    def on_spike(self, s: AMPAState, weight: Float[Array, "*n_syn"]) -> AMPAState:
        return jax.tree.map(lambda x: x + weight, s)

    def current(self, s: AMPAState, V_post: Float[Array, "*n_syn"]) -> Float[Array, "*n_syn"]:
        return self.g_max * s.s * (V_post - self.E_rev)
