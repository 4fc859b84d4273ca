"""Spike times of smooth models: upward crossings of a threshold inside a solver's step."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.lanes import any_lane
from jaxneuro.models import AbstractModel
from jaxneuro.solvers._grid import InputWithin

__all__ = ["crossing_time", "linear_crossing"]

# Newton steps from the secant's crossing that reach rounding; kept inside the bracket, which bisects where they fail.
_ITERATIONS = 5


def crossing_time(
    model: AbstractModel,
    within: InputWithin,
    h: Float[Array, ""],
    before: Any,
    after: Any,
    slopes: tuple[Any, Any] | None = None,
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Whether the voltage crosses `model.spike_threshold` upwards in a step of length h, and how long after its start
    [ms]; inf if it does not.

    Inside the step the voltage is the cubic Hermite polynomial through both values and slopes. Differentiable.
    `slopes`: dy/dt at both ends, where they are known.
    """
    low, high = (model.voltage(y) - model.spike_threshold for y in (before, after))
    has_crossed = (low < 0) & (high >= 0)
    start = within.left - within.origin
    ends = ((start, before), (start + h, after))
    slopes = slopes or tuple(model.vector_field(t, y, within) for t, y in ends)
    # where nothing crosses, a line through -1 and 1 keeps values and derivatives finite
    values = (jnp.where(has_crossed, x, default) for x, default in ((low, -1.0), (high, 1.0)))
    rises = (jnp.where(has_crossed, h * model.voltage(slope), 2.0) for slope in slopes)
    u = _cubic_root(has_crossed, *values, *rises)
    return has_crossed, jnp.where(has_crossed, u * h, jnp.inf)


def linear_crossing(
    model: AbstractModel, h: Float[Array, ""], before: Any, after: Any
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """The same where the voltage has no slope, being driven by noise: on the line through both ends."""
    low, high = (model.voltage(y) - model.spike_threshold for y in (before, after))
    has_crossed = (low < 0) & (high >= 0)
    rise = jnp.where(has_crossed, high - low, 1.0)
    return has_crossed, jnp.where(has_crossed, -low / rise * h, jnp.inf)


def _cubic_root(is_wanted: Array, v0: Array, v1: Array, d0: Array, d1: Array) -> Array:
    """Where in [0, 1] the cubic with values v0 < 0 <= v1 and slopes d0, d1 is 0; differentiable in all four."""

    def cubic(u: Array, v0: Array, v1: Array, d0: Array, d1: Array) -> tuple[Array, Array]:
        b, a = 3 * (v1 - v0) - 2 * d0 - d1, 2 * (v0 - v1) + d0 + d1
        return v0 + u * (d0 + u * (b + u * a)), d0 + u * (2 * b + u * 3 * a)

    fixed = tuple(map(jax.lax.stop_gradient, (v0, v1, d0, d1)))

    def iterate(_: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        u, low, high = state
        value, slope = cubic(u, *fixed)
        low, high = jnp.where(value < 0, u, low), jnp.where(value < 0, high, u)
        newton = u - value / jnp.where(slope == 0, 1.0, slope)
        is_inside = (newton >= low) & (newton <= high)
        return jnp.where(is_inside, newton, 0.5 * (low + high)), low, high

    # a loop, not unrolled: fused with a stimulus that sums over something, the chain would compile for ever
    start = (-fixed[0] / (fixed[1] - fixed[0]), jnp.zeros_like(v0), jnp.ones_like(v0))
    n = jnp.where(any_lane(is_wanted), _ITERATIONS, 0)
    u = jax.lax.fori_loop(0, n, iterate, start)[0]
    # one more step carries the derivatives
    value, slope = cubic(u, v0, v1, d0, d1)
    return u - value / jnp.where(slope == 0, 1.0, slope)
