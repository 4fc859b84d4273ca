"""Fixed grids that split where the stimulus jumps, and the input as one step sees it."""

import dataclasses
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxneuro.stimuli import AbstractStimulus

__all__ = ["InputWithin", "SplitGrid", "TimeGrid", "jumps_within", "split_grid"]


@dataclasses.dataclass(frozen=True)
class TimeGrid:
    """Start, end and saving interval of a run [ms]: Python numbers, known before compilation."""

    t0: float
    t1: float
    dt_save: float

    @property
    def save_ts(self) -> np.ndarray:
        """t0, t0 + dt_save, ... and t1, in float64."""
        return _regular(self.t0, self.t1, self.dt_save)

    def steps(self, dt: float) -> np.ndarray:
        """Edges t0, t0 + dt, ... and t1 of a fixed grid, in float64."""
        return _regular(self.t0, self.t1, dt)

    def last_step(self, dt: float) -> float:
        """Length of the last step, which may be shorter than dt [ms]; the same wherever the run begins."""
        return self.t1 - self.t0 - dt * (self.steps(dt).size - 2)

    def stride(self, dt: float) -> int:
        """How many steps of `dt` there are from one saving time to the next."""
        return round(self.dt_save / dt)

    def save_indices(self, dt: float) -> np.ndarray:
        """Which edges of `steps(dt)` are saved; a ValueError if the saving times are not among them."""
        stride = self.stride(dt)
        if stride < 1 or abs(stride * dt - self.dt_save) > 1e-9 * self.dt_save:
            raise ValueError(
                f"Argument `dt_save` must be a multiple of the solver's dt={dt:g} ms, but is dt_save={self.dt_save:g} "
                f"ms; use e.g. dt_save={max(stride, 1) * dt:g}."
            )
        last = len(self.steps(dt)) - 1
        return np.unique(np.append(np.arange(0, last, stride), last))


def _regular(t0: float, t1: float, dt: float) -> np.ndarray:
    n = max(math.ceil((t1 - t0) / dt - 1e-6), 1)  # 1e-6 of a step: rounding must not add an empty last one
    ts = t0 + dt * np.arange(n + 1)
    ts[-1] = t1
    return ts


class SplitGrid(NamedTuple):
    """Union of a regular grid and the stimulus' jump times: static count, traced values, zero-length steps allowed."""

    edges: Float[Array, " n_edge"]
    """Step k runs from edges[k] to edges[k + 1] [ms]."""
    lengths: Float[Array, " n_step"]
    """Length of each step [ms]: that of `dt` in float64, not the difference of two rounded edges."""
    starts: Float[Array, " n_edge"]
    """Time of each edge after the last regular point [ms]."""
    regular_index: Int[Array, " n_edge"]
    """Index on the regular grid of the last regular point at or before each edge."""
    is_regular: Array
    """Whether the edge is a point of the regular grid."""
    save_indices: Int[Array, " n_save"]
    """Edges whose states are saved."""
    save_rows: Int[Array, " n_edge"]
    """The inverse: which of the saved states an edge's is; n_save if it is not saved."""
    common_length: float | None
    """Length of all steps [ms] where it is the same, so that what depends on it is computed once, before the loop; None
    where jumps or a shorter last step make others."""


def split_grid(grid: TimeGrid, dt: float, stimulus: AbstractStimulus) -> SplitGrid:
    """Grid of step `dt` [ms] over `grid`, split at the stimulus' jumps; differentiable in the jump times."""
    regular = jnp.asarray(grid.steps(dt), jnp.result_type(float))
    cells = jnp.asarray(np.append(np.diff(grid.steps(dt)), 0.0), regular.dtype)
    saved = grid.save_indices(dt)
    rows = np.full(regular.size, saved.size)
    rows[saved] = np.arange(saved.size)
    jumps = jumps_within(stimulus, regular, dt)
    # merged by counting: jumps are few, and sorting a long grid in every lane of a sweep would cost more than its steps
    place = jnp.arange(jumps.size) + jnp.sum(regular[None, :] <= jumps[:, None], axis=1)
    k = jnp.arange(regular.size + jumps.size)
    is_at = place[:, None] == k[None, :]
    is_regular = ~jnp.any(is_at, axis=0)
    regular_index = k - jnp.sum(place[:, None] <= k[None, :], axis=0)
    edges = jnp.where(is_regular, regular[regular_index], jnp.sum(jnp.where(is_at, jumps[:, None], 0.0), axis=0))
    starts = jnp.where(is_regular, 0.0, edges - regular[regular_index])
    lengths = jnp.where(is_regular[1:], cells[regular_index[:-1]], starts[1:]) - starts[:-1]
    save_indices = jnp.asarray(saved) + jnp.sum(jumps[:, None] < regular[saved][None, :], axis=0)
    save_rows = jnp.where(is_regular, jnp.asarray(rows)[regular_index], saved.size)
    is_even = jumps.size == 0 and abs(grid.last_step(dt) - dt) < 1e-9 * dt
    common_length = dt if is_even else None
    return SplitGrid(edges, lengths, starts, regular_index, is_regular, save_indices, save_rows, common_length)


def jumps_within(stimulus: AbstractStimulus, regular: Float[Array, " n"], dt: float) -> Float[Array, " n_jump"]:
    """The stimulus' jump times, those outside the regular grid at its ends, where they make empty steps.

    Those that rounding alone keeps off a grid point are put onto it: in so short a step no value can be told from the
    one beyond the jump, and the derivative in the jump time would be lost.
    """
    raw = stimulus.jump_ts.astype(regular.dtype)
    # infinite ones must not carry inf * 0 gradients
    jumps = jnp.where(raw > regular[0], jnp.where(raw < regular[-1], raw, regular[-1]), regular[0])
    index = jnp.round((jumps - regular[0]) / dt).astype(int)
    nearest = regular[jnp.clip(index, 0, regular.size - 1)]
    is_near = jnp.abs(jumps - nearest) <= 4 * np.finfo(regular.dtype).eps * jnp.abs(nearest)
    return jnp.where(is_near, nearest + (jumps - jax.lax.stop_gradient(jumps)), jumps)


class InputWithin(eqx.Module):
    """The stimulus as the step [left, right] sees it: the right limit at its start, the left limit at its end.

    It is called with the time after `origin`. A fixed step counts time from its own start, so that its length is not
    the difference of two large numbers.

    Stage times are pulled inside by a few units in the last place, so that a step never sees the value beyond a jump
    at its border; in an empty step the value before the jump counts, which makes derivatives in the jump time exact.
    """

    stimulus: AbstractStimulus
    left: Float[Array, ""]
    right: Float[Array, ""]
    origin: Float[Array, ""] | float = 0.0

    def __call__(self, t: Float[Array, ""]) -> Any:
        t = t + self.origin
        left, right = jax.lax.stop_gradient((self.left, self.right))
        # more than what `_snapped` may have moved a jump by
        few_ulp = 8 * np.finfo(left.dtype).eps * jnp.maximum(jnp.abs(left), jnp.abs(right))
        # a step may be shorter than that, where two jumps differ by rounding
        margin = jnp.where(right > left, jnp.minimum(few_ulp, 0.25 * (right - left)), few_ulp)
        return self.stimulus(jnp.minimum(jnp.maximum(t, self.left + margin), self.right - margin))

    def midpoint(self) -> Any:
        """Value in the middle of the step."""
        return self(0.5 * (self.left + self.right) - self.origin)
