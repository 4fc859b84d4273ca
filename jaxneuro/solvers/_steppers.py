"""One-step methods of ours, all of them diffrax solvers: classical RK4 and two exponential ones."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import jax

from jaxneuro.models import AbstractConductanceModel, AbstractModel
from jaxneuro.numerics import linear_update

__all__ = ["RK4", "ExponentialEuler", "ExponentialStrang", "ModelTerm", "require_conductance_model"]


class ModelTerm(diffrax.AbstractTerm):
    """The diffrax term of a model; also hands its linear coefficients to the exponential solvers."""

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


def _model(terms: Any) -> AbstractModel:
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


class RK4(AbstractOneStep):
    """Classical fourth-order Runge-Kutta method, four evaluations per step.

    Stable on Hodgkin-Huxley only for dt max(g)/C_m < 2.78: at most 0.025 ms with its default conductances.

    References: Kutta (1901), Z Math Phys 46:435.
    """

    def order(self, terms: Any) -> int:
        return 4

    def advance(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        h = t1 - t0
        t_mid = t0 + 0.5 * h

        def shifted(step: Any, k: Any) -> Any:
            return jax.tree.map(lambda y, dy: y + step * dy, y0, k)

        k1 = terms.vf(t0, y0, args)
        k2 = terms.vf(t_mid, shifted(0.5 * h, k1), args)
        k3 = terms.vf(t_mid, shifted(0.5 * h, k2), args)
        k4 = terms.vf(t1, shifted(h, k3), args)
        return shifted(h / 6, jax.tree.map(lambda a, b, c, d: a + 2 * b + 2 * c + d, k1, k2, k3, k4))


class ExponentialEuler(AbstractOneStep):
    """Exponential Euler (Rush-Larsen) method: each variable exactly, the others frozen at the step's start.

    First order: on Hodgkin-Huxley at dt = 0.01 ms its fourth spike is 0.26 ms late. Prefer ExponentialStrang.

    References: Rush & Larsen (1978), IEEE Trans Biomed Eng 25:389. doi:10.1109/TBME.1978.326270
    """

    def order(self, terms: Any) -> int:
        return 1

    def advance(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        h = t1 - t0
        dy, A = require_conductance_model(_model(terms)).linearised(y0, args(t0 + 0.5 * h))
        return jax.tree.map(lambda x, dx, a: linear_update(x, dx, a, h), y0, dy, A)


class ExponentialStrang(AbstractOneStep):
    """Strang splitting of exponential updates: half a step of V, a full step of the gates, half a step of V.

    Second order, unconditionally stable for ohmic channels; the default for conductance models. On Hodgkin-Huxley its
    fourth spike is off by 0.0024 / 0.0148 / 0.059 ms at dt = 0.01 / 0.025 / 0.05 ms.

    References: Strang (1968), SIAM J Numer Anal 5:506. doi:10.1137/0705041;
    Rush & Larsen (1978), IEEE Trans Biomed Eng 25:389. doi:10.1109/TBME.1978.326270
    """

    def order(self, terms: Any) -> int:
        return 2

    def advance(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        model = require_conductance_model(_model(terms))
        h = t1 - t0

        def half_voltage(y: Any, t: Any) -> Any:
            dy, A = model.linearised(y, args(t))
            return y._replace(V=linear_update(y.V, dy.V, A.V, 0.5 * h))

        y = half_voltage(y0, t0 + 0.25 * h)
        dy, A = model.linearised(y, args(t0 + 0.5 * h))
        others = jax.tree.map(lambda x, dx, a: linear_update(x, dx, a, h), y, dy, A)
        return half_voltage(others._replace(V=y.V), t0 + 0.75 * h)


def require_conductance_model(model: AbstractModel) -> AbstractConductanceModel:
    """The model itself, or a ValueError if exponential solvers cannot drive it."""
    if not isinstance(model, AbstractConductanceModel):
        raise ValueError(
            f"Argument `solver` must suit the model, but exponential solvers need a conductance model and "
            f"{type(model).__name__} is none; use RK4()."
        )
    return model
