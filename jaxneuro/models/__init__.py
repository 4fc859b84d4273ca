"""Neuron models: what the state is and how it moves, without solver knowledge."""

from jaxneuro.models._adex import AdEx as AdEx
from jaxneuro.models._base import AbstractConductanceModel as AbstractConductanceModel
from jaxneuro.models._base import AbstractModel as AbstractModel
from jaxneuro.models._base import AbstractNetwork as AbstractNetwork
from jaxneuro.models._base import AbstractNoisyModel as AbstractNoisyModel
from jaxneuro.models._base import AbstractSolvableModel as AbstractSolvableModel
from jaxneuro.models._base import AbstractSpikingModel as AbstractSpikingModel
from jaxneuro.models._clamps import DynamicClamp as DynamicClamp
from jaxneuro.models._clamps import IdealClamp as IdealClamp
from jaxneuro.models._clamps import VoltageClamp as VoltageClamp
from jaxneuro.models._conductance_lif import ConductanceLIF as ConductanceLIF
from jaxneuro.models._connor_stevens import ConnorStevens as ConnorStevens
from jaxneuro.models._eif import EIF as EIF
from jaxneuro.models._escape_rate import EscapeRate as EscapeRate
from jaxneuro.models._fitzhugh_nagumo import FitzHughNagumo as FitzHughNagumo
from jaxneuro.models._glif import GLIF as GLIF
from jaxneuro.models._glif import SpikeCurrent as SpikeCurrent
from jaxneuro.models._glif import SpikeThreshold as SpikeThreshold
from jaxneuro.models._hair_cell import HairCell as HairCell
from jaxneuro.models._hodgkin_huxley import HodgkinHuxley as HodgkinHuxley
from jaxneuro.models._izhikevich import Izhikevich as Izhikevich
from jaxneuro.models._lif import LIF as LIF
from jaxneuro.models._membrane import AbstractMembrane as AbstractMembrane
from jaxneuro.models._membrane import Membrane as Membrane
from jaxneuro.models._membrane import MembraneState as MembraneState
from jaxneuro.models._morris_lecar import MorrisLecar as MorrisLecar
from jaxneuro.models._network import Network as Network
from jaxneuro.models._noisy import AbstractNoisyMembrane as AbstractNoisyMembrane
from jaxneuro.models._noisy import NoisyMembrane as NoisyMembrane
from jaxneuro.models._noisy import with_channel_noise as with_channel_noise
from jaxneuro.models._passive import PassiveMembrane as PassiveMembrane
from jaxneuro.models._pospischil_2008 import FastSpiking as FastSpiking
from jaxneuro.models._pospischil_2008 import IntrinsicallyBursting as IntrinsicallyBursting
from jaxneuro.models._pospischil_2008 import LowThresholdSpiking as LowThresholdSpiking
from jaxneuro.models._pospischil_2008 import RegularSpiking as RegularSpiking
from jaxneuro.models._qif import QIF as QIF
from jaxneuro.models._rinzel import RinzelHodgkinHuxley as RinzelHodgkinHuxley
from jaxneuro.models._spike_detector import SpikeDetector as SpikeDetector
from jaxneuro.models._synaptic_lif import SynapticLIF as SynapticLIF
from jaxneuro.models._traub_miles import TraubMiles as TraubMiles
from jaxneuro.models._wang_buzsaki import WangBuzsaki as WangBuzsaki
from jaxneuro.models._whole_cell import WholeCell as WholeCell

__all__ = [
    "EIF",
    "GLIF",
    "LIF",
    "QIF",
    "AbstractConductanceModel",
    "AbstractMembrane",
    "AbstractModel",
    "AbstractNetwork",
    "AbstractNoisyMembrane",
    "AbstractNoisyModel",
    "AbstractSolvableModel",
    "AbstractSpikingModel",
    "AdEx",
    "ConductanceLIF",
    "ConnorStevens",
    "DynamicClamp",
    "EscapeRate",
    "FastSpiking",
    "FitzHughNagumo",
    "HairCell",
    "HodgkinHuxley",
    "IdealClamp",
    "IntrinsicallyBursting",
    "Izhikevich",
    "LowThresholdSpiking",
    "Membrane",
    "MembraneState",
    "MorrisLecar",
    "Network",
    "NoisyMembrane",
    "PassiveMembrane",
    "RegularSpiking",
    "RinzelHodgkinHuxley",
    "SpikeCurrent",
    "SpikeDetector",
    "SpikeThreshold",
    "SynapticLIF",
    "TraubMiles",
    "VoltageClamp",
    "WangBuzsaki",
    "WholeCell",
    "with_channel_noise",
]
