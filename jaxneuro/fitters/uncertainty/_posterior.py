"""What the data leave of every fitted parameter: samples of its posterior, by the No-U-Turn sampler of blackjax."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxneuro._arguments import check_count
from jaxneuro.fitters._result import FitResult, check_result, check_scatter
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.search._experiment import limits
from jaxneuro.fitters.search._priors import AbstractPrior, LogNormal
from jaxneuro.fitters.search._transforms import Above, AbstractTransform, Below, Between, BetweenPositive, Unbounded
from jaxneuro.fitters.uncertainty._draws import AbstractDraws, table_of
from jaxneuro.numerics import where

__all__ = ["Posterior", "posterior"]

_CHUNK = 25  # draws of every chain per compiled call: Ctrl-C and the progress bar wait for one
_ACCEPTANCE = 0.8  # that the step size is set for (Stan's choice)
_FIRST_STEP = 0.5  # in standard deviations of the Laplace approximation
_DOUBLINGS = 8  # of a trajectory at most: 255 runs with derivatives
_LOGISTIC = 3 / np.pi**2  # inverse variance of u where a bounded parameter is flat
_OLD = 10  # draws that the inverse mass matrix so far counts as much as
_CONVERGED = 1.01  # of r_hat (Vehtari et al. 2021)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior(AbstractDraws):
    """Samples of the posterior of a fit's parameters.

    `names`, `units` of the parameters; `samples`, name -> array (n_chains, n_samples) [its unit]; `r_hat`, name -> the
    rank-normalised split R-hat, near 1 where the chains agree; `n_effective`, name -> how many independent samples have
    as much to say about its middle; `n_divergent`, transitions that met a cliff of the density; `acceptance`, mean
    probability of a transition.

    References: Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Bayesian Anal 16:667. doi:10.1214/20-BA1221
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    samples: dict[str, Float[Array, "n_chains n_samples"]]
    r_hat: dict[str, float]
    n_effective: dict[str, float]
    n_divergent: int
    acceptance: float

    @property
    def draws(self) -> Float[Array, "n p"]:
        """The samples of all chains, one after the other, a column for each of `names`."""
        return np.stack([np.ravel(self.samples[name]) for name in self.names], axis=-1)

    def table(self) -> str:
        """Text table: parameter, mean, standard deviation, interval, unit, R-hat, effective number of samples."""
        r_hat = [f"{self.r_hat[name]:.3f}" for name in self.names]
        return table_of(self, {"R-hat": r_hat, "effective": [f"{self.n_effective[name]:.0f}" for name in self.names]})

    def __repr__(self) -> str:
        mean, std = self.mean, self.std
        values = ", ".join(f"{n}={mean[n]:.5g}+-{std[n]:.2g} {u}" for n, u in zip(self.names, self.units, strict=True))
        return f"Posterior({values}; {len(self.draws)} samples, {self.n_divergent} divergent)"


def posterior(
    result: FitResult,
    *,
    n_samples: int = 500,
    n_warmup: int = 300,
    n_chains: int = 4,
    seed: int = 0,
    progress: bool = True,
) -> Posterior:
    """Sample the posterior of the free parameters of a fit by the No-U-Turn sampler.

    ln p = -N/2 ln(sum of squares) + ln prior    of residuals, whose unknown variance is integrated out (Jeffreys)
    ln p = -N loss + ln prior                    of a likelihood

    with N, how many data the loss is a mean of. A parameter without a prior is uniform between its bounds, and its
    logarithm is if both bounds are positive; with one open end or two it is uniform as far as the data let it. `Normal`
    is a density of the value, `LogNormal` of its logarithm; both are weighed against the scatter that the residuals
    have, where `fit` takes it to be 1. A simulation that fails has the density 0.

    Unlike standard deviations and intervals of a fit, samples know of curved valleys, bounds and skewed errors. Like
    these, they take residuals as independent.

    **Arguments:** `result`, of a loss with residuals or a likelihood; `n_samples`, kept of each of `n_chains` chains,
    which begin at draws from the Laplace approximation at the optimum and run side by side; `n_warmup`, draws before,
    which set the step size and the mass matrix; `seed`; `progress`, show a progress bar.

    Gradients are forward-mode: a transition takes up to 255 runs, each with p tangents. Ctrl-C returns what has been
    drawn after the warm-up. A second call with other data of the same shape does not compile again. A warning says
    where chains disagree (R-hat > 1.01) or transitions have diverged.

    **Raises:** ValueError for a loss that is one number, one whose data do not tell their scatter (`StepResponse`, a
    `Joint` of unlike terms), an interrupted fit or a wrong count; ImportError without blackjax.

    >>> found = posterior(fit(model, target, free={"leak.g_max": (0.01, 1.0)}))
    >>> found.interval["leak.g_max"]

    References: Hoffman & Gelman (2014), J Mach Learn Res 15:1593, arXiv:1111.4246; Cabezas, Corenflos, Lao & Louf
    (2024), arXiv:2402.10797 (blackjax).
    """
    check_result(result)
    _check_noisy(result)
    n_samples = check_count("n_samples", n_samples, 10, 500)
    seed = check_count("seed", seed, 0, 0)
    n_warmup = check_count("n_warmup", n_warmup, 20, 300)
    n_chains = check_count("n_chains", n_chains, 2, 4)
    drawn = _sampled(result, n_samples, n_warmup, n_chains, jax.random.key(seed), progress)
    found = _collected(result, drawn)
    _warn_of_trouble(found)
    return found


