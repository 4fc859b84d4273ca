"""Repetitive firing of one neuron: its onset and class, hysteresis of the f-I curve, depolarisation block.

Experiments as in `excitability`: NumPy arrays, no derivatives.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.analysis._protocols import (
    END_STATE,
    RTOL,
    SETTLE,
    SUCCESSFUL,
    Lane,
    Readout,
    as_results,
    at_rest,
    checked_list,
    checked_number,
    input_unit,
    is_sustained,
    pulses,
    read,
    readers,
    search_range,
    smallest,
    sustained_rate,
)
from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver, TimeGrid
from jaxneuro.stimuli import Constant

__all__ = ["CLASS_LIMIT", "FIHysteresis", "Onset", "fi_hysteresis", "onset"]

CLASS_LIMIT = 1 / 3
"""Share of the rate at up to twice the current that the rate at onset exceeds in class II. It is 0.4 to 0.7 in squid
axons, FitzHugh's and Morris & Lecar's oscillators, and 0.03 to 0.26 in class I, where a step of 1 s shows no rate below
3 Hz. Hodgkin (1948) gives 75 of 150 and 5 of 150 impulses per second."""

# Currents, in multiples of the one at onset, among which the highest rate is taken: a block may come before twice it.
_ABOVE = np.array([1.1, 1.25, 1.5, 2.0])
_QUENCHED = 0.02  # of the largest swing; below is ripple that has not died out


class Onset(NamedTuple):
    """Where firing begins.

    `rheobase`, the smallest step that makes a spike, `current`, the smallest that makes a neuron fire until its end
    [both in `unit`, that of the model's input]; `rate` there, `rate_above`, the highest up to twice that current [Hz];
    `firing_class`, 1 or 2; `limit` between the classes [1]; `result`. Class 0: it never fires so, or it fires without
    input (current 0), so that its onset lies below.
    """

    rheobase: float
    current: float
    rate: float
    rate_above: float
    firing_class: int
    limit: float
    unit: str
    result: RESULTS


def onset(
    model: AbstractModel,
    *,
    duration: float = 1000.0,
    largest: float | None = None,
    limit: float = CLASS_LIMIT,
    settle: float = SETTLE,
    rtol: float = RTOL,
    solver: AbstractSolver | None = None,
) -> Onset:
    """The smallest step with a spike, the smallest with repetitive firing, the rate there and the class.

    rheobase = min {i: a spike in 0 <= t < duration}
    current  = min {i: sustained spikes in duration/2 <= t < duration}

    Firing is sustained if there are at least two spikes in the second half of the step, and after the last of them no
    more silence than one and a half mean intervals. `rate` is the inverse of the mean interval there.

    Class I neurons begin to fire at any low rate (a saddle-node on the limit cycle: rate ~ sqrt(i - current)), class II
    neurons at a rate of their own (a Hopf bifurcation or a fold of limit cycles). It is class II if rate > limit
    rate_above: a share, since a rate in Hz would depend on temperature and on the model's unit of time. `rate` is that
    at a current at most `rtol` above the onset, where class I has the slowest firing that the step can show.

    **Arguments:** `model`, one neuron; `duration` of the step, switched on at rest [ms]; `limit` between the classes
    [1]; `largest`, `settle`, `rtol`, `solver` as in `threshold`. A step from rest may miss firing that coexists with
    a stable rest: see `fi_hysteresis`.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> onset(HodgkinHuxley()).firing_class
    2

    References: Hodgkin (1948), J Physiol 107:165. doi:10.1113/jphysiol.1948.sp004260; Rinzel & Ermentrout (1998), in
    Koch & Segev, Methods in Neuronal Modeling, ch. 7.
    """
    low, high = search_range(model, largest)
    duration = checked_number("duration", duration, "ms", is_open=True)
    limit = checked_number("limit", limit, "1", is_open=True)
    rtol = checked_number("rtol", rtol, "1", is_open=True)
    lane = at_rest(model, solver, longest=duration, settle=settle)

    def answers(start: float, is_effect: Any) -> Any:
        def of(_: np.ndarray, amplitude: np.ndarray) -> tuple[np.ndarray, Readout]:
            out = read(lane, pulses(amplitude, 0.0, duration), start, duration)
            return is_effect(out), out

        return of

    single = smallest(answers(0.0, lambda out: out.n_spikes > 0), 1, low, high, rtol=rtol)
    train = smallest(answers(duration / 2, lambda out: is_sustained(out, duration)), 1, low, high, rtol=rtol)
    current = float(train.dose[0])
    rate = float(sustained_rate(train.readout, duration)[0]) if np.isfinite(current) else np.nan
    above = np.nan
    if np.isfinite(current):
        out = read(lane, pulses(current * _ABOVE, 0.0, duration), duration / 2, duration)
        above = float(np.max(sustained_rate(out, duration), where=out.code == SUCCESSFUL, initial=rate))
    # without input its onset lies below
    firing_class = _firing_class(rate, above, limit) if current > 0 else 0
    result = as_results(train.code[0] if train.code[0] != SUCCESSFUL else single.code[0])
    return Onset(float(single.dose[0]), current, rate, above, firing_class, limit, input_unit(model), result)


def _firing_class(rate: float, above: float, limit: float) -> int:
    """1 or 2 by the rate at onset and the highest up to twice the current [Hz], 0 if there is none."""
    return 0 if not rate > 0 else 2 if rate > limit * above else 1


class FIHysteresis(NamedTuple):
    """f-I curve going up and coming down, arrays (n,), both in the order of rising current.

    `current` [unit of the model's input]; `up_rate`, `down_rate`, of sustained firing, 0 without it [Hz]; `up_swing`,
    `down_swing`, highest less lowest voltage [mV]. `up_onset`, `down_onset`, the lowest currents with firing on either
    branch; between them rest and firing coexist. `block`, the largest current with firing if there is silence above it,
    NaN if it fires up to the end; `quench`, the largest current at which the voltage still swings by more than 2 % of
    its largest swing, NaN likewise. `firing_class`, 1 or 2 as in `Onset`, by the rate at the
    lowest current that fires, 0 unless the currents go from there to half as much again; `unit` of the currents;
    `up_result`, `down_result`.
    """

    current: Float[np.ndarray, " n"]
    up_rate: Float[np.ndarray, " n"]
    down_rate: Float[np.ndarray, " n"]
    up_swing: Float[np.ndarray, " n"]
    down_swing: Float[np.ndarray, " n"]
    up_onset: float
    down_onset: float
    block: float
    quench: float
    firing_class: int
    unit: str
    up_result: RESULTS
    down_result: RESULTS


def fi_hysteresis(
    model: AbstractModel,
    currents: Any,
    *,
    duration: float = 500.0,
    limit: float = CLASS_LIMIT,
    settle: float = SETTLE,
    solver: AbstractSolver | None = None,
) -> FIHysteresis:
    """f-I curve along currents that rise step by step and then fall again, the state going on from one to the next.

    Each current lasts `duration`; its second half is looked at. Firing counts as in `onset`. Where a stable rest and a
    limit cycle coexist, the branch going up stays at rest until that loses its stability, the branch coming down fires
    until the limit cycle is gone. A jump of the current is itself a stimulus: to stay on the branches choose small
    steps. Just beyond the point where rest becomes unstable deviations grow slowly, so that `up_onset` lies a little
    above it, the less the longer `duration` is. At high currents the spikes grow small and no longer reach the model's
    threshold: `block` is where spikes end, `quench` where the voltage comes to rest, both to the spacing of `currents`.

    **Arguments:** `model`, one neuron; `currents`, at least two, rising [unit of the model's input]; `duration` of each
    [ms]; `limit` between the classes [1]; `settle`, `solver` as in `threshold`. A run that fails has NaN, as have all
    after it. What is left of a refractory period at the end of one current is lost in a model that resets.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> curve = fi_hysteresis(HodgkinHuxley(), np.arange(4.0, 13.0, 0.5), duration=200.0)
    >>> bool(curve.down_onset < curve.up_onset)
    True

    References: Rinzel & Ermentrout (1998), in Koch & Segev, Methods in Neuronal Modeling, ch. 7; Guttman, Lewis &
    Rinzel (1980), J Physiol 305:377.
    """
    unit = input_unit(model)
    currents = checked_list("currents", currents, unit, is_signed=True)
    if currents.size < 2 or np.any(np.diff(currents) <= 0):
        raise ValueError(
            f"Argument `currents` must be at least two, rising, but is {currents}; give e.g. np.linspace(0, 20, 41)."
        )
    duration = checked_number("duration", duration, "ms", is_open=True)
    limit = checked_number("limit", limit, "1", is_open=True)
    lane = at_rest(model, solver, longest=duration, settle=settle)
    up, down = _branches(Lane(model, lane.y0, lane.solver, _lasting(lane.grid, duration)), currents)
    up_rate, down_rate = (_good(part, sustained_rate(part, duration)) for part in (up, down))
    up_swing, down_swing = (_good(part, part.V_max - part.V_min) for part in (up, down))
    rates, swings = np.fmax(up_rate, down_rate), np.fmax(up_swing, down_swing)
    return FIHysteresis(
        currents,
        up_rate,
        down_rate,
        up_swing,
        down_swing,
        _lowest(currents, up_rate > 0),
        _lowest(currents, down_rate > 0),
        _highest(currents, rates > 0),
        _highest(currents, swings > _QUENCHED * np.max(swings, initial=0.0, where=swings > 0)),
        _class_of_curve(currents, rates, limit),
        unit,
        as_results(up.code),
        as_results(down.code),
    )


def _lasting(grid: TimeGrid, duration: float) -> TimeGrid:
    # exactly so long, since the state at the end of one current is the start of the next
    return dataclasses.replace(grid, t1=duration)


def _branches(lane: Lane, currents: np.ndarray) -> tuple[Readout, Readout]:
    """Readouts of the second half of each current, going up and coming down, both in the order of `currents`."""
    both = jnp.asarray(np.concatenate([currents, currents[::-1]]), jnp.result_type(float))
    window = jnp.asarray([lane.grid.t1 / 2, lane.grid.t1], both.dtype)
    out = jax.tree.map(np.asarray, _chained(lane, both, window))
    n = currents.size
    return jax.tree.map(lambda leaf: leaf[:n], out), jax.tree.map(lambda leaf: leaf[n:][::-1], out)


@eqx.filter_jit
def _chained(lane: Lane, currents: Float[Array, " n"], window: Float[Array, " 2"]) -> Readout:
    """One run per current, each from the end of the one before."""

    def step(y: Any, current: Array) -> tuple[Any, Readout]:
        reducers = (*readers(lane.model, *window), END_STATE)
        (*values, y), result = lane.solver.reduce(lane.model, Constant(current), y, lane.grid, reducers)
        return y, Readout(*values, result._value)

    return jax.lax.scan(step, lane.y0, currents)[1]


def _good(out: Readout, values: np.ndarray) -> np.ndarray:
    """The values, NaN where the run failed."""
    return np.where(out.code == SUCCESSFUL, values, np.nan)


def _lowest(currents: np.ndarray, is_on: np.ndarray) -> float:
    return float(currents[is_on][0]) if is_on.any() else np.nan


def _highest(currents: np.ndarray, is_on: np.ndarray) -> float:
    """The largest current that is on, NaN if none is or if that is the last: then the end is not in sight."""
    return float(currents[is_on][-1]) if is_on.any() and not is_on[-1] else np.nan


def _class_of_curve(currents: np.ndarray, rates: np.ndarray, limit: float) -> int:
    """Class by the lowest current that fires, 0 if that is not positive or currents end before half as much again."""
    first = _lowest(currents, rates > 0)
    if not (first > 0 and currents[-1] >= 1.5 * first):
        return 0
    near = rates[(currents >= first) & (currents <= 2 * first)]
    return _firing_class(float(near[0]), float(np.nanmax(near)), limit)
