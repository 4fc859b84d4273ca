"""`fit`: from a model, data and bounds to fitted parameters."""

import dataclasses
import functools
import os
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxneuro._arguments import check_count
from jaxneuro.fitters._result import FitResult, FittedParam
from jaxneuro.fitters._scores import transferred
from jaxneuro.fitters._sensitivity import Sensitivity
from jaxneuro.fitters.search._checkpoint import fingerprint
from jaxneuro.fitters.search._control import Progress, checked_control
from jaxneuro.fitters.search._engine import Problem, State, best_first, losses_at, residual_sizes, why_failed
from jaxneuro.fitters.search._experiment import Bounds, Experiment, FreeParam, checked_free, limits
from jaxneuro.fitters.search._informed import informed_starts
from jaxneuro.fitters.search._optimizers import chosen_optimizer
from jaxneuro.fitters.search._priors import AbstractPrior, checked_priors
from jaxneuro.fitters.search._stages import Run, StageReport, n_gradient_steps, run_stages
from jaxneuro.fitters.search._starts import starts
from jaxneuro.fitters.search._strategy import chosen_strategy, planned
from jaxneuro.fitters.targets._joint import loss_of
from jaxneuro.fitters.targets._losses import AbstractLoss, checked_loss
from jaxneuro.fitters.targets._residuals import Scatter, scatter
from jaxneuro.fitters.targets._targets import AbstractTarget
from jaxneuro.models import AbstractModel
from jaxneuro.solvers import RK4, AbstractSolver, FixedStep

if TYPE_CHECKING:
    import optax

__all__ = ["fit"]

_REMEDIED = (
    "the best run by squares does not fire as the data do, so that features of spikes were fitted, whose tolerances "
    "are not their scatter (`bootstrap` over the sweeps of a Joint tells it)"
)
_NEAR = 1e-3  # share of an interval within which a value is on its bound


def fit(
    model: AbstractModel,
    target: AbstractTarget,
    *,
    free: Mapping[str, Bounds],
    priors: Mapping[str, AbstractPrior] | None = None,
    loss: Callable[[Any, Any], Any] | None = None,
    held_out: AbstractTarget | None = None,
    n_starts: int = 8,
    steps: int = 100,
    start: Mapping[str, Any] | str = "random",
    screened: int | None = None,
    kept: int | None = None,
    strategy: str = "auto",
    optimizer: "str | optax.GradientTransformation | None" = None,
    polish: bool = True,
    solver: AbstractSolver | None = None,
    seed: int = 0,
    key: PRNGKeyArray | None = None,
    progress: bool = True,
    callback: Callable[[Progress], Any] | None = None,
    patience: int | None = None,
    time_budget: float | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = 30.0,
) -> FitResult:
    """Fit free parameters of a model to data from several starts at once.

    **Arguments:**

    - `model`: holds the values of all parameters that are not free; `target`: the data, e.g. a `VoltageTrace`,
      `FICurve` or `SpikeTimes`, or a `Joint` of several; `held_out`: others, which the result is scored on.
    - `free`: name -> (low, high) in its unit; None is an open end. Two positive bounds make a logarithmic scale. Also
      parameters of the target, such as "electrode.R_s"; "*.R_s" is one value for all that end with it, and
      "k.E_rev = m.E_rev" one for both.
    - `priors`: name -> `Normal` or `LogNormal`, for the highest posterior; a loss in tolerances grows by 1 per std^2.
    - `loss`: a function (prediction, target) -> residuals or a number; None for the target's own.
    - `n_starts`: how many starts run side by side, the best of which counts; `steps`: steps in all; `screened`: as many
      points are simulated first, and the best begin; `kept`: only so many go on once the first steps are done.
    - `start`: "random" spreads all starts over the bounds (scrambled Sobol points); "model" puts the first one, and all
      of a population, at the model's own values; a dict name -> value puts the first one there, or, if the values are
      arrays (n_starts,), all of them. Parameters missing in it are random.
    - `strategy`: "auto", "nudging", "descent", "newton" or "population", see the module `jaxneuro.fitters`; for traces
      "auto" ends with features of spikes, and their loss, where squares do not lead to the spikes of the data.
    - `optimizer`: of gradients: "adam", whose rate falls from 0.1 to 0 as a cosine, "lbfgs", "polyak", or one of optax;
      `polish`: the last 60 % of the steps of a descent are Levenberg-Marquardt ones, if the loss has residuals.
    - `solver`: if None, exact spikes for models that reset, and FixedStep for smooth ones, with RK4 for nudging.
    - `seed`, or `key`: for the random starts; `progress`: show a progress bar.
    - `callback`: a function of a `Progress`, called every few steps; the fit ends where it returns True. `patience`:
      gradient steps without a gain of 0.1 % that end their stage; `time_budget`: the fit ends after as long [s].
    - `checkpoint`: a file for the progress, written every `checkpoint_every` seconds. The same call goes on from it
      after whatever ended it, to the same result to the last bit.

    A loss or gradient that is not finite sends its start back to its best point. Ctrl-C returns what has been reached.
    Other bounds, starts, parameter values or data of the same shape do not compile again.

    **Raises:** ValueError or TypeError for a wrong argument; RuntimeError if no start has a finite loss.

    >>> result = fit(HodgkinHuxley(), VoltageTrace(0.05, voltage, Step(10.0, 5.0)), free={"na.g_max": (60.0, 240.0)})
    """
    _check_target("target", model, target)
    chosen = checked_free(Experiment(model, target), free)
    n_starts, steps = check_count("n_starts", n_starts, 1, 8), check_count("steps", steps, 1, 100)
    kept = None if kept is None else _checked_kept(kept, n_starts)
    control = checked_control(progress, polish, callback, patience, time_budget, checkpoint, checkpoint_every)
    _warn_if_single_precision()
    is_auto = strategy == "auto" and loss is None
    strategy = chosen_strategy(strategy, model, target, loss, polish and optimizer is None)
    n_points = n_starts if screened is None else check_count("screened", screened, n_starts, 32 * n_starts)
    u0 = starts(chosen, start, n_points, seed, key, is_alike=strategy == "population")
    solver = _solver(solver, model, target, held_out, strategy)
    problem, known, has_residuals = _problem(model, target, chosen, loss, priors, solver, u0[0])
    u0, reports = _screened(problem, u0, n_starts)
    u, told = informed_starts(problem, chosen, u0) if strategy == "nudging" else (u0, [])
    stages = planned(strategy, target, problem.loss, steps, seed, polish and has_residuals, kept, is_auto=is_auto)
    optimizer = chosen_optimizer(optimizer, n_gradient_steps(stages))
    if control.checkpoint is not None:
        control.checkpoint.key = fingerprint(problem, stages, u0, optimizer, patience)
    run = run_stages(problem, optimizer, u, stages, control, (u0,))
    return _result(chosen, u0, run, [*reports, *told], known, held_out, time.monotonic() - control.began)


