"""What is known of a parameter before the data: a normal distribution of it, or of its logarithm."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro._arguments import check_kind
from jaxneuro.fitters.search._experiment import limits
from jaxneuro.fitters.targets._samples import finite_number, positive_number

__all__ = ["AbstractPrior", "LogNormal", "Normal", "checked_priors"]

_FAR = 3.0  # standard deviations
_EXAMPLE = 'give e.g. {"leak.E_rev": Normal(-70.0, 3.0)}'


class AbstractPrior(eqx.Module):
    """A distribution whose negative logarithm is half the square of `deviation`, up to a constant."""

    @property
    @abc.abstractmethod
    def middle(self) -> Float[Array, ""]:
        """The value that is likeliest, or the median."""

    @abc.abstractmethod
    def deviation(self, value: Float[Array, ""]) -> Float[Array, ""]:
        """How many standard deviations a value is from the middle [1]."""


class Normal(AbstractPrior):
    """A parameter that is `mean` give or take `std` [both its unit].

    >>> fit(model, target, free={"leak.E_rev": (-90.0, -50.0)}, priors={"leak.E_rev": Normal(-74.0, 3.0)})
    """

    mean: Float[Array, ""]
    std: Float[Array, ""]

    def __init__(self, mean: float, std: float):
        self.mean = finite_number("mean", mean, "the parameter's unit", -70.0)
        self.std = positive_number("std", std, "the parameter's unit", 3.0)

    @property
    def middle(self) -> Float[Array, ""]:
        return self.mean

    def deviation(self, value: Float[Array, ""]) -> Float[Array, ""]:
        return (value - self.mean) / self.std


class LogNormal(AbstractPrior):
    """A positive parameter that is `median` [its unit], give or take a factor of e^sigma.

    >>> LogNormal(15.0, 0.6)
    """

    median: Float[Array, ""]
    sigma: Float[Array, ""]

    def __init__(self, median: float, sigma: float):
        self.median = positive_number("median", median, "the parameter's unit", 15.0)
        self.sigma = positive_number("sigma", sigma, "1", 0.5)

    @property
    def middle(self) -> Float[Array, ""]:
        return self.median

    def deviation(self, value: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.log(value / self.median) / self.sigma


def checked_priors(priors: Any, free: Mapping[str, Any]) -> dict[str, AbstractPrior]:
    """Priors by name of a free parameter; a sentence for another name or anything but a prior."""
    given = {} if priors is None else priors
    check_kind("priors", given, Mapping, "a dict of priors by the names of free parameters", _EXAMPLE)
    for name, prior in given.items():
        if name not in free:
            raise ValueError(
                f"Argument `priors` must name free parameters, but has {name!r}; choose from {', '.join(free)}."
            )
        if not isinstance(prior, AbstractPrior):
            raise TypeError(
                f"Argument `priors` must hold Normal or LogNormal, but is {prior!r} for {name!r}; write e.g. "
                "Normal(-70.0, 3.0)."
            )
        low, high = limits(free[name].bounds)
        if isinstance(prior, LogNormal) and low < 0:
            raise ValueError(
                f"Argument `priors` must be Normal where a parameter may be negative, but is LogNormal for {name!r}; "
                "raise its lower bound to 0 or more."
            )
        nearest = jnp.clip(prior.middle, low, high)
        if not abs(float(prior.deviation(nearest))) < _FAR:
            raise ValueError(
                f"Argument `priors` must suit the bounds of {name!r}, {low:g} to {high:g}, but is around "
                f"{float(prior.middle):g}, more than {_FAR:g} standard deviations beyond; move one of them."
            )
    return dict(given)
