"""How far a prediction is from its target: residuals, whose mean square is the loss.

A loss is any function of (prediction, target). If it returns an array, these are residuals: the fit
ends with Gauss-Newton steps on them. A single number is minimised as it is, by gradients alone.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro._arguments import check_kind
from jaxneuro._solution import Solution
from jaxneuro.analysis.firing import FIResult, shortfall
from jaxneuro.fitters.targets._targets import AbstractTarget, ClampCurrent, FICurve, SpikeTimes, VoltageTrace

__all__ = [
    "AbstractLoss",
    "AbstractNumber",
    "AbstractResiduals",
    "CurrentLoss",
    "FILoss",
    "SpikeTimeLoss",
    "TraceLoss",
    "checked_loss",
]


def _array(value: float) -> Array:
    return jnp.asarray(value, jnp.result_type(float))


def _check_huber(huber: float | None, unit: str) -> None:
    if huber is not None and not huber > 0:
        raise ValueError(f"Argument `huber` must be positive [{unit}], but is {huber}; use e.g. 10.")


def _softened(error: Float[Array, "*n"], huber: float) -> Float[Array, "*n"]:
    """The root of 2 huber^2 (sqrt(1 + z^2) - 1), z = error / huber, with the sign of the error; smooth at 0."""
    return error * jnp.sqrt(2 / (1 + jnp.sqrt(1 + (error / huber) ** 2)))


class AbstractLoss(eqx.Module):
    """Residuals, or other numbers that a prediction has for every datum, and the loss as a sum over them."""

    unit: eqx.AbstractClassVar[str]
    """Unit of the loss."""
    targets: eqx.AbstractClassVar[tuple[type[AbstractTarget], ...]]
    """Kinds of targets that it is for."""
    is_likelihood: eqx.AbstractClassVar[bool]
    """Whether the loss is the negative logarithm of a likelihood per datum, whose curvature needs no scale."""

    @abc.abstractmethod
    def __call__(self, prediction: Any, target: Any) -> Any:
        """An array, or a tree of some."""

    @abc.abstractmethod
    def value(self, errors: Any, target: Any) -> Float[Array, ""]:
        """The loss: convex in `errors`, and a sum of one term for each of them."""


def checked_loss(name: str, loss: Any, target: AbstractTarget) -> Callable[[Any, Any], Any]:
    """The loss; a TypeError for what is none, and a ValueError for one of another kind of target."""
    example = "use e.g. TraceLoss(huber=10.0)"
    if isinstance(loss, type) or not callable(loss):
        check_kind(
            name, loss, AbstractLoss, "a loss, or a function (prediction, target) -> residuals or a number", example
        )
    if isinstance(loss, AbstractLoss) and not isinstance(target, loss.targets):
        kinds = " or ".join(kind.__name__ for kind in loss.targets)
        raise ValueError(
            f"Argument `{name}` must suit the target, but {type(loss).__name__} is for a {kinds} and the target is a "
            f"{type(target).__name__}; leave it out, or make a {kinds}."
        )
    return loss


class AbstractResiduals(AbstractLoss):
    """Residuals whose mean square is the loss."""

    is_likelihood: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, prediction: Any, target: Any) -> Float[Array, " n"]:
        """Residuals of a prediction."""

    def value(self, errors: Float[Array, " n"], target: Any) -> Float[Array, ""]:
        return jnp.mean(errors**2)


class AbstractNumber(AbstractLoss):
    """A loss that is one number without residuals, which gradients alone minimise."""

    is_likelihood: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, prediction: Any, target: Any) -> Float[Array, ""]:
        """The loss of a prediction."""

    def value(self, errors: Float[Array, ""], target: Any) -> Float[Array, ""]:
        return errors


class TraceLoss(AbstractResiduals):
    """Voltage error at every sample; the loss is its mean square [mV^2].

    **Arguments:** `huber` [mV]: errors beyond it count by their size, not its square, so that a
    spike which is off by its own width does not outweigh all else:
    r^2 -> 2 huber^2 (sqrt(1 + (r / huber)^2) - 1). None for plain squares.

    References: Huber (1964), Ann Math Stat 35:73. doi:10.1214/aoms/1177703732; Charbonnier et al.
    (1997), IEEE Trans Image Process 6:298. doi:10.1109/83.551699 (the smooth form).
    """

    unit: ClassVar[str] = "mV^2"
    targets: ClassVar[tuple[type, ...]] = (VoltageTrace,)
    huber: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check_huber(self.huber, "mV")

    def __call__(self, solution: Solution, target: VoltageTrace) -> Float[Array, " n_time"]:
        error = target.recorded(solution) - target.voltage
        if target.mask is not None:
            # the mean over all samples becomes the mean over those that are compared
            error = jnp.where(target.mask, error, 0.0) * jnp.sqrt(target.mask.size / jnp.sum(target.mask))
        return error if self.huber is None else _softened(error, self.huber)


class CurrentLoss(AbstractResiduals):
    """Error of the recorded current at every sample; the loss is its mean square [pA^2]."""

    unit: ClassVar[str] = "pA^2"
    targets: ClassVar[tuple[type, ...]] = (ClampCurrent,)

    def __call__(self, solution: Solution, target: ClampCurrent) -> Float[Array, " n_time"]:
        return target.recorded(solution) - target.current


class FILoss(AbstractResiduals):
    """Error of the smooth firing rate; the loss is its mean square [Hz^2].

    Where the cell fires, the aim is rate + in_bin / duration: the middle of the bin that a count
    stands for. Where it is silent, only a smooth count above `silent` is an error.

    **Arguments:** `silent` [1], between 0 and 1. Below 1 the threshold keeps some distance, so that
    a rounding error does not make the silent neuron fire.
    """

    unit: ClassVar[str] = "Hz^2"
    targets: ClassVar[tuple[type, ...]] = (FICurve,)
    silent: Array = eqx.field(converter=_array, default=0.9)

    def __call__(self, prediction: FIResult, target: FICurve) -> Float[Array, " n_current"]:
        per_count = 1e3 / target.duration
        aim = target.rate + per_count * target.in_bin
        too_much = jax.nn.relu(prediction.smooth_rate - per_count * self.silent)
        return jnp.where(target.rate > 0, prediction.smooth_rate - aim, too_much)


class SpikeTimeLoss(AbstractResiduals):
    """Error of the k-th spike's time; the loss is the sum of squares per data spike [ms^2].

    A spike that the model lacks counts as one after t1, `per_mV` later for each mV by which the
    voltage stays below threshold after its last spike. A spike too many counts by how much too
    early it is to fall after t1. Both join the matched case continuously as a spike crosses t1, and
    have a gradient.

    **Arguments:** `per_mV` [ms/mV]; `huber` [ms], as in `TraceLoss`, so that a spike near threshold, which comes late
    by chance, does not outweigh the others.
    """

    unit: ClassVar[str] = "ms^2"
    targets: ClassVar[tuple[type, ...]] = (SpikeTimes,)
    per_mV: Array = eqx.field(converter=_array, default=1.0)
    huber: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check_huber(self.huber, "ms")

    def __call__(self, solution: Solution, target: SpikeTimes) -> Float[Array, " n_kept"]:
        times, is_data = solution.spike_times, jnp.isfinite(target.times)
        has_spike = jnp.isfinite(times)
        last = jnp.max(jnp.where(has_spike, times, 0.0))
        below = shortfall(solution, last)
        aims = jnp.where(is_data, target.times, target.t1)
        late = jnp.where(is_data, target.t1 + self.per_mV * below, target.t1)
        error = jnp.where(has_spike, times, late) - aims
        error = error if self.huber is None else _softened(error, self.huber)
        # the mean over all kept spikes becomes the mean over those of the data
        return error * jnp.sqrt(times.size / jnp.sum(is_data))
