"""Two cores beside one: the same sweep in wall-clock time, in turn."""

import os

from speed import ours
from speed.cases import CASES
from speed.clock import wall_seconds
from speed.rows import Row, Settings

__all__ = ["measure"]

_N, _STEPS = 10_240, 4000


def measure(settings: Settings) -> list[Row]:
    """Wall seconds on one core over wall seconds on two, each the least of several."""
    case = CASES["hh"]
    values, solver = case.values(_N), ours.stepper(case, "strang")
    times = {1: [], 2: []}
    for round_ in range(3 * settings.mode.rounds + 1):
        for cores, found in times.items():
            spent = wall_seconds(lambda c=cores: ours.sweep(case, values, solver, t1=_STEPS * case.dt, cores=c))
            found += [spent] if round_ else []  # the first one compiles
    one, two = min(times[1]), min(times[2])
    return [
        Row(
            claim="two-cores",
            label="HH Strang sweep: one core / two cores, wall clock",
            precision=settings.precision,
            n=_N,
            value=one / two,
            ours_ns=1e9 * two / (_N * _STEPS),
            peer_ns=1e9 * one / (_N * _STEPS),
            note=f"{_STEPS} steps; load of the machine {os.getloadavg()[0]:.1f}; peer is one core",
        )
    ]
