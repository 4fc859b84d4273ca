"""From how many data the residuals of a loss come, which tell how much these scatter; and why they may not."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from jaxneuro.fitters.targets._feature_loss import FeatureLoss
from jaxneuro.fitters.targets._joint import Joint, JointLoss
from jaxneuro.fitters.targets._losses import AbstractLoss, AbstractNumber, AbstractResiduals
from jaxneuro.fitters.targets._shooting import MultipleShooting
from jaxneuro.fitters.targets._spike_trains import SpikeTrains
from jaxneuro.fitters.targets._targets import AbstractTarget, SpikeTimes, VoltageTrace
from jaxneuro.fitters.targets._trace_losses import PhasePlaneLoss, WindowLoss

__all__ = ["Scatter", "has_residuals", "scatter"]


class Scatter(NamedTuple):
    """How many data the residuals come from if all scatter alike; else None, and a clause that says why."""

    n: int | None
    why_not: str = ""


def has_residuals(loss: AbstractLoss, target: AbstractTarget) -> bool:
    """Whether no part of a loss is a mere number."""
    losses = target.losses.values() if isinstance(loss, JointLoss) else [loss]
    return not any(isinstance(one, AbstractNumber) for one in losses)


def scatter(loss: Any, target: AbstractTarget, sizes: Mapping[str, int] | None) -> Scatter:
    """What so many residuals tell, by the name of a `Joint`'s term, "" of any other target; None for a number."""
    if sizes is None:
        return Scatter(None, "the loss is a number without residuals")
    if not isinstance(target, Joint) or not isinstance(loss, JointLoss):
        return _of_one(loss, target, sum(sizes.values()))
    terms = [_of_one(target.losses[name], target.terms[name], sizes[name]) for name in target.names]
    unsure = next((term for term in terms if term.n is None), None)
    if unsure is not None:
        return unsure
    uneven = [
        word
        for word, values in (
            ("kinds", {type(term) for term in target.terms.values()}),
            ("numbers of samples", {term.n for term in terms}),
            ("scales", {float(scale) for scale in target.scales.values()}),
            ("weights", {float(weight) for weight in target.weights.values()}),
        )
        if len(values) > 1
    ]
    first, *others = target.losses.values()
    uneven += ["losses"] * (not all(eqx.tree_equal(first, other) for other in others))
    if uneven or not isinstance(first, AbstractResiduals):
        reason = f"the terms differ in their {' and '.join(uneven)}" if uneven else "the losses are no residuals"
        return Scatter(None, f"{reason}, so that their residuals do not scatter alike")
    return Scatter(sum(term.n for term in terms))


def _of_one(loss: Any, target: AbstractTarget, size: int) -> Scatter:
    if isinstance(loss, FeatureLoss):
        return Scatter(None, "features are compared in tolerances, which are not their scatter")
    if isinstance(loss, PhasePlaneLoss | WindowLoss):
        return Scatter(None, f"residuals of a {type(loss).__name__} hang together")
    if isinstance(target, SpikeTrains | SpikeTimes):
        return Scatter(int(np.isfinite(np.asarray(target.times)).sum()))
    if isinstance(target, VoltageTrace) and target.mask is not None:
        return Scatter(int(np.sum(target.mask)))
    if isinstance(target, MultipleShooting) and target.trace.mask is not None:
        return Scatter(int(np.sum(target.in_windows(target.trace.mask))))
    return Scatter(size)
