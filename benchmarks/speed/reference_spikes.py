"""The reference that accuracy is judged by: adaptive steps at 1e-8 in float64, exact spikes for LIF."""

import numpy as np

import jaxneuro as jn
from speed import ours
from speed.cases import CASES

__all__ = ["write"]


def write(path: str) -> None:
    """Spike times [ms] of every case's lanes, as arrays (n, n_spike) in an npz file."""
    solvers = {"lif": jn.ExactSpikes(0.1)}
    accurate = jn.Adaptive(rtol=1e-8, atol=1e-8)
    times = {name: ours.spike_times(case, solvers.get(name, accurate)) for name, case in CASES.items()}
    for name, found in times.items():
        if not np.isfinite(found[:, 0]).all():
            raise RuntimeError(f"The reference of {name} must spike in every lane, but does not; check the case.")
    np.savez(path, **times)
