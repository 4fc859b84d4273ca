"""A population that searches where gradients do not lead: where a model that has stopped firing must fire again."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters._engine import Problem, losses_at

__all__ = ["Population", "evolved"]

_FARTHEST = 4.0  # |u|, at which a sigmoid is 2 % of its interval from its end


class Population(NamedTuple):
    """How wide a population is at first, in u, where an interval is about 4 wide, and for how many generations."""

    width: float
    generations: int
    seed: int


def evolved(
    problem: Problem, u: Float[Array, "s p"], plan: Population
) -> tuple[Float[Array, "s p"], Float[np.ndarray, " s"], int]:
    """The best point that each start's population finds, its loss, and the number of runs for each start.

    Covariance matrix adaptation in u: every start is the middle of a population of 4 + 3 ln p rounded up to 48, all of
    which run side by side.

    References: Hansen & Ostermeier (2001), Evol Comput 9:159. doi:10.1162/106365601750190398
    """
    from cmaes import CMA  # which only fits with a population need

    n_starts, p = u.shape
    size = max(48, 4 + math.ceil(3 * math.log(p)))
    bounds = np.tile([-_FARTHEST, _FARTHEST], (p, 1))
    searches = [
        CMA(
            np.clip(np.asarray(start, np.float64), -3.0, 3.0),
            plan.width,
            bounds,
            seed=plan.seed + k,
            population_size=size,
        )
        for k, start in enumerate(u)
    ]
    best, lowest = np.array(u, np.float64), np.asarray(losses_at(problem, u), np.float64)
    lowest = np.where(np.isfinite(lowest), lowest, np.inf)
    for _ in range(plan.generations):
        asked = np.stack([[search.ask() for _ in range(size)] for search in searches])
        losses = np.asarray(losses_at(problem, jnp.asarray(asked.reshape(-1, p), u.dtype)), np.float64)
        losses = np.where(np.isfinite(losses), losses, 1e30).reshape(n_starts, size)
        for k, search in enumerate(searches):
            search.tell(list(zip(asked[k], losses[k], strict=True)))
            i = int(np.argmin(losses[k]))
            if losses[k, i] < lowest[k]:
                best[k], lowest[k] = asked[k, i], losses[k, i]
    return jnp.asarray(best, u.dtype), lowest, 1 + plan.generations * size
