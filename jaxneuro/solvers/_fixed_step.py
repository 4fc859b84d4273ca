"""Fixed steps: one scan that drives any one-step method of diffrax."""

import dataclasses
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx

from jaxneuro.models import AbstractConductanceModel, AbstractModel, AbstractSpikingModel
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._base import AbstractSolver, TimeGrid, Trajectory
from jaxneuro.solvers._crossings import smooth_spikes
from jaxneuro.solvers._grid import InputWithin, split_grid
from jaxneuro.solvers._steppers import RK4, ExponentialEuler, ExponentialStrang, ModelTerm, require_conductance_model
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["FixedStep"]


def check_dt(dt: Any) -> None:
    """Raise a ValueError unless dt is a positive number [ms]."""
    if isinstance(dt, jax.Array | str | bool) or not isinstance(dt, float | int) or not 0 < dt < float("inf"):
        raise ValueError(f"Argument `dt` must be a positive number [ms], but is dt={dt!r}; use e.g. dt=0.025.")


class FixedStep(AbstractSolver):
    """Fixed steps of `dt` [ms]; the default of sweeps and fits of smooth models.

    The grid is split where the stimulus jumps, so an onset between two grid points is neither late nor without a
    derivative. Reverse mode stores the state of every step and recomputes the inside of it (3.5 to 4 times the cost of
    the run); forward mode works too.

    **Arguments:** `dt`, step [ms]; `solver`, any one-step diffrax solver; None for ExponentialStrang() on conductance
    models and RK4() on others.

    >>> FixedStep(0.025, solver=ExponentialStrang())
    """

    dt: float = eqx.field(static=True)
    solver: diffrax.AbstractSolver | None = None

    def __check_init__(self):
        check_dt(self.dt)
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
        """Refuse models that reset, exponential steppers on other models, and saving times off the grid."""
        grid.save_indices(self.dt)
        if isinstance(model, AbstractSpikingModel):
            raise ValueError(
                f"Argument `solver` must be able to reset, but is FixedStep for {type(model).__name__}; "
                f"use ExactSpikes(dt={self.dt:g})."
            )
        if isinstance(self.solver, ExponentialEuler | ExponentialStrang):
            require_conductance_model(model)

    def integrate(
        self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid, max_spikes: int
    ) -> Trajectory:
        """Scan over the split grid, every step rematerialised."""
        solver = _prepared(self.solver or _default_solver(model))
        term = ModelTerm(model)
        split = split_grid(grid, self.dt, stimulus)

        @jax.checkpoint
        def step(y: Any, interval: Any) -> tuple[Any, Any]:
            left, right = interval
            within = InputWithin(stimulus, left, right)
            state = solver.init(term, left, right, y, within)
            y_next = solver.step(term, left, right, y, within, state, made_jump=False)[0]
            return y_next, y_next

        y_end, later = jax.lax.scan(step, y0, (split.edges[:-1], split.edges[1:]))
        ys = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), y0, later)
        spikes, count = smooth_spikes(model, stimulus, split.edges, ys, max_spikes)
        is_finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(y_end)]))
        result = first_failure((~is_finite, RESULTS.nonfinite), (count > max_spikes, RESULTS.max_spikes_reached))
        saved = jax.tree.map(lambda leaf: leaf[split.save_indices], ys)
        return Trajectory(saved, spikes, result, {"n_steps": split.edges.size - 1})


def _takes_one_term(solver: diffrax.AbstractSolver) -> bool:
    structure = solver.term_structure
    return isinstance(structure, type) and issubclass(structure, diffrax.AbstractTerm)


def _default_solver(model: AbstractModel) -> diffrax.AbstractSolver:
    return ExponentialStrang() if isinstance(model, AbstractConductanceModel) else RK4()


def _prepared(solver: diffrax.AbstractSolver) -> diffrax.AbstractSolver:
    """The solver with a stage loop that has every derivative, and root-finder tolerances of its own."""
    if isinstance(solver, diffrax.AbstractRungeKutta) and solver.scan_kind is None:
        solver = dataclasses.replace(solver, scan_kind="bounded")
    if isinstance(solver, diffrax.AbstractImplicitSolver) and not eqx.is_array_like(solver.root_finder.rtol):
        # without error control there are no tolerances to inherit; far below the error of any useful step
        tolerance = max(1e-9, 16 * float(jnp.finfo(jnp.result_type(float)).eps))
        finder = dataclasses.replace(solver.root_finder, rtol=tolerance, atol=tolerance, norm=optx.max_norm)
        solver = eqx.tree_at(lambda s: s.root_finder, solver, finder)
    return solver