def _solver(
    solver: AbstractSolver | None,
    model: AbstractModel,
    target: AbstractTarget,
    held_out: AbstractTarget | None,
    strategy: str,
) -> AbstractSolver:
    """The solver, checked, or that of the target; nudged runs are stiff enough for RK4 and smooth enough for it."""
    if solver is None:
        solver = target.solver_for(model)
        solver = FixedStep(solver.dt, solver=RK4()) if strategy == "nudging" else solver
    target.check(model, solver)
    if held_out is not None:
        _check_target("held_out", model, held_out)
        held_out.check(model, solver)
    return solver


def _problem(
    model: AbstractModel,
    target: AbstractTarget,
    free: Mapping[str, FreeParam],
    loss: Callable[[Any, Any], Any] | None,
    priors: Mapping[str, AbstractPrior] | None,
    solver: AbstractSolver,
    u: Float[Array, " p"],
) -> tuple[Problem, Scatter, bool]:
    """What is minimised, what its data tell of their scatter, and whether it has residuals."""
    problem = Problem(
        Experiment(model, target),
        tuple(one.transform for one in free.values()),
        solver,
        tuple(free),
        tuple(one.paths for one in free.values()),
        loss_of(target) if loss is None else checked_loss("loss", loss, target),
        checked_priors(priors, free),
    )
    sizes = residual_sizes(problem, u)
    known = scatter(problem.loss, target, sizes)
    tells_scatter = known.n is not None and not problem.is_likelihood
    problem = dataclasses.replace(problem, n_data=known.n or 1, tells_scatter=tells_scatter)
    return problem, known, sizes is not None


