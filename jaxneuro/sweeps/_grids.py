"""Which points a sweep visits: products, zipped lists and space-filling designs over parameter names."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["Grid", "latin_hypercube", "product", "sobol", "zipped"]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Points of a sweep. `columns`: name -> value at every point, shape (n_point,).

    `axes`: name -> values along that axis for a product, empty where the points are a plain list.
    """

    columns: dict[str, np.ndarray]
    axes: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of the result."""
        return tuple(self.axes) or ("point",)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return tuple(map(len, self.axes.values())) or (len(self),)


def _values(name: str, values: Any) -> np.ndarray:
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        array = np.zeros((0, 0))
    if array.ndim != 1 or not array.size or np.isnan(array).any():
        raise ValueError(
            f"Argument `{name}` must be a list of numbers without NaN, but is {values!r}; give e.g. [1.0, 2.0]."
        )
    return array


def _mapping(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping) or not values:
        raise ValueError(
            f"Argument `values` must map parameter names to values, but is {values!r}; "
            'give e.g. {"stimulus.amplitude": [5.0, 10.0]}.'
        )
    return values


def product(values: Mapping[str, Any]) -> Grid:
    """Every combination: one axis of the result per parameter.

    >>> product({"na.g_max": [100.0, 120.0], "stimulus.amplitude": [5.0, 10.0, 20.0]}).shape
    (2, 3)
    """
    axes = {name: _values(name, column) for name, column in _mapping(values).items()}
    columns = np.meshgrid(*axes.values(), indexing="ij")
    return Grid({name: column.ravel() for name, column in zip(axes, columns, strict=True)}, axes)


def zipped(values: Mapping[str, Any]) -> Grid:
    """The i-th value of every list together: one axis "point".

    >>> len(zipped({"na.g_max": [100.0, 120.0], "k.g_max": [30.0, 36.0]}))
    2
    """
    columns = {name: _values(name, column) for name, column in _mapping(values).items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Argument `values` must hold lists of equal length, but has {lengths}; "
            "use product(...) for every combination."
        )
    return Grid(columns)


def latin_hypercube(bounds: Mapping[str, tuple[float, float]], n: int, *, seed: int = 0) -> Grid:
    """`n` points that spread evenly between (low, high) of every parameter: a Latin hypercube; one axis "point".

    References: McKay, Beckman & Conover (1979), Technometrics 21:239. doi:10.2307/1268522
    """
    from scipy.stats import qmc

    return _designed(bounds, n, lambda d: qmc.LatinHypercube(d, rng=np.random.default_rng(seed)).random(n))


def sobol(bounds: Mapping[str, tuple[float, float]], n: int, *, seed: int = 0) -> Grid:
    """`n` points of a scrambled Sobol sequence between (low, high) of every parameter; one axis "point".

    A power of two keeps the sequence balanced.

    References: Sobol' (1967), USSR Comput Math Math Phys 7:86. doi:10.1016/0041-5553(67)90144-9
    """
    from scipy.stats import qmc

    def draw(dimension: int) -> np.ndarray:
        sampler = qmc.Sobol(dimension, rng=np.random.default_rng(seed))
        return sampler.random_base2(int(np.ceil(np.log2(n))))[:n]

    return _designed(bounds, n, draw)


def _designed(bounds: Mapping[str, tuple[float, float]], n: int, draw: Any) -> Grid:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"Argument `n` must be a whole number of at least 1, but is {n!r}; give e.g. 1024.")
    limits = {name: _values(name, pair) for name, pair in _mapping(bounds).items()}
    for name, pair in limits.items():
        if len(pair) != 2 or not pair[0] < pair[1]:
            raise ValueError(
                f"Argument `{name}` must be (low, high) with low < high, but is {bounds[name]!r}; swap or widen it."
            )
    unit = draw(len(limits))
    return Grid({name: low + (high - low) * unit[:, i] for i, (name, (low, high)) in enumerate(limits.items())})
