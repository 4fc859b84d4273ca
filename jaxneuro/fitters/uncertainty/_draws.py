"""Values of fitted parameters that were drawn together, and what their scatter says."""

import abc
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float

from jaxneuro.fitters._text_table import text_table

__all__ = ["AbstractDraws", "table_of"]


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
    return "\n".join(text_table(rows))
