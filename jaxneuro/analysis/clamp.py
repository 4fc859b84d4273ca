"""Voltage clamp: currents and conductances under a command, families of steps, leak subtraction, gating curves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._simulate import simulate
from jaxneuro.analysis.ionic import membrane_traces
from jaxneuro.channels import AbstractOhmicChannel
from jaxneuro.models import AbstractMembrane, IdealClamp, VoltageClamp
from jaxneuro.params import guess, is_concrete
from jaxneuro.solvers import AbstractSolver, FixedStep
from jaxneuro.stimuli import AbstractStimulus, Levels, as_stimulus

__all__ = [
    "Boltzmann",
    "ClampResult",
    "activation_curve",
    "clamp_family",
    "fit_boltzmann",
    "inactivation_curve",
    "leak_subtracted",
    "voltage_clamp",
]


class ClampResult(NamedTuple):
    """What a voltage clamp measures, and what it cannot: arrays of shape (..., n_time).

    `ts` [ms]; `command` and membrane potential `V` [mV]; `currents` [uA/cm^2] and `conductances` [mS/cm^2] by channel
    (ohmic ones), outward positive; `i_clamp` [uA/cm^2], what the amplifier delivers: the ionic currents and, through a
    series resistance, the capacitive transient.
    """

    ts: Float[Array, "*b n_time"]
    command: Float[Array, "*b n_time"]
    V: Float[Array, "*b n_time"]
    currents: dict[str, Float[Array, "*b n_time"]]
    conductances: dict[str, Float[Array, "*b n_time"]]
    i_clamp: Float[Array, "*b n_time"]


def voltage_clamp(
    cell: AbstractMembrane,
    command: AbstractStimulus | float,
    *,
    t1: float,
    R_s: Any = None,
    dt_save: float = 0.05,
    solver: AbstractSolver | None = None,
) -> ClampResult:
    """Hold a membrane at a command voltage and give its currents.

    **Arguments:**

    - `cell`: any membrane, e.g. `HodgkinHuxley()`. It starts steady at the command's value at 0 ms.
    - `command`: voltage over time [mV], e.g. `Levels([-65.0, 0.0, -40.0], starts=[0.0, 5.0, 25.0])`, a `Ramp`, a
      number.
    - `t1`: end [ms]; `dt_save`: interval of the results [ms], a multiple of the solver's step.
    - `R_s`: series resistance times area [kOhm cm^2]; None for an ideal clamp, in which V is the command and the
      capacitive current, an impulse, is left out.
    - `solver`: FixedStep(0.01) if None.

    Differentiable in the cell's parameters and in the command. Works under jax.vmap.

    >>> clamp = voltage_clamp(HodgkinHuxley(), Levels([-65.0, 0.0], starts=[0.0, 5.0]), t1=20.0)
    >>> sorted(clamp.currents)
    ['k', 'leak', 'na']

    References: Hodgkin, Huxley & Katz (1952), J Physiol 116:424. doi:10.1113/jphysiol.1952.sp004716
    """
    command = as_stimulus(command)
    model = IdealClamp(cell) if R_s is None else VoltageClamp(cell, R_s=R_s)
    solver = FixedStep(0.01) if solver is None else solver
    y0 = cell.state_at(command(jnp.zeros((), jnp.result_type(float))))
    solution = simulate(model, command, t1=t1, y0=y0, dt_save=dt_save, solver=solver)
    commanded = solution.i_app
    ys = solution.ys._replace(V=commanded) if R_s is None else solution.ys
    traces = membrane_traces(cell, ys)
    i_clamp = sum(traces.currents.values()) if R_s is None else (commanded - ys.V) / R_s
    return ClampResult(solution.ts, commanded, ys.V, traces.currents, traces.conductances, i_clamp)


def clamp_family(
    cell: AbstractMembrane,
    levels: Any,
    *,
    holding: float = -65.0,
    onset: float = 5.0,
    duration: float = 20.0,
    tail: float | None = None,
    tail_duration: float = 10.0,
    R_s: Any = None,
    solver: AbstractSolver | None = None,
    dt_save: float = 0.05,
) -> ClampResult:
    """Steps from a holding potential to each of `levels`, then to `tail`: arrays of shape (n_level, n_time).

    **Arguments:** `cell`, any membrane; `levels` [mV], shape (n_level,); `holding` [mV]; `onset`, when the step begins,
    `duration` of the step and `tail_duration` [ms]; `tail` [mV], the holding potential if None; the others as in
    `voltage_clamp`.

    >>> clamp_family(HodgkinHuxley(), [-40.0, 0.0, 40.0]).currents["na"].shape
    (3, 701)
    """
    levels = _as_levels("levels", levels)
    starts = jnp.asarray([0.0, onset, onset + duration], levels.dtype)
    after = holding if tail is None else tail

    def lane(level: Array) -> ClampResult:
        command = Levels(jnp.stack([jnp.full_like(level, holding), level, jnp.full_like(level, after)]), starts)
        end = onset + duration + tail_duration
        return voltage_clamp(cell, command, t1=end, R_s=R_s, solver=solver, dt_save=dt_save)

    return jax.vmap(lane)(levels)


def leak_subtracted(
    cell: AbstractMembrane,
    command: Levels,
    *,
    t1: float,
    n: int = 4,
    R_s: Any = None,
    solver: AbstractSolver | None = None,
    dt_save: float = 0.05,
) -> ClampResult:
    """P/N leak subtraction: the same command, with `n` small inverted copies of it added to `i_clamp`.

    i = i_P + n i_{-P/n} - (n + 1) i_hold;   all that is linear in V, leak and capacity, cancels.

    The small copies start from the same holding potential (the first level) and go 1/n as far the other way, where
    the gated channels hardly open. `currents` and `conductances` are those of the full command. Arguments as in
    `voltage_clamp`; `n`, a whole number.

    References: Bezanilla & Armstrong (1977), J Gen Physiol 70:549. doi:10.1085/jgp.70.5.549
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"Argument `n` must be a whole number of at least 1, but is {n!r}; use e.g. 4.")
    if not isinstance(command, Levels):
        raise TypeError(f"Argument `command` must be Levels, but is a {type(command).__name__}; use Levels(...).")
    hold = command.levels[0]
    small = Levels(hold - (command.levels - hold) / n, command.starts)
    kept = {"t1": t1, "R_s": R_s, "solver": solver, "dt_save": dt_save}
    full, reverse = voltage_clamp(cell, command, **kept), voltage_clamp(cell, small, **kept)
    at_rest = voltage_clamp(cell, Levels(hold + 0 * command.levels, command.starts), **kept)
    return full._replace(i_clamp=full.i_clamp + n * reverse.i_clamp - (n + 1) * at_rest.i_clamp)


