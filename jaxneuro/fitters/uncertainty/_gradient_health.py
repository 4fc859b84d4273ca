"""How far the derivatives of a trace can be trusted: their size, their growth with time, and their horizon."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters._result import FitResult, check_result
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.targets._samples import positive_number
from jaxneuro.fitters.targets._targets import AbstractTrace

__all__ = ["GradientHealth", "gradient_health"]

_WINDOWS = 10  # of the trace, between which growth is measured
_OFF = 0.5  # share of a change that a linear prediction may miss
_TINY = 1e-3  # of the root mean square of a change


@dataclass(frozen=True, eq=False, repr=False)
class GradientHealth:
    """The derivatives of a trace by the relative changes of the parameters, d V / d ln p.

    `names`; `ts` [ms], shape (n_time,); `sensitivity` [`unit` for a change of 100 %], shape (n_param, n_time). For each
    parameter, arrays (n_param,): `norm`, the root of its mean square; `growth`, the rate at which it grows
    exponentially [1/ms], nearly 0 where errors only add up; `horizon` [ms], until when the derivative foretells what a
    `change` of the parameter does, to within a half; inf if it does so to the end.
    """

    names: tuple[str, ...]
    unit: str
    ts: np.ndarray
    sensitivity: np.ndarray
    change: float
    norm: np.ndarray
    growth: np.ndarray
    horizon: np.ndarray

    def table(self) -> str:
        """One line for each parameter."""
        lines = [f"parameter         norm [{self.unit}]  growth [1/s]  horizon [ms] of {100 * self.change:g} %"]
        for name, norm, growth, horizon in zip(self.names, self.norm, self.growth, self.horizon, strict=True):
            end = "to the end" if np.isinf(horizon) else f"{horizon:.4g}"
            lines.append(f"{name:16}  {norm:9.4g}  {1e3 * growth:12.4g}  {end}")
        return "\n".join(lines + self.sentences())

    def __repr__(self) -> str:
        each = ", ".join(f"{name} {norm:.3g}" for name, norm in zip(self.names, self.norm, strict=True))
        return f"GradientHealth({each} {self.unit}; horizons from {self.horizon.min():.4g} ms on)"

    def sentences(self) -> list[str]:
        """What is wrong, in words; empty where nothing is."""
        found = []
        duration = self.ts[-1] - self.ts[0]
        for name, norm, growth, horizon in zip(self.names, self.norm, self.growth, self.horizon, strict=True):
            if not np.isfinite(norm):
                is_bad = ~np.isfinite(self.sensitivity[self.names.index(name)])
                found.append(
                    f"The derivative by {name} is not finite from t={self.ts[np.argmax(is_bad)]:g} ms on: use a "
                    "smaller dt, or bounds that keep the model from failing."
                )
            elif norm == 0:
                found.append(f"{name} does not move the trace: leave it out, or record where it does.")
            elif np.isfinite(horizon):
                found.append(
                    f"The derivative by {name} foretells a change of {100 * self.change:g} % for {horizon:.3g} of "
                    f"{duration:.3g} ms: fit shorter pieces, or runs that are drawn to the data (nudging, shooting)."
                )
            if growth * duration > 2 * np.log(10):
                found.append(f"The derivative by {name} grows {np.exp(growth * duration):.1g}-fold along the trace.")
        return found


def gradient_health(result: FitResult, *, change: float = 0.01) -> GradientHealth:
    """How far the derivatives of the fitted trace can be trusted.

    Errors of a free run add up along a spiking trace: a parameter that shifts the period by little shifts the last
    spike by much, and what the derivative says is then true for tiny changes only. The horizon tells for how long.

    **Arguments:** `result`, of a fit to a `VoltageTrace` or a `ClampCurrent`; `change` [1], the relative change of a
    parameter that the horizon is for.

    **Raises:** ValueError for another target or a change that is not positive.

    >>> print(gradient_health(result).table())
    """
    check_result(result)
    target = result.target
    if not isinstance(target, AbstractTrace):
        raise ValueError(
            f"Argument `result` must be of a fit to one trace, but is of a {type(target).__name__}; fit a VoltageTrace."
        )
    change = float(positive_number("change", change, "1", 0.01))
    if change > 1:
        raise ValueError(f"Argument `change` must be a relative change of at most 1, but is {change:g}; use e.g. 0.01.")
    problem = result.problem
    sizes = np.array([abs(value) or 1.0 for value in result.values.values()])
    values = jnp.asarray(list(result.values.values()))
    trace, slopes, moved = (np.asarray(x) for x in _answers(problem, values, jnp.asarray(sizes), jnp.asarray(change)))
    ts = np.asarray(target.ts)
    return GradientHealth(
        tuple(result.params),
        target.unit,
        ts,
        slopes,
        change,
        np.sqrt(np.mean(slopes**2, axis=1)),
        np.array([_growth(ts, of_one) for of_one in slopes]),
        np.array([_horizon(ts, change * of_one, after - trace) for of_one, after in zip(slopes, moved, strict=True)]),
    )


@eqx.filter_jit
def _answers(
    problem: Problem, values: Float[Array, " p"], sizes: Float[Array, " p"], change: Float[Array, ""]
) -> tuple[Float[Array, " n"], Float[Array, "p n"], Float[Array, "p n"]]:
    """The trace, its derivatives by relative changes, and the traces after a change of each parameter."""

    def trace(values: Array) -> Array:
        held = problem.holding(dict(zip(problem.names, values, strict=True)))
        solution = held.target.predict(held.model, problem.solver)
        return held.target.recorded(solution)

    directions = jnp.diag(sizes)
    slopes = jax.vmap(lambda direction: jax.jvp(trace, (values,), (direction,))[1])(directions)
    return trace(values), slopes, jax.vmap(lambda direction: trace(values + change * direction))(directions)


def _growth(ts: np.ndarray, slope: np.ndarray) -> float:
    """Rate of ln |d V / d ln p| from window to window, by least squares; 0 where it vanishes."""
    parts = [np.sqrt(np.mean(part**2)) for part in np.array_split(slope, _WINDOWS)]
    middles = np.array([np.mean(part) for part in np.array_split(ts, _WINDOWS)])
    # what has not begun to move yet does not grow
    is_moving = np.isfinite(parts) & (np.array(parts) > 1e-6 * np.nanmax(np.append(parts, 0.0)))
    if is_moving.sum() < 3:
        return 0.0
    return float(np.polyfit(middles[is_moving], np.log(np.array(parts)[is_moving]), 1)[0])


def _horizon(ts: np.ndarray, foretold: np.ndarray, found: np.ndarray) -> float:
    """When what was foretold up to then first misses more than a share of what was found, inf if never.

    Changes that are tiny against those of the whole trace are of rounding or of the solver, and foretold by nothing.
    """
    if not np.all(np.isfinite(foretold)):
        return float(ts[np.argmax(~np.isfinite(foretold))] - ts[0])
    missed, size = (np.cumsum(x**2) for x in (found - foretold, found))
    is_off = (missed > _OFF**2 * size) & (size > _TINY**2 * ts.size * np.mean(found**2))
    return float(ts[np.argmax(is_off)] - ts[0]) if is_off.any() else np.inf
