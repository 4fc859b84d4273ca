"""Small tables of measured facts that come with the package."""

import csv
import dataclasses
from importlib import resources

import numpy as np

__all__ = ["CellFI", "cell_0018_fi"]


@dataclasses.dataclass(frozen=True, eq=False)
class CellFI:
    """f-I curve and passive membrane of one recorded cell.

    `current` [pA], `count` [1] and `rate` [Hz], shape (n_sweep,): spikes within a current step of
    `duration` [ms]. `E_L` [mV], `R_m` [MOhm] and `tau_m` [ms] from small hyperpolarising steps.
    """

    current: np.ndarray
    count: np.ndarray
    rate: np.ndarray
    duration: float
    E_L: float
    R_m: float
    tau_m: float
    source: str
    licence: str


def cell_0018_fi() -> CellFI:
    """f-I curve of a real neuron in a brain slice: whole-cell current clamp, 17 steps of 0.5 s.

    Spikes are upward crossings of -10 mV in the first step of each sweep. The membrane differs
    between steps of -50 to -100 pA: R_m 129 to 144 MOhm, tau_m 29 to 36 ms; R_m and tau_m here are
    those of a common exponential through the responses of all steps below rheobase.

    >>> cell_0018_fi().rate[-1]
    18.0

    References: swharden/pyABF, commit 3ad9cd6f, data/abfs/171116sh_0018.abf; recording by Scott W
    Harden, MIT licence.
    """
    path = resources.files("jaxneuro.datasets") / "cell_0018_fi.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    current, count, rate = (
        np.array([float(row[name]) for row in rows]) for name in ("current_pA", "spike_count", "rate_Hz")
    )
    return CellFI(
        current=current,
        count=count.astype(int),
        rate=rate,
        duration=500.0,
        E_L=-62.6,
        R_m=132.5,
        tau_m=34.1,
        source="github.com/swharden/pyABF, commit 3ad9cd6f, data/abfs/171116sh_0018.abf",
        licence="MIT, (c) 2018 Scott W Harden",
    )
