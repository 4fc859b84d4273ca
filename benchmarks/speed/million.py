"""The large sweep: 1,000,000 HH points over 100 ms, spike count and first spike kept, on two cores."""

import jaxneuro as jn
from speed import ours
from speed.cases import CASES
from speed.clock import peak_mib, wall_seconds
from speed.rows import Row, Settings

__all__ = ["measure"]

_N, _T1 = 1_000_000, 100.0


def measure(settings: Settings) -> list[Row]:
    """Wall seconds, compilation included, and the process' peak memory less the results."""
    case = CASES["hh"]
    solvers = {
        "million-strang": ("Strang 0.025", ours.stepper(case, "strang")),
        "million-adaptive": ("adaptive 1e-4", jn.Adaptive(rtol=1e-4, atol=1e-6)),
    }
    title, solver = solvers[settings.pair]
    kept = []
    seconds = wall_seconds(lambda: kept.append(ours.sweep(case, case.values(_N), solver, t1=_T1, cores=2)))
    beyond = peak_mib() - kept[0].nbytes / 2**20
    label = f"HH sweep, {_T1:g} ms, {title}"
    common = {"precision": settings.precision, "n": _N}
    succeeded = float((kept[0]["result"] == 0).mean())
    return [
        Row(
            claim="million-seconds",
            label=f"{label}: wall clock",
            value=seconds,
            unit="s",
            note=f"compilation included; {succeeded:.2%} succeeded",
            **common,
        ),
        Row(
            claim="million-memory",
            label=f"{label}: peak beyond results",
            value=beyond / 1024,
            unit="GiB",
            note="interpreter and jax included",
            **common,
        ),
    ]
