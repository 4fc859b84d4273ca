"""Values of fitted parameters that were drawn together, and what their scatter says."""

import abc
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float

__all__ = ["AbstractDraws", "check_count", "table_of"]


class AbstractDraws(abc.ABC):
    """Values of all parameters, drawn together: their scatter says how well each is known."""

    names: tuple[str, ...]
    units: tuple[str, ...]

    @property
    @abc.abstractmethod
    def draws(self) -> Float[Array, "n p"]:
        """All of them, a column for each of `names` [its unit]."""

    @property
    def mean(self) -> dict[str, float]:
        """Mean of every parameter [its unit]."""
        return self._by_name(np.mean(self.draws, axis=0))

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation of every parameter [its unit]."""
        return self._by_name(np.std(self.draws, axis=0, ddof=1))

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """Between which values the middle 95 % of every parameter's draws are [its unit]."""
        low, high = (self._by_name(row) for row in np.quantile(self.draws, [0.025, 0.975], axis=0))
        return {name: (low[name], high[name]) for name in self.names}

    @property
    def correlation(self) -> Float[Array, "p p"]:
        """Correlation of the parameters, in the order of `names`."""
        return np.atleast_2d(np.corrcoef(self.draws, rowvar=False))

    def _by_name(self, numbers: Float[Array, " p"]) -> dict[str, float]:
        return dict(zip(self.names, map(float, numbers), strict=True))


def table_of(found: AbstractDraws, more: Mapping[str, Sequence[str]] | None = None) -> str:
    """Text table of means, standard deviations and intervals, and of more columns."""
    rows = [["parameter", "mean", "+-", "95 % interval", "unit", *(more or {})]]
    mean, std, interval = found.mean, found.std, found.interval
    for k, (name, unit) in enumerate(zip(found.names, found.units, strict=True)):
        low, high = interval[name]
        row = [name, f"{mean[name]:.5g}", f"{std[name]:.2g}", f"{low:.4g} to {high:.4g}", unit]
        rows.append(row + [column[k] for column in (more or {}).values()])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def check_count(name: str, value: int, least: int, example: int) -> int:
    """A whole number, or the sentence that says that it is none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(
            f"Argument `{name}` must be a whole number of at least {least}, but is {value!r}; give e.g. {example}."
        )
    return int(value)
