"""Models that reset, on the grid: spikes at the end of a step, with surrogate derivatives if wanted."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models import AbstractSpikingModel
from jaxneuro.numerics import where
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._grid import SplitGrid
from jaxneuro.solvers._one_step import one_step
from jaxneuro.solvers._program import AbstractProgram, Edge, Span, is_finite
from jaxneuro.stimuli import AbstractStimulus
from jaxneuro.surrogates import AbstractSurrogate

__all__ = ["GridSpikes"]


class _Carry(NamedTuple):
    y: Any
    refractory: Float[Array, ""]
    """What is left of it [ms]."""
    is_armed: Bool[Array, ""]
    """Has been below threshold since the last spike."""


class GridSpikes(AbstractProgram):
    """A model that resets: the threshold is tested at the end of each step, and V held for t_ref.

    V is held for the whole number of steps nearest to t_ref, which counting down without tolerance would make one more
    wherever rounding leaves a little of the last one.
    """

    model: AbstractSpikingModel
    stimulus: AbstractStimulus
    y0: Any
    split: SplitGrid
    solver: diffrax.AbstractSolver | None
    surrogate: AbstractSurrogate | None
    attach_reset: bool = eqx.field(static=True)

    def init(self) -> _Carry:
        gap = self.model.gap(self.y0)
        return _Carry(self.y0, jnp.zeros_like(gap), jnp.ones_like(gap, dtype=bool))

    def step(self, carry: _Carry, edge: Edge) -> tuple[_Carry, Span]:
        model, h = self.model, edge.length
        is_held = carry.refractory > 0.5 * h
        y = self._moved(carry.y, edge, is_held)
        gap = model.gap(y)
        # the end of a refractory period arms, wherever the voltage is by then
        is_armed = carry.is_armed | (carry.refractory > 0)
        # an empty step, where the stimulus jumps on the grid, is none
        may_fire = is_armed & ~is_held & (h > 0)
        has_spiked = may_fire & (gap >= 0)
        spike = None if self.surrogate is None else jnp.where(may_fire, self.surrogate(gap), 0.0)
        y = model.reset(y, self._strength(has_spiked, spike))
        gap_after = model.gap(y)
        refractory = jnp.where(has_spiked, model.t_ref, jnp.maximum(carry.refractory - h, 0.0))
        is_armed = jnp.where(has_spiked | is_held, gap_after < 0, is_armed | (gap_after < 0))
        span = Span(
            edge.left, edge.right, carry.y, y, has_spiked, jnp.where(has_spiked, h, jnp.inf), edge.row, spike=spike
        )
        return _Carry(y, refractory, is_armed), span

    def _moved(self, y: Any, edge: Edge, is_held: Bool[Array, ""]) -> Any:
        within = edge.input(self.stimulus)
        if self.solver is None:
            return self.model.flow(y, within.midpoint(), edge.length, is_held=is_held)
        moved = one_step(self.solver, self.model, y, within, edge.length)
        return where(is_held, self.model.flow(y, within.midpoint(), edge.length, is_held=True), moved)

    def _strength(self, has_spiked: Bool[Array, ""], spike: Float[Array, ""] | None) -> Float[Array, ""]:
        """By how much the reset acts, 0 or 1, with the derivative of the surrogate if it is attached."""
        if spike is None:
            return has_spiked.astype(jnp.result_type(float))
        return spike if self.attach_reset else jax.lax.stop_gradient(spike)

    def outcome(self, carry: _Carry) -> RESULTS:
        return first_failure((~is_finite(carry.y), RESULTS.nonfinite))
