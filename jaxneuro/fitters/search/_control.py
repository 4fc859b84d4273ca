"""Who is told how far a fit is, and what ends it before its last step."""

import inspect
import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxneuro._arguments import check_flags
from jaxneuro.fitters.search._checkpoint import Checkpoint
from jaxneuro.params import is_concrete

__all__ = ["Control", "Progress", "checked_control"]


class Progress(NamedTuple):
    """How far a fit has come, as its `callback` gets it every 5 or 10 steps."""

    stage: str
    n_steps: int
    """Of all stages so far."""
    loss: float
    """Lowest of all starts, in the stage's own loss."""
    values: dict[str, float]
    """Parameter name -> value there [its unit]."""
    seconds: float
    """Since the call."""


class Control(NamedTuple):
    """What watches a fit while it goes on."""

    progress: bool = True
    callback: Callable[[Progress], Any] | None = None
    patience: int | None = None
    time_budget: float | None = None
    checkpoint: Checkpoint | None = None
    began: float | None = None
    """When the call did, by time.monotonic(); None for now."""


def checked_control(
    progress: bool,
    polish: bool,
    callback: Callable[[Progress], Any] | None,
    patience: int | None,
    time_budget: float | None,
    checkpoint: str | os.PathLike | None,
    checkpoint_every: float,
) -> Control:
    """The same, or the sentence that says what is wrong."""
    check_flags(progress=progress, polish=polish)
    if callback is not None and not callable(callback):
        raise TypeError(
            f"Argument `callback` must be a function of a Progress, but is {callback!r}; write e.g. "
            "lambda progress: progress.loss < 0.25."
        )
    if callback is not None:
        _check_takes_one(callback)
    if patience is not None and (isinstance(patience, bool) or not isinstance(patience, int) or patience < 1):
        raise ValueError(
            f"Argument `patience` must be a whole number of steps of at least 1, but is {patience!r}; use e.g. 50."
        )
    if time_budget is not None and not (is_concrete(time_budget) and 0 < time_budget < math.inf):
        raise ValueError(
            f"Argument `time_budget` must be a positive number [s], but is {time_budget!r}; use e.g. 60.0."
        )
    file = None if checkpoint is None else Checkpoint(checkpoint, checkpoint_every)
    return Control(progress, callback, patience, time_budget, file, time.monotonic())


def _check_takes_one(callback: Callable[[Progress], Any]) -> None:
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(
            f"Argument `callback` must take one argument, a Progress, but cannot ({error}); write e.g. "
            "lambda progress: progress.loss < 0.25."
        ) from None