class _Chains(NamedTuple):
    """Where the chains are, blackjax' HMCState with a leading axis of chains, and what sets their common step size."""

    walkers: Any
    step: Any


class _Drawn(NamedTuple):
    """What a number of transitions gave."""

    u: Float[Array, "n c p"]
    acceptance: Float[Array, "n c"]
    is_divergent: Bool[Array, "n c"]


def _sampled(
    result: FitResult, n_samples: int, n_warmup: int, n_chains: int, key: PRNGKeyArray, progress: bool
) -> _Drawn:
    """Transitions after the warm-up: two windows from which the mass matrix learns, and one for the step size alone."""
    from tqdm import tqdm

    key_start, key = jax.random.split(key)
    first_step, *_ = _step_size_rule()
    n_data, covariance = jnp.asarray(result.n_errors, result.u.dtype), _laplace(result)
    begin = lambda size: jax.tree.map(lambda x: jnp.asarray(x, result.u.dtype), first_step(size))  # noqa: E731
    walkers = _begun(result.problem, n_data, result.u, covariance, n_chains, key_start)
    chains = _Chains(walkers, begin(jnp.asarray(_FIRST_STEP)))
    window = n_warmup // 4
    stages = [(window, True), (window, True), (n_warmup - 2 * window, True), (n_samples, False)]
    with tqdm(total=n_warmup + n_samples, desc="posterior", unit="draw", disable=not progress) as bar:
        for k, (n_draws, is_warming) in enumerate(stages):
            bar.set_postfix(stage="warm-up" if is_warming else "sampling")
            move = lambda *args: _moved(result.problem, n_data, *args)  # noqa: E731
            chains, drawn = _stage(move, chains, covariance, jax.random.fold_in(key, k), n_draws, is_warming, bar)
            if k < 2:
                covariance = _learnt(drawn.u, covariance)
                chains = chains._replace(step=begin(jnp.exp(chains.step.log_step_size_avg)))
    return drawn


def _stage(
    move: Callable[..., tuple[_Chains, _Drawn]],
    chains: _Chains,
    inverse_mass: Float[Array, "p p"],
    key: PRNGKeyArray,
    n_draws: int,
    is_warming: bool,
    bar: Any,
) -> tuple[_Chains, _Drawn]:
    """The chains after so many transitions, and these; after Ctrl-C the samples so far."""
    parts: list[_Drawn] = []
    try:
        for n_before in range(0, n_draws, _CHUNK):
            n = min(n_draws - n_before, _CHUNK)
            chains, drawn = move(chains, inverse_mass, key, *map(jnp.asarray, (n_before, n, is_warming)))
            parts.append(jax.tree.map(lambda leaf, n=n: np.asarray(leaf[:n]), drawn))
            bar.update(n)
    except KeyboardInterrupt:
        if is_warming or not parts:
            raise
    return chains, jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


