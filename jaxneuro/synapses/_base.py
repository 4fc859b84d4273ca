"""What a synapse is: a conductance that spikes open and time closes."""

import abc
from typing import Any

from jaxtyping import Array, Float

from jaxneuro.params import AbstractParametrised

__all__ = ["AbstractSynapse"]


class AbstractSynapse(AbstractParametrised):
    """One or many synapses of a kind, elementwise: states and parameters are () or (n_syn,).

    Conductances are in uS onto point neurons (current in nA) and in mS/cm^2 onto membranes (current in uA/cm^2).
    """

    @abc.abstractmethod
    def init(self) -> Any:
        """State of a synapse at rest, a NamedTuple of scalars."""

    @abc.abstractmethod
    def dynamics(self, s: Any, V_pre: Float[Array, "*n_syn"]) -> Any:
        """Time derivative of the state [per ms]."""

    @abc.abstractmethod
    def on_spike(self, s: Any, weight: Float[Array, "*n_syn"]) -> Any:
        """State after the arrival of a spike of strength `weight` [1]; linear in the weight."""

    @abc.abstractmethod
    def current(self, s: Any, V_post: Float[Array, "*n_syn"]) -> Float[Array, "*n_syn"]:
        """Current at the postsynaptic voltage [mV], outward positive."""
