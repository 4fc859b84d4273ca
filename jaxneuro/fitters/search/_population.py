"""A population that searches where gradients do not lead: where a model that has stopped firing must fire again."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters.search._engine import Problem, losses_at

__all__ = ["Population", "Search"]

_FARTHEST = 4.0  # |u|, at which a sigmoid is 2 % of its interval from its end
_FAILED = 1e30  # loss of a simulation that fails


class Population(NamedTuple):
    """How wide a population is at first, in u, where an interval is about 4 wide, and for how many generations."""

    width: float
    generations: int
    seed: int


class Search:
    """Covariance matrix adaptation in u: every start is the middle of a population of 4 + 3 ln p rounded up to 48, all
    of which run side by side.

    `best` and `lowest`: the best point that each start's population has found, shape (n_starts, p), and its loss.
    `told`: the losses of all generations, shape (n_generation, n_starts, size). All else follows from them and the
    seed, so that a search that was killed goes on from them without simulating anew.

    References: Hansen & Ostermeier (2001), Evol Comput 9:159. doi:10.1162/106365601750190398
    """

    def __init__(
        self, problem: Problem, u: Float[Array, "s p"], plan: Population, told: Float[np.ndarray, "g s n"] | None = None
    ):
        from cmaes import CMA  # which only fits with a population need

        n_starts, p = u.shape
        self.plan, self.size = plan, max(48, 4 + math.ceil(3 * math.log(p)))
        bounds = np.tile([-_FARTHEST, _FARTHEST], (p, 1))
        self._searches = [
            CMA(
                np.clip(np.asarray(start, np.float64), -3.0, 3.0),
                plan.width,
                bounds,
                seed=plan.seed + k,
                population_size=self.size,
            )
            for k, start in enumerate(u)
        ]
        self.best, self.lowest = np.array(u, np.float64), _finite(losses_at(problem, u), np.inf)
        self.told = np.empty((0, n_starts, self.size))
        for losses in [] if told is None else told:
            self._tell(self._ask(), losses)

    @property
    def is_over(self) -> bool:
        return len(self.told) >= self.plan.generations

    @property
    def n_runs(self) -> int:
        """Simulations of each start so far."""
        return 1 + len(self.told) * self.size

    def advance(self, problem: Problem) -> None:
        """One generation more."""
        asked = self._ask()
        u = jnp.asarray(asked.reshape(-1, asked.shape[-1]), jnp.result_type(float))
        self._tell(asked, _finite(losses_at(problem, u), _FAILED).reshape(asked.shape[:2]))

    def _ask(self) -> Float[np.ndarray, "s n p"]:
        return np.stack([[search.ask() for _ in range(self.size)] for search in self._searches])

    def _tell(self, asked: Float[np.ndarray, "s n p"], losses: Float[np.ndarray, "s n"]) -> None:
        for k, search in enumerate(self._searches):
            search.tell(list(zip(asked[k], losses[k], strict=True)))
            i = int(np.argmin(losses[k]))
            if losses[k, i] < self.lowest[k]:
                self.best[k], self.lowest[k] = asked[k, i], losses[k, i]
        self.told = np.concatenate([self.told, losses[None]])


def _finite(losses: Float[Array, " n"], otherwise: float) -> Float[np.ndarray, " n"]:
    losses = np.asarray(losses, np.float64)
    return np.where(np.isfinite(losses), losses, otherwise)
