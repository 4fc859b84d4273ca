"""How much the parameters of a fit scatter with the sweeps that happened to be recorded."""

import dataclasses
import functools
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._arguments import check_count
from jaxneuro.fitters._result import FitResult, check_result
from jaxneuro.fitters.search._engine import Problem, residual_sizes
from jaxneuro.fitters.search._stages import polished
from jaxneuro.fitters.targets._joint import Joint
from jaxneuro.fitters.targets._spike_trains import SpikeTrains
from jaxneuro.fitters.targets._targets import AbstractTarget
from jaxneuro.fitters.uncertainty._draws import AbstractDraws, table_of

__all__ = ["Bootstrap", "bootstrap"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(AbstractDraws):
    """Parameters fitted to other draws of the sweeps.

    `names`, `units` of the parameters; `values` of all replicates, shape (n, n_param) [their units]; `n_failed`, those
    that were dropped since no simulation of theirs was finite.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Float[Array, "n p"]
    n_failed: int = 0

    @property
    def draws(self) -> Float[Array, "n p"]:
        """The values of all replicates."""
        return self.values

    def table(self) -> str:
        """Text table: parameter, mean of the replicates, standard deviation, interval, unit."""
        return table_of(self)

    def __repr__(self) -> str:
        mean, std = self.mean, self.std
        values = ", ".join(f"{n}={mean[n]:.5g}+-{std[n]:.2g} {u}" for n, u in zip(self.names, self.units, strict=True))
        return f"Bootstrap({values}; {len(self.values)} replicates, {self.n_failed} failed)"


def bootstrap(result: FitResult, *, n: int = 100, steps: int = 10, seed: int = 0, progress: bool = True) -> Bootstrap:
    """Fit anew to sweeps drawn with replacement from those of a fit: how its parameters scatter from sweep to sweep.

    Of K terms of a `Joint` as many are drawn, each kind of target among its own, and one that is drawn m times has m
    times its weight; of `SpikeTrains` trials are drawn. Unlike the standard deviations of a fit this asks nothing of
    the residuals within a sweep, which may be correlated, but only that sweeps are independent of each other. With few
    sweeps it is too small, by a factor of sqrt(1 - 1/K).

    **Arguments:** `result`, of a `Joint` or of `SpikeTrains`; `n`, replicates; `steps`, Levenberg-Marquardt ones at
    most from the optimum; `seed`; `progress`, show a progress bar.

    A parameter that belongs to a single term, such as "200 pA.electrode.R_s", has no scatter from term to term and is
    left out. Replicates that fail are dropped and counted. All run one compiled program. Ctrl-C returns those done.

    **Raises:** ValueError for a target with a single sweep of each kind, a loss that is one number, or a wrong count.

    >>> bootstrap(fit(model, Joint(sweeps), free={"leak.g_max": (0.01, 1.0)})).std

    References: Efron (1979), Ann Stat 7:1. doi:10.1214/aos/1176344552
    """
    from tqdm import tqdm

    check_result(result)
    n, steps = check_count("n", n, 2, 100), check_count("steps", steps, 1, 10)
    seed = check_count("seed", seed, 0, 0)
    redraw = _resampler(result.target)
    if residual_sizes(result.problem, result.u) is None:
        raise ValueError("Argument `result` must be of a loss with residuals, but is of one number; fit them.")
    kept = [k for k, name in enumerate(result.problem.names) if _is_shared(result, name)]
    if not kept:
        raise ValueError(
            "Argument `result` must have a parameter that several sweeps share, but each belongs to one of them; free "
            "some of the model's."
        )
    generator, found, n_failed = np.random.default_rng(seed), [], 0
    try:
        for _ in tqdm(range(n), desc="bootstrap", unit="fit", disable=not progress):
            target = redraw(generator)
            problem = eqx.tree_at(lambda p: p.experiment.target, result.problem, target)
            loss, values = _refitted(problem, result.u, steps)
            n_failed += not np.isfinite(loss)
            found += [values[kept]] * bool(np.isfinite(loss))
    except KeyboardInterrupt:
        if len(found) < 2:
            raise
    if len(found) < 2:
        raise RuntimeError(
            f"Bootstrap must have two replicates that work, but {n_failed} of {n} failed; narrow the bounds of the fit."
        )
    names = tuple(result.problem.names[k] for k in kept)
    return Bootstrap(names, tuple(result.params[name].unit for name in names), np.stack(found), n_failed)


def _resampler(target: AbstractTarget) -> Callable[[np.random.Generator], AbstractTarget]:
    """What draws sweeps: a function from a generator of random numbers to the target with as many of them."""
    if isinstance(target, SpikeTrains) and len(target.times) > 1:
        return functools.partial(_other_trials, target)
    if isinstance(target, Joint):
        kinds: dict[type, list[str]] = {}
        for name, term in target.terms.items():
            kinds.setdefault(type(term), []).append(name)
        if any(len(names) > 1 for names in kinds.values()):
            return functools.partial(_other_terms, target, list(kinds.values()))
    raise ValueError(
        "Argument `result` must be of several sweeps, terms of one kind in a Joint or trials of SpikeTrains, but is of "
        "a single one; use `profile`, or result.params[name].std."
    )


def _other_trials(target: SpikeTrains, generator: np.random.Generator) -> SpikeTrains:
    rows = generator.integers(len(target.times), size=len(target.times))
    drawn = jax.tree.map(lambda leaf: leaf[rows], (target.times, target.stimulus))
    return eqx.tree_at(lambda t: (t.times, t.stimulus), target, drawn)


def _other_terms(target: Joint, kinds: list[list[str]], generator: np.random.Generator) -> Joint:
    weights = dict(target.weights)
    for names in kinds:
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)))
        # as arrays of one type, so that the program is the same
        weights |= {name: weights[name] * m.astype(weights[name].dtype) for name, m in zip(names, counts, strict=True)}
    return eqx.tree_at(lambda t: t.weights, target, weights)


def _is_shared(result: FitResult, name: str) -> bool:
    """Whether more than a single term has a part in a parameter."""
    target, paths = result.target, result.params[name].paths
    if not isinstance(target, Joint) or any(path.startswith("model.") for path in paths):
        return True
    terms = {path.removeprefix("target.terms.").split(".")[0] for path in paths}
    return len(terms) > 1


def _refitted(problem: Problem, u: Float[Array, " p"], steps: int) -> tuple[float, Float[Array, " p"]]:
    """Least loss by Levenberg-Marquardt steps from u, and the parameters' values there."""
    state = polished(problem, u[None], steps, is_near=True)
    values = _values(problem, state.best_u[0])
    return float(state.best.loss[0]), np.array([float(values[name]) for name in problem.names])


@eqx.filter_jit
def _values(problem: Problem, u: Float[Array, " p"]) -> dict[str, Float[Array, ""]]:
    return problem.values(u)
