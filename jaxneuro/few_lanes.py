"""Work that few lanes of a batch need at a time, done for these alone."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxneuro.numerics import where

__all__ = ["where_needed"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def where_needed(function: Callable[[Any], Any], needs: Bool[Array, ""], operand: Any, default: Any) -> Any:
    """`function(operand)` if it is needed, else `default`, a tree like it: for what few lanes need at a time.

    Under jax.vmap only the lanes that need it are computed, a few together; derivatives are those of a `where` over all
    lanes. `function` must hold no arrays of its own.
    """
    return _for_the_few(function)(needs, operand, default)


@where_needed.defjvp
def _where_needed_jvp(function: Callable[[Any], Any], primals: tuple, tangents: tuple) -> tuple:
    def everywhere(needs: Array, operand: Any, default: Any) -> Any:
        return where(needs, function(operand), default)

    return jax.jvp(everywhere, primals, tangents)


def _for_the_few(function: Callable[[Any], Any]) -> Callable[[Array, Any, Any], Any]:
    @jax.custom_batching.custom_vmap
    def call(needs: Array, operand: Any, default: Any) -> Any:
        return jax.lax.cond(needs, function, lambda _: default, operand)

    @call.def_vmap
    def rule(axis_size: int, in_batched: list[Any], needs: Array, operand: Any, default: Any) -> tuple[Any, Any]:
        needs_batched, operand_batched, default_batched = in_batched

        def spread(leaf: Array, is_batched: bool) -> Array:
            return leaf if is_batched else jnp.broadcast_to(leaf, (axis_size, *leaf.shape))

        axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, operand_batched)
        per_go = min(max(_FEWEST_NEEDED, axis_size // _SHARE_NEEDED), axis_size)

        def some(state: tuple[Array, Any]) -> tuple[Array, Any]:
            pending, out = state
            at = _one_per_column(pending, per_go)
            chosen = jax.tree.map(
                lambda leaf, is_batched: leaf.at[at].get(mode="clip") if is_batched else leaf, operand, operand_batched
            )
            found = jax.vmap(function, in_axes=(axes,), axis_size=per_go)(chosen)
            out = jax.tree.map(lambda all_, few: all_.at[at].set(few, mode="drop"), out, found)
            return pending.at[at].set(False, mode="drop"), out

        start = (spread(needs, needs_batched), jax.tree.map(spread, default, default_batched))
        _, out = jax.lax.while_loop(lambda state: jnp.any(state[0]), some, start)
        return out, jax.tree.map(lambda _: True, out)

    return call


# How many lanes are computed at a time where few need it: as many as spike in a step of a tenth of a millisecond, and
# some to spare.
_SHARE_NEEDED, _FEWEST_NEEDED = 32, 16


def _one_per_column(x: Bool[Array, " n"], size: int) -> Int[Array, " size"]:
    """Index of the first that is true in every size-th lane from each of the first on, and n where there is none.
    Neighbours, which are often alike, are in different columns."""
    n = x.shape[0]
    order = jnp.where(x, jnp.arange(n, dtype=jnp.int32), n)
    return jnp.min(jnp.concatenate([order, jnp.full(-n % size, n, jnp.int32)]).reshape(-1, size), axis=0)
