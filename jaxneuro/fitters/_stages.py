"""The running of a fit: stage after stage, chunk by chunk, and what each took and reached."""

import time
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters._checkpoint import Checkpoint
from jaxneuro.fitters._engine import CHUNK, Problem, State, advance, initial_state, restarted
from jaxneuro.fitters._population import Population, evolved
from jaxneuro.fitters._targets import AbstractTarget

if TYPE_CHECKING:
    import optax

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
    population: Population | None = None
    """The search that takes the place of steps."""


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


class Reached(NamedTuple):
    """How far a fit has come."""

    state: State
    history: Float[Array, "n_step s"]
    """Losses of all steps."""
    reports: tuple[StageReport, ...]
    """Of the stages that are over."""
    n_steps: int
    """Done in the stage that goes on."""
    seconds: float
    """Spent in it."""


class Run(NamedTuple):
    state: State
    history: np.ndarray  # losses (step, start)
    reports: tuple[StageReport, ...]
    is_interrupted: bool


def run_stages(
    problem: Problem,
    optimizer: "optax.GradientTransformation",
    u0: Float[Array, "s p"],
    stages: list[Stage],
    progress: bool,
    checkpoint: Checkpoint | None = None,
) -> Run:
    """All stages, chunk by chunk, from the checkpoint on if there is one; what has been reached after Ctrl-C."""
    from tqdm import tqdm

    reached = Reached(initial_state(optimizer, u0), np.zeros((0, len(u0)), u0.dtype), (), 0, 0.0)
    reached = reached if checkpoint is None else _loaded(checkpoint, reached)
    is_interrupted = False
    with tqdm(total=sum(stage.n_steps for stage in stages), desc="fit", unit="step", disable=not progress) as bar:
        bar.update(len(reached.history))
        try:
            while len(reached.reports) < len(stages):
                stage = stages[len(reached.reports)]
                n_before = len(reached.history)
                reached = _advanced(problem, optimizer, reached, stage)
                bar.update(len(reached.history) - n_before)
                lowest = float(np.min(reached.state.best.loss))
                # a population's best has not been evaluated with derivatives yet
                lowest = lowest if np.isfinite(lowest) or not reached.reports else reached.reports[-1].loss
                bar.set_postfix(stage=stage.name, loss=f"{lowest:.4g}")
                if checkpoint is not None:
                    _save(checkpoint, reached, is_last=len(reached.reports) == len(stages))
        except KeyboardInterrupt:
            if not len(reached.history):
                raise
            is_interrupted = True
    return Run(reached.state, np.asarray(reached.history), reached.reports, is_interrupted)


def _advanced(problem: Problem, optimizer: "optax.GradientTransformation", reached: Reached, stage: Stage) -> Reached:
    """A chunk of a stage further; the stage is over after its last step, and when nothing is gained any more."""
    began = time.perf_counter()
    problem = eqx.tree_at(lambda p: p.experiment.target, problem, stage.target)
    if stage.population is not None:
        u, losses, n_runs = evolved(problem, reached.state.best_u, stage.population)
        report = StageReport(stage.name, 0, n_runs, time.perf_counter() - began, float(np.min(losses)))
        state = restarted(reached.state._replace(best_u=u))
        return Reached(state, reached.history, (*reached.reports, report), 0, 0.0)
    state = restarted(reached.state) if stage.is_new and not reached.n_steps else reached.state
    n_steps = min(_FEW if stage.is_new else CHUNK, stage.n_steps - reached.n_steps)
    before = np.asarray(state.best.loss)
    state, losses = advance(problem, optimizer, state, jnp.asarray(n_steps), jnp.asarray(stage.is_polishing))
    history = np.concatenate([reached.history, np.asarray(losses)[:n_steps]])
    lowest = np.asarray(state.best.loss)
    n_steps, seconds = reached.n_steps + n_steps, reached.seconds + time.perf_counter() - began
    has_gained = np.any(lowest < before - _SMALLEST_GAIN * np.abs(np.where(np.isinf(before), 0.0, before)))
    if n_steps < stage.n_steps and (has_gained or not stage.is_polishing):
        return Reached(state, history, reached.reports, n_steps, seconds)
    n_runs = n_steps * (1 + state.u.shape[1])
    report = StageReport(stage.name, n_steps, n_runs, seconds, float(np.min(lowest)), stage.is_new)
    return Reached(state, history, (*reached.reports, report), 0, 0.0)


def _save(checkpoint: Checkpoint, reached: Reached, *, is_last: bool) -> None:
    facts = {"reports": reached.reports, "n_steps": reached.n_steps, "seconds": reached.seconds}
    checkpoint.save((reached.state, reached.history), facts, is_last=is_last)


def _loaded(checkpoint: Checkpoint, like: Reached) -> Reached:
    found = checkpoint.load((like.state, like.history))
    if found is None:
        return like
    (state, history), facts = found
    reports = tuple(StageReport(*report) for report in facts["reports"])
    return Reached(state, np.asarray(history), reports, facts["n_steps"], facts["seconds"])
