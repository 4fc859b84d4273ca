"""The compiled part of a fit: all starts side by side, a few optimiser steps per call.

Derivatives are forward-mode: a fit has few parameters and many residuals, and one evaluation then
serves both phases, gradient steps of an optax optimiser and Levenberg-Marquardt steps.

The latter are our own: the curvature of a likelihood, and priors beside data that tell their own noise, are no sums of
squares, which optimistix asks for. On sums of squares both end at the same point after about as many simulations.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from jaxneuro import params
from jaxneuro._solution import Solution
from jaxneuro.fitters.search._experiment import Experiment
from jaxneuro.fitters.search._optimizers import n_searched
from jaxneuro.fitters.search._priors import AbstractPrior
from jaxneuro.fitters.search._transforms import AbstractTransform
from jaxneuro.fitters.targets._joint import JointLoss, JointPrediction
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.targets._residuals import has_residuals
from jaxneuro.fitters.targets._targets import AbstractTarget
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import where
from jaxneuro.results import RESULTS, outcome_names
from jaxneuro.solvers import AbstractSolver

if TYPE_CHECKING:
    import optax

__all__ = [
    "CHUNK",
    "Problem",
    "State",
    "advance",
    "best_first",
    "initial_state",
    "losses_at",
    "residual_sizes",
    "restarted",
    "why_failed",
]

CHUNK = 10  # steps per compiled call: Ctrl-C and the progress bar wait for one call
# One Levenberg-Marquardt step crosses at most this much of a transform's u, whose width is about 4.
_LONGEST = 2.0
_ABREAST = 64  # runs without derivatives that are in memory together
_FIRST_DAMPING = 1e-2
_SHORTER = 0.3  # share of a step of a likelihood that failed, which is tried next
_HALVINGS = 14.0  # of its steps: an exponential may be overshot by as much
_INNER = 12  # steps of the convex problem that a likelihood linearises to
_LARGEST_EXPONENT = 20.0  # of priors, where no data contradict them as much
_WALL = 1e30  # loss of a simulation that fails, to a line search
_LATER_DAMPING = 1e-3  # of a stage that begins where another has ended


class Problem(eqx.Module):
    """All that a loss depends on but the free parameters; `paths` are where each of these belongs."""

    experiment: Experiment
    transforms: tuple[AbstractTransform, ...]
    solver: AbstractSolver
    names: tuple[str, ...] = eqx.field(static=True)
    paths: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    loss: Callable[[Any, Any], Array]
    priors: dict[str, AbstractPrior] = eqx.field(default_factory=dict)
    n_data: int = eqx.field(static=True, default=1)
    """Over how many data the loss is a mean."""
    tells_scatter: bool = eqx.field(static=True, default=False)
    """Whether the loss is of squares that all scatter alike, so that it tells their variance."""

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
        return self.loss(prediction, held.target), jnp.all(prediction.result == RESULTS.successful)

    def errors(self, u: Float[Array, " p"]) -> Any:
        """Residuals, or the loss itself as a single number; NaN where the simulation fails."""
        errors, has_worked = self.outcome(u)
        values = self.values(u)
        deviations = {name: prior.deviation(values[name]) for name, prior in self.priors.items()}
        return jax.tree.map(lambda leaf: jnp.where(has_worked, leaf, jnp.nan), (errors, deviations))

    def value(self, errors: Any) -> Float[Array, ""]:
        """The loss that residuals make, a number being one already, and what the priors add to it.

        Squares S that tell their own variance become S e^(P / n), P being the squares of the priors' deviations, whose
        logarithm is that of the posterior, n ln S + P, with the noise at its likeliest.
        """
        of_data, deviations = errors
        if isinstance(self.loss, AbstractLoss):
            loss = self.loss.value(of_data, self.target)
        else:
            loss = jnp.mean(of_data**2) if of_data.ndim else of_data
        penalty = sum(deviation**2 for deviation in deviations.values())
        if not self.tells_scatter or not deviations:
            return loss + self.prior_weight * penalty
        mean = jax.lax.stop_gradient(penalty) / self.n_data
        slope = jnp.exp(jnp.minimum(mean, _LARGEST_EXPONENT))
        # a prior that is far off goes on straight, so that the loss stays a number and falls towards it
        grown = slope * (1 + jax.nn.relu(mean - _LARGEST_EXPONENT))
        # value and slopes are those of the product, and each deviation has a curvature of its own, as a residual has
        share = slope * jax.lax.stop_gradient(loss) / self.n_data
        return grown * loss + share * (penalty - jax.lax.stop_gradient(penalty))

    @property
    def is_likelihood(self) -> bool:
        """Whether the loss is one, whose curvature needs no scale."""
        return isinstance(self.loss, AbstractLoss) and self.loss.is_likelihood

    @property
    def prior_weight(self) -> float:
        """What one standard deviation of a prior adds to a likelihood, or to a loss that does not tell its scatter."""
        return 0.5 / self.n_data if self.is_likelihood else 1.0


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
    n_evaluated: Int[Array, "*s"]
    """Losses with their derivatives so far."""


def residual_sizes(problem: Problem, u: Float[Array, " p"]) -> dict[str, int] | None:
    """Number of residuals by the name of a `Joint`'s term, "" of another target; None of a loss that is a number, and a
    TypeError if it is neither."""
    shape = eqx.filter_eval_shape(lambda problem, u: problem.outcome(u)[0], problem, u)
    if isinstance(problem.loss, AbstractLoss):
        terms = shape if isinstance(problem.loss, JointLoss) else {"": shape}
        sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(term)) for name, term in terms.items()}
        return sizes if has_residuals(problem.loss, problem.target) else None
    if not isinstance(shape, jax.ShapeDtypeStruct) or not jnp.issubdtype(shape.dtype, jnp.floating):
        raise TypeError(
            f"Argument `loss` must return a number or an array of residuals, but returns {shape}; "
            "return e.g. jnp.mean((prediction.voltage - target.voltage) ** 2)."
        )
    return {"": shape.size} if shape.ndim else None


@eqx.filter_jit
def losses_at(problem: Problem, u: Float[Array, "s p"]) -> Float[Array, " s"]:
    """Losses without their derivatives; NaN where the simulation fails."""

    return jax.lax.map(lambda u: problem.value(problem.errors(u)), u, batch_size=min(_ABREAST, u.shape[0]))


def best_first(losses: Float[np.ndarray, " s"]) -> Int[np.ndarray, " s"]:
    """Numbers of the starts, the one of least loss first, those that are not finite last."""
    return np.argsort(np.where(np.isfinite(losses), losses, np.inf), kind="stable")


def why_failed(problem: Problem, u: Float[Array, " p"]) -> str:
    """How the first simulation at u that fails ends, and when, if its voltage says so."""
    held = problem.holding(problem.values(u))
    prediction = held.target.predict(held.model, problem.solver)
    names = outcome_names()
    first = next((int(v) for v in np.ravel(prediction.result._value) if names[int(v)] != "successful"), None)
    if first is None:
        return "its simulations go well, but the loss is not finite"
    runs = prediction.terms.values() if isinstance(prediction, JointPrediction) else [prediction]
    for run in runs:
        if isinstance(run, Solution):
            is_bad = ~np.isfinite(np.asarray(run.voltage))
            if is_bad.any():
                return f"the voltage of the first is not finite from t={float(run.ts[int(np.argmax(is_bad))]):g} ms on"
    return f"the first ends as `{names[first]}`"


def initial_state(optimizer: "optax.GradientTransformationExtraArgs", u: Float[Array, "s p"]) -> State:
    """Nothing evaluated yet: the best loss is infinite."""
    n_starts = u.shape[0]
    damping = jnp.full(n_starts, _FIRST_DAMPING, u.dtype)
    none = jnp.zeros(n_starts, int)
    return State(u, jax.vmap(optimizer.init)(u), u, _unknown(u), damping, none, none)


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
    optimizer: "optax.GradientTransformationExtraArgs",
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


class Linearised(NamedTuple):
    """The residuals at a point and their Jacobian in u."""

    errors: Float[Array, " n"]
    jacobian: Float[Array, "n p"]


def _linearised(problem: Problem, u: Float[Array, " p"]) -> tuple[Linearised, Callable[[Array], Any]]:
    """Residuals and Jacobian, flat, and the function that gives them their structure back."""
    errors, columns = jax.vmap(lambda direction: jax.jvp(problem.errors, (u,), (direction,)), out_axes=(None, -1))(
        jnp.eye(u.size, dtype=u.dtype)
    )
    flat, unravel = ravel_pytree(errors)
    jacobian = jnp.concatenate([leaf.reshape(-1, u.size) for leaf in jax.tree.leaves(columns)])
    return Linearised(flat, jacobian), unravel


def _quadratic(
    value: Callable[[Array], Array], linear: Linearised, delta: Float[Array, " p"]
) -> tuple[Float[Array, ""], Float[Array, " p"], Float[Array, "p p"]]:
    """Loss, gradient and matrix J^T H J of the linearised residuals at a distance delta, H being the loss' curvature.

    Each residual has a term of its own in the loss, so that H is diagonal, and the sum of its columns is it.
    """
    errors = linear.errors + linear.jacobian @ delta
    slopes, curvatures = jax.jvp(jax.grad(value), (errors,), (jnp.ones_like(errors),))
    return value(errors), linear.jacobian.T @ slopes, linear.jacobian.T @ (curvatures[:, None] * linear.jacobian)


def _evaluate(problem: Problem, u: Float[Array, " p"]) -> tuple[Evaluation, Callable[[Array], Array] | None]:
    """Loss, gradient and generalised Gauss-Newton matrix; of a likelihood also damping -> step of the linear one."""
    linear, unravel = _linearised(problem, u)
    value = lambda errors: problem.value(unravel(errors))  # noqa: E731
    here = Evaluation(*_quadratic(value, linear, jnp.zeros_like(u)))
    if not problem.is_likelihood:
        return here, None
    return here, lambda damping: _convex_step(value, linear, damping)


def _convex_step(value: Callable[[Array], Array], linear: Linearised, damping: Float[Array, ""]) -> Float[Array, " p"]:
    """The least loss of the linearised residuals and of damping / 2 |delta|^2: convex, and without simulations."""
    zero = jnp.zeros(linear.jacobian.shape[1], linear.errors.dtype)

    def objective(delta: Array) -> Array:
        return value(linear.errors + linear.jacobian @ delta) + 0.5 * damping * jnp.sum(delta**2)

    def shortened(delta: Array) -> Array:
        return delta * jnp.minimum(1.0, _LONGEST / jnp.max(jnp.abs(delta)))

    def improved(_: int, delta: Array) -> Array:
        _, gradient, curvature = _quadratic(value, linear, delta)
        matrix = curvature + damping * jnp.eye(delta.size, dtype=delta.dtype)
        full = -jnp.linalg.solve(matrix, gradient + damping * delta)
        tries = delta[None] + shortened(full)[None] * 0.5 ** jnp.arange(_HALVINGS)[:, None]
        losses = jax.lax.map(objective, tries)
        k = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
        return jnp.where(losses[k] < objective(delta), tries[k], delta)

    return shortened(jax.lax.fori_loop(0, _INNER, improved, zero))


def _step(
    problem: Problem, optimizer: "optax.GradientTransformationExtraArgs", state: State, is_polishing: Array
) -> tuple[State, Array]:
    """Evaluate at u, remember the best, and move on; from a point that failed, back to the best."""
    new, convex_step = _evaluate(problem, state.u)
    is_usable = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in new]))
    is_better = is_usable & (new.loss < state.best.loss)
    best = where(is_better, new, state.best)
    best_u = jnp.where(is_better, state.u, state.best_u)
    # growing faster than it shrinks keeps the steps from cycling between two dampings
    adapted = jnp.where(is_better, state.damping / 5, state.damping * 7)
    damping = jnp.where(is_polishing, adapted, state.damping)

    def by_gradient() -> tuple[Array, Any, Array]:
        gradient = jnp.where(is_usable, new.gradient, jnp.zeros_like(new.gradient))
        searched = _searchable(problem)
        updates, moved = optimizer.update(
            gradient, state.optimizer, state.u, value=new.loss, grad=gradient, value_fn=searched
        )
        # momentum that led to a failure would lead there again
        carried = where(is_usable, moved, optimizer.init(best_u))
        n_evaluated = jnp.asarray(1 + n_searched(moved), state.n_evaluated.dtype)
        return jnp.where(is_usable, state.u + updates, best_u), carried, n_evaluated

    def by_newton() -> tuple[Array, Any, Array]:
        newton = _damped_newton(best, damping)
        if convex_step is not None:
            # its curvature far from the optimum is no guide to a shorter step, but the way is right
            newton = jnp.where(is_better, convex_step(damping), _SHORTER * (state.u - best_u))
        return best_u + newton, state.optimizer, jnp.ones_like(state.n_evaluated)

    u_next, carried, n_evaluated = jax.lax.cond(is_polishing, by_newton, by_gradient)
    n_failed, n_evaluated = state.n_failed + ~is_usable, state.n_evaluated + n_evaluated
    return State(u_next, carried, best_u, best, damping, n_failed, n_evaluated), new.loss


def _searchable(problem: Problem) -> Callable[[Array], Array]:
    """The loss as a line search asks for it: its gradient in forward mode too, and a wall where a simulation fails."""

    def tamed(loss: Array) -> Array:
        return jnp.nan_to_num(loss, nan=_WALL, posinf=_WALL)

    @jax.custom_vjp
    def value(u: Array) -> Array:
        return tamed(problem.value(problem.errors(u)))

    def forward(u: Array) -> tuple[Array, Array]:
        here, _ = _evaluate(problem, u)
        return tamed(here.loss), jnp.nan_to_num(here.gradient)

    def backward(gradient: Array, cotangent: Array) -> tuple[Array]:
        return (cotangent * gradient,)

    value.defvjp(forward, backward)
    return value


def _damped_newton(best: Evaluation, damping: Float[Array, ""]) -> Float[Array, " p"]:
    """Levenberg-Marquardt step; parameters without any effect stay where they are."""
    diagonal = jnp.diag(best.curvature)
    # relative to the largest entry, as small as rounding allows: keeps the matrix regular
    floor = jnp.finfo(diagonal.dtype).eps * jnp.max(diagonal)
    matrix = best.curvature + jnp.diag(damping * diagonal + floor)
    step = -jnp.linalg.solve(matrix, best.gradient)
    return jnp.where(jnp.isfinite(step), jnp.clip(step, -_LONGEST, _LONGEST), 0.0)
