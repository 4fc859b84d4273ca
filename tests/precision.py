"""Runs that the suite makes in float64, and a child process in float32."""

import json
from typing import Any

import jax
import jax.numpy as jnp

from jaxneuro import LIF, Adaptive, Constant, FitzHughNagumo, FixedStep, HodgkinHuxley, Step, simulate
from jaxneuro.models import AbstractModel

RUNS = {
    "FitzHughNagumo, Adaptive": (FitzHughNagumo, 0.6, Adaptive(rtol=1e-5, atol=1e-5), 40.0),
    "HodgkinHuxley, FixedStep": (HodgkinHuxley, 12.0, FixedStep(0.025), 12.0),
    "LIF, ExactSpikes": (lambda: LIF(b_w=0.02), 0.4, None, 60.0),
}


def run(name: str) -> dict[str, Any]:
    """Dtypes, voltage and spikes of one run, as plain numbers."""
    make, amplitude, solver, t1 = RUNS[name]
    solution = simulate(make(), Step(amplitude, 0.83), t1=t1, dt_save=0.5, solver=solver)
    leaves = jax.tree.leaves((solution.ys, solution.ts, solution.spike_times))
    return {
        "dtypes": sorted({str(leaf.dtype) for leaf in leaves}),
        "voltage": solution.voltage.tolist(),
        "spikes": solution.spikes.tolist(),
    }


def start(model: AbstractModel) -> dict[str, Any]:
    """End voltage of runs from -40, -55 mV and beside, with derivatives in start, current and g_Na."""

    def V_end(V0: jax.Array, amplitude: jax.Array, g_na: jax.Array) -> jax.Array:
        channels = {**model.channels, "na": type(model.channels["na"])(g_max=g_na)}
        cell = HodgkinHuxley(channels=channels)
        y0 = cell.state_at(V0)
        return simulate(cell, Constant(amplitude), t1=1.0, y0=y0, solver=FixedStep(0.025)).voltage[-1]

    V0 = jnp.array([-40.0, -55.0, -40.0 + 1e-5, -55.0 - 1e-5, -47.0])
    both = jax.jit(jax.vmap(jax.value_and_grad(V_end, argnums=(0, 1, 2)), in_axes=(0, None, None)))
    value, gradient = both(V0, jnp.asarray(5.0), jnp.asarray(120.0))
    dtypes = sorted({str(leaf.dtype) for leaf in (value, *gradient)})
    return {"dtypes": dtypes, "value": value.tolist(), "gradient": [g.tolist() for g in gradient]}


def report() -> dict[str, Any]:
    """All runs by name."""
    return {**{name: run(name) for name in RUNS}, "start": start(HodgkinHuxley())}


if __name__ == "__main__":
    print(json.dumps(report()))
