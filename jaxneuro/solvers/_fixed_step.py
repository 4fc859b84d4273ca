"""Fixed steps: one scan that drives any one-step method of diffrax."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.fusion import separated
from jaxneuro.models import AbstractConductanceModel, AbstractModel, AbstractNetwork, AbstractSpikingModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import refuse_noise
from jaxneuro.solvers._crossings import crossing_time
from jaxneuro.solvers._exponential import ExponentialEuler, ExponentialStrang, require_conductance_model
from jaxneuro.solvers._grid import InputWithin, SplitGrid, TimeGrid, split_grid
from jaxneuro.solvers._grid_spikes import GridSpikes
from jaxneuro.solvers._one_step import one_step, prepared
from jaxneuro.solvers._program import AbstractProgram, Edge, Span, is_finite
from jaxneuro.solvers._run import AbstractStepSolver
from jaxneuro.solvers._runge_kutta import RK4, AbstractRungeKutta
from jaxneuro.stimuli import AbstractStimulus
from jaxneuro.surrogates import AbstractSurrogate

__all__ = ["FixedStep"]


def check_dt(dt: Any) -> None:
    """Raise a ValueError unless dt is a positive number [ms]."""
    if isinstance(dt, jax.Array | str | bool) or not isinstance(dt, float | int) or not 0 < dt < float("inf"):
        raise ValueError(f"Argument `dt` must be a positive number [ms], but is dt={dt!r}; use e.g. dt=0.025.")


def check_memory(memory: Any) -> None:
    """Raise a ValueError unless memory is None or a positive number [GiB]."""
    if memory is not None and (isinstance(memory, bool | str) or not 0 < memory < float("inf")):
        raise ValueError(f"Argument `memory` must be a positive number [GiB], but is memory={memory!r}; use e.g. 2.0.")


class FixedStep(AbstractStepSolver):
    """Fixed steps of `dt` [ms]; the default of sweeps and fits of smooth models.

    The grid is split where the stimulus jumps, so an onset between two grid points is neither late nor without a
    derivative. Reverse mode stores the state of every step and computes the inside of it anew (3 to 4 times the cost of
    the run); where these states would not fit into `memory`, of every block of steps (5 times). Forward mode works
    too. An explicit method whose step comes near its limit of stability is reported in `result`.

    Models that reset do so on the grid, at the end of the step in which they reach threshold, and stay refractory for a
    whole number of steps, the nearest to t_ref: use ExactSpikes for exact spike times. Their spikes have no derivative
    but that of `surrogate`, which is in `Solution.spike_train`.

    **Arguments:** `dt`, step [ms]; `solver`, any one-step diffrax solver; None for the own flow of models that reset,
    ExponentialStrang() on conductance models and RK4() on others; `memory` [GiB], the most that the stored states may
    take, of the lanes that run together (256 per core, 128 in float64); None for an eighth of the machine's;
    `surrogate`, the derivative of a spike in the distance to threshold, e.g. SuperSpike(); `attach_reset`, whether the
    reset has it too, which needs a low bump, see `jaxneuro.surrogates`.

    >>> FixedStep(0.025, solver=ExponentialStrang())
    """

    dt: float = eqx.field(static=True)
    solver: diffrax.AbstractSolver | None = None
    memory: float | None = eqx.field(static=True, default=None)
    surrogate: AbstractSurrogate | None = None
    attach_reset: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_dt(self.dt)
        check_memory(self.memory)
        if self.surrogate is not None and not isinstance(self.surrogate, AbstractSurrogate):
            raise TypeError(
                f"Argument `surrogate` must be a surrogate, but is {self.surrogate!r}; use e.g. SuperSpike() or "
                'find_surrogate("superspike").'
            )
        if self.solver is not None and not isinstance(self.solver, diffrax.AbstractSolver):
            raise TypeError(
                f"Argument `solver` must be a diffrax solver, but is {self.solver!r}; use e.g. ExponentialStrang()."
            )
        if self.solver is not None and not _takes_one_term(self.solver):
            raise ValueError(
                f"Argument `solver` must take one term, but {type(self.solver).__name__} splits the right-hand side "
                "into several; use e.g. diffrax.Kvaerno3() for stiff models."
            )

    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Refuse networks, exponential steppers on models without conductances, and saving times off the grid."""
        grid.save_indices(self.dt)
        refuse_noise(model, "FixedStep")
        if isinstance(model, AbstractNetwork):
            raise ValueError(
                f"Argument `solver` must keep the spikes on their way, but is FixedStep for {type(model).__name__}; "
                f"use ExactSpikes(dt={self.dt:g})."
            )
        if self.surrogate is not None and not isinstance(model, AbstractSpikingModel):
            raise ValueError(
                f"Argument `surrogate` must be None for a model without a reset, but is {self.surrogate} for "
                f"{type(model).__name__}; its derivatives are exact without."
            )
        if isinstance(self.solver, ExponentialEuler | ExponentialStrang):
            require_conductance_model(model)

    def program(self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid) -> AbstractProgram:
        """One step of the one-step method per grid interval."""
        split = split_grid(grid, self.dt, stimulus)
        if isinstance(model, AbstractSpikingModel):
            solver = None if self.solver is None else prepared(self.solver)
            return GridSpikes(model, stimulus, y0, split, solver, self.surrogate, self.attach_reset)
        return _SmoothProgram(model, stimulus, y0, split, prepared(self.solver or _default_solver(model)))


