"""A model that is made to spike where the data do: between spikes it is smooth in its parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models import AbstractSpikingModel, EscapeRate
from jaxneuro.numerics import where
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["ForcedRun", "log_rate", "run_along"]


class ForcedRun(NamedTuple):
    """What a model does at the end of each step while its spikes are given.

    `voltage` [mV], logarithm of the rate at which it would spike, `log_rate` [ln 1/ms], and whether it is refractory,
    shape (n_step + 1,); the logarithm just before each given spike, `at_spikes`, shape (n,), 0 for none.
    """

    voltage: Float[Array, " n_time"]
    log_rate: Float[Array, " n_time"]
    is_held: Bool[Array, " n_time"]
    at_spikes: Float[Array, " n"]
    result: RESULTS


def log_rate(model: AbstractSpikingModel, y: Any) -> Float[Array, ""]:
    """ln of the escape rate [1/ms]; of a model without escape noise its distance to threshold [mV]."""
    if isinstance(model, EscapeRate):
        return jnp.log(1e-3 * model.rate_0) + model.cell.gap(y) / model.Delta_u
    return model.gap(y)


def run_along(
    model: AbstractSpikingModel,
    stimulus: AbstractStimulus,
    times: Float[Array, " n"],
    t0: float,
    n_step: int,
    dt: float,
) -> ForcedRun:
    """The run from `t0` [ms] on over `n_step` steps of `dt` [ms], with the spikes of `times` [ms], padded with inf, at
    most one in a step, and none of its own. The input is constant in each step, as in its middle.

    The rule of the membrane is the model's: flow, reset, and what it holds for t_ref.
    """
    cell = model.cell if isinstance(model, EscapeRate) else model
    starts = t0 + dt * jnp.arange(n_step)
    place = jnp.searchsorted(times, starts)  # the first spike that is not before the step
    padded = jnp.append(times, jnp.inf)
    offsets = padded[place] - starts
    inputs = jax.vmap(stimulus)(starts + 0.5 * dt)

    def moved(y: Any, held: Array, i_app: Array, h: Array) -> tuple[Any, Array]:
        still = jnp.minimum(held, h)
        y = cell.flow(y, i_app, still, is_held=True)
        return cell.flow(y, i_app, h - still, is_held=False), held - still

    def step(carry: tuple[Any, Array], now: tuple[Array, Array]) -> tuple[tuple[Any, Array], tuple[Array, ...]]:
        (y, held), (i_app, offset) = carry, now
        has_spike = offset < dt
        first = jnp.where(has_spike, offset, dt)
        y, held = moved(y, held, i_app, first)
        at_spike = log_rate(model, y)
        y = where(has_spike, cell.reset(y, jnp.ones_like(held)), y)
        held = jnp.where(has_spike, cell.t_ref, held)
        y, held = moved(y, held, i_app, dt - first)
        return (y, held), (cell.voltage(y), log_rate(model, y), held > 0, at_spike)

    y0, free = cell.init_state(), jnp.zeros_like(cell.t_ref)
    _, (voltage, rate, is_held, at_spike) = jax.lax.scan(step, (y0, free), (inputs, offsets))
    step_of = jnp.clip(jnp.searchsorted(starts, times, side="right") - 1, 0, n_step - 1)
    at_spikes = jnp.where(jnp.isfinite(times), at_spike[step_of], 0.0)
    has_failed = ~(jnp.all(jnp.isfinite(voltage)) & jnp.all(jnp.isfinite(rate)))
    result = first_failure((has_failed, RESULTS.nonfinite))
    return ForcedRun(
        jnp.append(cell.voltage(y0), voltage),
        jnp.append(log_rate(model, y0), rate),
        jnp.append(False, is_held),
        at_spikes,
        result,
    )
