"""The compiled part of a fit: all starts side by side, a few optimiser steps per call.

Derivatives are forward-mode: a fit has few parameters and many residuals, and one evaluation then
serves both phases, gradient steps of an optax optimiser and Levenberg-Marquardt steps.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxneuro import params
from jaxneuro.fitters._experiment import Experiment
from jaxneuro.fitters._targets import AbstractTarget
from jaxneuro.fitters._transforms import AbstractTransform
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import where
from jaxneuro.solvers import AbstractSolver

if TYPE_CHECKING:
    import optax

__all__ = ["CHUNK", "Problem", "State", "advance", "initial_state", "restarted", "shape_of_errors"]

CHUNK = 10  # steps per compiled call: Ctrl-C and the progress bar wait for one call
# One Levenberg-Marquardt step crosses at most this much of a transform's u, whose width is about 4.
_LONGEST = 2.0
_FIRST_DAMPING = 1e-2
_LATER_DAMPING = 1e-3  # of a stage that begins where another has ended


class Problem(eqx.Module):
    """All that a loss depends on but the free parameters; `paths` are where each of these belongs."""

    experiment: Experiment
    transforms: tuple[AbstractTransform, ...]
    solver: AbstractSolver
    names: tuple[str, ...] = eqx.field(static=True)
    paths: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    loss: Callable[[Any, Any], Array]

    @property
    def model(self) -> AbstractModel:
        return self.experiment.model

    @property
    def target(self) -> AbstractTarget:
        return self.experiment.target

    def holding(self, values: Mapping[str, Any]) -> Experiment:
        """Model and target with these values of free parameters."""
        paths = dict(zip(self.names, self.paths, strict=True))
        return params.replace(self.experiment, {path: value for name, value in values.items() for path in paths[name]})

    def values(self, u: Float[Array, " p"]) -> dict[str, Float[Array, ""]]:
        """Parameter values at u."""
        pairs = zip(self.names, self.transforms, u, strict=True)
        return {name: transform.forward(x) for name, transform, x in pairs}

    def outcome(self, u: Float[Array, " p"]) -> tuple[Any, Bool[Array, ""]]:
        """What the loss returns, and whether the simulation went well."""
        held = self.holding(self.values(u))
        prediction = held.target.predict(held.model, self.solver)
        return self.loss(prediction, held.target), held.target.has_worked(prediction)

    def errors(self, u: Float[Array, " p"]) -> Array:
        """Residuals, or the loss itself as a single number; NaN where the simulation fails."""
        errors, has_worked = self.outcome(u)
        return jnp.where(has_worked, errors, jnp.nan)


class Evaluation(NamedTuple):
    """Loss, its gradient and its Gauss-Newton matrix in u; the latter 0 without residuals."""

    loss: Float[Array, "*s"]
    gradient: Float[Array, "*s p"]
    curvature: Float[Array, "*s p p"]


class State(NamedTuple):
    """Where each start is, shape (n_starts, ...)."""

    u: Float[Array, "*s p"]
    optimizer: Any
    best_u: Float[Array, "*s p"]
    best: Evaluation
    damping: Float[Array, "*s"]
    n_failed: Int[Array, "*s"]


def shape_of_errors(problem: Problem, u: Float[Array, " p"]) -> tuple[int, ...]:
    """Shape of the residuals, () for a loss that is a number; a TypeError if it gives neither."""
    shape = eqx.filter_eval_shape(lambda problem, u: problem.outcome(u)[0], problem, u)
    if not isinstance(shape, jax.ShapeDtypeStruct) or not jnp.issubdtype(shape.dtype, jnp.floating):
        raise TypeError(
            f"Argument `loss` must return a number or an array of residuals, but returns {shape}; "
            "return e.g. jnp.mean((prediction.voltage - target.voltage) ** 2)."
        )
    return shape.shape


def initial_state(optimizer: "optax.GradientTransformation", u: Float[Array, "s p"]) -> State:
    """Nothing evaluated yet: the best loss is infinite."""
    n_starts = u.shape[0]
    damping = jnp.full(n_starts, _FIRST_DAMPING, u.dtype)
    return State(u, jax.vmap(optimizer.init)(u), u, _unknown(u), damping, jnp.zeros(n_starts, int))


def _unknown(u: Float[Array, "s p"]) -> Evaluation:
    n_starts, p = u.shape
    return Evaluation(jnp.full(n_starts, jnp.inf, u.dtype), jnp.zeros_like(u), jnp.zeros((n_starts, p, p), u.dtype))


def restarted(state: State) -> State:
    """Every start at its best point, of which a new loss knows nothing yet."""
    new = _unknown(state.best_u)
    return state._replace(u=state.best_u, best=new, damping=jnp.full_like(state.damping, _LATER_DAMPING))


@eqx.filter_jit
def advance(
    problem: Problem,
    optimizer: "optax.GradientTransformation",
    state: State,
    n_steps: Int[Array, ""],
    is_polishing: Bool[Array, ""],
) -> tuple[State, Float[Array, "chunk s"]]:
    """`n_steps` <= CHUNK steps of every start, and the loss before each of them.

    Polishing replaces the optimiser's steps by Levenberg-Marquardt ones from the best point.
    """

    def step(k: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, losses = carry
        state, loss = jax.vmap(lambda s: _step(problem, optimizer, s, is_polishing))(state)
        return state, losses.at[k].set(loss)

    losses = jnp.full((CHUNK, state.u.shape[0]), jnp.nan, state.u.dtype)
    return jax.lax.fori_loop(0, n_steps, step, (state, losses))


def _evaluate(problem: Problem, u: Float[Array, " p"]) -> Evaluation:
    errors, columns = jax.vmap(lambda direction: jax.jvp(problem.errors, (u,), (direction,)), out_axes=(None, -1))(
        jnp.eye(u.size, dtype=u.dtype)
    )
    if errors.ndim == 0:
        return Evaluation(errors, columns, jnp.zeros((u.size, u.size), u.dtype))
    errors, jacobian = errors.ravel(), columns.reshape(errors.size, u.size)
    scale = 2 / errors.size
    return Evaluation(jnp.mean(errors**2), scale * jacobian.T @ errors, scale * jacobian.T @ jacobian)


def _step(
    problem: Problem, optimizer: "optax.GradientTransformation", state: State, is_polishing: Array
) -> tuple[State, Array]:
    """Evaluate at u, remember the best, and move on; from a point that failed, back to the best."""
    new = _evaluate(problem, state.u)
    is_usable = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in new]))
    is_better = is_usable & (new.loss < state.best.loss)
    best = where(is_better, new, state.best)
    best_u = jnp.where(is_better, state.u, state.best_u)
    # growing faster than it shrinks keeps the steps from cycling between two dampings
    adapted = jnp.where(is_better, state.damping / 5, state.damping * 7)
    damping = jnp.where(is_polishing, adapted, state.damping)

    gradient = jnp.where(is_usable, new.gradient, jnp.zeros_like(new.gradient))
    updates, moved = optimizer.update(gradient, state.optimizer, state.u)
    u_next = jnp.where(is_usable, state.u + updates, best_u)
    # momentum that led to a failure would lead there again
    carried = where(is_usable, moved, optimizer.init(best_u))
    u_next = jnp.where(is_polishing, best_u + _damped_newton(best, damping), u_next)
    n_failed = state.n_failed + ~is_usable
    return State(u_next, carried, best_u, best, damping, n_failed), new.loss


def _damped_newton(best: Evaluation, damping: Float[Array, ""]) -> Float[Array, " p"]:
    """Levenberg-Marquardt step; parameters without any effect stay where they are."""
    diagonal = jnp.diag(best.curvature)
    # relative to the largest entry, as small as rounding allows: keeps the matrix regular
    floor = jnp.finfo(diagonal.dtype).eps * jnp.max(diagonal)
    matrix = best.curvature + jnp.diag(damping * diagonal + floor)
    step = -jnp.linalg.solve(matrix, best.gradient)
    return jnp.where(jnp.isfinite(step), jnp.clip(step, -_LONGEST, _LONGEST), 0.0)