class Boltzmann(NamedTuple):
    """y = 1 / (1 + e^{-(V - V_half) / slope}): V_half and slope [mV]; a negative slope falls with V."""

    V_half: float
    slope: float


def activation_curve(
    cell: AbstractMembrane,
    channel: str,
    levels: Any,
    *,
    holding: float = -90.0,
    duration: float = 20.0,
    solver: AbstractSolver | None = None,
) -> Float[Array, " n_level"]:
    """Peak conductance of one channel in a step to each level, as a share of the largest [1].

    **Arguments:** `channel`, its name in the cell, e.g. "na"; `levels` [mV], shape (n_level,); `holding` [mV], where
    the channel should be shut (-40 for an h current), as the peak is that of the whole run; `duration` of the
    steps [ms].

    **Raises:** ValueError for a channel that the cell has not or that has no conductance.
    """
    _check_channel(cell, channel)
    family = clamp_family(cell, levels, holding=holding, duration=duration, tail_duration=0.1, solver=solver)
    return _relative(channel, jnp.max(family.conductances[channel], axis=-1))


def inactivation_curve(
    cell: AbstractMembrane,
    channel: str,
    prepulses: Any,
    *,
    test: float = 0.0,
    duration: float = 100.0,
    test_duration: float = 10.0,
    solver: AbstractSolver | None = None,
) -> Float[Array, " n_level"]:
    """Peak conductance of one channel in a test step, after a long prepulse to each level, as a share of the largest.

    **Arguments:** `channel`, its name in the cell, e.g. "na"; `prepulses` [mV], shape (n_level,); `test` [mV];
    `duration` of the prepulse and `test_duration` [ms].

    **Raises:** ValueError for a channel that the cell has not or that has no conductance.
    """
    _check_channel(cell, channel)
    family = clamp_family(
        cell, prepulses, duration=duration, tail=test, tail_duration=test_duration, onset=0.1, solver=solver
    )
    in_test = family.ts[0] >= 0.1 + duration
    return _relative(channel, jnp.max(jnp.where(in_test, family.conductances[channel], 0.0), axis=-1))


def fit_boltzmann(V: Any, y: Any) -> Boltzmann:
    """Least-squares Boltzmann curve through an activation or inactivation curve.

    **Arguments:** `V` [mV] and `y` [1], shape (n,), at least three points.

    >>> fit_boltzmann([-60.0, -40.0, -20.0], [0.1192, 0.5, 0.8808]).V_half
    -40.0
    """
    from scipy.optimize import curve_fit

    V, y = np.asarray(V, float), np.asarray(y, float)
    if V.ndim != 1 or V.shape != y.shape or V.size < 3 or not np.all(np.isfinite(V) & np.isfinite(y)) or not np.ptp(y):
        raise ValueError(
            f"Argument `y` must hold one finite value per voltage, three or more that differ, but has shape "
            f"{y.shape} for V of shape {V.shape}; give both the same length."
        )
    rises = np.corrcoef(V, y)[0, 1] > 0
    start = (V[np.argmin(np.abs(y - 0.5 * y.max()))], 8.0 if rises else -8.0)
    found, _ = curve_fit(lambda V, half, slope: 1 / (1 + np.exp(-(V - half) / slope)), V, y, start)
    return Boltzmann(round(float(found[0]), 6), round(float(found[1]), 6))


def _relative(channel: str, peak: Float[Array, " n"]) -> Float[Array, " n"]:
    largest = jnp.max(peak)
    if is_concrete(largest) and not largest > 0:
        raise ValueError(
            f"Argument `channel` must conduct, but {channel!r} never opens at these voltages; raise its g_max or go "
            "further."
        )
    return peak / largest


def _as_levels(name: str, levels: Any) -> Array:
    levels = jnp.atleast_1d(jnp.asarray(levels, jnp.result_type(float)))
    if levels.ndim > 1 or not levels.size or (is_concrete(levels) and not np.all(np.isfinite(levels))):
        raise ValueError(f"Argument `{name}` must be a list of finite voltages [mV], but is {levels}; give e.g. [0.0].")
    return levels


def _check_channel(cell: AbstractMembrane, channel: str) -> None:
    ohmic = [name for name, c in cell.channels.items() if isinstance(c, AbstractOhmicChannel)]
    if channel not in ohmic:
        raise ValueError(f"Argument `channel` must be one of the cell's, but is {channel!r}; {guess(channel, ohmic)}.")
