"""One measuring process: `python -m speed.child '{"pair": ...}'` prints its rows as one line of JSON.

It holds one pair in one precision, pinned to one core; `run.py` starts it.
"""

import dataclasses
import importlib
import json
import os
import sys

from speed.cases import Mode
from speed.plan import PAIRS
from speed.rows import Settings

__all__ = ["MARK", "main"]

MARK = "ROWS "
"""Begins the line that holds the rows; whatever else a peer prints is left alone."""


def main(text: str) -> None:
    """Pin, choose the precision, measure, print."""
    told = json.loads(text)
    settings = Settings(**told | {"mode": Mode(**told["mode"])})
    pair = PAIRS.get(settings.pair)
    _pin(pair.cores if pair else 1)
    import jax  # the number of cores is read when jax starts

    import jaxneuro  # noqa: F401  sets jax up for its loops, which the peers in this process enjoy as well

    jax.config.update("jax_enable_x64", settings.precision == "float64")
    if pair is None:
        from speed import reference_spikes

        reference_spikes.write(settings.reference)
        return
    measure = getattr(importlib.import_module(f"speed.{pair.module}"), pair.function)
    print(MARK + json.dumps([dataclasses.asdict(row) for row in measure(settings)]))


def _pin(cores: int) -> None:
    """Keep to this many cores, the last ones: the first serves most interrupts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


if __name__ == "__main__":
    main(sys.argv[1])
