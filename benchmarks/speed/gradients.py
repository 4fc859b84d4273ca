"""What a gradient costs beside the run itself, and the memory that it holds.

The loss of a lane is the mean square of V at every tenth step; its gradient is with respect to eight parameters.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

import jaxneuro as jn
from speed import ours
from speed.cases import CASES
from speed.compared import ratio_row
from speed.rows import Row, Settings

__all__ = ["STEPPERS", "lane_loss", "measure"]

STEPPERS = {"exponential_euler": "exponential Euler", "rk4": "RK4"}
_N, _STEPS, _STEPS_SINGLE = 1024, 1000, 2000


def lane_loss(stepper: str, steps: int) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """Mean square of V [mV^2] of one HH lane."""
    case = CASES["hh"]
    voltage = ours.lane_voltage(case, ours.stepper(case, stepper), steps * case.dt)
    return lambda values: jnp.mean(voltage(values) ** 2)


def measure(settings: Settings) -> list[Row]:
    """Gradient / forward of an ensemble and of a single cell, and bytes per lane and step."""
    rows = []
    for name, title in STEPPERS.items():
        rows += [_ensemble_row(settings, name, title), _single_row(settings, name, title)]
        rows.append(_memory_row(settings, name, title))
    return rows


def _ensemble_row(settings: Settings, name: str, title: str) -> Row:
    loss, lanes = lane_loss(name, _STEPS), ours.as_lanes(CASES["hh"].values(_N))
    gradient = jax.value_and_grad(loss)
    return ratio_row(
        settings,
        lambda: jax.block_until_ready(jn.map_lanes(gradient, lanes)),
        lambda: jax.block_until_ready(jn.map_lanes(loss, lanes)),
        lane_steps=_N * _STEPS,
        is_speedup=False,
        claim=f"gradient-{name}",
        label=f"HH {title} gradient / forward, map_lanes",
        n=_N,
        note="8 parameters per lane, 1000 steps; peer is the forward run",
    )


def _single_row(settings: Settings, name: str, title: str) -> Row:
    loss = lane_loss(name, _STEPS_SINGLE)
    lane = {key: value[0] for key, value in ours.as_lanes(CASES["hh"].values(1)).items()}
    gradient, forward = jax.jit(jax.value_and_grad(loss)), jax.jit(loss)
    return ratio_row(
        settings,
        lambda: jax.block_until_ready(gradient(lane)),
        lambda: jax.block_until_ready(forward(lane)),
        lane_steps=_STEPS_SINGLE,
        is_speedup=False,
        claim="gradient-single",
        label=f"HH {title} gradient / forward, one cell",
        n=1,
        note="jax.jit; 8 parameters, 2000 steps; peer is the forward run",
    )


def _memory_row(settings: Settings, name: str, title: str) -> Row:
    """What XLA sets aside for the gradient of one chunk; `map_lanes` holds one chunk per core at a time."""
    n = settings.lanes
    lanes = ours.as_lanes(CASES["hh"].values(n))
    program = jax.jit(jax.vmap(jax.value_and_grad(lane_loss(name, _STEPS)))).lower(lanes).compile()
    held = program.memory_analysis().temp_size_in_bytes
    return Row(
        claim="gradient-memory",
        label=f"HH {title} gradient, bytes per lane-step",
        precision=settings.precision,
        n=n,
        value=held / (n * _STEPS),
        unit="B",
        note=f"one chunk of {n} lanes, 1000 steps",
    )
