"""What speaks against a fit when its predictions are laid beside the data, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxneuro.fitters._scores import Scores
from jaxneuro.fitters.targets._joint import terms_of
from jaxneuro.fitters.targets._targets import AbstractTarget, AbstractTrace, VoltageTrace

__all__ = ["doubts"]

_FAR = 5.0  # mV between the beginnings of a run and of its data
_CORRELATED = 0.5  # of neighbouring residuals, whose standard errors are then too small by sqrt(3) at least
_EXACT = 1e-6  # of the scatter of the data that move most: residuals that are no noise


def doubts(target: AbstractTarget, prediction: Any, scores: Mapping[str, Scores], *, has_std: bool) -> list[str]:
    """Other numbers of spikes, runs that begin elsewhere than their data, and residuals that hang together."""
    terms = terms_of(target, prediction).items()
    traces = {name: term for name, term in terms if isinstance(term[0], AbstractTrace)}
    return [*_other_counts(scores), *_late(traces), *(_correlated(traces) if has_std else [])]


def _place(name: str) -> str:
    return "" if name == "all" else f" in {name}"


def _other_counts(scores: Mapping[str, Scores]) -> Iterator[str]:
    found = []
    for name, of_term in scores.items():
        of_data, of_model = (of_term.get(f"spikes of {which}", (np.nan, ""))[0] for which in ("data", "model"))
        if np.isfinite(of_data) and of_data != of_model:
            found.append(f"{of_model:g} for {of_data:g}{_place(name)}")
    if found:
        yield f"The model has other numbers of spikes than the data: {', '.join(found)}."


def _late(traces: Mapping[str, tuple[AbstractTrace, Any]]) -> Iterator[str]:
    for name, (target, prediction) in traces.items():
        if isinstance(target, VoltageTrace) and target.y0 is None and target.is_compared[0]:
            begins, data = float(prediction.voltage[0]), float(target.membrane[0])
            if abs(begins - data) > _FAR:
                yield (
                    f"The model begins at {begins:.4g} mV and the data{_place(name)} at {data:.4g} mV: set its resting "
                    "potential or V_init, or give `y0` and free y0.V."
                )
                return  # once is enough


def _correlated(traces: Mapping[str, tuple[AbstractTrace, Any]]) -> Iterator[str]:
    """The first-order correlation r of neighbours makes n samples worth n (1 - r) / (1 + r)."""
    spread = max((float(np.std(np.asarray(target.data))) for target, _ in traces.values()), default=0.0)
    found = [_neighbours(*term, spread) for term in traces.values()]
    r = max((one for one in found if one is not None), default=0.0)
    if r > _CORRELATED:
        factor = np.sqrt((1 + r) / max(1 - r, 1e-9))
        yield (
            f"Neighbouring residuals are correlated ({r:.3f}): standard deviations, made for white noise, are too "
            f"small, by a factor of some {factor:.2g}."
        )


def _neighbours(target: AbstractTrace, prediction: Any, spread: float) -> float | None:
    errors = np.asarray(target.recorded(prediction) - target.data)[target.is_compared]
    square = np.mean(errors**2)
    if errors.size < 10 or not square > (_EXACT * spread) ** 2:
        return None
    return float(np.mean(errors[1:] * errors[:-1]) / square)
