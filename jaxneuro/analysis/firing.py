"""Firing rates from spike times: counts, a differentiable count, and f-I curves.

Spike times are arrays padded with inf at the end, as `Solution.spike_times` holds them.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxneuro._simulate import simulate
from jaxneuro._solution import Solution
from jaxneuro.models import AbstractModel, AbstractSolvableModel, AbstractSpikingModel
from jaxneuro.params import is_concrete
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, ExactSpikes, default_fixed_solver
from jaxneuro.stimuli import Step

__all__ = [
    "FIResult",
    "check_one_neuron",
    "default_fi_solver",
    "fi_curve",
    "fi_gain",
    "isi_rate",
    "mean_rate",
    "shortfall",
    "smooth_count",
    "spike_count",
]

# A voltage this far below threshold all the time counts half of one that just fails to reach it.
_HALF_MARGIN = 10.0  # mV
# How much longer than the window an f-I run lasts, as a share of it: the next spike is looked for.
_BEYOND = 0.5


def _is_inside(spikes: Array, onset: Any, duration: Any) -> Array:
    return (spikes >= onset) & (spikes < onset + duration)


def spike_count(spikes: Float[Array, "*b n"], onset: Any = 0.0, duration: Any = jnp.inf) -> Int[Array, "*b"]:
    """Number of spikes with onset <= t < onset + duration; times in ms."""
    return jnp.sum(_is_inside(spikes, onset, duration), axis=-1)


def mean_rate(spikes: Float[Array, "*b n"], onset: Any, duration: Any) -> Float[Array, "*b"]:
    """Firing rate by counting, 1000 count / duration [Hz]; times in ms. Its derivative is zero."""
    return 1e3 * spike_count(spikes, onset, duration) / duration


def isi_rate(spikes: Float[Array, "*b n"], onset: Any = 0.0, duration: Any = jnp.inf) -> Float[Array, "*b"]:
    """Inverse of the mean interspike interval in a window [Hz]; times in ms; 0 below two spikes.

    rate = 1000 (count - 1) / (t_last - t_first), differentiable in the spike times.
    """
    is_inside = _is_inside(spikes, onset, duration)
    count = jnp.sum(is_inside, axis=-1)
    first = jnp.min(jnp.where(is_inside, spikes, jnp.inf), axis=-1)
    last = jnp.max(jnp.where(is_inside, spikes, -jnp.inf), axis=-1)
    has_interval = count > 1
    span = jnp.where(has_interval, last, 1.0) - jnp.where(has_interval, first, 0.0)
    return jnp.where(has_interval, 1e3 * (count - 1) / span, 0.0)


def smooth_count(
    spikes: Float[Array, " n"], onset: Any, duration: Any, *, t1: Any = None, below: Any = jnp.inf
) -> Float[Array, ""]:
    """Spikes in a window plus the phase towards the next one: a count that has a derivative.

    count + (t_end - t_last) / (t_next - t_last),   t_end = onset + duration

    t_last is the last spike in the window (its onset if there is none), t_next the next one, which
    may come after the window. Where no spike follows up to `t1`, the phase is that of a spike at
    t1, times 1 / (1 + below / 10 mV): it joins the other case where the voltage just reaches the
    threshold at t1, and a silent neuron still has a gradient. The integer part is the count.

    **Arguments:** `spikes` [ms], padded with inf; `onset`, `duration` of the window [ms]; `t1`, end
    of the run that the spikes are from [ms], the window's end if None; `below`, how far the voltage
    stayed below threshold after t_last [mV], see `shortfall`.

    >>> smooth_count(jnp.array([100.0, 300.0, 550.0, jnp.inf]), 0.0, 500.0)
    Array(2.8, dtype=float64)
    """
    end = onset + duration
    t1 = end if t1 is None else t1
    is_inside = _is_inside(spikes, onset, duration)
    count = jnp.sum(is_inside)
    last = jnp.max(jnp.where(is_inside, spikes, onset))
    later = jnp.min(jnp.where(spikes >= end, spikes, jnp.inf))
    has_next = jnp.isfinite(later)
    phase = (end - last) / (jnp.where(has_next, later, t1) - last)
    phase = jnp.where(has_next, phase, phase / (1 + below / _HALF_MARGIN))
    # a next spike at the window's very end would round the count up
    return jnp.minimum(count + phase, (count + 1) * (1 - jnp.finfo(phase.dtype).eps))


def shortfall(solution: Solution, t_from: Float[Array, ""]) -> Float[Array, ""]:
    """How far one neuron's voltage stays below its threshold after `t_from` [ms]; in mV, >= 0.

    The highest saved voltage at which it rises counts, so that the falling flank of a spike at
    t_from does not; the last one where it never rises.
    """
    model = solution.model
    if isinstance(model, AbstractSpikingModel):
        gap = jax.vmap(model.gap)(solution.ys)
    else:
        gap = solution.voltage - model.spike_threshold
    is_rising = (gap[1:] >= gap[:-1]) & (gap[1:] < 0) & (solution.ts[:-1] >= t_from)
    highest = jnp.max(jnp.where(is_rising, gap[1:], -jnp.inf))
    return jnp.maximum(-jnp.where(jnp.any(is_rising), highest, gap[-1]), 0.0)


class FIResult(NamedTuple):
    """f-I curve of a model: arrays of shape (n_current,).

    `current` in the model's input unit; `rate` [Hz] by counting; `smooth_rate` [Hz], the same from
    `smooth_count`, between rate and rate + 1000 / duration and differentiable; `initial_rate` and
    `steady_rate` [Hz], the inverse of the first and of the last interval between spikes in the
    window, 0 without one: exact and differentiable where spike times are, and different where the
    neuron adapts; `analytic_rate` [Hz], the model's own formula, without adaptation, None where it has
    none; `result`, how each simulation ended (RESULTS).
    """

    current: Float[Array, " n_current"]
    rate: Float[Array, " n_current"]
    smooth_rate: Float[Array, " n_current"]
    initial_rate: Float[Array, " n_current"]
    steady_rate: Float[Array, " n_current"]
    analytic_rate: Float[Array, " n_current"] | None
    result: RESULTS


def fi_curve(
    model: AbstractModel,
    currents: Any,
    *,
    duration: float = 500.0,
    onset: float = 0.0,
    solver: AbstractSolver | None = None,
    max_spikes: int | None = None,
) -> FIResult:
    """Firing rate of a model over the amplitude of a current step.

    **Arguments:**

    - `model`: one neuron, e.g. `LIF()` or `HodgkinHuxley()`.
    - `currents`: amplitudes in the model's input unit (nA for point neurons, uA/cm^2 for
      membranes), shape (n_current,).
    - `duration`: length of the step, in which spikes are counted [ms].
    - `onset`: time of its beginning [ms]; the model starts at 0 ms in its initial state.
    - `solver`: FixedStep for smooth models, exact spikes for those that reset, if None.
    - `max_spikes`: how many spikes of a run are kept; if None, one per ms of it and at least 64.

    Every run goes on for half the duration after the window, with the current on, to find the next
    spike for `smooth_count`. Differentiable in the model's parameters and in `currents`.

    **Raises:** ValueError for a network, NaN in `currents` or bad times.

    >>> fi_curve(LIF(), [0.1, 0.3, 0.5]).rate
    Array([ 0., 48., 98.], dtype=float64)
    """
    duration, onset = _checked_times(duration, onset)
    check_one_neuron(model)
    currents = jnp.atleast_1d(jnp.asarray(currents, jnp.result_type(float)))
    if currents.ndim > 1 or (is_concrete(currents) and not np.all(np.isfinite(currents))):
        raise ValueError(
            f"Argument `currents` must be a list of finite numbers [{model.input_unit}], but is "
            f"{currents}; give e.g. [0.0, 0.1, 0.2]."
        )
    if solver is None:
        solver = default_fi_solver(model)
    t1 = onset + (1 + _BEYOND) * duration
    # traced: as constants, XLA would sort the time grid at compile time, which takes seconds
    window = jnp.asarray([onset, duration], currents.dtype)
    return _fi_curve(model, currents, window, solver, t1, max_spikes)


def fi_gain(model: AbstractModel, currents: Any, **options: Any) -> Float[Array, " n_current"]:
    """Slope of the steady f-I curve, d steady_rate / d current [Hz per unit of the input], by differentiating the
    spike times; takes the options of `fi_curve`.

    >>> fi_gain(LIF(), [0.3, 0.5])
    """
    currents = jnp.atleast_1d(jnp.asarray(currents, jnp.result_type(float)))
    curve = lambda currents: fi_curve(model, currents, **options).steady_rate  # noqa: E731
    return jax.jvp(curve, (currents,), (jnp.ones_like(currents),))[1]


def check_one_neuron(model: AbstractModel) -> None:
    """Raise a ValueError for a network."""
    if jax.eval_shape(lambda: model.voltage(model.init_state())).ndim:
        raise ValueError(
            f"Argument `model` must be one neuron, but is a {type(model).__name__} of several; give one of its cells."
        )


def default_fi_solver(model: AbstractModel) -> AbstractSolver:
    """Solver of f-I curves; where it goes from spike to spike, the states each ms are all that they need."""
    if isinstance(model, AbstractSpikingModel) and model.is_solved:
        return ExactSpikes(1.0)
    return default_fixed_solver(model)


@eqx.filter_jit
def _fi_curve(
    model: AbstractModel,
    currents: Array,
    window: Float[Array, " 2"],
    solver: AbstractSolver,
    t1: float,
    max_spikes: int | None,
) -> FIResult:
    onset, duration = window

    def lane(current: Array) -> tuple:
        stimulus = Step(current, onset)
        solution = simulate(model, stimulus, t1=t1, solver=solver, max_spikes=max_spikes, throw=False)
        spikes = solution.spike_times
        last = jnp.max(jnp.where(_is_inside(spikes, onset, duration), spikes, onset))
        below = shortfall(solution, last)
        count = smooth_count(spikes, onset, duration, t1=t1, below=below)
        rates = (mean_rate(spikes, onset, duration), 1e3 * count / duration, *_interval_rates(spikes, onset, duration))
        return *rates, solution.result

    *rates, result = jax.vmap(lane)(currents)
    analytic = model.rate(currents) if isinstance(model, AbstractSolvableModel) else None
    return FIResult(currents, *rates, analytic, result)


def _interval_rates(spikes: Float[Array, " n"], onset: Array, duration: Array) -> tuple[Array, Array]:
    """Inverse of the first and of the last interval in a window [Hz], 0 below two spikes."""
    inside = jnp.where(_is_inside(spikes, onset, duration), spikes, jnp.inf)
    n_spikes = spike_count(inside)
    has_interval = n_spikes > 1
    order = jnp.sort(inside)

    def rate(k: Array) -> Array:
        k = jnp.clip(k, 0, inside.size - 2)
        ends = jnp.where(has_interval, order[k + jnp.arange(2)], jnp.arange(2.0))
        return jnp.where(has_interval, 1e3 / (ends[1] - ends[0]), 0.0)

    return rate(jnp.asarray(0)), rate(n_spikes - 2)


def _checked_times(duration: Any, onset: Any) -> tuple[float, float]:
    if not is_concrete(duration) or not np.isfinite(duration) or not duration > 0:
        raise ValueError(
            f"Argument `duration` must be a positive number [ms], but is duration={duration}; use e.g. 500."
        )
    if not is_concrete(onset) or not np.isfinite(onset) or not onset >= 0:
        raise ValueError(f"Argument `onset` must be a number >= 0 [ms], but is onset={onset}; use e.g. 0.")
    return float(duration), float(onset)
