"""What the data say about each fitted parameter: errors, correlations, stiff and sloppy directions, and sentences."""

import dataclasses
import itertools

import numpy as np

__all__ = ["Sensitivity"]

_NOTHING = 1e-12  # of the largest sensitivity: rounding, not an effect
_SINGULAR = 1e-13  # of the eigenvalues of a correlation matrix
_LOOSE, _PAIRED, _VAGUE = 0.1, 0.98, 0.5  # relative errors and a correlation that are worth a sentence


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """Gauss and Newton's approximation at a fit's optimum, as if the residuals were independent.

    `names` and `values` of the parameters; `matrix`, J^T J of the residuals by relative changes of the parameters,
    shape (n_param, n_param); `variance` of a residual; `on_bound`, the parameters that ended on a bound, which have no
    error of their own; `at_limit`, those of them whose bound is the end of what is possible.

    The standard deviation of every combination of parameters follows from variance (J^T J)^-1, the bound of Cramer and
    Rao. Directions of small error are called stiff, those of large error sloppy (Gutenkunst et al. 2007).

    References: Gutenkunst, Waterfall, Casey, Brown, Myers & Sethna (2007), PLoS Comput Biol 3:e189.
    doi:10.1371/journal.pcbi.0030189
    """

    names: tuple[str, ...]
    values: np.ndarray
    matrix: np.ndarray
    variance: float
    on_bound: tuple[str, ...] = ()
    at_limit: tuple[str, ...] = ()

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Parameters inside their bounds that do not change the prediction."""
        diagonal = np.diag(self.matrix)
        idle = (n for n, d in zip(self.names, diagonal, strict=True) if not d > _NOTHING * diagonal.max(initial=0))
        return tuple(name for name in idle if name not in self.on_bound)

    @property
    def determined(self) -> tuple[str, ...]:
        """The others that have not ended on a bound: those of the matrices below, in this order."""
        left_out = self.without_effect + self.on_bound
        return tuple(name for name in self.names if name not in left_out)

    @property
    def _inverse(self) -> np.ndarray:
        """Inverse of the matrix of the determined parameters."""
        at = [self.names.index(name) for name in self.determined]
        matrix = self.matrix[np.ix_(at, at)]
        size = np.sqrt(np.diag(matrix))
        eigenvalues, vectors = np.linalg.eigh(matrix / np.outer(size, size))
        return (vectors / np.maximum(eigenvalues, _SINGULAR)) @ vectors.T / np.outer(size, size)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of relative errors of the determined parameters."""
        return self.variance * self._inverse

    @property
    def correlation(self) -> np.ndarray:
        """Correlation of the errors of the determined parameters."""
        inverse = self._inverse
        spread = np.sqrt(np.diag(inverse))
        return inverse / np.outer(spread, spread)

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation of every determined parameter [its unit]."""
        relative = np.sqrt(np.diag(self.covariance))
        return {n: float(r * self._size(n)) for n, r in zip(self.determined, relative, strict=True)}

    @property
    def directions(self) -> list[tuple[float, dict[str, float]]]:
        """(relative standard deviation, weight of every parameter), the stiffest direction first."""
        variances, vectors = np.linalg.eigh(self.covariance)
        return [
            (float(np.sqrt(max(v, 0.0))), dict(zip(self.determined, map(float, column), strict=True)))
            for v, column in zip(variances, vectors.T, strict=True)
        ]

    def _size(self, name: str) -> float:
        return abs(float(self.values[self.names.index(name)])) or 1.0

    def sentences(self) -> list[str]:
        """What the data leave open, in words; empty where they determine everything."""
        found = [
            f"{name} does not change the prediction: the data say nothing about it." for name in self.without_effect
        ]
        found += [
            f"{name} has ended at the end of what it can be: hold it there, or take it as not determined by these data."
            if name in self.at_limit
            else f"{name} has ended on its bound: widen the bound, or take {name} as not determined by these data."
            for name in self.on_bound
        ]
        relative = np.sqrt(np.diag(self.covariance))
        correlation = self.correlation
        for (i, a), (j, b) in itertools.combinations(enumerate(self.determined), 2):
            if max(relative[i], relative[j]) > _LOOSE and abs(correlation[i, j]) > _PAIRED:
                found.append(
                    f"The data do not constrain {a} and {b} separately: their errors have a correlation of "
                    f"{correlation[i, j]:+.3f}."
                )
        vague = [(n, r) for n, r in zip(self.determined, relative, strict=True) if r > _VAGUE]
        return found + [f"{name} is known to within {min(100 * r, 1e6):.0f} % only." for name, r in vague]
