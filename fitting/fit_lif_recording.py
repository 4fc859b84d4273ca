"""Fit an integrate-and-fire neuron with adaptation to a current-clamp recording of your own.

FILE is an Axon ABF, an NWB file, or a CSV or NPZ table with time_ms, voltage_mV, current_pA and
sweep. Current steps and spikes are found; E_L, R_m and tau_m come from the small steps, threshold,
reset, refractory period and adaptation from the f-I curve.

Example: python fitting/fit_lif_recording.py cell.abf --out cell-fit
"""

import argparse
import sys
from pathlib import Path

import jax

from jaxneuro.analysis.recordings import fi_table, passive_properties
from jaxneuro.fitters import fit_recording_fi
from jaxneuro.io import read_recording


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording")
    parser.add_argument("--threshold", type=float, default=-10.0, help="voltage of a spike [mV]")
    parser.add_argument("--starts", type=int, default=8, help="number of starts [1]")
    parser.add_argument("--steps", type=int, default=100, help="steps of the search [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-lif-recording"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="fewer starts and steps")
    return parser.parse_args()


def study(options: argparse.Namespace) -> None:
    recording = read_recording(options.file)
    passive = passive_properties(recording)
    table = fi_table(recording, options.threshold)
    print(recording)
    print(
        f"membrane: E_L {passive.E_L:.1f} mV, R_m {passive.R_m:.0f} MOhm, tau_m "
        f"{passive.tau_m:.1f} ms, from {passive.n_sweeps} sweeps"
    )
    print(f"step of {table.duration:g} ms at {table.onset:g} ms in {table.current.size} sweeps")

    result = fit_recording_fi(
        recording,
        threshold=options.threshold,
        n_starts=2 if options.quick else options.starts,
        steps=20 if options.quick else options.steps,
        seed=options.seed,
    )
    print(result.table())
    print(f"RMS error of the rate {result.to_dict()['fi']['rms_hz']:.2f} Hz")
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    result.plot()[0].figure.savefig(options.out / "fit.png")
    print(f"results in {options.out}/ after {result.seconds:.0f} s")


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    try:
        study(options)
    except (ValueError, TypeError, FileNotFoundError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
