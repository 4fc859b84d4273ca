"""Speed of jaxneuro beside C, diffrax, Jaxley and NEURON, with the accuracy of both sides and the project's targets.

    python benchmarks/run.py [--quick | --full] [--out DIR] [--only NAME ...]

README.md beside this file says what is measured and how to read the table.
"""

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from speed import c_reference, figure, machine
from speed.child import MARK
from speed.plan import MODES, PAIRS
from speed.rows import Settings
from speed.table import table, verdict

HERE = Path(__file__).resolve().parent


def main() -> None:
    arguments = _arguments()
    mode = MODES["full" if arguments.full else "quick" if arguments.quick else "default"]
    began, rows, failures = time.perf_counter(), [], []
    info = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        library = c_reference.build(Path(folder))
        reference = str(Path(folder) / "reference.npz")
        told = Settings("reference", "float64", mode, reference, "")
        _, problem = _measured(told)
        if problem:
            sys.exit(f"The accurate reference could not be computed: {problem}")
        for name, precision in _chosen(arguments, has_c=bool(library)):
            before = time.perf_counter()
            settings = Settings(name, precision, mode, reference, library)
            found, problem = _measured(settings)
            rows += found
            failures += [f"{name} {precision}: {problem}"] if problem else []
            spent = time.perf_counter() - before
            print(f"{PAIRS[name].title}, {precision}: {problem or 'done'} ({spent:.0f} s)", flush=True)
    info |= {"mode": mode.name, "minutes": round((time.perf_counter() - began) / 60, 1)}
    _report(rows, failures, info, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="under 3 minutes: fewer lanes, rounds and precisions")
    extent.add_argument("--full", action="store_true", help="also the sweep of 1,000,000 points")
    parser.add_argument("--out", type=Path, default=Path("bench-out"), help="folder of the JSON and the figure")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(PAIRS), help=f"among {', '.join(PAIRS)}")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace, has_c: bool) -> list[tuple[str, str]]:
    """(pair, precision) to measure; a pair whose peer is missing is named and left out."""
    chosen = []
    for name in arguments.only or [name for name, pair in PAIRS.items() if arguments.full or not pair.is_full_only]:
        pair = PAIRS[name]
        if not pair.is_possible:
            print(f"{pair.needs} is not installed, so that comparison is left out.")
        elif pair.cores > (os.cpu_count() or 1):
            print(f"{pair.title}: left out, since this machine has one core.")
        elif has_c or not name.startswith("c-"):
            chosen += [(name, precision) for precision in (pair.quick if arguments.quick else pair.precisions)]
    return chosen


def _measured(settings: Settings) -> tuple[list[dict[str, Any]], str]:
    """Rows of one measuring process, and what went wrong."""
    command = [sys.executable, "-m", "speed.child", json.dumps(dataclasses.asdict(settings))]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    try:
        ended = subprocess.run(
            command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=settings.mode.limit
        )
    except subprocess.TimeoutExpired:
        return [], f"stopped after {settings.mode.limit:g} s"
    if ended.returncode:
        return [], (ended.stderr.strip().splitlines() or [f"ended with {ended.returncode}"])[-1]
    lines = [line for line in ended.stdout.splitlines() if line.startswith(MARK)]
    return (json.loads(lines[-1].removeprefix(MARK)) if lines else []), ""


def _report(
    rows: list[dict[str, Any]], failures: list[str], info: dict[str, Any], arguments: argparse.Namespace
) -> None:
    for row in rows:
        row["target"], row["verdict"] = verdict(row, info["jaxlib"])
    heading = (
        f"{info['cpu']}, {info['vectors']}, {info['cores']} cores; Python {info['python']}, jax {info['jax']}, "
        f"jaxlib {info['jaxlib']}, gcc {info['gcc'] or 'none'}; {info['date']}, {info['mode']} mode"
    )
    print(f"\n{heading}\n\n{table(rows, info['jaxlib'])}\n")
    verdicts = [row["verdict"] for row in rows]
    print(f"{verdicts.count('met')} targets met, {verdicts.count('missed')} missed; {info['minutes']} minutes.")
    for failure in failures:
        print(f"failed: {failure}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    # a lost spike has an infinite error, which JSON cannot hold
    finite = [{k: None if v in (math.inf, -math.inf) else v for k, v in row.items()} for row in rows]
    written = {"machine": info, "rows": finite, "failures": failures}
    (arguments.out / "benchmark.json").write_text(json.dumps(written, indent=1))
    caption = f"{info['cpu']}, one core, jaxlib {info['jaxlib']}, {info['date']}"
    if figure.draw(rows, caption, arguments.out / "scaling.png"):
        print(f"{arguments.out / 'benchmark.json'} and {arguments.out / 'scaling.png'} written.")
    else:
        print(f"{arguments.out / 'benchmark.json'} written.")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