@eqx.filter_jit
def _moved(
    problem: Problem,
    n_data: Float[Array, ""],
    chains: _Chains,
    inverse_mass: Float[Array, "p p"],
    key: PRNGKeyArray,
    n_before: Int[Array, ""],
    n_draws: Int[Array, ""],
    is_warming: Bool[Array, ""],
) -> tuple[_Chains, _Drawn]:
    """`n_draws` <= _CHUNK transitions of every chain; while warming up the step size learns from each."""
    from blackjax.mcmc import nuts

    kernel, density, (_, learnt, _) = nuts.build_kernel(), _density(problem, n_data), _step_size_rule()
    n_chains, _ = shape = chains.walkers.position.shape

    def transition(k: Array, carry: tuple[_Chains, _Drawn]) -> tuple[_Chains, _Drawn]:
        chains, drawn = carry
        size = jnp.exp(jnp.where(is_warming, chains.step.log_step_size, chains.step.log_step_size_avg))
        keys = jax.random.split(jax.random.fold_in(key, n_before + k), n_chains)
        walkers, info = jax.vmap(lambda key, walker: kernel(key, walker, density, size, inverse_mass, _DOUBLINGS))(
            keys, chains.walkers
        )
        step = where(is_warming, learnt(chains.step, jnp.mean(info.acceptance_rate)), chains.step)
        new = _Drawn(walkers.position, info.acceptance_rate, info.is_divergent)
        return _Chains(walkers, step), jax.tree.map(lambda all_, one: all_.at[k].set(one), drawn, new)

    dtype = inverse_mass.dtype
    none = _Drawn(
        jnp.zeros((_CHUNK, *shape), dtype), jnp.zeros((_CHUNK, n_chains), dtype), jnp.zeros((_CHUNK, n_chains), bool)
    )
    return jax.lax.fori_loop(0, n_draws, transition, (chains, none))


def _step_size_rule() -> tuple[Callable, Callable, Callable]:
    """Dual averaging towards the acceptance, of blackjax: its first state, its update and its end."""
    try:
        from blackjax.adaptation.step_size import dual_averaging_adaptation
    except ImportError:
        raise ImportError(
            "Sampling a posterior needs the package blackjax, which is not installed; run "
            '`pip install "jaxneuro[posterior]"`.'
        ) from None
    return dual_averaging_adaptation(_ACCEPTANCE)


def _density(problem: Problem, n_data: Float[Array, ""]) -> Callable[[Array], Array]:
    """The logarithm of the posterior at u, whose gradient is forward-mode whoever asks for it."""

    @jax.custom_jvp
    def density(u: Float[Array, " p"]) -> Float[Array, ""]:
        return _with_gradient(problem, n_data, u)[0]

    @density.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        value, gradient = _with_gradient(problem, n_data, *primals)
        return value, gradient @ tangents[0]

    return density


def _with_gradient(
    problem: Problem, n_data: Float[Array, ""], u: Float[Array, " p"]
) -> tuple[Float[Array, ""], Float[Array, " p"]]:
    """Log density and its gradient; -inf and 0 where one of them is not finite."""
    value, gradient = jax.vmap(
        lambda direction: jax.jvp(lambda u: _log_density(problem, n_data, u), (u,), (direction,)), out_axes=(None, 0)
    )(jnp.eye(u.size, dtype=u.dtype))
    is_known = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
    return jnp.where(is_known, value, -jnp.inf), jnp.where(is_known, gradient, 0.0)


def _log_density(problem: Problem, n_data: Float[Array, ""], u: Float[Array, " p"]) -> Float[Array, ""]:
    of_data, deviations = problem.errors(u)
    loss = problem.value((of_data, {}))
    likelihood = -n_data * loss if problem.is_likelihood else -0.5 * n_data * jnp.log(loss)
    volumes = [
        _log_volume(transform, u[k], problem.priors.get(name))
        for k, (name, transform) in enumerate(zip(problem.names, problem.transforms, strict=True))
    ]
    return likelihood - 0.5 * sum(deviation**2 for deviation in deviations.values()) + sum(volumes)


def _log_volume(transform: AbstractTransform, u: Float[Array, ""], prior: AbstractPrior | None) -> Float[Array, ""]:
    """ln |dm / du| up to a constant, m being what a parameter is uniform or normal in: its value or its logarithm."""
    is_log = isinstance(transform, BetweenPositive)
    own = _LOG_SLOPES[type(transform)](u)
    if prior is None or isinstance(prior, LogNormal) == is_log:
        return own
    log_value = jnp.log(transform.forward(u))
    return own + log_value if is_log else own - log_value


def _of_sigmoid(u: Float[Array, ""]) -> Float[Array, ""]:
    return -jax.nn.softplus(u) - jax.nn.softplus(-u)


# ln of the slope of each transform, up to a constant; of BetweenPositive's logarithm; of `forward` it would be ln 0 at
# a bound, which is reached by rounding
_LOG_SLOPES: dict[type, Callable[[Array], Array]] = {
    Above: lambda u: -jax.nn.softplus(-u),
    Below: lambda u: -jax.nn.softplus(u),
    Between: _of_sigmoid,
    BetweenPositive: _of_sigmoid,
    Unbounded: jnp.zeros_like,
}


