"""Ours beside Jaxley: one-compartment HH, 1,000 lanes, the same 8 parameters per lane, dt 0.025 ms; run and gradient.

Jaxley runs as its documentation shows: `integrate` under jit and vmap, the parameters by `data_set`, the current by
`data_stimulate`. Its defaults (implicit Euler, no checkpoints) are what the targets speak of; the best settings that we
found stand beside them: Crank-Nicolson, which is as fast and of second order, and two levels of checkpoints.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import jaxley as jx
import numpy as np
from jaxley.channels import HH

import jaxneuro as jn
from speed import ours
from speed.accuracy import crossings, worst_error
from speed.cases import CASES, N_ACCURACY
from speed.compared import ratio_row
from speed.rows import Row, Settings

__all__ = ["measure"]

_N, _STEPS = 1000, 1000
_RADIUS, _AREA = 10.0, 2000.0  # um, um^2
# their name and how many of their unit (S/cm^2) make one of ours (mS/cm^2)
_NAMES = {
    "na.g_max": ("HH_gNa", 1e-3),
    "k.g_max": ("HH_gK", 1e-3),
    "leak.g_max": ("HH_gLeak", 1e-3),
    "C_m": ("capacitance", 1.0),
    "na.E_rev": ("HH_eNa", 1.0),
    "k.E_rev": ("HH_eK", 1.0),
    "leak.E_rev": ("HH_eLeak", 1.0),
}


def _cell() -> jx.Cell:
    cell = jx.Cell()
    cell.insert(HH())
    cell.set("radius", _RADIUS)
    cell.set("length", _AREA / (2 * math.pi * _RADIUS))
    cell.set("v", -65.0)
    cell.init_states()
    cell.record("v", verbose=False)
    return cell


def _voltage(
    cell: jx.Cell, steps: int, solver: str = "bwd_euler", checkpoints: Sequence[int] | None = None
) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """V of one lane at t = 0 and after every step."""
    options = {"delta_t": CASES["hh"].dt, "solver": solver, "checkpoint_lengths": checkpoints}

    def simulate(values: dict[str, jax.Array]) -> jax.Array:
        state = None
        for name, (key, factor) in _NAMES.items():
            state = cell.data_set(key, factor * values[name], state)
        # uA/cm^2 over um^2, in nA
        current = 1e-5 * _AREA * values["stimulus.amplitude"] * jnp.ones(steps)
        stimulus = cell.data_stimulate(current, None)
        return jx.integrate(cell, param_state=state, data_stimuli=stimulus, **options)[0]

    return simulate


def _loss(voltage: Callable[[dict[str, jax.Array]], jax.Array], stride: int) -> Callable:
    return lambda values: jnp.mean(voltage(values)[stride::stride] ** 2)


def measure(settings: Settings) -> list[Row]:
    """Forward through `sweep` and through the user's own vmap; gradients through `map_lanes`."""
    case, cell = CASES["hh"], _cell()
    reference = np.load(settings.reference)[case.name]
    our_error = worst_error(ours.spike_times(case, ours.stepper(case, "strang")), reference, case.t1_accuracy)
    errors = {solver: (our_error, _their_error(cell, solver, reference)) for solver in ("bwd_euler", "crank_nicolson")}
    return _forward_rows(settings, cell, errors) + _gradient_rows(settings, cell, errors)


def _their_error(cell: jx.Cell, solver: str, reference: np.ndarray) -> float:
    case = CASES["hh"]
    steps = round(case.t1_accuracy / case.dt)
    V = jax.jit(jax.vmap(_voltage(cell, steps, solver)))(ours.as_lanes(case.values(N_ACCURACY)))
    return worst_error(crossings(case.dt * np.arange(steps + 1), V, case.threshold), reference, case.t1_accuracy)


def _forward_rows(settings: Settings, cell: jx.Cell, errors: dict[str, tuple[float, float]]) -> list[Row]:
    case = CASES["hh"]
    values, t1, strang = case.values(_N), _STEPS * case.dt, ours.stepper(case, "strang")
    lanes, our_vmap = ours.as_lanes(values), jax.jit(jax.vmap(ours.lane_voltage(case, strang, t1)))
    runs = {
        "sweep": lambda: ours.sweep(case, values, strang, t1=t1),
        "own vmap": lambda: our_vmap(lanes).block_until_ready(),
    }
    rows = []
    for solver, title in {"bwd_euler": "Jaxley", "crank_nicolson": "Jaxley, Crank-Nicolson"}.items():
        theirs = jax.jit(jax.vmap(_voltage(cell, _STEPS, solver)))
        for through, run in runs.items():
            rows.append(
                ratio_row(
                    settings,
                    run,
                    lambda theirs=theirs: theirs(lanes).block_until_ready(),
                    lane_steps=_N * _STEPS,
                    errors=errors[solver],
                    claim=f"jaxley-{through.split()[-1]}" if solver == "bwd_euler" else "jaxley-best",
                    label=f"{title} / HH Strang, {through}",
                    n=_N,
                )
            )
    return rows


def _gradient_rows(settings: Settings, cell: jx.Cell, errors: dict[str, tuple[float, float]]) -> list[Row]:
    case = CASES["hh"]
    lanes = ours.as_lanes(case.values(_N))
    voltage = ours.lane_voltage(case, ours.stepper(case, "strang"), _STEPS * case.dt)
    our_gradient = jax.value_and_grad(_loss(voltage, stride=1))  # saved at every tenth step already
    root = math.ceil(math.sqrt(_STEPS))
    kinds = {"jaxley-gradient": ("", None), "jaxley-best": (", checkpoints", [root, root])}
    rows = []
    for claim, (title, checkpoints) in kinds.items():
        loss = _loss(_voltage(cell, _STEPS, checkpoints=checkpoints), stride=10)
        theirs = jax.jit(jax.vmap(jax.value_and_grad(loss)))
        rows.append(
            ratio_row(
                settings,
                lambda: jax.block_until_ready(jn.map_lanes(our_gradient, lanes)),
                lambda theirs=theirs: jax.block_until_ready(theirs(lanes)),
                lane_steps=_N * _STEPS,
                errors=errors["bwd_euler"],
                claim=claim,
                label=f"Jaxley gradient{title} / HH Strang, map_lanes",
                n=_N,
                note="8 parameters per lane, 1000 steps",
            )
        )
    return rows
