"""Starts as the recorded voltage tells them: where it begins, what is passive in it, and conductances."""

import dataclasses
import time
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.search._experiment import Experiment, FreeParam
from jaxneuro.fitters.search._passive import passive_start
from jaxneuro.fitters.search._stages import StageReport
from jaxneuro.fitters.search._weak_form import conductances, weak_start
from jaxneuro.fitters.targets._joint import Joint
from jaxneuro.fitters.targets._targets import AbstractTarget, VoltageTrace
from jaxneuro.sweeps import sobol

__all__ = ["informed_starts"]

_INSIDE = 3.0  # |u| of a start on its bounds, where the gradient would vanish
_APART = 0.75  # between the candidates of a start's kinetics in u: a factor of 2 to 3 of bounds 60-fold apart
_AROUND = 0.5  # share of a random start's distance from the middle, by which it differs from a value that data tell


class View(NamedTuple):
    """The experiment of one trace alone, and the free parameters that it has, under the paths of that experiment."""

    experiment: Experiment
    free: dict[str, FreeParam]

    @property
    def trace(self) -> VoltageTrace:
        return self.experiment.target


def informed_starts(
    problem: Problem, free: Mapping[str, FreeParam], u0: Float[Array, "s p"]
) -> tuple[Float[Array, "s p"], list[StageReport]]:
    """The starts of a fit to voltage traces with whatever these tell without a run of the model.

    The first is as they tell; the others lie around it, or have conductances for their own kinetics.
    """
    columns = {name: np.asarray(u0[:, k]) for k, name in enumerate(free)}
    columns, known, reports = _with_passive(problem, free, columns)
    problem = dataclasses.replace(problem, experiment=problem.holding(known))
    columns |= _first_voltages(problem, free, len(u0))
    settled = {name for name in known if _is_resistance(free[name])}
    columns, convex = _with_conductances(_views(problem, free)[0], columns, settled)
    u = jnp.stack([jnp.asarray(columns[name], u0.dtype) for name in free], axis=1)
    return u, [*reports, *convex]


def _views(problem: Problem, free: Mapping[str, FreeParam]) -> list[View]:
    """All traces, the one that moves most, which tells most, first."""
    found = [
        View(Experiment(problem.model, trace), _seen_in(free, prefix)) for prefix, trace in _traces(problem.target)
    ]
    return sorted(found, key=lambda view: -float(jnp.var(view.trace.voltage)))


def _traces(target: AbstractTarget) -> list[tuple[str, VoltageTrace]]:
    """The traces of a target, behind the beginning of the paths of their parameters."""
    if isinstance(target, Joint):
        return [(f"target.terms.{name}.", trace) for name, trace in target.terms.items()]
    return [("target.", target)]


def _seen_in(free: Mapping[str, FreeParam], prefix: str) -> dict[str, FreeParam]:
    found = {}
    for name, one in free.items():
        own = [path for path in one.paths if path.startswith(("model.", prefix))]
        if own:
            paths = tuple(f"target.{path[len(prefix) :]}" if path.startswith(prefix) else path for path in own)
            found[name] = dataclasses.replace(one, paths=paths)
    return found


def _inside(one: FreeParam, value: Array | float) -> Float[np.ndarray, "*s"]:
    """A value's u, not on the bounds; in their middle if it lies beyond them, and so tells nothing."""
    return np.clip(np.nan_to_num(np.asarray(one.transform.inverse(jnp.asarray(value)))), -_INSIDE, _INSIDE)


def _is_resistance(one: FreeParam) -> bool:
    return one.paths[0].endswith(".R_s")


def _with_passive(
    problem: Problem, free: Mapping[str, FreeParam], columns: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, float], list[StageReport]]:
    """Capacitance and series resistances that a passive membrane has: of all starts the same resistance, and a
    capacitance around the one found, which a resonance at rest makes too small."""
    known, reports = {}, []
    for experiment, own in _views(problem, free):
        began = time.perf_counter()
        left = {name: one for name, one in own.items() if name not in known}
        found = passive_start(experiment.model, experiment.target, left)
        if found is not None:
            known |= found.values
            n_runs = -(-found.n_runs // len(next(iter(columns.values()))))
            reports.append(StageReport("passive fit", 0, n_runs, time.perf_counter() - began, found.loss))
    new = {}
    for name, value in known.items():
        offsets = np.zeros_like(columns[name]) if _is_resistance(free[name]) else _AROUND * columns[name]
        offsets[0] = 0.0
        new[name] = _inside(free[name], value) + offsets
    return columns | new, known, reports


def _first_voltages(problem: Problem, free: Mapping[str, FreeParam], n_starts: int) -> dict[str, np.ndarray]:
    """Of voltages at the first sample, if free, what the traces have there."""
    traces = dict(_traces(problem.target))
    found = {}
    for name, one in free.items():
        prefix = one.paths[0].removesuffix("y0.V")
        if prefix in traces:
            found[name] = np.full(n_starts, _inside(one, traces[prefix].membrane[0]))
    return found


def _with_conductances(
    view: View, columns: dict[str, np.ndarray], settled: set[str]
) -> tuple[dict[str, np.ndarray], list[StageReport]]:
    """Conductances from the data, at the best of several kinetics around a start's own; without kinetics all starts
    would have the same, so that the others lie around it."""
    linear = conductances(view.experiment.model, view.free)
    if not linear:
        return columns, []
    began = time.perf_counter()
    own = {name: one for name, one in view.free.items() if ".y0." not in one.paths[0]}
    kinetic = [name for name in own if name not in linear]
    offsets = _offsets([name for name in kinetic if name not in settled])
    n_candidate = len(next(iter(offsets.values()), (0,)))
    candidates = {
        name: np.asarray(
            own[name].transform.forward(
                jnp.asarray(columns[name][:, None] + offsets.get(name, np.zeros(n_candidate))[None])
            )
        )
        for name in kinetic
    }
    found = weak_start(view.experiment, own, candidates)
    new = {}
    for name, values in found.values.items():
        around = np.zeros_like(columns[name]) if offsets or name not in linear else _AROUND * columns[name]
        around[0] = 0.0
        new[name] = _inside(own[name], values) + around
    return columns | new, [StageReport("convex start", 0, found.n_runs, time.perf_counter() - began, None)]


def _offsets(names: list[str]) -> dict[str, np.ndarray]:
    """Where to look for kinetics around a start, in u: its own first, along one axis or scattered over several."""
    if len(names) <= 1:
        return {name: _APART * np.array([0.0, -2.0, -1.0, 1.0, 2.0]) for name in names}
    points = sobol({name: (-2 * _APART, 2 * _APART) for name in names}, 4 * len(names), seed=0).columns
    return {name: np.append(0.0, points[name]) for name in names}
