"""A convex start: conductances by non-negative least squares on the balance of charge, gates driven by the data."""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro import params
from jaxneuro.channels import AbstractOhmicChannel
from jaxneuro.fitters.search._experiment import Experiment, FreeParam
from jaxneuro.models import AbstractMembrane, AbstractModel, IdealClamp
from jaxneuro.solvers import FixedStep

__all__ = ["WeakStart", "conductances", "weak_start"]

_WINDOW = 1.0  # ms, over which the balance is integrated; derivatives of noisy data would be fragile
_BATCH = 8  # candidates whose currents are in memory together


class WeakStart(NamedTuple):
    """Values of the free parameters, each (n_starts,), and how many runs of the gates it took for each start."""

    values: dict[str, np.ndarray]
    n_runs: int


def conductances(model: AbstractModel, free: Mapping[str, FreeParam]) -> dict[str, str]:
    """The free parameters that are maximal conductances of a membrane's ohmic channels: name -> channel."""
    if not isinstance(model, AbstractMembrane):
        return {}
    channels = {
        (f"model.channels.{name}.g_max",): name
        for name, channel in model.channels.items()
        if isinstance(channel, AbstractOhmicChannel)
    }
    return {name: channels[one.paths] for name, one in free.items() if one.paths in channels}


def weak_start(experiment: Experiment, free: Mapping[str, FreeParam], kinetics: Mapping[str, np.ndarray]) -> WeakStart:
    """For each start the conductances that explain the data best, at the best of several values of the others.

    C_m (V(b) - V(a)) = integral over [a, b] of (i_app - sum_c g_c phi_c) dt,   phi_c = i_c / g_c on the recorded V

    is linear in the conductances g_c, in windows of 1 ms, each weighted by 1 / (1 + |left side|), which keeps spikes
    from outweighing all else.

    **Arguments:** `experiment`, a membrane and a voltage trace; `free`, the free parameters; `kinetics`, name ->
    candidates (n_starts, n_candidate) of those that are no conductances, the electrode's among them.

    References: Huys, Ahrens & Paninski (2006), J Neurophysiol 96:872. doi:10.1152/jn.00079.2006
    """
    from scipy.optimize import nnls  # half a second, which not every import of the library should take

    channels = conductances(experiment.model, free)
    grid = {name: np.asarray(values, np.float64) for name, values in kinetics.items()}
    shape = next(iter(grid.values())).shape if grid else (1, 1)
    lanes = {path: jnp.asarray(values.ravel()) for name, values in grid.items() for path in free[name].paths}
    charges, rests = _balances(experiment, tuple(channels.values()), lanes)
    charges, rests = np.asarray(charges, np.float64), np.asarray(rests, np.float64)

    solutions = np.zeros((shape[0], shape[1], len(channels)))
    errors = np.full(shape, np.inf)
    for k, place in enumerate(np.ndindex(shape)):
        weight = 1 / (1 + np.abs(rests[k]))
        if np.all(np.isfinite(charges[k])):
            solutions[place], errors[place] = nnls(charges[k] * weight[:, None], rests[k] * weight)
    best = (np.arange(shape[0]), np.argmin(errors, axis=1))
    values = {name: solutions[best][:, k] for k, name in enumerate(channels)}
    return WeakStart(values | {name: candidates[best] for name, candidates in grid.items()}, shape[1])


@eqx.filter_jit
def _balances(
    experiment: Experiment, channels: tuple[str, ...], kinetics: dict[str, Array]
) -> tuple[Float[Array, "n w c"], Float[Array, "n w"]]:
    """Charge that a unit of each conductance lets out in every window, and that which all of them must [nC/cm^2]."""
    if not kinetics:
        return jax.tree.map(lambda leaf: leaf[None], _balance(experiment, channels, {}))
    return jax.lax.map(lambda lane: _balance(experiment, channels, lane), kinetics, batch_size=_BATCH)


def _balance(
    experiment: Experiment, channels: tuple[str, ...], kinetics: dict[str, Array]
) -> tuple[Float[Array, "w c"], Float[Array, " w"]]:
    units = {f"model.channels.{name}.g_max": 1.0 for name in channels}
    experiment = params.replace(experiment, kinetics | units)
    model, target = experiment.model, experiment.target
    voltage = target.membrane
    run = target.run(
        IdealClamp(model), target.interpolated, FixedStep(target.dt), y0=model.state_at(voltage[0]), max_spikes=1
    )
    i = model.currents(run.ys._replace(V=voltage))
    known = target.injected - sum((i[c] for c in model.channels if c not in channels), jnp.zeros_like(voltage))
    size = max(round(_WINDOW / target.dt), 1)
    n_window = (voltage.size - 1) // size

    def integral(x: Float[Array, " n_time"]) -> Float[Array, " w"]:
        middle = 0.5 * (x[1:] + x[:-1])[: n_window * size]
        return target.dt * jnp.sum(middle.reshape(n_window, size), axis=1)

    moved = model.C_m * jnp.diff(voltage[::size][: n_window + 1])
    return jnp.stack([integral(i[c]) for c in channels], axis=1), integral(known) - moved