def _laplace(result: FitResult) -> Float[Array, "p p"]:
    """Covariance of u near the optimum: of the data's curvature there, and of a flat prior where they say nothing."""
    problem, matrix = result.problem, result.sensitivity.matrix
    moved = jax.jvp(problem.values, (result.u,), (jnp.ones_like(result.u),))[1]
    values = result.sensitivity.values
    # the matrix is by relative changes of the values
    per_u = np.array([float(moved[name]) for name in problem.names]) / np.where(values == 0, 1.0, np.abs(values))
    n_data, p = result.n_errors, len(problem.names)
    variance = 1.0 if problem.is_likelihood else result.loss * n_data / max(n_data - p, 1)
    precision = matrix * np.outer(per_u, per_u) / variance + _LOGISTIC * np.eye(p)
    return jnp.asarray(np.linalg.inv(precision), result.u.dtype)


@eqx.filter_jit
def _begun(
    problem: Problem,
    n_data: Float[Array, ""],
    best: Float[Array, " p"],
    covariance: Float[Array, "p p"],
    n_chains: int,
    key: PRNGKeyArray,
) -> Any:
    """Chains at draws around the optimum, or at it where the simulation of such a draw fails."""
    from blackjax.mcmc.hmc import HMCState

    off = jax.random.normal(key, (n_chains, best.size), best.dtype) @ jnp.linalg.cholesky(covariance).T
    u = jnp.concatenate([best[None], best[None] + off])
    value, gradient = jax.vmap(lambda u: _with_gradient(problem, n_data, u))(u)
    at = jnp.where(jnp.isfinite(value[1:]), jnp.arange(1, n_chains + 1), 0)
    return HMCState(u[at], value[at], gradient[at])


def _learnt(u: Float[Array, "n c p"], before: Float[Array, "p p"]) -> Float[Array, "p p"]:
    """The covariance of draws of all chains, of few of them together with what it was."""
    flat = u.reshape(-1, u.shape[-1])
    weight = len(flat) / (len(flat) + _OLD)
    return jnp.asarray(weight * np.atleast_2d(np.cov(flat, rowvar=False)), before.dtype) + (1 - weight) * before


@eqx.filter_jit
def _values(problem: Problem, u: Float[Array, "n c p"]) -> dict[str, Float[Array, "c n"]]:
    return jax.vmap(jax.vmap(problem.values), in_axes=1, out_axes=0)(u)


@eqx.filter_jit
def _diagnosed(samples: Float[Array, "p c n"]) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
    """R-hat and the effective number of samples of every parameter."""
    from blackjax.diagnostics import ess_bulk, rhat

    return jax.vmap(rhat)(samples), jax.vmap(ess_bulk)(samples)


def _collected(result: FitResult, drawn: _Drawn) -> Posterior:
    names = result.problem.names
    # beyond a bound by rounding
    samples = {
        name: np.clip(np.asarray(values), *limits((result.params[name].low, result.params[name].high)))
        for name, values in _values(result.problem, jnp.asarray(drawn.u)).items()
    }
    r_hat, n_effective = _diagnosed(jnp.stack([samples[name] for name in names]))
    return Posterior(
        names,
        tuple(result.params[name].unit for name in names),
        samples,
        dict(zip(names, map(float, r_hat), strict=True)),
        dict(zip(names, map(float, n_effective), strict=True)),
        int(drawn.is_divergent.sum()),
        float(drawn.acceptance.mean()),
    )


def _warn_of_trouble(found: Posterior) -> None:
    worst = max(found.names, key=lambda name: found.r_hat[name])
    troubles = [f"its chains disagree on {worst} (R-hat {found.r_hat[worst]:.3f})"] * (found.r_hat[worst] > _CONVERGED)
    troubles += [f"{found.n_divergent} of its transitions have diverged"] * (found.n_divergent > 0)
    if troubles:
        warnings.warn(
            f"The posterior is not to be trusted: {' and '.join(troubles)}; raise `n_warmup` and `n_samples`, give "
            "priors, or free fewer parameters.",
            stacklevel=3,
        )


def _check_noisy(result: FitResult) -> None:
    check_scatter(result)
    if not result.problem.is_likelihood and not result.loss > 0:
        raise ValueError(
            "Argument `result` must be of data with noise, but the fit has a loss of 0; the parameters are exact."
        )
