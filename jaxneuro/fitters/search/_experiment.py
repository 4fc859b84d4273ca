"""What a fit may free: the parameters of a model and of what it is compared with, by name, with their bounds."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from jaxneuro import params
from jaxneuro.fitters.search._transforms import AbstractTransform, transform_for
from jaxneuro.fitters.targets._joint import Joint
from jaxneuro.fitters.targets._targets import AbstractTarget, VoltageTrace
from jaxneuro.models import AbstractModel
from jaxneuro.params import ParamInfo

__all__ = ["Bounds", "Experiment", "FreeParam", "checked_free", "limits"]

Bounds = tuple[float | None, float | None]

_TIED = "="  # between the names of parameters that have one value
_ALL = "*."  # begins a name that stands for all parameters that end with the rest of it


class Experiment(eqx.Module):
    """A model and the data that it is to answer like."""

    model: AbstractModel
    target: AbstractTarget


@dataclasses.dataclass(frozen=True)
class FreeParam:
    """One free number: the paths of the parameters that take it, its bounds and start, and what it is."""

    paths: tuple[str, ...]
    bounds: Bounds
    value: float
    info: ParamInfo

    @property
    def transform(self) -> AbstractTransform:
        """From a free number u to the parameter's interval."""
        return transform_for(*self.bounds, self.value)

    @property
    def of_model(self) -> bool:
        """Whether it is the model's, and not the electrode's or the stimulus'."""
        return self.paths[0].startswith("model.")


def limits(pair: Bounds) -> tuple[float, float]:
    """Bounds as numbers, an open end as infinity."""
    low, high = pair
    return -math.inf if low is None else low, math.inf if high is None else high


def checked_free(experiment: Experiment, free: Any) -> dict[str, FreeParam]:
    """The free parameters by name, or the sentence that says what is wrong."""
    if not isinstance(free, Mapping) or not free:
        example = next(iter(params.names(experiment.model)))
        raise ValueError(
            f"Argument `free` must map parameter names to (low, high), but is {free!r}; give e.g. "
            f'{{"{example}": (low, high)}}.'
        )
    infos = params.params(experiment)
    found: dict[str, FreeParam] = {}
    owners: dict[str, str] = {}
    for name, pair in free.items():
        paths = _paths(experiment, name)
        _check_electrodes(experiment, paths)
        info = infos[paths[0]]
        bounds = _checked_bounds(name, pair, info)
        for path in paths:
            first = owners.setdefault(path, name)
            if first != name:
                raise ValueError(
                    f"Argument `free` must name each parameter once, but {first!r} and {name!r} are "
                    "the same one; drop one of them."
                )
        _check_one_unit(name, [infos[path].unit for path in paths])
        found[name] = FreeParam(paths, bounds, _single(experiment, name, paths[0], info), info)
    return found


def _check_one_unit(name: str, units: list[str]) -> None:
    if len(set(units)) > 1:
        raise ValueError(
            f"Argument `free` must tie parameters of one unit, but {name!r} has {' and '.join(dict.fromkeys(units))}; "
            "free them one by one."
        )


def _paths(experiment: Experiment, name: str) -> tuple[str, ...]:
    """Full paths of what `name` stands for: one parameter, the model's before others, all that end with it after "*.",
    or several with "=" between them."""
    if not isinstance(name, str):
        raise TypeError(f'Argument `free` must have names as keys, but has {name!r}; write e.g. "leak.g_max".')
    if _TIED in name:
        paths = tuple(path for part in name.split(_TIED) for path in _paths(experiment, part.strip()))
        if len(set(paths)) < len(paths):
            raise ValueError(
                f"Argument `free` must tie different parameters, but {name!r} has one of them twice; drop it there."
            )
        return paths
    if name.startswith(_ALL):
        paths = tuple(path for path in params.params(experiment) if path.endswith(name[1:]))
        if paths:
            _check_all_have(experiment.target, name, paths)
            return paths
    if _has(experiment.target, name) and not _has(experiment.model, name):
        return (f"target.{_resolved(experiment.target, name)}",)
    if not _has(experiment.model, name):
        _check_part(experiment, name)
        _check_known(experiment, name)
    return (f"model.{params.resolve(experiment.model, name)}",)


