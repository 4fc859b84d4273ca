"""Neuron models: what the state is and how it moves, without solver knowledge."""

from jaxneuro.models._base import AbstractConductanceModel as AbstractConductanceModel
from jaxneuro.models._base import AbstractModel as AbstractModel
from jaxneuro.models._base import AbstractNetwork as AbstractNetwork
from jaxneuro.models._base import AbstractSpikingModel as AbstractSpikingModel
from jaxneuro.models._fitzhugh_nagumo import FitzHughNagumo as FitzHughNagumo
from jaxneuro.models._lif import LIF as LIF
from jaxneuro.models._membrane import AbstractMembrane as AbstractMembrane
from jaxneuro.models._membrane import HodgkinHuxley as HodgkinHuxley
from jaxneuro.models._membrane import Membrane as Membrane
from jaxneuro.models._network import Network as Network
from jaxneuro.models._spike_detector import SpikeDetector as SpikeDetector

__all__ = [
    "LIF",
    "AbstractConductanceModel",
    "AbstractMembrane",
    "AbstractModel",
    "AbstractNetwork",
    "AbstractSpikingModel",
    "FitzHughNagumo",
    "HodgkinHuxley",
    "Membrane",
    "Network",
    "SpikeDetector",
]
