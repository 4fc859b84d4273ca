"""Is the step small enough? The same run with halved steps and in float64, beside a reference."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxneuro._simulate import simulate
from jaxneuro._solution import Solution
from jaxneuro.models import AbstractModel, AbstractSpikingModel
from jaxneuro.results import outcome_names
from jaxneuro.solvers import AbstractFixedSolver, AbstractSolver, Adaptive, ExactSpikes, FixedStep, default_fixed_solver
from jaxneuro.stimuli import AbstractStimulus, as_stimulus

__all__ = ["Convergence", "ConvergenceRow", "convergence"]


class ConvergenceRow(NamedTuple):
    """One run: its step [ms], precision, outcome, number of spikes, worst error of a spike time [ms] (inf where the
    number of spikes differs) and root mean square error of the voltage [mV]."""

    dt: float
    precision: str
    result: str
    n_spikes: int
    spike_error: float
    voltage_error: float


@dataclasses.dataclass(frozen=True)
class Convergence:
    """Errors of a run at dt, dt/2 and dt/4, in the present precision and in float64; `print` shows them as a table.

    `recommended`: the solver with the longest of these steps that meets both tolerances; where none does Adaptive() or,
    for models that reset, ExactSpikes, with an eighth of the step if it is that already.
    """

    rows: tuple[ConvergenceRow, ...]
    recommended: AbstractSolver
    reference: str

    def __str__(self) -> str:
        lines = [f"errors against {self.reference}", "  dt [ms]  precision  spikes  spike time [ms]  voltage, RMS [mV]"]
        for row in self.rows:
            note = "" if row.result == "successful" else f"  {row.result}"
            errors = f"{row.spike_error:15.2g}  {row.voltage_error:17.2g}{note}"
            lines.append(f"{row.dt:9.4g}  {row.precision:>9}  {row.n_spikes:6d}  {errors}")
        return "\n".join([*lines, f"recommended: {_written(self.recommended)}"])


def convergence(
    model: AbstractModel,
    stimulus: AbstractStimulus | float | None = None,
    *,
    t1: float,
    t0: float = 0.0,
    solver: AbstractFixedSolver | None = None,
    spike_tolerance: float = 0.02,
    voltage_tolerance: float = 0.5,
) -> Convergence:
    """Run a model at dt, dt/2 and dt/4, in the present precision and in float64, and compare with a reference.

    The reference is Adaptive(rtol=1e-9) in float64, for models that reset ExactSpikes(dt / 16).

    **Arguments:** `model`, `stimulus`, `t1`, `t0`, as in `simulate`; `solver`, on a fixed grid, the default of sweeps
    if None; `spike_tolerance` [ms] and `voltage_tolerance` [mV, RMS], what `recommended` must meet.

    **Raises:** ValueError for a solver without a fixed step, and whatever `simulate` refuses.

    >>> print(convergence(HodgkinHuxley(), Step(10.0, 5.0), t1=50.0, solver=FixedStep(0.025)))
    """
    solver = default_fixed_solver(model) if solver is None else solver
    if not isinstance(solver, AbstractFixedSolver):
        raise ValueError(
            f"Argument `solver` must have a fixed step, but is {type(solver).__name__}; use e.g. FixedStep(0.025)."
        )
    stimulus = as_stimulus(stimulus)
    dt_save = solver.dt * max(round(0.1 / solver.dt), 1)

    def run(chosen: AbstractSolver, is_double: bool) -> Solution:
        settings = {"t0": t0, "t1": t1, "dt_save": dt_save, "solver": chosen, "throw": False}
        if not is_double:
            return simulate(model, stimulus, **settings)
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, simulate(*_doubled((model, stimulus)), **settings))

    steps = [dataclasses.replace(solver, dt=solver.dt / part) for part in (1, 2, 4)]
    is_resetting = isinstance(model, AbstractSpikingModel)
    reference = ExactSpikes(solver.dt / 16) if is_resetting else Adaptive(rtol=1e-9, atol=1e-9)
    exact = run(reference, True)
    precisions = [False, True] if not jax.config.jax_enable_x64 else [True]
    rows = tuple(_row(chosen.dt, run(chosen, is_double), exact) for is_double in precisions for chosen in steps)
    fits = [row.spike_error <= spike_tolerance and row.voltage_error <= voltage_tolerance for row in rows[:3]]
    exact_spikes = ExactSpikes(solver.dt / 8 if isinstance(solver, ExactSpikes) else solver.dt)
    fallback = exact_spikes if is_resetting else Adaptive()
    recommended = steps[fits.index(True)] if any(fits) else fallback
    return Convergence(rows, recommended, f"{_written(reference)} in float64")


def _doubled(tree: Any) -> Any:
    def double(leaf: Any) -> Any:
        is_float = isinstance(leaf, jax.Array | np.ndarray) and np.issubdtype(leaf.dtype, np.floating)
        return jnp.asarray(np.asarray(leaf), jnp.float64) if is_float else leaf

    return jax.tree.map(double, tree)


def _row(dt: float, run: Solution, exact: Solution) -> ConvergenceRow:
    spikes, wanted = (np.asarray(s.spike_times, np.float64).ravel() for s in (run, exact))
    spikes, wanted = spikes[np.isfinite(spikes)], wanted[np.isfinite(wanted)]
    result = outcome_names()[int(np.asarray(run.result._value))]
    is_comparable = result == "successful" and spikes.size == wanted.size
    spike_error = float(np.max(np.abs(spikes - wanted), initial=0.0)) if is_comparable else np.inf
    V = np.asarray(run.voltage, np.float64) - np.asarray(exact.voltage)
    return ConvergenceRow(dt, str(run.ts.dtype), result, spikes.size, spike_error, float(np.sqrt(np.mean(V**2))))


def _written(solver: AbstractSolver) -> str:
    if isinstance(solver, Adaptive):
        return f"Adaptive(rtol={solver.rtol:g}, atol={solver.atol:g})"
    has_stepper = isinstance(solver, FixedStep) and solver.solver is not None
    inside = f", solver={type(solver.solver).__name__}()" if has_stepper else ""
    return f"{type(solver).__name__}({solver.dt:g}{inside})"
