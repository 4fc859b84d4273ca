"""Stochastic threshold: spikes at a rate that grows with the distance to threshold."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from jaxneuro.models._base import AbstractSpikingModel
from jaxneuro.models._integrate_and_fire import held_or_free
from jaxneuro.numerics import bounded_exp
from jaxneuro.params import param

__all__ = ["EscapeRate", "EscapeRateState"]


class EscapeRateState(NamedTuple):
    """The neuron's state; hazard since the last spike and the one at which the next spike comes [1]; spikes so far."""

    cell: Any
    hazard: Float[Array, "*c"]
    limit: Float[Array, "*c"]
    n_spikes: Float[Array, "*c"]


class EscapeRate(AbstractSpikingModel):
    """An integrate-and-fire neuron with escape noise: it fires with a rate that depends on its distance to threshold.

    rate = rate_0 exp(gap / Delta_u)                     [Hz], gap = V - threshold [mV]
    dH/dt = rate, outside of t_ref; a spike where H reaches E, which is drawn from the exponential distribution of
    mean 1; H -> 0 and a new E

    This is the point process of intensity `rate`, so around a `GLIF` it is the stochastic GIF model. Spike times are
    exact, and differentiable at a fixed `seed`; vmap or sweep over seeds for trials. State: that of `cell` and H, E,
    number of spikes [1]. H is integrated by Simpson's rule over each step.

    >>> EscapeRate(LIF(), rate_0=100.0, Delta_u=2.0)

    References: Gerstner et al. (2014), Neuronal Dynamics, ch. 9.1; Pozzorini et al. (2015), PLoS Comput Biol
    11:e1004275 (GIF). doi:10.1371/journal.pcbi.1004275
    """

    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False
    cell: AbstractSpikingModel
    rate_0: Array = param(100.0, unit="Hz", bounds=(0, None), doc="Rate of spikes at threshold.")
    Delta_u: Array = param(2.0, unit="mV", bounds=(0, None), is_open=True, doc="Width of the threshold.")
    seed: Array = param(0.0, unit="1", bounds=(0, None), is_whole=True, doc="Names the train of random numbers.")
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not isinstance(self.cell, AbstractSpikingModel):
            raise TypeError(
                f"Argument `cell` must be a model with a reset, but is {type(self.cell).__name__}; use e.g. LIF()."
            )

    @property
    def input_unit(self) -> str:
        return self.cell.input_unit

    @property
    def t_ref(self) -> Float[Array, "*c"]:
        return self.cell.t_ref

    @property
    def dt_default(self) -> float:
        return self.cell.dt_default

    def init_state(self) -> EscapeRateState:
        none = jnp.zeros_like(self.rate_0)
        return EscapeRateState(self.cell.init_state(), none, self._drawn(none), none)

    def dynamics(self, y: EscapeRateState, i_app: PyTree) -> EscapeRateState:
        still = jnp.zeros_like(y.limit)
        return EscapeRateState(self.cell.dynamics(y.cell, i_app), self._hazard_rate(y.cell), still, still)

    def voltage(self, y: EscapeRateState) -> Float[Array, "..."]:
        return self.cell.voltage(y.cell)

    def gap(self, y: EscapeRateState) -> Float[Array, "*c"]:
        """What the hazard still lacks; not a voltage, but the spike is where it comes to 0."""
        return y.hazard - y.limit

    def reset(self, y: EscapeRateState, s: Float[Array, "*c"]) -> EscapeRateState:
        n_spikes = y.n_spikes + s
        limit = y.limit + s * (self._drawn(n_spikes) - y.limit)
        return EscapeRateState(self.cell.reset(y.cell, s), y.hazard - s * y.hazard, limit, n_spikes)

    def flow(
        self, y: EscapeRateState, i_app: PyTree, h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> EscapeRateState:
        def free() -> EscapeRateState:
            middle, end = (self.cell.flow(y.cell, i_app, part * h, is_held=False) for part in (0.5, 1.0))
            weighted = self._hazard_rate(y.cell) + 4 * self._hazard_rate(middle) + self._hazard_rate(end)
            return y._replace(cell=end, hazard=y.hazard + h / 6 * weighted)

        return held_or_free(is_held, lambda: y._replace(cell=self.cell.flow(y.cell, i_app, h, is_held=True)), free)

    def _hazard_rate(self, cell: Any) -> Float[Array, "*c"]:
        """Rate of spikes [1/ms]."""
        return 1e-3 * self.rate_0 * bounded_exp(self.cell.gap(cell) / self.Delta_u)

    def _drawn(self, n_spikes: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """The limit after so many spikes: the same for the same seed, whatever else happened."""

        def one(seed: Array, n: Array) -> Array:
            key = jax.random.fold_in(jax.random.key(seed.astype(jnp.int32)), jnp.ceil(n).astype(jnp.int32))
            return jax.random.exponential(key, dtype=n.dtype)

        return jnp.vectorize(one)(self.seed, n_spikes)
