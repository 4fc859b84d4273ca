"""Spike times of smooth models: upward crossings of a threshold between solver steps."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.models import AbstractModel
from jaxneuro.solvers._grid import InputWithin
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["smooth_spikes"]


def smooth_spikes(
    model: AbstractModel, stimulus: AbstractStimulus, ts: Float[Array, " n_edge"], ys: Any, max_spikes: int
) -> tuple[Float[Array, " max_spikes"], Array]:
    """Times of the first upward crossings of `model.spike_threshold` [ms], padded with inf, and how many there are.

    Between two solver steps the voltage is the cubic Hermite polynomial through both values and slopes. The times are
    differentiable. Steps at t = inf (unused rows of an adaptive solve) are ignored.
    """
    V = model.voltage(ys)
    threshold = model.spike_threshold
    has_crossed = (V[:-1] < threshold) & (V[1:] >= threshold) & jnp.isfinite(ts[1:])
    count = jnp.sum(has_crossed)
    (at,) = jnp.nonzero(has_crossed, size=max_spikes, fill_value=0)

    def crossing(k: Array) -> Float[Array, ""]:
        left, right = ts[k], ts[k + 1]
        y_left, y_right = (jax.tree.map(lambda leaf, j=j: leaf[j], ys) for j in (k, k + 1))
        within = InputWithin(stimulus, left, right)
        slopes = [model.voltage(model.vector_field(t, y, within)) for t, y in ((left, y_left), (right, y_right))]
        h = right - left
        u = _cubic_root(model.voltage(y_left) - threshold, model.voltage(y_right) - threshold, *(h * s for s in slopes))
        return left + u * h

    is_spike = jnp.arange(max_spikes) < count
    # unused slots repeat row 0, where nothing crosses: their value and derivative are replaced before the division
    safe_at = jnp.where(is_spike, at, jnp.argmax(has_crossed))
    times = jax.vmap(crossing)(safe_at)
    return jnp.where(is_spike & (count > 0), times, jnp.inf), count


def _cubic_root(v0: Array, v1: Array, d0: Array, d1: Array) -> Array:
    """Where in [0, 1] the cubic with values v0 < 0 <= v1 and slopes d0, d1 is 0; differentiable in all four."""

    def cubic(u: Array, v0: Array, v1: Array, d0: Array, d1: Array) -> Array:
        return v0 + u * (d0 + u * (3 * (v1 - v0) - 2 * d0 - d1 + u * (2 * (v0 - v1) + d0 + d1)))

    fixed = tuple(map(jax.lax.stop_gradient, (v0, v1, d0, d1)))

    def bisect(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        is_below = cubic(middle, *fixed) < 0
        return jnp.where(is_below, middle, low), jnp.where(is_below, high, middle)

    # 30 halvings leave 1e-9 of a step; two Newton steps then reach rounding and carry the derivatives
    low, high = jax.lax.fori_loop(0, 30, bisect, (jnp.zeros_like(v0), jnp.ones_like(v0)))
    u = jax.lax.stop_gradient(0.5 * (low + high))
    has_root = fixed[0] < fixed[1]
    for _ in range(2):
        slope = d0 + u * (2 * (3 * (v1 - v0) - 2 * d0 - d1) + u * 3 * (2 * (v0 - v1) + d0 + d1))
        u = u - cubic(u, v0, v1, d0, d1) / jnp.where(has_root & (slope != 0), slope, 1.0)
    return u
