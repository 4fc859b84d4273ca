"""Checks of what a target is made of: numbers, their times, and a stimulus that covers them."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro.numerics import as_floats
from jaxneuro.params import is_concrete
from jaxneuro.stimuli import AbstractStimulus

__all__ = [
    "check_covered",
    "check_equal_lengths",
    "checked_mask",
    "finite_number",
    "positive_number",
    "samples",
    "sampling",
    "whole_fraction",
]


def checked_mask(mask: Any, n_time: int) -> Bool[Array, " n_time"]:
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != (n_time,) or not array.any():
        raise ValueError(
            f"Argument `mask` must be {n_time} truth values, some of them True, but has shape {array.shape}, "
            f"{array.dtype} and {np.count_nonzero(array)} True; give one for each sample."
        )
    return jnp.asarray(array)


def positive_number(name: str, value: Any, unit: str, example: float, *, is_open: bool = True) -> Float[Array, ""]:
    """A single finite number > 0 (>= 0 unless `is_open`) as an array, or the sentence that says what is wrong."""
    rule = "positive" if is_open else "non-negative"
    return _number(name, value, unit, example, rule, lambda array: array > 0 or (array == 0 and not is_open))


def finite_number(name: str, value: Any, unit: str, example: float) -> Float[Array, ""]:
    """A single finite number as an array, or the sentence that says what is wrong."""
    return _number(name, value, unit, example, "finite", lambda array: True)


def _number(
    name: str, value: Any, unit: str, example: float, rule: str, obeys: Callable[[Array], Any]
) -> Float[Array, ""]:
    try:
        (array,) = as_floats(value)
    except (TypeError, ValueError):
        array = jnp.asarray(jnp.nan)
    is_good = array.ndim == 0
    if is_good and is_concrete(array):
        is_good = bool(np.isfinite(array) and obeys(array))
    if not is_good:
        shown = f"{float(array):g}" if array.ndim == 0 and np.isfinite(array) else repr(value)
        raise ValueError(f"Argument `{name}` must be a {rule} number [{unit}], but is {shown}; use e.g. {example}.")
    return array


def samples(name: str, values: Any, unit: str, least: int) -> Array:
    """`values` as a 1-D array of finite numbers, or the sentence that says what is wrong."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"Argument `{name}` must be a list of numbers [{unit}], but is {values!r}; give e.g. a NumPy array."
        ) from None
    if array.ndim == 0 and least > 1:
        raise ValueError(
            f"Argument `{name}` must be a list of at least {least} numbers [{unit}], but is {array:g}; give one trace "
            "or curve, and look at the order of the arguments."
        )
    if array.ndim != 1 or array.size < least:
        raise ValueError(
            f"Argument `{name}` must be a list of at least {least} numbers [{unit}], but has shape "
            f"{array.shape}; give one trace or curve."
        )
    is_bad = ~np.isfinite(array)
    if is_bad.any():
        k = int(np.argmax(is_bad))
        raise ValueError(
            f"Argument `{name}` must hold finite numbers [{unit}], but entry {k} is {array[k]} "
            f"({is_bad.sum()} such in all); cut them out or interpolate."
        )
    return jnp.asarray(array, jnp.result_type(float))


def check_equal_lengths(a_name: str, a: Array, b_name: str, b: Array) -> None:
    if a.size != b.size:
        raise ValueError(
            f"Arguments `{a_name}` and `{b_name}` must be equally long, but have {a.size} and "
            f"{b.size} entries; give one of each for every point."
        )


def sampling(ts: Any, n_time: int) -> tuple[float, float]:
    """First time and interval [ms] of `ts`, sample times or their interval."""
    if np.ndim(ts) == 0:
        if not is_concrete(ts) or not 0 < ts < np.inf:
            raise ValueError(
                f"Argument `ts` must be sample times or a positive interval [ms], but is {ts}; use e.g. 0.1."
            )
        return 0.0, float(ts)
    times = np.asarray(samples("ts", ts, "ms", least=2), np.float64)
    if times.size != n_time:
        raise ValueError(
            f"Arguments `ts` and `voltage` must be equally long, but have {times.size} and "
            f"{n_time} entries; give one of each for every point."
        )
    dt = (times[-1] - times[0]) / (n_time - 1)
    # times in a file are rounded; steps that differ by a tenth are another sampling
    if not dt > 0 or np.any(np.abs(np.diff(times) - dt) > 0.1 * dt):
        raise ValueError(
            "Argument `ts` must rise in equal steps, but its steps run from "
            f"{np.diff(times).min():g} to {np.diff(times).max():g} ms; sort it, and resample the "
            "trace evenly."
        )
    return float(times[0]), float(f"{dt:.9g}")


def whole_fraction(dt: float, longest: float) -> float:
    """A whole fraction of the sampling interval `dt`, at most `longest` [ms]."""
    return dt / math.ceil(dt / longest - 1e-9)


def check_covered(stimulus: AbstractStimulus, t0: float, t1: float) -> None:
    start, end = stimulus.domain
    slack = 1e-6 * (t1 - t0)
    if is_concrete(start, end) and (np.any(start > t0 + slack) or np.any(end < t1 - slack)):
        raise ValueError(
            f"Argument `stimulus` must cover the data from {t0:g} to {t1:g} ms, but is defined "
            f"from {float(start):g} to {float(end):g} ms; cut the data or lengthen the stimulus."
        )
