"""Synapses: kinetics and currents, elementwise and free of solver and network knowledge."""

from jaxneuro.synapses._ampa import AMPA as AMPA
from jaxneuro.synapses._base import AbstractSynapse as AbstractSynapse
from jaxneuro.synapses._nmda import NMDA as NMDA

__all__ = ["AMPA", "NMDA", "AbstractSynapse"]
