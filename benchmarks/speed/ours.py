"""The library's side of every comparison, through its public functions alone."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import jaxneuro as jn
from speed.cases import N_ACCURACY, Case

__all__ = ["as_lanes", "lane_voltage", "model_of", "spike_times", "stepper", "stimulus_of", "sweep"]

_STEPPERS = {
    "euler": lambda: jn.Euler(),
    "exponential_euler": lambda: jn.ExponentialEuler(),
    "strang": lambda: jn.ExponentialStrang(),
    "rk4": lambda: jn.RK4(),
}
_MODELS = {"hh": jn.HodgkinHuxley, "fhn": jn.FitzHughNagumo, "lif": jn.LIF}


def stepper(case: Case, name: str) -> jn.FixedStep:
    """Fixed steps of the case's dt by one of "euler", "exponential_euler", "strang", "rk4"."""
    return jn.FixedStep(case.dt, solver=_STEPPERS[name]())


def model_of(case: Case) -> Any:
    """The model with its default parameters, built once."""
    return _built(case.name)


@functools.cache
def _built(name: str) -> Any:
    return _MODELS[name]()


def stimulus_of(case: Case) -> jn.Constant:
    """A constant input, whose amplitude the lanes replace."""
    return jn.Constant(case.center["stimulus.amplitude"])


def sweep(
    case: Case,
    values: dict[str, np.ndarray],
    solver: Any,
    *,
    t1: float,
    keep: Sequence[str] = ("spike_count", "first_spike"),
    cores: int = 1,
    **options: Any,
) -> xr.Dataset:
    """The case at every lane's parameters, through `jaxneuro.sweep`."""
    return jn.sweep(
        model_of(case),
        stimulus_of(case),
        jn.zipped(values),
        t1=t1,
        solver=solver,
        keep=keep,
        cores=cores,
        progress=False,
        **options,
    )


def spike_times(case: Case, solver: Any) -> np.ndarray:
    """Every spike of the lanes on which accuracy is judged [ms], shape (n, n_spike), padded with inf."""
    kept = sweep(case, case.values(N_ACCURACY), solver, t1=case.t1_accuracy, keep=("spike_times",))
    return np.asarray(kept["spike_times"])


def lane_voltage(case: Case, solver: Any, t1: float) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """Voltage of one lane at every tenth step, as a user writes it with `simulate`; also differentiated."""
    model = model_of(case)

    def voltage(values: dict[str, jax.Array]) -> jax.Array:
        solution = jn.simulate(
            jn.params.replace(model, case.model_values(values)),
            jn.Constant(values["stimulus.amplitude"]),
            t1=t1,
            dt_save=10 * case.dt,
            solver=solver,
            throw=False,
        )
        return solution.voltage

    return voltage


def as_lanes(values: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """The values as arrays of the process' precision."""
    return {name: jnp.asarray(value) for name, value in values.items()}
