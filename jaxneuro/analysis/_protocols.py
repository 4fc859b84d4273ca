"""What the classical experiments share: a neuron at rest, many stimuli at once, and the search for a threshold."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxneuro._simulate import checked_run
from jaxneuro.analysis.firing import check_one_neuron
from jaxneuro.lanes import map_lanes
from jaxneuro.models import AbstractModel, AbstractNoisyModel
from jaxneuro.params import is_concrete
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, Reducer, Span, TimeGrid, default_fixed_solver
from jaxneuro.stimuli import AbstractStimulus, Step

__all__ = [
    "END_STATE",
    "RTOL",
    "SETTLE",
    "SUCCESSFUL",
    "WAIT",
    "Found",
    "Lane",
    "Readout",
    "as_results",
    "at_rest",
    "checked_list",
    "checked_number",
    "excites",
    "input_unit",
    "is_sustained",
    "pulses",
    "read",
    "readers",
    "search_range",
    "smallest",
    "sustained_rate",
]

WAIT = 50.0
"""How long after the end of a stimulus its spike is awaited [ms]."""
SETTLE = 200.0
"""How long a model is left alone before an experiment [ms]: it then rests, where `init_state` only comes near that."""
RTOL = 1e-5
"""Relative width to which a threshold is narrowed down."""

SUCCESSFUL = int(np.asarray(RESULTS.successful._value))
"""Number of the outcome of a run that went well."""

# Far above any threshold of a pulse of 0.01 ms: 700 uA/cm^2 of the squid axon.
_LARGEST = {"uA/cm^2": 1e4, "nA": 1e3, "1": 1e3}
_SPAN = 1e-6  # what excites below this share of the largest amplitude is no stimulus
_LANES = 64  # of the narrowest chunk: fewer cost as much, and other numbers would compile anew


END_STATE = Reducer(lambda y: y, lambda _, span: span.after)
"""The state at the end of a run."""


class Readout(NamedTuple):
    """What is read of a run, within a window: number of spikes, first and last of them [ms] (inf and -inf without one),
    extremes of the voltage [mV], and the number of the outcome."""

    n_spikes: Int[Any, "*n"]
    first: Float[Any, "*n"]
    last: Float[Any, "*n"]
    V_max: Float[Any, "*n"]
    V_min: Float[Any, "*n"]
    code: Int[Any, "*n"]


class Trial(NamedTuple):
    """A stimulus and the window that is looked at, start <= t < end [ms]."""

    stimulus: AbstractStimulus
    start: Array
    end: Array


class Lane(eqx.Module):
    """One run of a trial; all numbers are traced, so that other stimuli and parameters do not compile anew."""

    model: AbstractModel
    y0: Any
    solver: AbstractSolver
    grid: TimeGrid = eqx.field(static=True)

    def __call__(self, trial: Trial) -> Readout:
        reducers = readers(self.model, trial.start, trial.end)
        values, result = self.solver.reduce(self.model, trial.stimulus, self.y0, self.grid, reducers)
        return Readout(*values, result._value)


def readers(model: AbstractModel, start: Array, end: Array) -> tuple[Reducer, ...]:
    """Reducers of all fields of a Readout but the last."""

    def fill(value: float, dtype: Any = None) -> Callable[[Any], Array]:
        return lambda y: jnp.full_like(model.voltage(y), value, dtype=dtype)

    def is_in(span: Span) -> Array:
        return (span.spike_time >= start) & (span.spike_time < end)

    def voltage(span: Span, outside: float) -> Array:
        return jnp.where((span.right > start) & (span.right <= end), model.voltage(span.after), outside)

    return (
        Reducer(fill(0, int), lambda n, s: n + is_in(s)),
        Reducer(fill(jnp.inf), lambda t, s: jnp.minimum(t, jnp.where(is_in(s), s.spike_time, jnp.inf))),
        Reducer(fill(-jnp.inf), lambda t, s: jnp.maximum(t, jnp.where(is_in(s), s.spike_time, -jnp.inf))),
        Reducer(fill(-jnp.inf), lambda V, s: jnp.maximum(V, voltage(s, -jnp.inf))),
        Reducer(fill(jnp.inf), lambda V, s: jnp.minimum(V, voltage(s, jnp.inf))),
    )


def at_rest(model: AbstractModel, solver: AbstractSolver | None, *, longest: float, settle: Any) -> Lane:
    """A lane of runs of at least `longest` ms that start from where the model is after `settle` ms without input."""
    settle = checked_number("settle", settle, "ms")
    solver = default_fixed_solver(model) if solver is None else solver
    # few lengths, at most half too long, so that other durations seldom compile anew
    unit = 2.0 ** math.floor(math.log2(longest)) / 2
    t1 = unit * math.ceil(longest / unit - 1e-9)
    _, solver, grid, _ = checked_run(model, None, t0=0.0, t1=t1, dt_save=None, solver=solver, max_spikes=None)
    if settle == 0:
        return Lane(model, model.init_state(), solver, grid)
    _, _, before, _ = checked_run(model, None, t0=0.0, t1=settle, dt_save=None, solver=solver, max_spikes=None)
    return Lane(model, _settled(model, solver, before), solver, grid)


@eqx.filter_jit
def _settled(model: AbstractModel, solver: AbstractSolver, grid: TimeGrid) -> Any:
    # jumps as those of the experiments, at times that do nothing
    (y,), _ = solver.reduce(model, Step(0.0), model.init_state(), grid, (END_STATE,))
    return y


def pulses(amplitude: Any, onset: Any, duration: Any) -> Step:
    """Rectangular pulses, one per lane: amplitude [unit of the input], onset and duration [ms] of equal length."""
    amplitude, onset, duration = np.broadcast_arrays(*(np.asarray(x, float) for x in (amplitude, onset, duration)))
    return Step(amplitude, onset, duration)


def read(lane: Lane, stimulus: AbstractStimulus, start: Any, end: Any) -> Readout:
    """Readouts, NumPy arrays (n,), of n stimuli, whose fields have a leading axis, in windows start <= t < end [ms]."""
    n = len(jax.tree.leaves(stimulus)[0])
    dtype = jnp.result_type(float)
    start, end = (np.broadcast_to(np.asarray(x, dtype), n) for x in (start, end))
    filled = np.minimum(np.arange(max(n, _LANES)), n - 1)
    trials = jax.tree.map(lambda leaf: np.asarray(leaf)[filled], Trial(stimulus, start, end))
    return jax.tree.map(lambda leaf: leaf[:n], map_lanes(lane, trials))


def excites(lane: Lane, stimulus: AbstractStimulus, start: Any, end: Any) -> tuple[Bool[np.ndarray, " n"], Readout]:
    """Whether each of n stimuli makes a spike in its window start <= t < end [ms], and the readouts."""
    out = read(lane, stimulus, start, end)
    return out.n_spikes > 0, out


Answers = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Readout]]


class Found(NamedTuple):
    """What a search finds, (n_case,): the smallest dose with an effect, the readouts there, numbers of the outcomes.

    The dose is 0 where none is too small to have an effect, inf where none has one, NaN where a run that decides it has
    failed; the readouts then mean nothing.
    """

    dose: Float[np.ndarray, " n_case"]
    readout: Readout
    code: Int[np.ndarray, " n_case"]


def smallest(answers: Answers, n_case: int, low: Any, high: Any, *, rtol: float = RTOL) -> Found:
    """The smallest dose between `low` and `high` that has an effect, for every case, to a relative `rtol`.

    `answers(case, dose)`, arrays of equal length, returns (whether there is an effect, the readouts). Every round tries
    k doses of each case, in equal ratios between the largest dose without an effect and the smallest with one, so that
    log(high/low) shrinks by k + 1. Nothing is assumed above the first that has an effect; a run that fails there does
    not count.
    """
    k = max(_LANES // n_case, 8)
    rtol = max(rtol, 1e-12)  # narrower, rounding would leave nothing to try between the ends
    below, above = (np.broadcast_to(np.asarray(x, float), n_case).copy() for x in (low, high))
    # zero, and both ends
    doses = below[:, None] * (above / below)[:, None] ** np.linspace(0, 1, k - 1)
    doses = np.concatenate([np.zeros((n_case, 1)), doses], axis=1)
    dose, code = np.full(n_case, np.inf), np.full(n_case, SUCCESSFUL)
    is_open, best = np.ones(n_case, bool), None
    while is_open.any():
        has_effect, out = answers(np.repeat(np.arange(n_case), doses.shape[1]), doses.ravel())
        has_effect, out = jax.tree.map(lambda leaf, shape=doses.shape: leaf.reshape(shape), (has_effect, out))
        best = jax.tree.map(lambda leaf: leaf[:, -1].copy(), out) if best is None else best
        for case in np.flatnonzero(is_open):
            first = _first_effect(has_effect[case], out.code[case])
            if first is None:
                below[case] = doses[case, -1]
                is_open[case] = np.isfinite(dose[case])
            elif out.code[case, first] != SUCCESSFUL:
                dose[case], code[case], is_open[case] = np.nan, out.code[case, first], False
            else:
                dose[case] = doses[case, first]
                below[case] = doses[case, first - 1] if first else below[case]
                for kept, leaf in zip(best, out, strict=True):
                    kept[case] = leaf[case, first]
        # the lowest dose has an effect: none is too small
        is_low = is_open & (below == 0)
        dose[is_low] = 0.0
        is_open &= ~is_low & (dose > below * (1 + rtol))
        ends = (np.where(is_open, x, 1.0)[:, None] for x in (below, dose))
        doses = _between(*ends, k)
    return Found(dose, best, code)


def _first_effect(has_effect: Bool[np.ndarray, " k"], code: Int[np.ndarray, " k"]) -> int | None:
    """Index of the first dose that has an effect or whose run failed; None if there is none."""
    (at,) = np.nonzero(has_effect | (code != SUCCESSFUL))
    return int(at[0]) if at.size else None


def _between(low: np.ndarray, high: np.ndarray, k: int) -> Float[np.ndarray, "n_case k"]:
    """k doses in equal ratios between the ends, without these."""
    return low * (high / low) ** (np.arange(1, k + 1) / (k + 1))


def as_results(code: Any) -> RESULTS:
    """Outcomes from their numbers."""
    return eqx.tree_at(lambda result: result._value, RESULTS.successful, jnp.asarray(code))


def is_sustained(readout: Readout, end: Any) -> Bool[np.ndarray, " n"]:
    """Whether firing goes on to the end [ms] of the window: at least two spikes, and after the last one no more silence
    than one and a half mean intervals."""
    n = np.maximum(readout.n_spikes - 1, 1)
    with np.errstate(invalid="ignore"):  # inf - inf without a spike
        return (readout.n_spikes > 1) & (end - readout.last <= 1.5 * (readout.last - readout.first) / n)


def sustained_rate(readout: Readout, end: Any) -> Float[np.ndarray, " n"]:
    """Inverse of the mean interspike interval [Hz]; 0 where firing is not sustained."""
    is_on = is_sustained(readout, end)
    span = np.where(is_on, readout.last, 1.0) - np.where(is_on, readout.first, 0.0)
    return np.where(is_on, 1e3 * (readout.n_spikes - 1) / span, 0.0)


def search_range(model: AbstractModel, largest: Any) -> tuple[float, float]:
    """Smallest and largest amplitude of a search [unit of the model's input]."""
    unit = input_unit(model)
    top = _LARGEST.get(unit, 1e3) if largest is None else checked_number("largest", largest, unit, is_open=True)
    return _SPAN * top, top


def input_unit(model: AbstractModel) -> str:
    """Unit of the model's input; a TypeError for what is no model, a ValueError for a network."""
    if not isinstance(model, AbstractModel):
        raise TypeError(f"Argument `model` must be a model, but is {model!r}; build one, e.g. HodgkinHuxley().")
    if isinstance(model, AbstractNoisyModel):
        raise ValueError(
            f"Argument `model` must answer alike each time, but is a {type(model).__name__}; take its `cell`, or use "
            "reliability."
        )
    check_one_neuron(model)
    return model.input_unit


def checked_number(name: str, value: Any, unit: str, *, is_open: bool = False, is_signed: bool = False) -> float:
    """A single finite number, >= 0 (> 0 if `is_open`) unless `is_signed`; else a ValueError of one sentence."""
    array = np.asarray(value) if is_concrete(value) and not isinstance(value, bool) else np.asarray(np.nan)
    rule = "finite" if is_signed else "positive" if is_open else "non-negative"
    if array.ndim == 0 and np.issubdtype(array.dtype, np.number) and np.isfinite(array):
        number = float(array)
        if is_signed or number > 0 or (number == 0 and not is_open):
            return number
    shown = f" [{unit}]" if unit else ""
    raise ValueError(f"Argument `{name}` must be a single {rule} number{shown}, but is {value!r}; give e.g. 10.0.")


def checked_list(name: str, values: Any, unit: str, *, is_signed: bool = False) -> Float[np.ndarray, " n"]:
    """A list of one or more finite numbers, > 0 unless `is_signed`; else a ValueError of one sentence."""
    try:
        array = np.atleast_1d(np.asarray(values, float))
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if array.ndim != 1 or not array.size or not np.all(np.isfinite(array)) or not (is_signed or np.all(array > 0)):
        rule = "finite" if is_signed else "positive"
        shown = f" [{unit}]" if unit else ""
        raise ValueError(f"Argument `{name}` must be a list of {rule} numbers{shown}, but is {values!r}; give some.")
    return array
