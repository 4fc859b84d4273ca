"""Stochastic differential equations at fixed steps."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.models import AbstractModel, AbstractNoisyModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._brownian import BrownianPath
from jaxneuro.solvers._crossings import linear_crossing
from jaxneuro.solvers._fixed_step import check_dt, check_memory
from jaxneuro.solvers._grid import SplitGrid, TimeGrid, split_grid
from jaxneuro.solvers._one_step import ModelTerm
from jaxneuro.solvers._program import AbstractProgram, Edge, Span, is_finite
from jaxneuro.solvers._run import AbstractStepSolver
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["EulerMaruyama"]


class EulerMaruyama(AbstractStepSolver):
    """Euler-Maruyama steps of `dt` [ms] for noisy models, in the sense of Ito; drives diffrax.Euler.

    y(t + dt) = y + dynamics(y, i_app) dt + diffusion(y) (W(t + dt) - W(t))

    Strong order 1/2, weak order 1. The Brownian path W belongs to the model's `seed`, and not to dt: runs at several
    steps follow the same path. Differentiable in all parameters but the seed.

    **Arguments:** `dt`, step [ms]; `resolution` of the path [ms], dt if None: give the smallest of several steps to
    compare them; `memory` [GiB], as in FixedStep.

    >>> EulerMaruyama(0.01)

    References: Maruyama (1955), Rend Circ Mat Palermo 4:48. doi:10.1007/BF02846028
    """

    dt: float = eqx.field(static=True)
    resolution: float | None = eqx.field(static=True, default=None)
    memory: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_dt(self.dt)
        check_memory(self.memory)
        if self.resolution is not None and not _divides(self.resolution, self.dt):
            raise ValueError(
                f"Argument `resolution` must divide dt={self.dt:g} ms into whole cells, but is {self.resolution}; use "
                "the smallest of the steps to compare."
            )

    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Refuse models without noise, and saving times off the grid."""
        grid.save_indices(self.dt)
        if not isinstance(model, AbstractNoisyModel):
            raise ValueError(
                f"Argument `model` must be noisy for EulerMaruyama, but is {type(model).__name__}; use FixedStep, or "
                "NoisyMembrane(...)."
            )

    def program(self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid) -> AbstractProgram:
        """One Euler-Maruyama step per grid interval."""
        per_step = round(self.dt / (self.resolution or self.dt))
        key = jax.random.key(model.seed.astype(jnp.int32))
        path = BrownianPath(key, model.n_motions, self.dt, per_step, round(grid.t0 / self.dt))
        return _NoisyProgram(model, stimulus, y0, split_grid(grid, self.dt, stimulus), path, grid.t0)


def _divides(resolution: float, dt: float) -> bool:
    return resolution > 0 and abs(dt / resolution - max(round(dt / resolution), 1)) < 1e-6


class NoiseTerm(diffrax.AbstractTerm):
    """The diffrax term of a model's noise in one step."""

    model: AbstractNoisyModel
    dW: Float[Array, " n_motions"]

    def vf(self, t: Any, y: Any, args: Any) -> Any:
        """The state that the diffusion is taken at."""
        return y

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        """W(t1) - W(t0) [sqrt(ms)]."""
        return self.dW

    def prod(self, vf: Any, control: Any) -> Any:
        """diffusion(y) dW."""
        return self.model.diffuse(vf, control)


class _Noisy(NamedTuple):
    y: Any


class _NoisyProgram(AbstractProgram):
    model: AbstractNoisyModel
    stimulus: AbstractStimulus
    y0: Any
    split: SplitGrid
    path: BrownianPath
    t0: float = eqx.field(static=True)

    def init(self) -> _Noisy:
        return _Noisy(self.y0)

    def step(self, carry: _Noisy, edge: Edge) -> tuple[_Noisy, Span]:
        within = edge.input(self.stimulus)
        terms = diffrax.MultiTerm(ModelTerm(self.model), NoiseTerm(self.model, self._increment(edge)))
        y = diffrax.Euler().step(terms, 0.0 * edge.length, edge.length, carry.y, within, None, made_jump=False)[0]
        has_spiked, offset = linear_crossing(self.model, edge.length, carry.y, y)
        return _Noisy(y), Span(edge.left, edge.right, carry.y, y, has_spiked, offset, edge.row)

    def _increment(self, edge: Edge) -> Float[Array, " n_motions"]:
        """W(right) - W(left) of a step, which a jump of the stimulus may have cut short."""
        begin = self.t0 + edge.index * self.path.dt
        start = jnp.where(edge.is_regular, 0.0, jnp.clip((edge.left - begin) / self.path.dt, 0.0, 1.0))
        stop = jnp.where(edge.is_end_regular, 1.0, jnp.clip((edge.right - begin) / self.path.dt, 0.0, 1.0))
        return self.path.increment(edge.index, start, stop)

    def outcome(self, carry: _Noisy) -> RESULTS:
        return first_failure((~is_finite(carry.y), RESULTS.nonfinite))
