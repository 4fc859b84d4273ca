"""Bounds without constraints: each parameter is a smooth, monotonic function of a free number u.

Optimisers move u; the bounds hold by themselves. u is of order 1 across the interval, whatever the
parameter's unit, so that one learning rate serves all. Bounds are arrays: others do not recompile.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = [
    "AbstractTransform",
    "Above",
    "Below",
    "Between",
    "BetweenPositive",
    "Unbounded",
    "transform_for",
]


class AbstractTransform(eqx.Module):
    """A monotonic map from all numbers u [1] onto a parameter's interval [its unit]."""

    @abc.abstractmethod
    def forward(self, u: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Parameter value at u."""

    @abc.abstractmethod
    def inverse(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """The u of a value inside the interval."""


def _array(value: Any) -> Array:
    return jnp.asarray(value, jnp.result_type(float))


class Between(AbstractTransform):
    """low + (high - low) / (1 + e^-u)."""

    low: Array = eqx.field(converter=_array)
    high: Array = eqx.field(converter=_array)

    def forward(self, u: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return self.low + (self.high - self.low) * jax.nn.sigmoid(u)

    def inverse(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return jnp.log((value - self.low) / (self.high - value))


class BetweenPositive(AbstractTransform):
    """low (high / low)^(1 / (1 + e^-u)) for 0 < low < high: the sigmoid of the logarithm.

    For quantities known up to a factor, such as conductances and time constants.
    """

    low: Array = eqx.field(converter=_array)
    high: Array = eqx.field(converter=_array)

    def forward(self, u: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return self.low * jnp.exp(jnp.log(self.high / self.low) * jax.nn.sigmoid(u))

    def inverse(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return jnp.log(jnp.log(value / self.low) / jnp.log(self.high / value))


class Above(AbstractTransform):
    """low + scale ln(1 + e^u)."""

    low: Array = eqx.field(converter=_array)
    scale: Array = eqx.field(converter=_array)

    def forward(self, u: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return self.low + self.scale * jax.nn.softplus(u)

    def inverse(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return _inverse_softplus((value - self.low) / self.scale)


class Below(AbstractTransform):
    """high - scale ln(1 + e^-u)."""

    high: Array = eqx.field(converter=_array)
    scale: Array = eqx.field(converter=_array)

    def forward(self, u: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return self.high - self.scale * jax.nn.softplus(-u)

    def inverse(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return -_inverse_softplus((self.high - value) / self.scale)


class Unbounded(AbstractTransform):
    """centre + scale u; the identity for centre 0 and scale 1."""

    centre: Array = eqx.field(converter=_array, default=0.0)
    scale: Array = eqx.field(converter=_array, default=1.0)

    def forward(self, u: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return self.centre + self.scale * u

    def inverse(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        return (value - self.centre) / self.scale


def _inverse_softplus(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """ln(e^x - 1), written so that large x do not overflow."""
    return x + jnp.log(-jnp.expm1(-x))


def transform_for(low: float | None, high: float | None, value: float) -> AbstractTransform:
    """The transform of an interval; None is an open end.

    `value` [the parameter's unit], the model's own, sets the scale where an end is open: u = 0 lies
    near it.
    """
    if low is not None and high is not None:
        return BetweenPositive(low, high) if low > 0 else Between(low, high)
    # at u = 0, softplus is ln 2
    if low is not None:
        return Above(low, _scale(value - low) / np.log(2.0))
    if high is not None:
        return Below(high, _scale(high - value) / np.log(2.0))
    return Unbounded(value, _scale(abs(value)))


def _scale(distance: float) -> float:
    return distance if distance > 0 else 1.0
