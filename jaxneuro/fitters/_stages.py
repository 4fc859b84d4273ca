"""The running of a fit: stage after stage, chunk by chunk, and what each took and reached."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxneuro.fitters._engine import CHUNK, Problem, State, advance, initial_state, restarted
from jaxneuro.fitters._targets import AbstractTarget

__all__ = ["Run", "Stage", "StageReport", "n_gradient_steps", "run_stages"]

_FEW = 5  # steps between two looks at the gain, where Newton's steps are known to go fast
_SMALLEST_GAIN = 1e-6  # of the loss within a chunk, far below what noise in data leaves to find


class Stage(NamedTuple):
    """Steps of one kind on one loss."""

    name: str
    target: AbstractTarget
    n_steps: int
    """At most so many; a Levenberg-Marquardt stage ends when nothing is gained any more."""
    is_polishing: bool
    """Whether they are Levenberg-Marquardt steps."""
    is_new: bool
    """Whether its loss is another one than that of the stage before."""


def n_gradient_steps(stages: list[Stage]) -> int:
    """How many of the steps are the optimiser's."""
    return sum(stage.n_steps for stage in stages if not stage.is_polishing)


class StageReport(NamedTuple):
    """What a stage took and reached."""

    name: str
    n_steps: int
    n_simulations: int
    """Of each start, in units of one forward run; a Jacobian of P parameters counts 1 + P."""
    seconds: float
    loss: float | None
    """Lowest of all starts, in the stage's own loss; None of a stage without one."""
    is_new: bool = True
    """Whether its loss is another one than that of the stage before."""


class Run(NamedTuple):
    state: State
    history: np.ndarray  # losses (step, start)
    reports: list[StageReport]
    is_interrupted: bool


def run_stages(
    problem: Problem,
    optimizer: optax.GradientTransformation,
    u0: Float[Array, "s p"],
    stages: list[Stage],
    progress: bool,
) -> Run:
    """All stages, chunk by chunk; what has been reached after Ctrl-C."""
    from tqdm import tqdm

    state = initial_state(optimizer, u0)
    history: list[np.ndarray] = []
    reports: list[StageReport] = []
    is_interrupted = False
    with tqdm(total=sum(stage.n_steps for stage in stages), desc="fit", unit="step", disable=not progress) as bar:
        try:
            for stage in stages:
                began, first = time.perf_counter(), len(history)
                for after, losses in _advanced(problem, optimizer, state, stage):
                    state = after
                    history.append(losses)
                    bar.update(len(losses))
                    bar.set_postfix(stage=stage.name, loss=f"{np.min(state.best.loss):.4g}")
                n_steps = sum(len(losses) for losses in history[first:])
                seconds = time.perf_counter() - began
                n_runs = n_steps * (1 + u0.shape[1])
                reports.append(
                    StageReport(stage.name, n_steps, n_runs, seconds, float(np.min(state.best.loss)), stage.is_new)
                )
        except KeyboardInterrupt:
            if not history:
                raise
            is_interrupted = True
    return Run(state, np.concatenate(history), reports, is_interrupted)


def _advanced(
    problem: Problem, optimizer: optax.GradientTransformation, state: State, stage: Stage
) -> Iterator[tuple[State, np.ndarray]]:
    """The state after each chunk of a stage, and the losses (step, start) in it, until nothing is gained any more."""
    problem = eqx.tree_at(lambda p: p.target, problem, stage.target)
    state = restarted(state) if stage.is_new else state
    size = _FEW if stage.is_new else CHUNK
    for begun in range(0, stage.n_steps, size):
        n_steps = min(size, stage.n_steps - begun)
        before = np.asarray(state.best.loss)
        state, losses = advance(problem, optimizer, state, jnp.asarray(n_steps), jnp.asarray(stage.is_polishing))
        yield state, np.asarray(losses)[:n_steps]
        if stage.is_polishing and not np.any(np.asarray(state.best.loss) < (1 - _SMALLEST_GAIN) * before):
            return
