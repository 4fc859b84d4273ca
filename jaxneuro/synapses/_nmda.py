"""NMDA synapse: slow rise and decay, blocked by magnesium at rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.numerics import exp
from jaxneuro.params import is_concrete, param
from jaxneuro.synapses._base import AbstractSynapse

__all__ = ["NMDA", "NMDAState"]


class NMDAState(NamedTuple):
    """rise, decay: the two exponentials whose difference opens the conductance [1]."""

    rise: Float[Array, "*n_syn"]
    decay: Float[Array, "*n_syn"]


class NMDA(AbstractSynapse):
    """Difference of two exponentials behind a voltage-dependent magnesium block.

    i = g_max B(V) c (decay - rise) (V - E_rev),   B(V) = 1 / (1 + [Mg] / 3.57 mM e^{-0.062 V / mV})
    d rise/dt = -rise / tau_rise,   d decay/dt = -decay / tau_decay;   both + weight at a spike

    c makes the peak of one unblocked spike of weight 1 equal to g_max.

    >>> NMDA(g_max=0.005, Mg=1.0)

    References: Jahr & Stevens (1990), J Neurosci 10:3178. doi:10.1523/JNEUROSCI.10-09-03178.1990 (block)
    """

    g_max: Array = param(0.005, unit="uS", bounds=(0, None), doc="Peak conductance of one spike without block.")
    tau_rise: Array = param(3.0, unit="ms", bounds=(0, None), is_open=True, doc="Rise time constant.")
    tau_decay: Array = param(80.0, unit="ms", bounds=(0, None), is_open=True, doc="Decay time constant.")
    E_rev: Array = param(0.0, unit="mV", doc="Reversal potential.")
    Mg: Array = param(1.0, unit="mM", bounds=(0, None), doc="Extracellular magnesium concentration.")

    def __check_init__(self):
        if is_concrete(self.tau_rise, self.tau_decay) and np.any(self.tau_rise >= self.tau_decay):
            raise ValueError(
                f"Argument `tau_rise` must be shorter than tau_decay={self.tau_decay} ms, but is {self.tau_rise} ms; "
                "shorten it."
            )

    def init(self) -> NMDAState:
        return NMDAState(jnp.zeros_like(self.tau_rise), jnp.zeros_like(self.tau_decay))

    def dynamics(self, s: NMDAState, V_pre: Float[Array, "*n_syn"]) -> NMDAState:
        return NMDAState(-s.rise / self.tau_rise, -s.decay / self.tau_decay)

    def on_spike(self, s: NMDAState, weight: Float[Array, "*n_syn"]) -> NMDAState:
        return jax.tree.map(lambda x: x + weight, s)

    def unblocked(self, V: Float[Array, "*n_syn"]) -> Float[Array, "*n_syn"]:
        """Fraction B(V) of the channels that magnesium leaves open [1]."""
        return 1 / (1 + self.Mg / 3.57 * exp(-0.062 * V))

    def current(self, s: NMDAState, V_post: Float[Array, "*n_syn"]) -> Float[Array, "*n_syn"]:
        ratio = self.tau_rise / self.tau_decay
        # at its peak the difference of the exponentials is q^(q/(1-q)) - q^(1/(1-q)), q = tau_rise / tau_decay
        peak = ratio ** (ratio / (1 - ratio)) - ratio ** (1 / (1 - ratio))
        return self.g_max * self.unblocked(V_post) * (s.decay - s.rise) / peak * (V_post - self.E_rev)
