"""The running of a fit: stage after stage, chunk by chunk, and what each took and reached."""

import dataclasses
import time
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters.search._checkpoint import Checkpoint
from jaxneuro.fitters.search._control import Control, Progress
from jaxneuro.fitters.search._engine import (
    CHUNK,
    Problem,
    State,
    advance,
    best_first,
    initial_state,
    losses_at,
    restarted,
)
from jaxneuro.fitters.search._experiment import Experiment
from jaxneuro.fitters.search._firing import fires_alike
from jaxneuro.fitters.search._optimizers import idle
from jaxneuro.fitters.search._population import Population, Search
from jaxneuro.fitters.search._starts import sobol_points
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.targets._targets import AbstractTarget

if TYPE_CHECKING:
    import optax

__all__ = ["Run", "Stage", "StageReport", "n_gradient_steps", "polished", "run_stages"]

_FEW = 5  # steps between two looks at the gain, where Newton's steps are known to go fast
_SMALLEST_GAIN = 1e-6  # of the loss within a chunk, far below what noise in data leaves to find
_WORTH = 1e-3  # of the loss: a gain that ends the patience with gradient steps


class Look(NamedTuple):
    """How many points are looked at, besides those that the starts have been at, for runs that fire."""

    n_points: int
    seed: int


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
    loss: AbstractLoss | None = None
    """Another loss than the fit's own."""
    n_kept: int | None = None
    """How many starts, the best ones, go on after it."""
    worth: float | None = None
    """Share of its loss that some start must have to gain by Newton's step for more Levenberg-Marquardt steps; None for
    those that go on as long as any has gained anything."""
    look: Look | None = None
    """The look at how the best run fires, that takes the place of steps; if as the data do, the fit is over."""
    is_remedy: bool = False
    """Whether it is for runs that do not; its loss is then the fit's."""

    @property
    def n_generations(self) -> int:
        """Of its population, 0 if there is none."""
        return 0 if self.population is None else self.population.generations


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
    """Of the starts that go on."""
    history: Float[Array, "n_step s"]
    """Losses of all steps, NaN after a start was given up."""
    reports: tuple[StageReport, ...]
    """Of the stages that are over."""
    starts: tuple[int, ...]
    """Numbers of those that go on."""
    n_steps: int = 0
    """Done in the stage that goes on."""
    seconds: float = 0.0
    """Spent in it."""
    told: Float[np.ndarray, "g s n"] | None = None
    """Losses of a population, if the stage is one."""
    search: Search | None = None
    """The population itself, which follows from them."""
    is_enough: bool = False
    """Whether the stages that are left are remedies for what is well."""


class Run(NamedTuple):
    """A fit's end: of the starts that were not given up, whose numbers are `starts`."""

    problem: Problem  # that was minimised at last
    is_remedied: bool  # whether it is not the one that the fit began with
    state: State
    history: np.ndarray  # losses (step, start)
    reports: tuple[StageReport, ...]
    starts: tuple[int, ...]
    ended: str
    """Why it ended before its last step, "" if it did not."""


def run_stages(
    problem: Problem,
    optimizer: "optax.GradientTransformationExtraArgs",
    u0: Float[Array, "s p"],
    stages: list[Stage],
    control: Control,
    others: tuple[Float[Array, "s p"], ...] = (),
) -> Run:
    """All stages, chunk by chunk, from the checkpoint on if there is one; what has been reached where it is ended.

    `others`: more points of each start, from which remedies may begin.
    """
    from tqdm import tqdm

    began, ended = control.began or time.monotonic(), ""
    history = np.zeros((0, len(u0)), u0.dtype)
    reached = Reached(initial_state(optimizer, u0), history, (), tuple(range(len(u0))))
    reached = reached if control.checkpoint is None else _loaded(control.checkpoint, reached)
    has_begun, stage = False, stages[max(len(reached.reports) - 1, 0)]
    n_steps = sum(stage.n_steps + stage.n_generations for stage in stages)
    with tqdm(total=n_steps, desc="fit", unit="step", disable=not control.progress) as bar:
        bar.update(len(reached.history) + sum(stage.n_generations for stage in stages[: len(reached.reports)]))
        try:
            while not _is_over(reached, stages) and not ended:
                stage = stages[len(reached.reports)]
                n_before = len(reached.history)
                if stage.look is not None:
                    reached = _looked_at(problem, reached, stage, stage.look, (u0, *others))
                else:
                    reached = _advanced(problem, optimizer, reached, stage, control.patience)
                has_begun = True
                # a generation, if there were no steps
                bar.update(len(reached.history) - n_before or int(stage.population is not None))
                now = _progress(problem, reached, stage, time.monotonic() - began)
                bar.set_postfix(stage=now.stage, loss=f"{now.loss:.4g}")
                is_last = _is_over(reached, stages)
                if control.checkpoint is not None:
                    _save(control.checkpoint, reached, is_last=is_last)
                ended = "" if is_last else _end(control, now)
        except KeyboardInterrupt:
            if not has_begun:
                raise
            ended = "Ctrl-C"
    is_remedied = not reached.is_enough and any(over.is_remedy for over in stages[: len(reached.reports)])
    problem = _of_stage(problem, stage) if is_remedied else problem
    if ended and _needs_value(problem, reached, stage):
        reached = _on_the_data(problem, reached)
    return Run(problem, is_remedied, reached.state, np.asarray(reached.history), reached.reports, reached.starts, ended)


