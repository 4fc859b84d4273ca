"""What integrate-and-fire models share: presets by name, the order of their voltages, held and free flow."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro.numerics import exp, exp_difference, where
from jaxneuro.params import is_concrete

__all__ = ["Preset", "check_below", "held_or_free", "leaky_response"]


class Preset(NamedTuple):
    """Parameter values of a published neuron, and the constant current that it is shown with [the model's unit]."""

    values: Mapping[str, Any]
    i_app: float


def check_below(low_name: str, low: Any, high_name: str, high: Any) -> None:
    """Raise a ValueError unless the voltage `low` is below `high` [mV]; traced values are skipped."""
    if is_concrete(low, high) and np.any(np.asarray(low) >= np.asarray(high)):
        raise ValueError(
            f"Argument `{low_name}` must be below `{high_name}`, but is {low_name}={low} mV with "
            f"{high_name}={high} mV; lower {low_name}."
        )


def held_or_free(is_held: Bool[Array, "*c"] | bool, held: Callable[[], Any], free: Callable[[], Any]) -> Any:
    """`held()` where V is held and `free()` elsewhere; only the one that is needed, where that is known."""
    if isinstance(is_held, bool):
        return held() if is_held else free()
    return where(is_held, held(), free())


def leaky_response(
    V: Float[Array, "*c"],
    V_inf: Float[Array, "*c"],
    rate: Float[Array, "*c"],
    drives: list[tuple[Float[Array, "*c"], Float[Array, "*c"]]],
    h: Float[Array, "*c"],
) -> Float[Array, "*c"]:
    """V(h) of dV/dt = rate (V_inf - V) + sum of drives d e^{-r t}, each given as (d [mV/ms], r [1/ms]); rates may be
    equal."""
    driven = sum((d * exp_difference(r, rate, h) for d, r in drives), jnp.zeros_like(h))
    return V_inf + (V - V_inf) * exp(-rate * h) + driven
