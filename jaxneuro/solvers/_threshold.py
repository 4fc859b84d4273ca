"""First instant at which a flow reaches its threshold, with exact derivatives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models import AbstractSpikingModel

__all__ = ["threshold_crossing"]

_Function = Callable[[Array], Array]
_MAX_ITERATIONS = 100  # bisection alone needs 53 in float64


def threshold_crossing(
    model: AbstractSpikingModel, y: Any, i_app: Any, h: Float[Array, "*shape"], is_armed: Bool[Array, "*shape"]
) -> tuple[Bool[Array, "*shape"], Float[Array, "*shape"]]:
    """Whether each neuron reaches gap = 0 within h [ms], and when; h itself where it does not.

    A neuron that is above threshold at the start spikes at once if it is armed. A maximum of the gap inside the step
    is examined too. The search runs on values alone; two Newton steps with derivatives follow, which by the implicit
    function theorem carry exact first and second derivatives in both modes.
    """
    gap = _gap_along(model, y, i_app)
    still = _gap_along(*jax.tree.map(jax.lax.stop_gradient, (model, y, i_app)))
    h_value = jax.lax.stop_gradient(h)
    zero = jnp.zeros_like(h_value)

    gap_start, slope_start = _value_and_slope(still, zero)
    gap_end, slope_end = _value_and_slope(still, h_value)
    starts_above = is_armed & (gap_start >= 0)
    has_peak = (gap_start < 0) & (gap_end < 0) & (slope_start > 0) & (slope_end < 0)
    peak = _bisect(lambda s: -_value_and_slope(still, s)[1], zero, h_value, has_peak)
    peaks_above = has_peak & (still(peak) >= 0)
    crosses = (gap_start < 0) & ((gap_end >= 0) | peaks_above)
    s = _newton_in_bracket(still, zero, jnp.where(peaks_above, peak, h_value), crosses)

    has_spiked = starts_above | crosses
    s = jnp.where(starts_above, 0.0, s)
    for _ in range(2):
        value, slope = _value_and_slope(gap, s)
        s = s - jnp.where(crosses, value / jnp.where(crosses & (slope != 0), slope, 1.0), 0.0)
    return has_spiked, jnp.where(has_spiked, s, h)


def _gap_along(model: AbstractSpikingModel, y: Any, i_app: Any) -> _Function:
    return lambda s: model.gap(model.flow(y, i_app, s, is_held=False))


def _value_and_slope(f: _Function, s: Array) -> tuple[Array, Array]:
    """f(s) and f'(s), neuron by neuron: within a step no neuron feels another's time."""
    return jax.jvp(f, (s,), (jnp.ones_like(s),))


def _bisect(f: _Function, low: Array, high: Array, is_wanted: Array) -> Array:
    """Root of f between low (f < 0) and high where wanted; no iteration where nothing is."""
    return _search(lambda s: (f(s), jnp.zeros_like(s)), low, high, is_wanted)


def _newton_in_bracket(f: _Function, low: Array, high: Array, is_wanted: Array) -> Array:
    """The same by Newton's method, with bisection wherever that would leave the bracket."""
    return _search(lambda s: _value_and_slope(f, s), low, high, is_wanted)


def _search(evaluate: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, is_wanted: Array) -> Array:
    """Safeguarded root search on values and slopes, to rounding; a slope of 0 asks for bisection."""

    def iterate(state: tuple) -> tuple:
        k, s, low, high, is_active = state
        value, slope = evaluate(s)
        is_below = value < 0
        low, high = jnp.where(is_below, s, low), jnp.where(is_below, high, s)
        newton = s - value / jnp.where(slope > 0, slope, 1.0)
        is_inside = (slope > 0) & (newton > low) & (newton < high)
        proposal = jnp.where(is_inside, newton, 0.5 * (low + high))
        is_done = jnp.abs(proposal - s) <= 4 * jnp.finfo(s.dtype).eps * high
        return k + 1, jnp.where(is_active, proposal, s), low, high, is_active & ~is_done

    def is_running(state: tuple) -> Array:
        k, *_, is_active = state
        return (k < _MAX_ITERATIONS) & jnp.any(is_active)

    return jax.lax.while_loop(is_running, iterate, (0, high, low, high, is_wanted))[1]
