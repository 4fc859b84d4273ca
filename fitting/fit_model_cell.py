"""Fit a voltage-clamp step of a hardware model cell: series resistance, resistance, capacitance, filter.

RECORDING is an ABF file in voltage clamp whose sweeps repeat one step of the command, such as the
membrane test of a cell. The mean of the sweeps from just before the step is fitted with a passive
cell behind a series resistance, a lag of the command and a four-pole Bessel filter.

Example: python fitting/fit_model_cell.py model_vc_step.abf --out model-cell
"""

import argparse
from pathlib import Path

import jax
import numpy as np

from jaxneuro import Constant, Step, WholeCell
from jaxneuro.fitters import ClampCurrent, FitResult, fit
from jaxneuro.io import read_voltage_clamp
from jaxneuro.recording import ClampRecording

FREE = {
    "C": (5.0, 500.0),  # pF
    "R_m": (20.0, 2000.0),  # MOhm
    "R_s": (2.0, 50.0),  # MOhm
    "E": (-150.0, 100.0),  # mV
    "corner": (0.5, 20.0),  # kHz
    "lag": (0.005, 0.1),  # ms
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="RECORDING.abf", help="voltage-clamp recording of one step")
    parser.add_argument("--window", type=float, default=100.0, help="time fitted from 5 ms before the step on [ms]")
    parser.add_argument("--starts", type=int, default=8, help="number of starts [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-model-cell"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="20 ms and two starts")
    return parser.parse_args()


def target_of(recording: ClampRecording, window: float) -> tuple[ClampCurrent, float]:
    """The mean current around the first step of the command, and the holding command [mV]."""
    command, dt = recording.command[0], recording.dt
    steps = np.flatnonzero(np.diff(command)) + 1
    if not steps.size:
        raise SystemExit(f"'{recording.source}' must have a step in its command, but has none; choose another file.")
    first = max(steps[0] - round(5.0 / dt), 0)
    last = min(steps[0] + round(window / dt), steps[1] - 1 if steps.size > 1 else command.size)
    hold, level = command[steps[0] - 1], command[steps[0]]
    stimulus = Constant(hold) + Step(level - hold, onset=dt * (steps[0] - first))
    return ClampCurrent(dt, recording.mean()[first:last], stimulus), float(hold)


def report(result: FitResult) -> None:
    """Prints the fit."""
    print(result.table())
    print(f"RMS error {np.sqrt(result.loss):.3f} pA; {np.sum(result.start_losses < 1.01 * result.loss)} of ", end="")
    print(f"{result.start_losses.size} starts, {sum(s.n_simulations for s in result.stages)} simulations each")


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    try:
        target, hold = target_of(read_voltage_clamp(options.recording), 20.0 if options.quick else options.window)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(str(error)) from None
    n_starts = 2 if options.quick else options.starts
    result = fit(WholeCell(V_init=hold), target, free=FREE, n_starts=n_starts, steps=150, seed=options.seed)
    report(result)
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    result.plot()[0].figure.savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
