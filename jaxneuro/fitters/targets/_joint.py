"""Several data sets that one model is to meet at once."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro._arguments import check_kind
from jaxneuro.fitters.targets._feature_loss import FeatureLoss
from jaxneuro.fitters.targets._losses import (
    AbstractLoss,
    CurrentLoss,
    FILoss,
    SpikeTimeLoss,
    TraceLoss,
    checked_loss,
)
from jaxneuro.fitters.targets._shooting import MultipleShooting, ShootingLoss
from jaxneuro.fitters.targets._spike_trains import SpikeLikelihood, SpikeTrains
from jaxneuro.fitters.targets._step_response import StepResponse
from jaxneuro.fitters.targets._targets import AbstractTarget, ClampCurrent, FICurve, SpikeTimes, VoltageTrace
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import as_floats
from jaxneuro.results import RESULTS, worst
from jaxneuro.solvers import AbstractSolver

__all__ = ["Joint", "JointLoss", "JointPrediction", "drawn", "loss_of", "terms_of"]


class JointPrediction(NamedTuple):
    """The predictions of all terms by name, and the first failure among them."""

    terms: dict[str, Any]
    result: RESULTS


class Joint(AbstractTarget):
    """Several targets: sweeps of a recording, or a trace, an f-I curve and spike times.

    loss = sum over terms of weight * (loss of the term) / scale^2        [1]

    **Arguments:** `terms`, name -> target; `scales`, name -> the error that counts 1, in the unit of the term's
    residuals (mV for a trace, Hz for an f-I curve, ms for spike times), 1 for a name that is missing; `weights`,
    name -> weight [1]; `losses`, name -> another loss than the term's own.

    Terms of one kind and size are simulated side by side. Their parameters have the term's name before them: the
    electrode of term "200 pA" is "200 pA.electrode.R_s", and "*.electrode.R_s" is one value for all. The prediction
    has theirs in its field `terms`.

    **Raises:** ValueError for no terms, or a name that no term has.

    >>> Joint({"step": VoltageTrace(0.05, voltage, Step(0.2)), "rate": FICurve(current, rate, unit="pA")})
    """

    terms: dict[str, AbstractTarget]
    scales: dict[str, Float[Array, ""]]
    weights: dict[str, Float[Array, ""]]
    losses: dict[str, AbstractLoss]
    names: tuple[str, ...] = eqx.field(static=True)
    """In the order in which the terms were given, which JAX does not keep."""

    def __init__(
        self,
        terms: Mapping[str, AbstractTarget],
        *,
        scales: Mapping[str, float] | None = None,
        weights: Mapping[str, float] | None = None,
        losses: Mapping[str, AbstractLoss] | None = None,
    ):
        self.terms = _checked_terms(terms)
        self.names = tuple(self.terms)
        self.scales = _numbers("scales", scales or {}, self.terms)
        self.weights = _numbers("weights", weights or {}, self.terms)
        given = _known("losses", losses or {}, self.terms)
        for name, loss in given.items():
            check_kind("losses", loss, AbstractLoss, "losses by the names of terms", "give e.g. TraceLoss(huber=10.0)")
            checked_loss("losses", loss, self.terms[name])
        self.losses = {name: given.get(name) or loss_of(term) for name, term in self.terms.items()}

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """That of the terms with the shortest step."""
        solvers = [term.solver_for(model) for term in self.terms.values()]
        return min(solvers, key=lambda solver: getattr(solver, "dt", float("inf")))

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        for name, term in self.terms.items():
            try:
                term.check(model, solver)
            except ValueError as error:
                raise ValueError(f"Term {name!r}: {error}") from None

    def predict(self, model: AbstractModel, solver: AbstractSolver) -> JointPrediction:
        found = {}
        for names in self.alike():
            if len(names) == 1:
                found[names[0]] = self.terms[names[0]].predict(model, solver)
                continue
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(self.terms[name] for name in names))
            answers = jax.vmap(lambda term: term.predict(model, solver))(stacked)
            found |= {name: jax.tree.map(lambda leaf, k=k: leaf[k], answers) for k, name in enumerate(names)}
        outcomes = [found[name].result for name in self.terms]
        result = functools.reduce(lambda a, b: RESULTS.where(a == RESULTS.successful, b, a), map(worst, outcomes))
        return JointPrediction({name: found[name] for name in self.terms}, result)

    def alike(self) -> list[list[str]]:
        """Names of terms in groups of one structure, whose arrays have the same shapes."""
        groups: dict[Any, list[str]] = {}
        for name, term in self.terms.items():
            leaves, structure = jax.tree.flatten(term)
            groups.setdefault((structure, tuple(jnp.shape(leaf) for leaf in leaves)), []).append(name)
        return list(groups.values())


class JointLoss(AbstractLoss):
    """The losses of all terms of a `Joint`, each over the square of its scale and times its weight."""

    unit: ClassVar[str] = "1"
    targets: ClassVar[tuple[type, ...]] = (Joint,)
    is_likelihood: ClassVar[bool] = False

    def __call__(self, prediction: JointPrediction, target: Joint) -> dict[str, Any]:
        return {name: target.losses[name](prediction.terms[name], term) for name, term in target.terms.items()}

    def value(self, errors: dict[str, Any], target: Joint) -> Float[Array, ""]:
        values = self.values(errors, target)
        return sum(target.weights[name] / target.scales[name] ** 2 * value for name, value in values.items())

    def values(self, errors: dict[str, Any], target: Joint) -> dict[str, Float[Array, ""]]:
        """The loss of each term in its own unit."""
        return {name: target.losses[name].value(errors[name], term) for name, term in target.terms.items()}


def terms_of(target: AbstractTarget, prediction: Any) -> dict[str, tuple[AbstractTarget, Any]]:
    """Term of a target -> it and its prediction; a target that is no `Joint` has one term, called "all"."""
    if not isinstance(target, Joint):
        return {"all": (target, prediction)}
    return {name: (target.terms[name], prediction.terms[name]) for name in target.names}


def loss_of(target: AbstractTarget) -> AbstractLoss:
    """The loss of a target if the user names none."""
    return _LOSSES[type(target)]()


_LOSSES = {
    ClampCurrent: CurrentLoss,
    FICurve: FILoss,
    Joint: JointLoss,
    MultipleShooting: ShootingLoss,
    SpikeTimes: SpikeTimeLoss,
    SpikeTrains: SpikeLikelihood,
    StepResponse: FeatureLoss,
    VoltageTrace: TraceLoss,
}


def drawn(target: AbstractTarget, k: float) -> AbstractTarget:
    """The same target, of a model that is drawn to its voltage traces with strength k [1/ms]."""
    if isinstance(target, Joint):
        return eqx.tree_at(lambda t: t.terms, target, {name: drawn(term, k) for name, term in target.terms.items()})
    return target.drawn(k) if isinstance(target, VoltageTrace) else target


def _checked_terms(terms: Any) -> dict[str, AbstractTarget]:
    if not isinstance(terms, Mapping) or not terms:
        found = "is empty" if isinstance(terms, Mapping) else f"is a {type(terms).__name__}"
        raise ValueError(
            f"Argument `terms` must map names to targets, but {found}; write e.g. "
            '{"step": VoltageTrace(...), "rate": FICurve(...)}.'
        )
    for name, term in terms.items():
        if not isinstance(term, AbstractTarget):
            raise ValueError(
                f"Argument `terms` must map names to targets, but has a {type(term).__name__} for {name!r}; build one "
                "from your data."
            )
        if isinstance(term, Joint):
            raise ValueError(
                f"Argument `terms` must hold single targets, but {name!r} is a Joint; give its terms themselves."
            )
        if not isinstance(name, str) or not name or any(sign in name for sign in ".*="):
            raise ValueError(
                "Argument `terms` must have names without dots, stars and equals signs, which names of parameters are "
                f"made with, but has {name!r}; write another."
            )
    return dict(terms)


def _known(argument: str, given: Mapping[str, Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in given if name not in terms]
    if unknown:
        raise ValueError(
            f"Argument `{argument}` must name terms, but has {unknown[0]!r}; choose from {', '.join(terms)}."
        )
    return dict(given)


def _numbers(argument: str, given: Mapping[str, float], terms: Mapping[str, Any]) -> dict[str, Float[Array, ""]]:
    given = {name: 1.0 for name in terms} | _known(argument, given, terms)
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"Argument `{argument}` must be positive, but is {value} for {name!r}; use e.g. 1.0.")
    return {name: as_floats(value)[0] for name, value in given.items()}
