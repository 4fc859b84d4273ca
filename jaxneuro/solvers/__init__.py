"""How time advances: adaptive steps, fixed steps, or exact spikes on a grid."""

from jaxneuro.solvers._adaptive import Adaptive as Adaptive
from jaxneuro.solvers._base import AbstractSolver as AbstractSolver
from jaxneuro.solvers._defaults import default_fixed_solver as default_fixed_solver
from jaxneuro.solvers._defaults import default_solver as default_solver
from jaxneuro.solvers._discrete_channels import DiscreteChannels as DiscreteChannels
from jaxneuro.solvers._euler_maruyama import EulerMaruyama as EulerMaruyama
from jaxneuro.solvers._exact_spikes import ExactSpikes as ExactSpikes
from jaxneuro.solvers._exponential import ExponentialEuler as ExponentialEuler
from jaxneuro.solvers._exponential import ExponentialStrang as ExponentialStrang
from jaxneuro.solvers._fixed_step import FixedStep as FixedStep
from jaxneuro.solvers._grid import TimeGrid as TimeGrid
from jaxneuro.solvers._program import Reducer as Reducer
from jaxneuro.solvers._program import Span as Span
from jaxneuro.solvers._run import AbstractFixedSolver as AbstractFixedSolver
from jaxneuro.solvers._run import rows_per_block as rows_per_block
from jaxneuro.solvers._run import state_bytes as state_bytes
from jaxneuro.solvers._run import tree_bytes as tree_bytes
from jaxneuro.solvers._runge_kutta import RK4 as RK4
from jaxneuro.solvers._runge_kutta import Euler as Euler
from jaxneuro.solvers._runge_kutta import Heun as Heun
from jaxneuro.solvers._runge_kutta import Tsit5 as Tsit5

__all__ = [
    "RK4",
    "AbstractFixedSolver",
    "AbstractSolver",
    "Adaptive",
    "DiscreteChannels",
    "Euler",
    "EulerMaruyama",
    "ExactSpikes",
    "ExponentialEuler",
    "ExponentialStrang",
    "FixedStep",
    "Heun",
    "Reducer",
    "Span",
    "TimeGrid",
    "Tsit5",
    "default_fixed_solver",
    "default_solver",
    "rows_per_block",
    "state_bytes",
    "tree_bytes",
]
