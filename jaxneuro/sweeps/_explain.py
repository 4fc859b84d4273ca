"""What a run or a sweep will do before it does it: device, chunks, memory."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib

from jaxneuro._simulate import checked_run
from jaxneuro.lanes import chunk_width, compiler_options, has_set_flags, lane_budget, plan
from jaxneuro.models import AbstractModel
from jaxneuro.solvers import (
    AbstractFixedSolver,
    AbstractSolver,
    Reducer,
    default_fixed_solver,
    rows_per_block,
    state_bytes,
    tree_bytes,
)
from jaxneuro.stimuli import AbstractStimulus
from jaxneuro.sweeps._grids import Grid, zipped
from jaxneuro.sweeps._measures import chosen_measures

__all__ = ["Explanation", "explain"]


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What `explain` found, by name; `print` shows it with the reasons."""

    facts: Mapping[str, Any]
    reasons: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        return "\n".join(
            f"{name:{width}}  {_shown(value)}" + (f"  ({self.reasons[name]})" if name in self.reasons else "")
            for name, value in self.facts.items()
        )


def explain(
    model: AbstractModel,
    stimulus: AbstractStimulus | float | None = None,
    grid: Grid | Mapping[str, Any] | int = 1,
    *,
    t1: float,
    t0: float = 0.0,
    dt_save: float | None = None,
    solver: AbstractSolver | None = None,
    keep: Sequence[str | Reducer | Callable] = ("spike_count",),
    cores: int | None = None,
) -> Explanation:
    """How `sweep` would run these simulations: device, lanes, chunks, steps and memory, forward and for a gradient.

    Nothing is compiled or run.

    **Arguments:** those of `sweep`; `grid` may be a number of lanes.

    >>> print(explain(HodgkinHuxley(), Step(10.0, 5.0), 1_000_000, t1=100.0))
    """
    n_lane = grid if isinstance(grid, int) else len(grid if isinstance(grid, Grid) else zipped(grid))
    if n_lane < 1:
        raise ValueError(f"Argument `grid` must hold at least one point, but is {grid!r}; give e.g. 1000.")
    solver = default_fixed_solver(model) if solver is None else solver
    stimulus, solver, times, _ = checked_run(
        model, stimulus, t0=t0, t1=t1, dt_save=dt_save, solver=solver, max_spikes=None
    )
    cut, backend = plan(n_lane, cores), jax.default_backend()
    needs_solution = [name for name, m in chosen_measures(keep).items() if m.function is not None]
    facts: dict[str, Any] = {
        "device": jax.devices()[0].device_kind if backend != "cpu" else f"cpu, {cut.cores} core(s)",
        "precision": str(jnp.result_type(float)),
        "versions": f"jax {jax.__version__}, jaxlib {jaxlib.__version__}",
        "solver": str(solver),
        "lanes": n_lane,
        "chunk": cut.width,
        "batches": math.ceil(n_lane / cut.size),
        "vectors": "512 bit" if compiler_options() else "the compiler's choice",
    }
    reasons = {
        "chunk": "lanes that run their whole time loop together, so that their state stays in the fast cache",
        "batches": f"of {cut.per_batch} chunk(s), one per core at a time; progress and Ctrl-C come between them",
    }
    if not has_set_flags:
        facts["flags"] = "came too late"
        reasons["flags"] = "import jaxneuro before jax computes anything, for loops up to twice as fast"
    if isinstance(solver, AbstractFixedSolver):
        facts |= _memory(solver, model, stimulus, times, reasons)
    state = jax.eval_shape(model.init_state)
    n_states = 1 + (times.save_ts.size if needs_solution else 0)
    facts["bytes of a chunk, forward"] = cut.width * n_states * tree_bytes(state)
    if needs_solution:
        reasons["bytes of a chunk, forward"] = f"with the saved states, which {', '.join(needs_solution)} needs"
    return Explanation(facts, reasons)


def _memory(
    solver: AbstractFixedSolver, model: AbstractModel, stimulus: AbstractStimulus, times: Any, reasons: dict[str, str]
) -> dict[str, Any]:
    program = solver.program(model, stimulus, model.init_state(), times)
    n_steps, carried, width = program.n_steps, state_bytes(program), chunk_width(10**6)
    stride = times.stride(solver.dt)
    rows = rows_per_block(program, stride, solver.memory)
    stored = n_steps if rows is None else math.ceil(n_steps / (stride * rows)) + stride * rows
    reasons["bytes of a chunk, gradient"] = (
        f"the state before each step; up to {_shown(int(width * lane_budget(solver.memory)))} may be used"
        if rows is None
        else f"the state before each block of {stride * rows} steps, and of the steps of one; all would not fit"
    )
    return {"steps": n_steps, "bytes of a state": carried, "bytes of a chunk, gradient": width * carried * stored}


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