def _result(
    free: Mapping[str, FreeParam],
    u0: Float[Array, "s p"],
    run: Run,
    reports: list[StageReport],
    known: Scatter,
    held_out: AbstractTarget | None,
    seconds: float,
) -> FitResult:
    state, problem = run.state, run.problem
    losses = np.asarray(state.best.loss)
    if not np.any(np.isfinite(losses)):
        raise RuntimeError(
            f"Fit must find a finite loss, but none of {len(u0)} starts has one ({why_failed(problem, u0[0])}); "
            "narrow the bounds in `free`, or use a solver with a smaller dt."
        )
    best = int(np.argmin(losses))
    # a value on its bound may be beyond it by rounding, which the model would refuse
    found, begun = (
        {name: float(np.clip(value, *limits(free[name].bounds))) for name, value in problem.values(u).items()}
        for u in (state.best_u[best], u0[run.starts[best]])
    )
    # a run that was ended may still be drawn to the data, which makes it look too certain
    known = known if not run.ended else Scatter(None, f"{run.ended} has ended the fit early")
    known = known if not run.is_remedied else Scatter(None, _REMEDIED)
    sensitivity = _sensitivity(problem, state, best, found, free, known.n) if known.n else None
    std = sensitivity.std if sensitivity else {}
    fitted = {
        name: FittedParam(found[name], one.info.unit, begun[name], *one.bounds, std=std.get(name), paths=one.paths)
        for name, one in free.items()
    }
    held = problem.holding(found)
    return FitResult(
        model=held.model,
        target=held.target,
        params=fitted,
        loss=float(losses[best]),
        loss_unit=problem.loss.unit if isinstance(problem.loss, AbstractLoss) else "",
        history=run.history,
        start_losses=_of_all(losses, run.starts, len(u0), np.nan),
        start_values={
            name: _of_all(np.asarray(values), run.starts, len(u0), np.nan)
            for name, values in jax.vmap(problem.values)(state.best_u).items()
        },
        n_failed=_of_all(np.asarray(state.n_failed), run.starts, len(u0), 0),
        solver=problem.solver,
        seconds=seconds,
        stages=(*reports, *run.reports),
        sensitivity=sensitivity,
        problem=problem,
        u=state.best_u[best],
        n_errors=known.n,
        why_unsure=known.why_not,
        ended=run.ended,
        held_out=None if held_out is None else transferred(problem, found, held_out),
    )


def _of_all(values: np.ndarray, starts: tuple[int, ...], n: int, otherwise: float) -> np.ndarray:
    """With an entry for the starts that were given up."""
    whole = np.full(n, otherwise, values.dtype)
    whole[list(starts)] = values
    return whole


def _screened(problem: Problem, u: Float[Array, "n p"], n_starts: int) -> tuple[Float[Array, "s p"], list[StageReport]]:
    """The points of least loss, if there are more than starts."""
    if len(u) == n_starts:
        return u, []
    began = time.perf_counter()
    losses = np.asarray(losses_at(problem, u))
    order = best_first(losses)[:n_starts]
    n_runs = -(-len(u) // n_starts)
    report = StageReport("screening", 0, n_runs, time.perf_counter() - began, float(losses[order[0]]))
    return u[jnp.asarray(order)], [report]


def _sensitivity(
    problem: Problem, state: State, best: int, found: Mapping[str, float], free: Mapping[str, FreeParam], n_errors: int
) -> Sensitivity:
    """How well the residuals at the best point determine each parameter."""
    loss, _, curvature = (np.asarray(leaf[best], np.float64) for leaf in state.best)
    names, values = problem.names, np.array([found[name] for name in problem.names])
    moved = jax.jvp(problem.values, (state.best_u[best],), (jnp.ones(len(names)),))[1]
    slopes = np.array([float(moved[name]) for name in names])
    sizes = np.where(values == 0, 1.0, np.abs(values))
    # the residuals' derivatives by relative changes; of a parameter on its bound there is none
    on_bound = tuple(name for name in names if _is_on_bound(found[name], *free[name].bounds))
    at_limit = tuple(name for name in on_bound if _is_on_bound(found[name], *free[name].info.bounds))
    per_u = sizes / np.where(slopes == 0, np.inf, slopes)
    # of squares, whose curvature is 2 J^T J / n, the residuals themselves tell the variance; a likelihood needs none
    matrix = (1.0 if problem.is_likelihood else 0.5) * n_errors * curvature * np.outer(per_u, per_u)
    variance = 1.0 if problem.is_likelihood else float(loss) * n_errors / max(n_errors - len(names), 1)
    return Sensitivity(names, values, matrix, variance, on_bound, at_limit)


def _is_on_bound(value: float, low: float | None, high: float | None) -> bool:
    both = low is not None and high is not None
    width = high - low if both else max(abs(value), 1e-300)
    return any(bound is not None and abs(value - bound) < _NEAR * width for bound in (low, high))


@functools.cache
def _warn_if_single_precision() -> None:
    if not jax.config.jax_enable_x64:
        warnings.warn(
            "fit runs in float32, which limits the precision of gradients and of long runs; for "
            'float64 begin with jax.config.update("jax_enable_x64", True).',
            stacklevel=3,
        )


def _checked_kept(kept: Any, n_starts: int) -> int:
    kept = check_count("kept", kept, 1, 2)
    if kept > n_starts:
        raise ValueError(
            f"Argument `kept` must be at most n_starts={n_starts}, but is {kept}; lower it, or raise `n_starts`."
        )
    return kept


def _check_target(name: str, model: Any, target: Any) -> None:
    if not isinstance(model, AbstractModel):
        raise TypeError(f"Argument `model` must be a model, but is {model!r}; build one, e.g. HodgkinHuxley().")
    if not isinstance(target, AbstractTarget):
        raise TypeError(
            f"Argument `{name}` must be a VoltageTrace, FICurve, SpikeTimes, SpikeTrains, StepResponse, ClampCurrent "
            f"or Joint, but is a {type(target).__name__}; build one from your data."
        )
