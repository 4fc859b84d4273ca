"""What a one-step method of ours is, a diffrax solver without memory; and one step of any of them."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array

from jaxneuro.models import AbstractModel
from jaxneuro.solvers._grid import InputWithin

__all__ = ["AbstractOneStep", "ModelTerm", "model_of", "one_step", "prepared"]


class ModelTerm(diffrax.AbstractTerm):
    """The diffrax term of a model; also hands the model itself to the exponential solvers."""

    model: AbstractModel

    def vf(self, t: Any, y: Any, args: Any) -> Any:
        """Vector field, `model.vector_field(t, y, args)`."""
        return self.model.vector_field(t, y, args)

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        """Step length t1 - t0 [ms]."""
        return t1 - t0

    def prod(self, vf: Any, control: Any) -> Any:
        """Vector field times step length."""
        return jax.tree.map(lambda v: control * v, vf)


def model_of(terms: Any) -> AbstractModel:
    """The model of a term, also of one that `diffeqsolve` has wrapped."""
    while not isinstance(terms, ModelTerm):
        terms = terms.term
    return terms.model


class AbstractOneStep(diffrax.AbstractSolver):
    """A stateless one-step method: subclasses implement `order` and `advance`."""

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.LocalLinearInterpolation]] = diffrax.LocalLinearInterpolation

    @abc.abstractmethod
    def advance(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        """State at t1."""

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> None:
        """No state is carried from step to step."""

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: None, made_jump: Any
    ) -> tuple[Any, None, dict[str, Any], None, diffrax.RESULTS]:
        """One step from t0 to t1, in diffrax's form."""
        y1 = self.advance(terms, t0, t1, y0, args)
        return y1, None, {"y0": y0, "y1": y1}, None, diffrax.RESULTS.successful

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        """Vector field."""
        return terms.vf(t0, y0, args)


def one_step(solver: diffrax.AbstractSolver, model: AbstractModel, y: Any, within: InputWithin, h: Array) -> Any:
    """State a time h after `within.left` by one step of a `prepared` diffrax solver, under the input in that step."""
    term = ModelTerm(model)
    start = within.left - within.origin
    state = solver.init(term, start, start + h, y, within)
    return solver.step(term, start, start + h, y, within, state, made_jump=False)[0]


def prepared(solver: diffrax.AbstractSolver) -> diffrax.AbstractSolver:
    """The solver with a stage loop that has every derivative, and root-finder tolerances of its own."""
    if isinstance(solver, diffrax.AbstractRungeKutta) and solver.scan_kind is None:
        solver = dataclasses.replace(solver, scan_kind="bounded")
    if isinstance(solver, diffrax.AbstractImplicitSolver) and not eqx.is_array_like(solver.root_finder.rtol):
        # without error control there are no tolerances to inherit; far below the error of any useful step
        tolerance = max(1e-9, 16 * float(jnp.finfo(jnp.result_type(float)).eps))
        finder = dataclasses.replace(solver.root_finder, rtol=tolerance, atol=tolerance, norm=optx.max_norm)
        solver = eqx.tree_at(lambda s: s.root_finder, solver, finder)
    return solver
