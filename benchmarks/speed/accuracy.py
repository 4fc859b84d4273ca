"""The gate before every timing: worst spike-time error against a reference that is far more accurate than both."""

import numpy as np
from scipy.interpolate import CubicSpline

__all__ = ["LIMIT", "crossings", "worst_error"]

LIMIT = 0.02
"""By how much ours may be less accurate than the peer and still be compared [ms]."""

_MARGIN = 1.0  # a spike this close to the end of the run may fall on either side of it [ms]


def worst_error(times: np.ndarray, reference: np.ndarray, t1: float) -> float:
    """Largest difference of any spike from the reference [ms]; inf where one is missing. Shapes (n, n_spike), padded
    with inf."""
    n_spike = max(times.shape[1], reference.shape[1])
    times, reference = (_padded(np.asarray(array, float), n_spike) for array in (times, reference))
    is_counted = reference < t1 - _MARGIN
    difference = np.abs(np.where(is_counted, times, 0.0) - np.where(is_counted, reference, 0.0))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference)))


def _padded(times: np.ndarray, n: int) -> np.ndarray:
    return np.pad(times, ((0, 0), (0, n - times.shape[1])), constant_values=np.inf)


def crossings(ts: np.ndarray, V: np.ndarray, threshold: float) -> np.ndarray:
    """Upward crossings of the threshold by a cubic spline [ms]; V (n, n_time) -> (n, n_spike), padded with inf."""
    found = []
    for lane in np.asarray(V, float):
        if not np.isfinite(lane).all():  # a run that failed has no spikes
            found.append(np.zeros(0))
            continue
        spline = CubicSpline(ts, lane)
        roots = spline.solve(threshold, extrapolate=False)
        found.append(roots[spline(roots, 1) > 0])
    n_spike = max(1, *map(len, found))
    return np.stack([np.pad(times, (0, n_spike - len(times)), constant_values=np.inf) for times in found])
