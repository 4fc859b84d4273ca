"""How time advances: adaptive steps, fixed steps, or exact spikes on a grid."""

from jaxneuro.solvers._adaptive import Adaptive as Adaptive
from jaxneuro.solvers._base import AbstractSolver as AbstractSolver
from jaxneuro.solvers._base import TimeGrid as TimeGrid
from jaxneuro.solvers._defaults import default_fixed_solver as default_fixed_solver
from jaxneuro.solvers._defaults import default_solver as default_solver
from jaxneuro.solvers._exact_spikes import ExactSpikes as ExactSpikes
from jaxneuro.solvers._fixed_step import FixedStep as FixedStep
from jaxneuro.solvers._steppers import RK4 as RK4
from jaxneuro.solvers._steppers import ExponentialEuler as ExponentialEuler
from jaxneuro.solvers._steppers import ExponentialStrang as ExponentialStrang

__all__ = [
    "RK4",
    "AbstractSolver",
    "Adaptive",
    "ExactSpikes",
    "ExponentialEuler",
    "ExponentialStrang",
    "FixedStep",
    "TimeGrid",
    "default_fixed_solver",
    "default_solver",
]
