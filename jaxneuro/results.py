"""How a simulation ended, as a value: one lane of a batch that fails is marked, the others go on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

__all__ = ["RESULTS", "first_failure", "outcome_names", "worst"]


class RESULTS(eqx.Enumeration):
    """Outcome of one simulation; the text says what happened and what to do."""

    successful = "The simulation reached t1."
    nonfinite = "The state became infinite or NaN; use a smaller dt or an adaptive solver, and check the parameters."
    unstable_step = (
        "The step is too long for the explicit method: max |dV'/dV| dt came near its limit of stability; use a smaller "
        "dt, or ExponentialStrang."
    )
    max_steps_reached = (
        "The adaptive solver ran out of steps before t1; raise `max_steps`, loosen `rtol`, or use FixedStep(dt)."
    )
    several_spikes_in_step = (
        "A neuron crossed its threshold twice within one step, so spikes were missed; use a smaller dt or a longer "
        "t_ref."
    )
    too_many_spikes = (
        "A neuron fired more often than there is room for, once per ms, and was given up there; raise `max_spikes`, or "
        "use a longer t_ref."
    )
    max_spikes_reached = "More spikes occurred than are kept, so the last ones are missing; raise `max_spikes`."


def first_failure(*outcomes: tuple[Bool[Array, ""], RESULTS]) -> RESULTS:
    """The first failure in the list whose condition holds, else `RESULTS.successful`."""
    result = RESULTS.successful
    for has_failed, failure in reversed(outcomes):
        result = RESULTS.where(jnp.asarray(has_failed), failure, result)
    return result


def worst(outcomes: RESULTS) -> RESULTS:
    """One outcome of those of several lanes: a failure, if there is one."""
    value = jnp.ravel(outcomes._value)
    index = jnp.argmax(value != RESULTS.successful._value)
    return jax.tree.map(lambda leaf: jnp.ravel(leaf)[index], outcomes)


def outcome_names() -> dict[int, str]:
    """Number of every outcome, as arrays hold it -> its name."""
    return {int(np.asarray(item._value)): name for name, item in RESULTS._name_to_item.items()}
