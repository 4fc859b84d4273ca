"""Where the starts of a fit begin."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxneuro._arguments import check_count
from jaxneuro.fitters.search._experiment import Bounds, FreeParam, limits
from jaxneuro.sweeps import sobol

__all__ = ["sobol_points", "starts"]


def starts(
    free: Mapping[str, FreeParam],
    start: Mapping[str, Any] | str,
    n_starts: int,
    seed: int,
    key: PRNGKeyArray | None,
    *,
    is_alike: bool,
) -> Float[Array, "s p"]:
    """Starting points in u: logit(Sobol point), which is uniform between two bounds. `is_alike`: starts at the
    model's values are all there, and not only the first."""
    seed = check_count("seed", seed, 0, 0) if key is None else _seed_of(key)
    u = dict(zip(free, np.array(sobol_points(free, n_starts, seed)).T, strict=True))
    for name, values in _given_starts(free, start, n_starts).items():
        _check_start(name, values, free[name].bounds)
        inside = np.asarray(free[name].transform.inverse(jnp.asarray(values)))
        # a start on its bound lies at infinity; 15 is 3e-7 of the interval away from it
        u[name][: n_starts if is_alike else inside.size] = np.clip(inside, -15.0, 15.0)
    return jnp.stack([jnp.asarray(u[name], jnp.result_type(float)) for name in free], axis=1)


def sobol_points(names: Iterable[str], n: int, seed: int) -> Float[Array, "n p"]:
    """Points in u that are spread evenly over the parameters' intervals."""
    points = sobol({name: (0.0, 1.0) for name in names}, n, seed=seed).columns
    return jnp.stack([jnp.asarray(np.log(p / (1 - p)), jnp.result_type(float)) for p in points.values()], axis=1)


def _seed_of(key: Any) -> int:
    try:
        return int(jax.random.bits(key))
    except (TypeError, ValueError):
        raise TypeError(
            f"Argument `key` must be a random key, but is {key!r}; give `seed={key!r}`, or jax.random.key(0)."
            if isinstance(key, int)
            else f"Argument `key` must be a random key, but is a {type(key).__name__}; give e.g. jax.random.key(0)."
        ) from None


def _given_starts(
    free: Mapping[str, FreeParam], start: Mapping[str, Any] | str, n_starts: int
) -> dict[str, np.ndarray]:
    """Name -> values of the first start, or of all."""
    if isinstance(start, str):
        if start not in ("random", "model"):
            raise ValueError(f'Argument `start` must be "random", "model" or a dict, but is {start!r}; choose one.')
        start = {name: one.value for name, one in free.items()} if start == "model" else {}
    if not isinstance(start, Mapping):
        raise TypeError(
            f'Argument `start` must be "random", "model" or a dict, but is {start!r}; give e.g. '
            f'{{"{next(iter(free))}": ...}}.'
        )
    unknown = [name for name in start if name not in free]
    if unknown:
        raise ValueError(
            f"Argument `start` must name free parameters, but has {unknown[0]!r}; choose from {', '.join(free)}."
        )
    given = {}
    for name, values in start.items():
        given[name] = np.atleast_1d(np.asarray(values, np.float64))
        if given[name].shape not in ((1,), (n_starts,)):
            raise ValueError(
                f"Argument `start` must hold one value or n_starts={n_starts} values for "
                f"{name!r}, but has shape {given[name].shape}; give one of the two."
            )
    return given


def _check_start(name: str, values: np.ndarray, pair: Bounds) -> None:
    low, high = limits(pair)
    is_out = ~((values >= low) & (values <= high))
    if is_out.any():
        raise ValueError(
            f"Argument `start` must lie within the bounds of {name!r}, {low:g} to {high:g}, but is "
            f"{values[is_out][0]:g}; move it or widen the bounds."
        )