class _Smooth(NamedTuple):
    y: Any
    stiffness: Float[Array, ""]
    """Largest |dV'/dV| h so far, of explicit methods."""


class _SmoothProgram(AbstractProgram):
    """A smooth model: spikes are upward crossings of its threshold, by cubic interpolation inside the step."""

    model: AbstractModel
    stimulus: AbstractStimulus
    y0: Any
    split: SplitGrid
    solver: diffrax.AbstractSolver

    def init(self) -> _Smooth:
        return _Smooth(self.y0, jnp.zeros((), jnp.result_type(float)))

    def step(self, carry: _Smooth, edge: Edge) -> tuple[_Smooth, Span]:
        within = edge.input(self.stimulus)
        y = separated(one_step(self.solver, self.model, carry.y, within, edge.length))
        has_spiked, offset = crossing_time(self.model, within, edge.length, carry.y, y)
        stiffness = carry.stiffness
        if isinstance(self.solver, AbstractRungeKutta):
            stiffness = jnp.maximum(stiffness, _stiffness(self.model, carry.y, within, edge))
        return _Smooth(y, stiffness), Span(edge.left, edge.right, carry.y, y, has_spiked, offset, edge.row)

    def outcome(self, carry: _Smooth) -> RESULTS:
        limit = 0.9 * self.solver.stability if isinstance(self.solver, AbstractRungeKutta) else jnp.inf
        return first_failure((~is_finite(carry.y), RESULTS.nonfinite), (carry.stiffness > limit, RESULTS.unstable_step))


def _stiffness(model: AbstractModel, y: Any, within: InputWithin, edge: Edge) -> Float[Array, ""]:
    """|dV'/dV| h at the start of a step: the total conductance over C_m of a membrane."""

    def dV(V: Array) -> Array:
        return model.voltage(model.vector_field(jnp.zeros_like(edge.length), y._replace(V=V), within))

    rate = jax.jvp(dV, (y.V,), (jnp.ones_like(y.V),))[1]
    return jax.lax.stop_gradient(jnp.abs(rate) * edge.length)


def _takes_one_term(solver: diffrax.AbstractSolver) -> bool:
    structure = solver.term_structure
    return isinstance(structure, type) and issubclass(structure, diffrax.AbstractTerm)


def _default_solver(model: AbstractModel) -> diffrax.AbstractSolver:
    return ExponentialStrang() if isinstance(model, AbstractConductanceModel) else RK4()
