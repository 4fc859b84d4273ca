"""A passive start: capacitance and series resistance from what the voltage does before the first spike."""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jaxneuro.analysis.recordings import find_spikes
from jaxneuro.channels import Leak
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.search._experiment import Experiment, FreeParam, checked_free
from jaxneuro.fitters.search._stages import polished
from jaxneuro.fitters.search._starts import starts
from jaxneuro.fitters.targets._losses import TraceLoss
from jaxneuro.fitters.targets._targets import VoltageTrace
from jaxneuro.models import AbstractMembrane, AbstractModel, Membrane
from jaxneuro.solvers import FixedStep

__all__ = ["PassiveStart", "passive_start"]

_MEASURED = ("C_m", "electrode.R_s")  # of a cell, and of any trace of it
_BEFORE = 2.0  # ms before the first spike, where the upstroke begins
_FEWEST = 20  # samples
_N_STARTS, _STEPS = 4, 20
# mS/cm^2, mV and uF/cm^2, whatever the cell
_OWN = {"leak.g_max": (1e-3, 10.0), "leak.E_rev": (-150.0, 50.0), "C_m": (0.03, 30.0)}


class PassiveStart(NamedTuple):
    """Values of the free parameters that a passive membrane has, how many runs of it they took, and its loss."""

    values: dict[str, float]
    n_runs: int
    loss: float


def passive_start(model: AbstractModel, target: VoltageTrace, free: Mapping[str, FreeParam]) -> PassiveStart | None:
    """C_m and R_s, where they are free, of a membrane with nothing but a leak that answers as the data do before their
    first spike; None where these do not tell.

    The leak is that of all channels at rest, and is not handed on. C_m is found too where it is not free: resonance at
    rest makes it look smaller, and R_s larger if it does not give way.
    """
    names = {own: name for own in _MEASURED for name, one in free.items() if _is_all(one, own)}
    if not names or not isinstance(model, AbstractMembrane):
        return None
    mask = _quiet(target)
    injected = np.asarray(target.injected)[mask]
    if not injected.size or not np.ptp(injected):
        return None
    cell = Membrane(channels={"leak": Leak()}, C_m=model.C_m, V_init=target.membrane[0])
    masked = eqx.tree_at(lambda t: (t.mask, t.y0), target, (jnp.asarray(mask), None), is_leaf=lambda x: x is None)
    own = {path: free[name].bounds for path, name in names.items()}
    chosen = checked_free(Experiment(cell, masked), _OWN | own)
    u0 = starts(chosen, "random", _N_STARTS, 0, None, is_alike=False)
    solver = FixedStep(target.solver_for(cell).dt)
    paths = tuple(one.paths for one in chosen.values())
    transforms = tuple(one.transform for one in chosen.values())
    problem = Problem(Experiment(cell, masked), transforms, solver, tuple(chosen), paths, TraceLoss())
    state = polished(problem, u0, _STEPS)
    best = int(np.argmin(state.best.loss))
    found, loss = problem.values(state.best_u[best]), float(state.best.loss[best])
    if not np.isfinite(loss):
        return None
    values = {name: float(found[path]) for path, name in names.items()}
    return PassiveStart(values, int(np.max(state.n_evaluated)) * (1 + len(chosen)) * _N_STARTS, loss)


def _is_all(free: FreeParam, name: str) -> bool:
    return all(path.endswith(f".{name}") for path in free.paths)


def _quiet(target: VoltageTrace) -> np.ndarray:
    """The samples before the first spike that are compared; none, if they are too few to tell anything."""
    spikes = find_spikes(target.ts, np.asarray(target.membrane))
    mask = target.is_compared
    before = mask & (target.ts < spikes[0] - _BEFORE) if spikes.size else mask
    return before if before.sum() >= _FEWEST else np.zeros(mask.size, bool)
