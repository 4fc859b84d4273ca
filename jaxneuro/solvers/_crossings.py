"""Spike times of smooth models: upward crossings of a threshold inside a solver's step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.fusion import separated
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
    course: Callable[[], Sequence[Array]] | None = None,
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Whether the voltage crosses `model.spike_threshold` upwards in a step of length h, and how long after its start
    [ms]; inf if it does not.

    Inside the step the voltage is the cubic Hermite polynomial through both values and slopes, unless `course()` gives
    another one: what it adds to the first value, the coefficients of u, u^2, ... for u from 0 to 1. Differentiable.
    Computed only where any lane crosses, since it costs a third of a step.
    """
    low, high = (model.voltage(y) - model.spike_threshold for y in (before, after))
    has_crossed = (low < 0) & (high >= 0)

    def cubic() -> Sequence[Array]:
        start = within.left - within.origin
        ends = ((start, before), (start + h, after))
        d0, d1 = separated([h * model.voltage(model.vector_field(t, y, within)) for t, y in ends])
        return d0, 3 * (high - low) - 2 * d0 - d1, 2 * (low - high) + d0 + d1

    def offset() -> Array:
        coefficients = cubic() if course is None else course()
        # where nothing crosses, a line from -1 to 1 keeps values and derivatives finite
        line = (-1.0, 2.0, *[0.0] * (len(coefficients) - 1))
        polynomial = [jnp.where(has_crossed, x, other) for x, other in zip((low, *coefficients), line, strict=True)]
        return jnp.where(has_crossed, _root(polynomial) * h, jnp.inf)

    return has_crossed, jax.lax.cond(any_lane(jnp.any(has_crossed)), offset, lambda: jnp.full_like(low, jnp.inf))


def linear_crossing(
    model: AbstractModel, h: Float[Array, ""], before: Any, after: Any
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """The same where the voltage has no slope, being driven by noise: on the line through both ends."""
    low, high = (model.voltage(y) - model.spike_threshold for y in (before, after))
    has_crossed = (low < 0) & (high >= 0)
    rise = jnp.where(has_crossed, high - low, 1.0)
    return has_crossed, jnp.where(has_crossed, -low / rise * h, jnp.inf)


def _root(polynomial: Sequence[Array]) -> Array:
    """Where in [0, 1] the polynomial in u, below 0 at 0 and not so at 1, is 0; differentiable in its coefficients."""

    def value_and_slope(u: Array, polynomial: Sequence[Array]) -> tuple[Array, Array]:
        value, slope = polynomial[-1], jnp.zeros_like(u)
        for coefficient in polynomial[-2::-1]:
            value, slope = coefficient + u * value, value + u * slope
        return value, slope

    fixed = jax.lax.stop_gradient(polynomial)

    def iterate(_: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        u, low, high = state
        value, slope = value_and_slope(u, fixed)
        low, high = jnp.where(value < 0, u, low), jnp.where(value < 0, high, u)
        newton = u - value / jnp.where(slope == 0, 1.0, slope)
        is_inside = (newton >= low) & (newton <= high)
        return jnp.where(is_inside, newton, 0.5 * (low + high)), low, high

    # a loop, not unrolled: fused with a stimulus that sums over something, the chain would compile for ever
    start = (-fixed[0] / sum(fixed[1:]), jnp.zeros_like(fixed[0]), jnp.ones_like(fixed[0]))
    u = jax.lax.fori_loop(0, _ITERATIONS, iterate, start)[0]
    # one more step carries the derivatives
    value, slope = value_and_slope(u, polynomial)
    return u - value / jnp.where(slope == 0, 1.0, slope)
