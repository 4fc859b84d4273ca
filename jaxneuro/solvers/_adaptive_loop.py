"""The adaptive loop: Tsitouras' method with error control, one step size per lane, any number of lanes together."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxneuro.fusion import separated
from jaxneuro.lanes import any_lane
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import exp, where
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._crossings import crossing_time
from jaxneuro.solvers._grid import InputWithin, TimeGrid
from jaxneuro.solvers._one_step import ModelTerm
from jaxneuro.solvers._program import Span, is_finite
from jaxneuro.solvers._runge_kutta import Tsit5
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["Tolerances", "adaptive_steps"]

_METHOD = Tsit5()
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0  # of the factor by which a step size changes; those of diffrax's controller


class Tolerances(NamedTuple):
    """Tolerances of a step, longest step [ms], and most attempts."""

    rtol: Any
    atol: Any
    dtmax: Any
    max_steps: int


class _State(NamedTuple):
    n: Int[Array, ""]  # attempts, of all lanes together
    t: Float[Array, ""]
    h: Float[Array, ""]  # what the next step tries [ms]
    y: Any
    k: Any  # slope at t
    is_stuck: Bool[Array, ""]  # no step is small enough
    n_accepted: Int[Array, ""]
    kept: Any


def adaptive_steps(
    model: AbstractModel,
    stimulus: AbstractStimulus,
    y0: Any,
    grid: TimeGrid,
    tolerances: Tolerances,
    kept: Any,
    keep: Callable[[Any, Int[Array, ""], Span], Any],
) -> tuple[Any, RESULTS, dict[str, Array]]:
    """Run from grid.t0 to grid.t1; what `keep(kept, n, span)` gathers, the outcome, and numbers of steps.

    `n` counts the attempts and is common to all lanes under jax.vmap. A rejected attempt, and any after a lane's end,
    is a step of length 0 that changes nothing. A non-finite error rejects the step; a lane whose steps become too
    short to move time, or that has used up its attempts, stops there, and the others go on. Steps end at the jumps of
    the stimulus and begin anew there. Not differentiable.
    """
    dtype = jnp.result_type(float)
    t0, t1 = jnp.asarray(grid.t0, dtype), jnp.asarray(grid.t1, dtype)
    jumps = stimulus.jump_ts.astype(dtype)
    no_row = jnp.asarray(grid.save_ts.size)  # saving times lie inside the steps

    def slope(t: Array, y: Any, within: InputWithin) -> Any:
        return model.vector_field(t, y, within)

    def step(state: _State) -> _State:
        is_done = (state.t >= t1) | state.is_stuck
        left = state.t
        end = jnp.minimum(jnp.min(jnp.where(jumps > left, jumps, jnp.inf), initial=jnp.inf), t1)
        # a step that would leave less than a tenth of itself takes the rest too
        is_last = left + 1.1 * state.h >= end
        right = jnp.where(is_last, end, left + state.h)
        right = jnp.where(is_done, left, right)
        within = InputWithin(stimulus, left, right)
        y, ks, error = _attempt(model, within, state, tolerances)
        k_end = ks[-1]
        is_good = (error <= 1) & ~is_done
        # not a power, which is computed lane by lane
        factor = jnp.clip(_SAFETY * exp(-0.2 * jnp.log(jnp.maximum(error, 1e-10))), _LEAST, _MOST)
        factor = jnp.where(jnp.isfinite(error), factor, _LEAST)
        h = jnp.minimum(factor * (right - left), tolerances.dtmax)
        # a step cut short by a jump or the end says little about the next one
        h = jnp.where(is_good & is_last, jnp.maximum(h, state.h), h)
        moved = where(is_good, y, state.y)
        t = jnp.where(is_good, right, left)
        spike = _spike(model, within, (state.y, y), ks, is_good)
        span = Span(left, t, state.y, moved, *spike, no_row)
        k_end = where(is_good, k_end, state.k)
        if jumps.size:  # the slope beyond a jump is another one
            at_jump = is_good & jnp.any(t == jumps)
            k_end = jax.lax.cond(
                any_lane(at_jump),
                lambda: where(at_jump, slope(t, moved, InputWithin(stimulus, t, jnp.nextafter(t, t1 + 1))), k_end),
                lambda: k_end,
            )
        is_stuck = state.is_stuck | (~is_done & (left + h <= left) & ~is_good)
        n_accepted = state.n_accepted + is_good
        return _State(
            state.n + 1,
            t,
            jnp.where(is_done, state.h, h),
            moved,
            k_end,
            is_stuck,
            n_accepted,
            keep(state.kept, state.n, span),
        )

    def is_running(state: _State) -> Array:
        return any_lane((state.t < t1) & ~state.is_stuck) & (state.n < tolerances.max_steps)

    within = InputWithin(stimulus, t0, jnp.nextafter(t0, t1))
    k0 = slope(t0, y0, within)
    start = _State(
        jnp.asarray(0), t0, _first_step(y0, k0, tolerances), y0, k0, jnp.asarray(False), jnp.asarray(0), kept
    )
    end = jax.lax.while_loop(is_running, step, start)
    result = first_failure(
        (end.is_stuck | ~is_finite(end.y), RESULTS.nonfinite), (end.t < t1, RESULTS.max_steps_reached)
    )
    return end.kept, result, {"n_steps": end.n, "n_rejected": end.n - end.n_accepted}


def _attempt(
    model: AbstractModel, within: InputWithin, state: _State, tolerances: Tolerances
) -> tuple[Any, list[Any], Float[Array, ""]]:
    """State at the end of a step, its slopes, the last one at that end, and its error in units of the tolerances."""
    h = within.right - within.left
    term = ModelTerm(model)
    ks = _METHOD.slopes(term, within.left, within.right, state.y, within, first=state.k)
    y = separated(_METHOD.combined(state.y, h, ks))
    ks = [*ks, separated(model.vector_field(within.right, y, within))]

    def scaled(before: Array, after: Array, *slopes: Array) -> Array:
        error = h * sum(w * k for w, k in zip(_METHOD.error, slopes, strict=True))
        size = tolerances.atol + tolerances.rtol * jnp.maximum(jnp.abs(before), jnp.abs(after))
        return jnp.mean((error / size) ** 2)

    parts = jax.tree.leaves(jax.tree.map(scaled, state.y, y, *ks))
    return y, ks, jnp.sqrt(sum(parts) / len(parts))


def _spike(
    model: AbstractModel, within: InputWithin, ys: tuple[Any, Any], ks: list[Any], is_good: Array
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    h = within.right - within.left
    has_crossed, offset = crossing_time(
        model, within, h, *ys, lambda: _METHOD.course(h, [model.voltage(k) for k in ks])
    )
    return has_crossed & is_good, jnp.where(is_good, offset, jnp.inf)


def _first_step(y: Any, k: Any, tolerances: Tolerances) -> Float[Array, ""]:
    """A hundredth of the time in which the state would change by its size (Hairer, Norsett & Wanner, sec. II.4)."""

    def norm(tree: Any) -> Array:
        scaled = jax.tree.map(lambda x, s: x / (tolerances.atol + tolerances.rtol * jnp.abs(s)), tree, y)
        return jnp.sqrt(jnp.mean(jnp.stack([jnp.mean(x**2) for x in jax.tree.leaves(scaled)])))

    size, speed = norm(y), norm(k)
    is_usable = (size > 1e-5) & (speed > 1e-5)
    h = jnp.where(is_usable, 0.01 * size / jnp.where(is_usable, speed, 1.0), 1e-3)
    return jnp.minimum(h, tolerances.dtmax)
