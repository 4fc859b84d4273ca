"""Differentiable, GPU-ready neuron models that fit real recordings."""

from jaxneuro._simulate import simulate as simulate
from jaxneuro._solution import Solution as Solution
from jaxneuro._version import __version__ as __version__
from jaxneuro.channels import HHPotassium as HHPotassium
from jaxneuro.channels import HHSodium as HHSodium
from jaxneuro.channels import Leak as Leak
from jaxneuro.models import LIF as LIF
from jaxneuro.models import FitzHughNagumo as FitzHughNagumo
from jaxneuro.models import HodgkinHuxley as HodgkinHuxley
from jaxneuro.models import Membrane as Membrane
from jaxneuro.results import RESULTS as RESULTS
from jaxneuro.solvers import RK4 as RK4
from jaxneuro.solvers import Adaptive as Adaptive
from jaxneuro.solvers import ExactSpikes as ExactSpikes
from jaxneuro.solvers import ExponentialEuler as ExponentialEuler
from jaxneuro.solvers import ExponentialStrang as ExponentialStrang
from jaxneuro.solvers import FixedStep as FixedStep
from jaxneuro.stimuli import Chirp as Chirp
from jaxneuro.stimuli import Constant as Constant
from jaxneuro.stimuli import OrnsteinUhlenbeck as OrnsteinUhlenbeck
from jaxneuro.stimuli import Pulses as Pulses
from jaxneuro.stimuli import Ramp as Ramp
from jaxneuro.stimuli import Sampled as Sampled
from jaxneuro.stimuli import Sine as Sine
from jaxneuro.stimuli import Step as Step
