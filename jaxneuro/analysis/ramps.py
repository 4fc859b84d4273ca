"""Currents that rise slowly: accommodation of one neuron.

An experiment as in `excitability`: many lanes at a time, NumPy arrays, no derivatives.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxneuro.analysis._protocols import (
    RTOL,
    SETTLE,
    SUCCESSFUL,
    Lane,
    Readout,
    as_results,
    at_rest,
    checked_list,
    checked_number,
    excites,
    input_unit,
    smallest,
)
from jaxneuro.analysis.excitability import threshold
from jaxneuro.models import AbstractModel
from jaxneuro.results import RESULTS
from jaxneuro.solvers import AbstractSolver
from jaxneuro.stimuli import Ramp, Step

__all__ = ["Accommodation", "accommodation"]

_SUDDEN = 1e-3  # ms, a rise so fast is a step


class Accommodation(NamedTuple):
    """Responses to currents that rise linearly and then stay, arrays (n,).

    `slope` [unit of the model's input per ms]; `threshold`, the lowest level to rise to that makes a spike [unit], inf
    if none up to `top` does; `current` at the first spike of the rise to `top` [unit], inf without one, and `latency`
    of it from the beginning [ms], NaN without one. `rheobase`, threshold of a step [unit]; `minimal_slope`, the slowest
    rise to `top` that still excites; `unit`; `result` of each run to `top`.
    """

    slope: Float[np.ndarray, " n"]
    threshold: Float[np.ndarray, " n"]
    current: Float[np.ndarray, " n"]
    latency: Float[np.ndarray, " n"]
    rheobase: float
    minimal_slope: float
    top: float
    unit: str
    result: RESULTS


def accommodation(
    model: AbstractModel,
    slopes: Any,
    *,
    top: float | None = None,
    longest: float = 500.0,
    wait: float = 200.0,
    settle: float = SETTLE,
    rtol: float = RTOL,
    solver: AbstractSolver | None = None,
) -> Accommodation:
    """Threshold of currents that rise slowly, over the slope, and the slowest rise that still excites.

    i_app = min(slope t, level);   threshold = min {level: a spike before level/slope + wait}
    minimal_slope = min {slope: a spike before top/slope + wait, if the level is top}

    **Arguments:**

    - `model`: one neuron.
    - `slopes`: of the ramps, a list [unit of the model's input per ms].
    - `top`: the highest level [unit]; three rheobases if None. A slow rise to a current at which rest
      is unstable excites in any case, so accommodation shows only below that.
    - `longest`: the slowest rise that is tried for `minimal_slope` takes so long [ms].
    - `wait`: how long the level is held and a spike awaited after the rise [ms]; `rheobase` is the threshold of a step
      that lasts so long.
    - `settle`, `rtol`, `solver`: as in `threshold`.

    `minimal_slope` is 0 where even the slowest rise excites, as in a leaky integrator, inf where none does.

    **Raises:** TypeError for what is no model, ValueError for a network and for bad numbers.

    >>> accommodation(LIF(), [0.001, 0.01]).minimal_slope  # it does not accommodate
    0.0

    References: Lucas (1907), J Physiol 36:253; Hill (1936), Proc R Soc Lond B
    119:305. doi:10.1098/rspb.1936.0012
    """
    unit = input_unit(model)
    slopes = checked_list("slopes", slopes, f"{unit}/ms")
    longest = checked_number("longest", longest, "ms", is_open=True)
    wait = checked_number("wait", wait, "ms", is_open=True)
    rtol = checked_number("rtol", rtol, "1", is_open=True)
    # a rise at once to a level that is held as long
    rheobase = float(threshold(model, wait, wait=0.0, settle=settle, rtol=rtol, solver=solver).amplitude)
    top = _checked_top(top, rheobase, unit)
    lane = at_rest(model, solver, longest=max(top / slopes.min(), longest) + wait, settle=settle)
    has_spiked, out = _ramps(lane, slopes, top, wait)
    level = smallest(lambda k, i: _ramps(lane, slopes[k], i, wait), slopes.size, 1e-3 * top, top, rtol=rtol)
    # a slope of zero, which the search tries first, is as good as the slowest
    slowest, fastest = top / longest, top / _SUDDEN
    slope = smallest(lambda _, s: _ramps(lane, np.maximum(s, slowest), top, wait), 1, slowest, fastest, rtol=rtol)
    is_good = out.code == SUCCESSFUL
    latency = np.where(is_good & has_spiked, out.first, np.nan)
    current = np.where(has_spiked, np.minimum(slopes * out.first, top), np.inf)
    current = np.where(is_good, current, np.nan)
    return Accommodation(
        slopes, level.dose, current, latency, rheobase, float(slope.dose[0]), top, unit, as_results(out.code)
    )


def _checked_top(top: Any, rheobase: float, unit: str) -> float:
    if top is not None:
        return checked_number("top", top, unit, is_open=True)
    if not (np.isfinite(rheobase) and rheobase > 0):
        raise ValueError(
            f"Argument `top` must be given for a model without a rheobase, but is None and the rheobase is "
            f"{rheobase:g} [{unit}]; choose a current."
        )
    return 3 * rheobase


def _ramps(lane: Lane, slope: np.ndarray, level: Any, wait: float) -> tuple[np.ndarray, Readout]:
    """Whether currents that rise by `slope` [per ms] to `level`, and stay there for `wait` ms, make a spike."""
    slope, level = np.broadcast_arrays(slope, level)
    # a level of zero, which a search tries first, is reached at once
    rise = np.maximum(level / slope, _SUDDEN)
    zero, for_ever = np.zeros_like(rise), np.full_like(rise, np.inf)
    return excites(lane, Ramp(zero, level, zero, rise) + Step(level, rise, for_ever), 0.0, rise + wait)
