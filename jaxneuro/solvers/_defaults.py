"""Which solver a model gets when none is named."""

from jaxneuro.models import AbstractConductanceModel, AbstractModel, AbstractNoisyModel, AbstractSpikingModel
from jaxneuro.solvers._adaptive import Adaptive
from jaxneuro.solvers._base import AbstractSolver
from jaxneuro.solvers._euler_maruyama import EulerMaruyama
from jaxneuro.solvers._exact_spikes import ExactSpikes
from jaxneuro.solvers._fixed_step import FixedStep

__all__ = ["default_fixed_solver", "default_solver"]


def default_solver(model: AbstractModel) -> AbstractSolver:
    """Solver of a single run: ExactSpikes for models that reset and networks, EulerMaruyama(0.01) for noisy ones,
    Adaptive for smooth ones."""
    if isinstance(model, AbstractNoisyModel):
        return EulerMaruyama(0.01)
    return ExactSpikes(model.dt_default) if isinstance(model, AbstractSpikingModel) else Adaptive()


def default_fixed_solver(model: AbstractModel) -> AbstractSolver:
    """Solver of sweeps and fits: FixedStep(0.025) for membranes, FixedStep(0.05) for other smooth models, ExactSpikes
    for the rest."""
    if isinstance(model, AbstractSpikingModel | AbstractNoisyModel):
        return default_solver(model)
    return FixedStep(0.025 if isinstance(model, AbstractConductanceModel) else 0.05)
