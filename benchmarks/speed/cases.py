"""What is simulated: three models, parameters that differ from lane to lane, and how long. Needs numpy alone."""

import dataclasses

import numpy as np

__all__ = ["CASES", "N_ACCURACY", "Case", "Mode"]

N_ACCURACY = 16
"""Lanes on which accuracy is judged, before anything is timed."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One model. `center` and `spread` (relative, half width) of each parameter, in the order of reference.c; the drive
    grows from lane to lane so that every neuron fires repetitively, which keeps spike times well conditioned."""

    name: str
    title: str
    dt: float  # [ms]
    threshold: float  # whose upward crossing is a spike
    t1_accuracy: float  # length of the runs that judge accuracy [ms]
    center: dict[str, float]
    spread: dict[str, float]
    drive: tuple[float, float]
    steps: dict[int, int]  # steps of a timed run by number of lanes: small batches run longer

    def values(self, n: int) -> dict[str, np.ndarray]:
        """Parameters of n lanes by name, each of shape (n,)."""
        rng = np.random.default_rng(0)
        values = {
            name: center * (1 + self.spread.get(name, 0.0) * rng.uniform(-1, 1, n))
            for name, center in self.center.items()
        }
        low, high = self.drive
        values["stimulus.amplitude"] = np.linspace(low, high, n) if n > 1 else np.array([0.5 * (low + high)])
        return values

    def model_values(self, values: dict) -> dict:
        """The values that belong to the model."""
        return {name: value for name, value in values.items() if name != "stimulus.amplitude"}


@dataclasses.dataclass(frozen=True)
class Mode:
    """How thorough a run is: sizes of the batches, rounds of each timing, longest wall time of a measuring process [s]
    and least CPU time of one measurement [s]."""

    name: str
    sizes: tuple[int, ...]
    rounds: int
    limit: float
    least: float = 0.3  # the CPU clock of a process may tick in 4 ms only


_HH = Case(
    name="hh",
    title="HH",
    dt=0.025,
    threshold=0.0,
    t1_accuracy=50.0,
    center={
        "na.g_max": 120.0,
        "k.g_max": 36.0,
        "leak.g_max": 0.3,
        "C_m": 1.0,
        "stimulus.amplitude": 10.0,
        "na.E_rev": 50.0,
        "k.E_rev": -77.0,
        "leak.E_rev": -54.3,
    },
    spread={"na.g_max": 0.05, "k.g_max": 0.05, "leak.g_max": 0.05, "C_m": 0.05, "na.E_rev": 0.01, "k.E_rev": 0.01},
    drive=(10.0, 20.0),
    steps={1: 20_000, 100: 5000, 10_240: 2000, 102_400: 400},
)
_FHN = Case(
    name="fhn",
    title="FHN",
    dt=0.1,
    threshold=1.0,
    t1_accuracy=200.0,
    center={"a": 0.7, "b": 0.8, "tau": 12.5, "stimulus.amplitude": 0.6},
    spread={"a": 0.02, "b": 0.02, "tau": 0.05},
    drive=(0.5, 0.9),
    steps={1: 20_000, 100: 10_000, 10_240: 10_000, 102_400: 1000},
)
_LIF = Case(
    name="lif",
    title="LIF",
    dt=0.1,
    threshold=0.0,
    t1_accuracy=200.0,
    center={
        "tau_m": 20.0,
        "R_m": 100.0,
        "E_L": -70.0,
        "V_th": -50.0,
        "V_reset": -65.0,
        "t_ref": 2.0,
        "b_w": 0.02,
        "tau_w": 100.0,
        "stimulus.amplitude": 0.4,
    },
    spread={"tau_m": 0.05, "R_m": 0.05, "E_L": 0.01, "b_w": 0.05, "tau_w": 0.05},
    drive=(0.3, 0.5),
    steps={1: 20_000, 100: 10_000, 10_240: 10_000, 102_400: 2000},
)
CASES = {case.name: case for case in (_HH, _FHN, _LIF)}