def _is_over(reached: Reached, stages: list[Stage]) -> bool:
    return reached.is_enough or len(reached.reports) == len(stages)


def _of_stage(problem: Problem, stage: Stage) -> Problem:
    """What a stage minimises."""
    experiment = Experiment(problem.model, stage.target)
    problem = dataclasses.replace(problem, experiment=experiment, loss=stage.loss or problem.loss)
    return dataclasses.replace(problem, n_data=1, tells_scatter=False) if stage.is_remedy else problem


def _looked_at(
    problem: Problem, reached: Reached, stage: Stage, look: Look, points: tuple[Float[Array, "s p"], ...]
) -> Reached:
    """The end of the fit, or each start at the one of its `points`, and of those scattered over the bounds, where the
    stage's loss is least."""
    began = time.perf_counter()
    state, starts = reached.state, jnp.asarray(reached.starts)
    n_starts = starts.size
    if fires_alike(problem, state.best_u[int(np.argmin(np.asarray(state.best.loss)))]):
        return _left_as_it_is(reached, stage, 1, began)
    n_each = -(-look.n_points // n_starts)
    scattered = sobol_points(problem.names, n_each * n_starts, look.seed).reshape(n_each, n_starts, -1)
    found = jnp.concatenate([state.best_u[None], *(u[starts][None] for u in points), scattered])
    losses = losses_at(_of_stage(problem, stage), found.reshape(-1, found.shape[-1])).reshape(found.shape[:2])
    losses = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
    if np.all(np.isinf(losses)):  # where nothing runs there is nothing to search around
        return _left_as_it_is(reached, stage, 1 + len(found), began)
    best = jnp.argmin(losses, axis=0), jnp.arange(n_starts)
    state = state._replace(best_u=found[best], best=state.best._replace(loss=losses[best]))
    report = StageReport(stage.name, 0, 1 + len(found), time.perf_counter() - began, float(jnp.min(losses)))
    return _over(reached._replace(state=state), stage, report)


def _left_as_it_is(reached: Reached, stage: Stage, n_runs: int, began: float) -> Reached:
    """The end of the fit after a look."""
    report = StageReport(stage.name, 0, n_runs, time.perf_counter() - began, None)
    return _over(reached._replace(is_enough=True), stage._replace(n_kept=None), report)


def polished(problem: Problem, u: Float[Array, "s p"], n_steps: int, *, is_near: bool = False) -> State:
    """Levenberg-Marquardt steps alone, few of them if they begin near the optimum; Ctrl-C ends them for good."""
    stages = [Stage("Levenberg-Marquardt", problem.target, n_steps, True, is_near)]
    run = run_stages(problem, idle(), u, stages, Control(progress=False))
    if run.ended:
        raise KeyboardInterrupt
    return run.state


def _progress(problem: Problem, reached: Reached, stage: Stage, seconds: float) -> Progress:
    losses = np.asarray(reached.state.best.loss)
    lowest = float(np.min(losses))
    # a population's best has not been evaluated with derivatives yet
    told = reached.reports[-1].loss if reached.reports else None
    lowest = lowest if np.isfinite(lowest) or told is None else told
    values = problem.values(reached.state.best_u[int(np.argmin(losses))])
    return Progress(stage.name, len(reached.history), lowest, {k: float(v) for k, v in values.items()}, seconds)


def _end(control: Control, now: Progress) -> str:
    """Why the fit ends here, "" if it goes on."""
    if control.time_budget is not None and now.seconds > control.time_budget:
        return "time budget"
    return "callback" if control.callback is not None and control.callback(now) else ""


def _needs_value(problem: Problem, reached: Reached, stage: Stage) -> bool:
    """Whether the losses after a stage are of another loss than the fit's, or not known yet."""
    is_other = stage.target is not problem.target or stage.loss is not None
    return is_other or bool(np.all(np.isinf(reached.state.best.loss)))


def _on_the_data(problem: Problem, reached: Reached) -> Reached:
    """The loss of the model as it runs by itself, where the last stage still helped it."""
    losses = losses_at(problem, reached.state.best_u)
    return reached._replace(state=reached.state._replace(best=reached.state.best._replace(loss=losses)))


def _advanced(
    problem: Problem,
    optimizer: "optax.GradientTransformationExtraArgs",
    reached: Reached,
    stage: Stage,
    patience: int | None,
) -> Reached:
    """A chunk of a stage further; the stage is over after its last step, and when nothing is gained any more."""
    began = time.perf_counter()
    problem = _of_stage(problem, stage)
    if stage.population is not None:
        return _evolved(problem, reached, stage, stage.population)
    is_first = not reached.n_steps
    state = restarted(reached.state) if stage.is_new and is_first else reached.state
    state = state._replace(n_evaluated=jnp.zeros_like(state.n_evaluated)) if is_first else state
    n_steps = min(_FEW if stage.is_new else CHUNK, stage.n_steps - reached.n_steps)
    before = np.asarray(state.best.loss)
    state, losses = advance(problem, optimizer, state, jnp.asarray(n_steps), jnp.asarray(stage.is_polishing))
    rows = np.full((n_steps, reached.history.shape[1]), np.nan, reached.history.dtype)
    rows[:, list(reached.starts)] = np.asarray(losses)[:n_steps]
    lowest = np.asarray(state.best.loss)
    reached = reached._replace(
        state=state,
        history=np.concatenate([reached.history, rows]),
        n_steps=reached.n_steps + n_steps,
        seconds=reached.seconds + time.perf_counter() - began,
    )
    if stage.is_polishing:
        is_idle = _is_done(state, before, stage.worth)
    else:
        is_idle = patience is not None and _n_idle(reached.history[-reached.n_steps :]) >= patience
    if reached.n_steps < stage.n_steps and not is_idle:
        return reached
    n_runs = int(np.max(state.n_evaluated)) * (1 + state.u.shape[1])
    report = StageReport(stage.name, reached.n_steps, n_runs, reached.seconds, float(np.min(lowest)), stage.is_new)
    return _over(reached, stage, report)


def _evolved(problem: Problem, reached: Reached, stage: Stage, plan: Population) -> Reached:
    """A generation further."""
    began = time.perf_counter()
    # the populations' middles are u, from which a checkpoint goes on
    state = reached.state if reached.told is not None else restarted(reached.state)
    search = reached.search or Search(problem, state.u, plan, reached.told)
    search.advance(problem)
    best = state.best._replace(loss=jnp.asarray(search.lowest, state.u.dtype))
    state = state._replace(best_u=jnp.asarray(search.best, state.u.dtype), best=best)
    seconds = reached.seconds + time.perf_counter() - began
    if not search.is_over:
        return reached._replace(state=state, told=search.told, search=search, seconds=seconds)
    report = StageReport(stage.name, 0, search.n_runs, seconds, float(np.min(search.lowest)))
    # derivatives at the best points are not known yet
    return _over(reached._replace(state=restarted(state), told=None, search=None), stage, report)


def _is_done(state: State, before: Float[np.ndarray, " s"], worth: float | None) -> bool:
    """Whether Levenberg-Marquardt steps have come to their end, from the losses before the last of them."""
    losses = np.asarray(state.best.loss)
    if worth is None:
        return not np.any(losses < before - _SMALLEST_GAIN * np.abs(np.where(np.isinf(before), 0.0, before)))
    gains = []
    for loss, g, H in zip(losses, np.asarray(state.best.gradient), np.asarray(state.best.curvature), strict=True):
        # what Newton's step would gain, however often shorter ones have failed
        gains.append(0.5 * g @ np.linalg.pinv(H, hermitian=True) @ g / abs(loss) if np.isfinite(loss) else 0.0)
    return max(gains) <= worth


def _n_idle(losses: Float[Array, "n_step s"]) -> int:
    """Steps at the end in which no start has gained a thousandth of its lowest loss."""
    lowest = np.minimum.accumulate(np.where(np.isfinite(losses), losses, np.inf), axis=0)
    final = lowest[-1]
    is_low = lowest <= final + _WORTH * np.abs(np.where(np.isfinite(final), final, 0.0))
    return len(losses) - 1 - int(np.max(np.argmax(is_low, axis=0)))


def _over(reached: Reached, stage: Stage, report: StageReport) -> Reached:
    """The stage is done; of several starts perhaps only the best go on."""
    reached = reached._replace(reports=(*reached.reports, report), n_steps=0, seconds=0.0)
    if stage.n_kept is None or stage.n_kept >= len(reached.starts):
        return reached
    best = np.sort(best_first(np.asarray(reached.state.best.loss))[: stage.n_kept])
    state = jax.tree.map(lambda leaf: leaf[best], reached.state)
    return reached._replace(state=state, starts=tuple(reached.starts[k] for k in best))


def _save(checkpoint: Checkpoint, reached: Reached, *, is_last: bool) -> None:
    facts = {name: getattr(reached, name) for name in ("reports", "starts", "n_steps", "seconds", "is_enough")}
    told = np.empty((0, 0, 0), reached.history.dtype) if reached.told is None else reached.told
    checkpoint.save((reached.state, reached.history, told), facts, is_last=is_last)


def _loaded(checkpoint: Checkpoint, like: Reached) -> Reached:
    found = checkpoint.load((like.state, like.history, np.empty((0, 0, 0), like.history.dtype)))
    if found is None:
        return like
    (state, history, told), facts = found
    reports = tuple(StageReport(*report) for report in facts["reports"])
    told = np.asarray(told, np.float64) if np.size(told) else None
    starts, n_steps, seconds = tuple(facts["starts"]), facts["n_steps"], facts["seconds"]
    return Reached(state, np.asarray(history), reports, starts, n_steps, seconds, told, is_enough=facts["is_enough"])
