"""First instant at which a flow reaches its threshold, with exact derivatives."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.fusion import separated
from jaxneuro.models import AbstractSpikingModel

__all__ = ["Crossing", "find_crossing", "gap_and_slope", "may_cross", "polished", "smaller"]

_Function = Callable[[Array], Array]
_MAX_ITERATIONS = 100  # bisection alone needs 53 in float64
_POLISH = 2  # Newton steps with derivatives: one makes the first derivative exact, another the second


def smaller(a: Array, b: Array) -> Array:
    """Minimum of a and b whose derivative at a tie is that of a, not the mean of both.

    The tie that matters is a = 0 (no refractory time left) in the empty step at a jump that lies on the grid.
    """
    return jnp.where(a <= b, a, b)


class Crossing(NamedTuple):
    """The first spike of each neuron within some time h."""

    has_spiked: Bool[Array, "*shape"]
    is_inside: Bool[Array, "*shape"]
    """Whether gap = 0 there; False where the neuron is above threshold at the start, and so spikes at once."""
    time: Float[Array, "*shape"]
    """When [ms]; h without a spike."""


def find_crossing(
    model: AbstractSpikingModel,
    y: Any,
    i_app: Any,
    h: Float[Array, "*shape"],
    is_armed: Bool[Array, "*shape"],
    *,
    is_unrolled: bool,
) -> Crossing:
    """Whether each neuron reaches gap = 0 within h [ms], and when, to a millionth of that; has no derivatives.

    A neuron that is above threshold at the start spikes at once if it is armed. A maximum of the gap inside the step
    is examined too. `is_unrolled`, whether the first iterations are written down instead of looped over, which is
    faster in a long loop but compiles longer.
    """
    fixed = jax.tree.map(jax.lax.stop_gradient, (model, y, i_app))
    gap, slope = gap_and_slope(*fixed)
    n_first = 4 if is_unrolled else 0
    along = _gap_along(*fixed)

    def both(s: Array) -> tuple[Array, Array]:
        # once, and not anew for each number of the search that needs them
        return separated(_value_and_slope(along, s))

    is_inside, s = _first_root(both, jax.lax.stop_gradient(h), gap, slope, n_first=n_first)
    starts_above = is_armed & (gap >= 0)
    return Crossing(starts_above | is_inside, is_inside, jnp.where(starts_above, 0.0, s))


def polished(
    model: AbstractSpikingModel,
    y: Any,
    i_app: Any,
    h: Float[Array, "*shape"],
    crossing: Crossing,
    *,
    is_unrolled: bool,
) -> Crossing:
    """The same crossing to rounding, with derivatives: two Newton steps, by the implicit function theorem exact in
    first and second derivatives in both modes."""
    gap = _gap_along(model, y, i_app)

    def polish(_: int, s: Array) -> Array:
        value, slope = _value_and_slope(gap, s)
        is_inside = crossing.is_inside
        return s - jnp.where(is_inside, value / jnp.where(is_inside & (slope != 0), slope, 1.0), 0.0)

    s = crossing.time
    if is_unrolled:
        for k in range(_POLISH):
            s = polish(k, s)
    else:
        s = jax.lax.fori_loop(0, _POLISH, polish, s)
    return crossing._replace(time=jnp.where(crossing.has_spiked, s, h))


def _gap_along(model: AbstractSpikingModel, y: Any, i_app: Any) -> _Function:
    return lambda s: model.gap(model.flow(y, i_app, s, is_held=False))


def gap_and_slope(model: AbstractSpikingModel, y: Any, i_app: Any) -> tuple[Array, Array]:
    """The gap and its time derivative at a state."""
    return jax.jvp(model.gap, (y,), (model.dynamics(y, i_app),))


def may_cross(
    gaps: tuple[Array, Array], slopes: tuple[Array, Array], h: Float[Array, "*shape"], is_armed: Bool[Array, "*shape"]
) -> Bool[Array, "*shape"]:
    """Whether a neuron may reach its threshold within h, from gap and slope at both ends: already there, there at the
    end, or with a maximum between, if the lines through either end reach 0."""
    has_peak = (slopes[0] > 0) & (slopes[1] < 0) & ((gaps[0] + slopes[0] * h >= 0) | (gaps[1] - slopes[1] * h >= 0))
    return jnp.where(gaps[0] >= 0, is_armed, (gaps[1] >= 0) | has_peak)


def _value_and_slope(f: _Function, s: Array) -> tuple[Array, Array]:
    """f(s) and f'(s), neuron by neuron: within a step no neuron feels another's time."""
    return jax.jvp(f, (s,), (jnp.ones_like(s),))


class _Search(NamedTuple):
    k: int
    s: Float[Array, "*s"]
    low: Float[Array, "*s"]
    high: Float[Array, "*s"]
    has_root: Bool[Array, "*s"]
    is_seeking: Bool[Array, "*s"]
    """Whether a maximum above 0 is looked for, between low, where f rises, and high, where it falls."""
    is_active: Bool[Array, "*s"]


def _first_root(
    f: Callable[[Array], tuple[Array, Array]],
    h: Array,
    start: Float[Array, "*s"],
    slope_start: Float[Array, "*s"],
    *,
    n_first: int,
) -> tuple[Bool[Array, "*s"], Float[Array, "*s"]]:
    """Whether a function, f(s) its value and slope, below 0 at 0, reaches 0 within h, and where, nearly to rounding,
    from its value and slope at 0.

    By Newton's method, from h or else from 0, and bisection where that would leave the bracket. An f that rises at 0
    and is below 0 again and falling at h is bisected for its maximum, until a point above 0 is found or the interval is
    empty. One loop for both, whose first iteration looks at h; its first `n_first` iterations, mostly all that are
    needed, are written down before it.
    """
    is_below, is_rising = start < 0, slope_start > 0
    from_start = -start / jnp.where(is_rising, slope_start, 1.0)

    def iterate(state: _Search) -> _Search:
        k, s, low, high, has_root, is_seeking, is_active = state
        value, slope = f(s)
        is_seeking = jnp.where(k == 0, is_below & is_rising & (slope < 0), is_seeking) & (value < 0)
        has_root = has_root | (is_active & (value >= 0))
        goes_up = jnp.where(has_root, value < 0, slope > 0)
        low, high = jnp.where(goes_up, s, low), jnp.where(goes_up, high, s)
        newton = s - value / jnp.where(slope > 0, slope, 1.0)
        is_inside = has_root & (slope > 0) & (newton > low) & (newton < high)
        is_from_start = (k == 0) & has_root & ~is_inside & is_rising & (from_start < h)
        newton, is_inside = jnp.where(is_from_start, from_start, newton), is_inside | is_from_start
        proposal = jnp.where(is_inside, newton, 0.5 * (low + high))
        # what Newton's two later steps make of a millionth is rounding
        tolerance = 4 * jnp.finfo(s.dtype).eps * h
        is_done = jnp.abs(proposal - s) <= jnp.where(is_inside, jnp.maximum(1e-6 * proposal, tolerance), tolerance)
        goes_on = is_active & (has_root | is_seeking) & ~is_done
        return _Search(k + 1, jnp.where(goes_on, proposal, s), low, high, has_root, is_seeking, goes_on)

    def is_running(state: _Search) -> Array:
        return (state.k < _MAX_ITERATIONS) & jnp.any(state.is_active)

    none = jnp.zeros_like(is_below)
    state = _Search(0, h, jnp.zeros_like(h), h, none, none, is_below)
    for _ in range(n_first):
        state = iterate(state)
    end = jax.lax.while_loop(is_running, iterate, state)
    return end.has_root, end.s
