"""Fit an integrate-and-fire neuron with adaptation to the f-I curve of a real neuron.

The curve and the passive membrane (E_L, R_m, tau_m) are the packaged facts of one cell. Free are
threshold, reset, refractory period and adaptation. Without adaptation (--plain) the curve cannot be
met, which is the point of the comparison.

Example: python fitting/fit_lif_fi.py --out lif-fi
"""

import argparse
from pathlib import Path

import jax

from jaxneuro import LIF
from jaxneuro.datasets import cell_0018_fi
from jaxneuro.fitters import FICurve, fit


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", action="store_true", help="no adaptation current")
    parser.add_argument("--starts", type=int, default=8, help="number of starts [1]")
    parser.add_argument("--steps", type=int, default=100, help="steps of the search [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-lif-fi"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="fewer starts and steps")
    return parser.parse_args()


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    cell = cell_0018_fi()
    print(f"{cell.source}; {cell.licence}")
    print(f"measured: E_L {cell.E_L} mV, R_m {cell.R_m} MOhm, tau_m {cell.tau_m} ms")

    # The cell rests at 25 pA and fires at 50 pA, 3.3 and 6.6 mV above rest.
    free = {"V_th": (-59.5, -55.5), "V_reset": (-85.0, -60.0), "t_ref": (0.5, 5.0)}
    if not options.plain:
        free |= {"b_w": (0.001, 0.3), "tau_w": (10.0, 1000.0)}
    result = fit(
        LIF(E_L=cell.E_L, R_m=cell.R_m, tau_m=cell.tau_m, V_th=-56.0, V_reset=-66.0),
        FICurve(cell.current, cell.rate, duration=cell.duration, unit="pA"),
        free=free,
        n_starts=2 if options.quick else options.starts,
        steps=20 if options.quick else options.steps,
        seed=options.seed,
    )

    print(result.table())
    fi = result.to_dict()["fi"]
    print("current [pA]  data [Hz]  model [Hz]")
    for row in zip(fi["current_pA"], fi["rate_data_hz"], fi["rate_model_hz"], strict=True):
        print("{:12g}  {:9g}  {:10g}".format(*row))
    print(f"RMS error of the rate {fi['rms_hz']:.2f} Hz")
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    result.plot()[0].figure.savefig(options.out / "fit.png")
    print(f"results in {options.out}/ after {result.seconds:.0f} s")


if __name__ == "__main__":
    main()
