"""Models that reset, on the grid: spikes at the end of a step, with surrogate derivatives if wanted."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.fusion import separated
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
    rest: Float[Array, ""]
    """What is left of the refractory period [ms]; 0 after it, where a spike may come; -1 after a spike without one,
    until the neuron has been below threshold. One number, since each that is carried is a loop over the lanes."""


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
        return _Carry(self.y0, jnp.zeros_like(self.model.gap(self.y0)))

    def step(self, carry: _Carry, edge: Edge) -> tuple[_Carry, Span]:
        model, h = self.model, edge.length
        rest = carry.rest
        is_held = rest > 0.5 * h
        y = separated(self._moved(carry.y, edge, is_held))
        gap = model.gap(y)
        # an empty step, where the stimulus jumps on the grid, is none
        may_fire = (rest >= 0) & ~is_held & (h > 0)
        has_spiked = may_fire & (gap >= 0)
        spike = None if self.surrogate is None else jnp.where(may_fire, self.surrogate(gap), 0.0)
        y = model.reset(y, self._strength(has_spiked, spike))
        # the end of a refractory period arms, wherever the voltage is by then
        is_below = model.gap(y) < 0
        rest = jnp.where(rest > 0, jnp.maximum(rest - h, 0.0), jnp.where(is_below, 0.0, rest))
        rest = jnp.where(has_spiked, jnp.where((model.t_ref > 0) | is_below, model.t_ref, -1.0), rest)
        span = Span(
            edge.left, edge.right, carry.y, y, has_spiked, jnp.where(has_spiked, h, jnp.inf), edge.row, spike=spike
        )
        return _Carry(y, rest), span

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
