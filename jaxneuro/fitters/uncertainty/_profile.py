"""Profile likelihood: how the fit worsens where one parameter is held and all others are fitted anew."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._arguments import check_count
from jaxneuro.fitters._result import FitResult, check_result, check_scatter
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.search._experiment import Experiment
from jaxneuro.fitters.search._stages import polished
from jaxneuro.fitters.targets._samples import positive_number

__all__ = ["Profile", "profile"]

_LEVEL = 3.841  # of chi squared with one degree of freedom, that 95 % stay below


class Profile(NamedTuple):
    """Where a parameter was held, and how much worse the data are explained there.

    `values` [`unit`], rising, shape (n,); `deviance`, -2 log of the likelihood ratio, 0 at the optimum; `interval`,
    where it stays below 3.84 (95 %), None at an end that was not reached.
    """

    name: str
    unit: str
    values: np.ndarray
    deviance: np.ndarray
    interval: tuple[float | None, float | None]


def profile(result: FitResult, name: str, *, n: int = 4, width: float = 4.0, steps: int = 20) -> Profile:
    """Profile likelihood of one parameter of a fit, whose residuals are taken as independent and normal.

    deviance(p) = N ln(least loss with the parameter at p / least loss)

    Unlike a standard deviation it sees bounds and curvature: it is flat where the data say nothing.

    **Arguments:** `result`, of a loss with residuals; `name` of a fitted parameter; `n`, points to each side; `width`,
    how far they reach in standard deviations, or, where there is none, to the bounds; `steps`, most steps of each fit.

    **Raises:** ValueError for another name, or a loss that is one number.

    >>> profile(result, "leak.g_max").interval

    References: Venzon & Moolgavkar (1988), Appl Stat 37:87. doi:10.2307/2347496; Raue et al. (2009), Bioinformatics
    25:1923. doi:10.1093/bioinformatics/btp358
    """
    check_result(result)
    n, steps = check_count("n", n, 1, 4), check_count("steps", steps, 1, 20)
    width = float(positive_number("width", width, "standard deviations", 4.0))
    if name not in result.params:
        raise ValueError(
            f"Argument `name` must be a parameter that was fitted, but is {name!r}; choose from "
            f"{', '.join(result.params)}."
        )
    check_scatter(result)
    best = result.params[name]
    below, above = _points(best.value, best.std, best.low, best.high, n, width)
    sides = [_walk(result, name, points, steps) for points in (below, above)]
    values = np.concatenate([below[::-1], [best.value], above])
    losses = np.concatenate([sides[0][::-1], [result.loss], sides[1]])
    deviance = _deviance(result, losses, min(np.nanmin(losses), result.loss))
    middle = len(below)
    ends = (_crossing(values[middle::-1], deviance[middle::-1]), _crossing(values[middle:], deviance[middle:]))
    return Profile(name, best.unit, values, deviance, ends)


def _deviance(result: FitResult, losses: np.ndarray, lowest: float) -> np.ndarray:
    """Twice the difference of the logarithms of the likelihoods; of squares at their own variance."""
    if result.problem.is_likelihood:
        return 2 * result.n_errors * (losses - lowest)
    return result.n_errors * np.log(losses / lowest)


def _points(
    value: float, std: float | None, low: float | None, high: float | None, n: int, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where the parameter is held below and above its best value, nearest first, inside the bounds."""
    share = np.arange(1, n + 1) / n

    def side(sign: int, bound: float | None) -> np.ndarray:
        reach = abs(value) if bound is None else abs(bound - value)
        reach = reach if std is None else min(width * std, reach)
        return value + sign * reach * share if reach > 0 else np.empty(0)

    return side(-1, low), side(1, high)


def _walk(result: FitResult, name: str, points: np.ndarray, steps: int) -> np.ndarray:
    """Least loss at each point, each fit from where the one before has ended."""
    problem = result.problem
    others = [k for k, other in enumerate(problem.names) if other != name]
    u, losses = result.u[jnp.asarray(others, int)][None], []
    for point in points:
        held = _without(problem, others, problem.holding({name: point}))
        if not others:
            losses.append(float(held.value(held.errors(u[0]))))
            continue
        state = polished(held, u, steps)
        losses.append(float(state.best.loss[0]))
        u = state.best_u
    return np.array(losses)


def _without(problem: Problem, others: list[int], experiment: Experiment) -> Problem:
    names, paths, transforms = (
        tuple(of[k] for k in others) for of in (problem.names, problem.paths, problem.transforms)
    )
    priors = {name: prior for name, prior in problem.priors.items() if name in names}
    return dataclasses.replace(
        problem, experiment=experiment, transforms=transforms, names=names, paths=paths, priors=priors
    )


def _crossing(values: Float[Array, " n"], deviance: Float[Array, " n"]) -> float | None:
    """Where the deviance first rises through the level, between points by its root, which is nearly a line."""
    root, level = np.sqrt(np.maximum(deviance, 0.0)), np.sqrt(_LEVEL)
    (beyond,) = np.nonzero(root > level)
    if not beyond.size:
        return None
    k = int(beyond[0])
    share = (level - root[k - 1]) / (root[k] - root[k - 1])
    return float(values[k - 1] + share * (values[k] - values[k - 1]))
