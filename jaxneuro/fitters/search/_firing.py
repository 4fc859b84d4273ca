"""Whether a run has the spikes of its data, and the loss of features for runs that have not."""

import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.targets._feature_loss import FeatureLoss
from jaxneuro.fitters.targets._features import spikes_in, spikes_of_both
from jaxneuro.fitters.targets._joint import Joint, terms_of
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.targets._targets import AbstractTarget, VoltageTrace

__all__ = ["by_features", "fires_alike", "has_spikes"]

_NEAR = 1.0  # ms, about a spike's width: squares of spikes that do not overlap lead nowhere


def has_spikes(traces: list[VoltageTrace]) -> bool:
    """Whether any trace has spikes, and all are compared as wholes."""
    is_whole = all(trace.is_compared.all() for trace in traces)
    return is_whole and any(spikes_in(trace, trace.voltage).size for trace in traces)


def fires_alike(problem: Problem, u: Float[Array, " p"]) -> bool:
    """Whether the run at u has all spikes of the data in time, and no others."""
    held = problem.holding(problem.values(u))
    prediction = held.target.predict(held.model, problem.solver)
    for trace, of_trace in terms_of(held.target, prediction).values():
        data, model = spikes_of_both(trace, of_trace)
        if data.size != model.size or np.any(np.abs(data - model) > _NEAR):
            return False
    return True


def by_features(target: AbstractTarget) -> tuple[AbstractTarget, AbstractLoss | None]:
    """Voltage traces to be compared by their features, and another loss than the target's own where it needs one."""
    if not isinstance(target, Joint):
        return target, FeatureLoss()
    losses = {name: FeatureLoss() for name in target.names}
    terms = {name: target.terms[name] for name in target.names}
    return Joint(terms, weights=target.weights, losses=losses), None
