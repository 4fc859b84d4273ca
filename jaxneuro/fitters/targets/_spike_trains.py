"""Spike trains of several trials, and how likely a model with escape noise makes them."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.analysis.spike_trains import as_trials
from jaxneuro.fitters.targets._forced import ForcedRun, run_along
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.fitters.targets._samples import check_covered
from jaxneuro.fitters.targets._targets import AbstractTarget
from jaxneuro.models import AbstractModel, EscapeRate
from jaxneuro.params import is_concrete
from jaxneuro.solvers import AbstractSolver, ExactSpikes
from jaxneuro.stimuli import AbstractStimulus, as_stimulus

__all__ = ["SpikeLikelihood", "SpikeTrains"]

_NEVER = -1e3  # ln of a rate that is none


class SpikeTrains(AbstractTarget):
    """Spikes of one or more trials with the same stimulus, for a model with escape noise.

    **Arguments:** `trials`, spike times from 0 to t1 [ms], a list of trains, an array (n_trial, n) padded with inf, or
    one train; a trial may be silent; `stimulus`, in the model's input unit, or a list with one for each trial, all of
    one kind; `t1`, end of the run [ms]; `dt`, step of
    the run, a whole fraction of t1 [ms].

    The prediction is a `ForcedRun` of every trial: the model spikes where that trial did, so that its rate is a smooth
    function of its parameters.

    **Raises:** ValueError for times outside the run, two spikes in one step, no spike at all or a stimulus shorter than
    the run.

    >>> SpikeTrains([[12.1, 40.3], [12.6, 41.0]], Sampled(current, dt=0.1), t1=1000.0)

    References: Pillow, Paninski, Uzzell, Simoncelli & Chichilnisky (2005), J Neurosci 25:11003.
    doi:10.1523/JNEUROSCI.3305-05.2005; Pozzorini et al. (2015), PLoS Comput Biol 11:e1004275.
    doi:10.1371/journal.pcbi.1004275
    """

    times: Float[Array, "n_trial n"]
    stimulus: AbstractStimulus
    """One for each trial: every array has a leading axis of trials."""
    t1: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def __init__(self, trials: Any, stimulus: Any = None, *, t1: float, dt: float = 0.2):
        times = np.asarray(as_trials("trials", trials))
        if not is_concrete(t1, dt) or not 0 < dt <= t1 < np.inf:
            raise ValueError(
                f"Arguments `t1` and `dt` must be positive numbers [ms] with dt <= t1, but are {t1} and {dt}; use e.g. "
                "t1=1000.0, dt=0.2."
            )
        spikes = times[np.isfinite(times)]
        if not spikes.size:
            raise ValueError("Argument `trials` must hold spikes, but has none; give trials in which the neuron fires.")
        if spikes.min() < 0 or spikes.max() > t1:
            raise ValueError(
                f"Argument `trials` must have times between 0 and t1={t1:g} ms, but they run from {spikes.min():g} to "
                f"{spikes.max():g} ms; cut them or raise t1."
            )
        self.times, self.stimulus = jnp.asarray(times), _stacked(stimulus, len(times))
        self.t1, self.dt = float(t1), float(t1) / max(round(t1 / dt), 1)
        with np.errstate(invalid="ignore"):
            gaps = np.diff(times, axis=1)
        if np.any(np.isfinite(gaps) & (gaps <= self.dt)):
            raise ValueError(
                f"Argument `dt` must be shorter than every interval between spikes, but is {self.dt:g} ms with one of "
                f"{np.nanmin(np.where(np.isfinite(gaps), gaps, np.nan)):g} ms; use a smaller step."
            )
        for one in stimulus if isinstance(stimulus, list) else [stimulus]:
            check_covered(as_stimulus(one), 0.0, self.t1)

    @property
    def n_step(self) -> int:
        """Number of steps of a run."""
        return round(self.t1 / self.dt)

    def solver_for(self, model: AbstractModel) -> AbstractSolver:
        """ExactSpikes of the same step, which free runs take."""
        return ExactSpikes(self.dt)

    def check(self, model: AbstractModel, solver: AbstractSolver) -> None:
        if not isinstance(model, EscapeRate):
            raise ValueError(
                f"Argument `model` must have escape noise for a likelihood, but is a {type(model).__name__}; use "
                "EscapeRate(GLIF())."
            )

    def predict(self, model: EscapeRate, solver: AbstractSolver) -> ForcedRun:
        run = lambda times, stimulus: run_along(model, stimulus, times, 0.0, self.n_step, self.dt)  # noqa: E731
        return jax.vmap(run)(self.times, self.stimulus)


def _stacked(stimulus: Any, n_trial: int) -> AbstractStimulus:
    """One stimulus for each trial, as a single one whose arrays have an axis of trials."""
    given = stimulus if isinstance(stimulus, list) else [stimulus] * n_trial
    stimuli = [as_stimulus(one) for one in given]
    kinds = {(jax.tree.structure(one), tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(one))) for one in stimuli}
    if len(stimuli) != n_trial or len(kinds) != 1:
        raise ValueError(
            f"Argument `stimulus` must be one stimulus, or a list of one for each of {n_trial} trials, all of one kind "
            f"and size, but is {len(stimuli)} of {len(kinds)} kinds; give e.g. Sampled ones of equal length."
        )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *stimuli)


class SpikeLikelihood(AbstractLoss):
    """How unlikely the spikes are, per spike; the loss is in nats, up to a constant.

    -ln L / n = (integral of rate dt - sum over spikes of ln rate(t_k)) / n

    of a point process whose rate [1/ms] is the model's, 0 while it is refractory. It is convex in ln rate, so that
    steps with Fisher's information, integral of rate (d ln rate)(d ln rate)^T dt, go fast and give the standard
    deviations. The integral is a sum over the starts of steps, which leaves rate * dt of a spike open.

    References: Truccolo, Eden, Fellows, Donoghue & Brown (2005), J Neurophysiol 93:1074. doi:10.1152/jn.00697.2004
    """

    unit: ClassVar[str] = "nats per spike"
    targets: ClassVar[tuple[type, ...]] = (SpikeTrains,)
    is_likelihood: ClassVar[bool] = True

    def __call__(self, prediction: ForcedRun, target: SpikeTrains) -> tuple[Array, Array]:
        """ln rate at every time, and just before every spike."""
        return jnp.where(prediction.is_held, _NEVER, prediction.log_rate), prediction.at_spikes

    def value(self, errors: tuple[Array, Array], target: SpikeTrains) -> Float[Array, ""]:
        log_rate, at_spikes = errors
        expected = target.dt * jnp.sum(jnp.exp(log_rate[:, :-1]))
        return (expected - jnp.sum(at_spikes)) / jnp.sum(jnp.isfinite(target.times))