def _check_part(experiment: Experiment, name: str) -> None:
    """Raise a ValueError for a parameter of what a target may have, but this one has not."""
    there = params.params(experiment.target)
    part, last = name.split(".")[-2:][0] if "." in name else "", name.split(".")[-1]
    if part == "y0" or ".y0." in f".{name}":
        missing, example = "initial state", "VoltageTrace(..., y0=model.init_state())"
    elif last == "corner" and part in ("", "electrode"):
        missing, example = "electrode with a filter", "VoltageTrace(..., electrode=Electrode(corner=2.0))"
    elif last in ("R_s", "offset") and part in ("", "electrode"):
        missing, example = "electrode", "VoltageTrace(..., electrode=Electrode(R_s=15.0))"
    else:
        return
    if missing == "initial state" and any(".y0." in f".{path}" for path in there):
        known = ", ".join(path for path in there if ".y0." in f".{path}")
        raise ValueError(f"Argument `free` names {name!r}, which the initial state has not; it has {known}.")
    raise ValueError(f"Argument `free` names {name!r}, but the target has no {missing}; give it one, {example}.")


def _check_known(experiment: Experiment, name: str) -> None:
    """Raise a ValueError that lists the target's parameters too, where neither it nor the model has one so called."""
    own = params.names(experiment.target)
    if own:
        known = [*sorted(params.names(experiment.model)), *sorted(own)]
        raise ValueError(
            f"Argument `free` must name parameters of model or target, but has {name!r}; {params.guess(name, known)}."
        )


def _check_all_have(target: AbstractTarget, name: str, paths: tuple[str, ...]) -> None:
    """Raise a ValueError where a parameter of electrodes is to be that of all traces, but some have no electrode."""
    if not isinstance(target, Joint) or not all(".electrode." in f".{path}" for path in paths):
        return
    lacking = [term for term, one in target.terms.items() if isinstance(one, VoltageTrace) and one.electrode is None]
    if lacking:
        raise ValueError(
            f"Argument `free` has {name!r} for all traces, but {lacking[0]!r} has no electrode; give it one, or name "
            "the others one by one."
        )


def _check_electrodes(experiment: Experiment, paths: tuple[str, ...]) -> None:
    for path in paths:
        *to_term, owner, name = path.split(".")
        if (owner, name) == ("electrode", "R_s"):
            term = experiment.target.terms[to_term[-1]] if "terms" in to_term else experiment.target
            term.electrode.check_area(experiment.model, is_free=True)


def _has(tree: Any, name: str) -> bool:
    return any(path == name or path.endswith("." + name) for path in params.params(tree))


def _resolved(target: AbstractTarget, name: str) -> str:
    try:
        return params.resolve(target, name)
    except ValueError as error:
        raise ValueError(f'{error} Or write "*.{name}" for one value that they share.') from None


def _single(experiment: Experiment, name: str, path: str, info: ParamInfo) -> float:
    value = params.get(experiment, path)
    if info.is_whole:
        raise ValueError(
            f"Argument `free` must name parameters with a derivative, but {name!r} is a whole number; leave it out."
        )
    if jnp.ndim(value):
        raise ValueError(
            f"Argument `free` must name single parameters, but {name!r} has shape "
            f"{jnp.shape(value)}; fit one neuron at a time."
        )
    return float(value)


def _checked_bounds(name: str, pair: Any, info: ParamInfo) -> Bounds:
    try:
        if any(isinstance(bound, str | bool) for bound in pair):
            raise TypeError
        low, high = (None if bound is None else float(bound) for bound in pair)
    except (TypeError, ValueError):
        raise TypeError(
            f"Bounds of {name!r} must be two numbers (low, high) [{info.unit}], None for an open "
            f"end, but are {pair!r}; give e.g. (0.5, 2.0)."
        ) from None
    is_bad = any(bound is not None and not math.isfinite(bound) for bound in (low, high))
    if is_bad or (low is not None and high is not None and not low < high):
        raise ValueError(
            f"Bounds of {name!r} must be finite with low < high [{info.unit}], but are "
            f"({low}, {high}); swap or widen them, or give None for an open end."
        )
    for bound in (low, high):
        if bound is not None and not info.allows(bound):
            raise ValueError(
                f"Argument `free` must keep {name!r} {info.rule}, but has the bound {bound:g}; move it, or give None "
                "for the end of what is possible."
            )
    # an open end is where the parameter itself ends
    return info.bounds[0] if low is None else low, info.bounds[1] if high is None else high
