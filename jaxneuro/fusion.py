"""Where the compiler's fusion must stop: it computes anew, for each of its uses, whatever it fuses."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from jaxneuro.compilation import HAS_JAXLIB_012
from jaxneuro.lanes import any_lane

__all__ = ["separated"]


def separated(values: Any, t: Float[Array, "*s"]) -> Any:
    """The values themselves, arrays in any pytree, computed once before anything that uses them. `t`, any numbers that
    are only known when the program runs, e.g. the time.

    jaxlib keeps optimisation barriers until it has fused from version 0.12 on. Before that, on CPUs only control flow
    holds: a branch that is always taken, but that only `t` tells so.
    """
    if HAS_JAXLIB_012 or jax.default_backend() != "cpu":
        return jax.lax.optimization_barrier(values)
    t = jax.lax.stop_gradient(t)
    is_number = any_lane(jnp.any(t == t))
    return jax.lax.cond(is_number, lambda x: x, lambda x: jax.tree.map(_unknown, x), values)


def _unknown(x: Array) -> ArrayLike:
    return jnp.full_like(x, jnp.nan if jnp.issubdtype(x.dtype, jnp.inexact) else 0)
