"""A Brownian path that does not depend on the steps that look at it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

__all__ = ["BrownianPath"]


class BrownianPath(eqx.Module):
    """`n` independent Brownian motions on a grid of step `dt` [ms], each step in `per_step` cells.

    A cell's increment is drawn from `key` and the cell's number, counted from time 0, and the path is linear inside a
    cell: runs whose cells are equally long follow the same path, whatever their steps and wherever they begin. It costs
    a twentieth of a Brownian tree, and counts in whole numbers, so that float32 follows the path for ever.

    **Arguments:** `first`, number of the grid's first step, counted from time 0.

    References: Kloeden & Platen (1992), Numerical Solution of Stochastic Differential Equations, Springer, ch. 9.
    """

    key: PRNGKeyArray
    n: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    per_step: int = eqx.field(static=True, default=1)
    first: int = eqx.field(static=True, default=0)

    def increment(self, step: Int[Array, ""], start: Float[Array, ""], stop: Float[Array, ""]) -> Float[Array, " n"]:
        """W(stop) - W(start) [sqrt(ms)], both as shares of the grid's step number `step`."""
        start, stop = start * self.per_step, stop * self.per_step

        def part(k: int) -> Array:
            covered = jnp.clip(jnp.minimum(stop, k + 1.0) - jnp.maximum(start, float(k)), 0.0, 1.0)
            number = jax.random.fold_in(self.key, (self.first + step) * self.per_step + k)
            return covered * jax.random.normal(number, (self.n,), covered.dtype)

        return (self.dt / self.per_step) ** 0.5 * sum(part(k) for k in range(self.per_step))
