"""Do the 95 % confidence intervals of a fit contain the truth in 95 % of the cases?

Data sets are made here: 60 ms of the squid axon under a step, sampled every 0.025 ms, each with new
white noise of 0.5 mV. Three conductances and the capacitance are fitted to each, and counted is how
often the interval of each parameter contains the value that made the data.

Example: python fitting/check_intervals.py --sets 50 --out intervals
"""

import argparse
import json
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from jaxneuro import HodgkinHuxley, Step, simulate
from jaxneuro.fitters import FittedParam, VoltageTrace, fit
from jaxneuro.solvers import Adaptive

TRUE = {"na.g_max": 120.0, "k.g_max": 36.0, "leak.g_max": 0.3, "C_m": 1.0}  # mS/cm^2, uF/cm^2
STIMULUS = Step(amplitude=10.0, onset=5.0)  # uA/cm^2, ms
DT, NOISE = 0.025, 0.5  # ms, mV


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=50, help="number of data sets [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-intervals"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="five data sets")
    return parser.parse_args()


def fitted(voltage: np.ndarray, rng: np.random.Generator) -> dict[str, FittedParam]:
    """Parameters of a fit to the voltage [mV] with new noise."""
    noisy = voltage + NOISE * rng.normal(size=voltage.shape)
    free = {name: (value / 4, value * 4) for name, value in TRUE.items()}
    target = VoltageTrace(DT, noisy, STIMULUS)
    return fit(HodgkinHuxley(), target, free=free, n_starts=1, start="model", progress=False).compare(TRUE).params


def draw(found: list[dict[str, FittedParam]], path: Path) -> None:
    """Every interval in standard deviations from the truth; those that miss it are red."""
    figure, axes = plt.subplots(1, len(TRUE), figsize=(10, 4), sharey=True, layout="constrained")
    for ax, name in zip(axes, TRUE, strict=True):
        for k, params in enumerate(found):
            p = params[name]
            z = (p.value - p.true) / p.std
            ax.plot([z - 1.96, z + 1.96], [k, k], color="#d55e00" if abs(z) > 1.96 else "#999999", linewidth=1.2)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_title(name)
        ax.set_xlabel("Distance (standard deviations)")
    axes[0].set_ylabel("Data set")
    figure.savefig(path, dpi=150)


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    voltage = simulate(HodgkinHuxley(), STIMULUS, t1=60.0, dt_save=DT, solver=Adaptive(rtol=1e-8, atol=1e-8)).voltage
    rng = np.random.default_rng(options.seed)
    n = 5 if options.quick else options.sets
    found = [fitted(np.asarray(voltage), rng) for _ in range(n)]
    hits = {name: sum(p[name].interval[0] <= TRUE[name] <= p[name].interval[1] for p in found) for name in TRUE}
    for name, n_hit in hits.items():
        spread = np.std([p[name].value for p in found]) / np.mean([p[name].std for p in found])
        print(f"{name:10} {n_hit} of {n} intervals contain the truth; spread / mean std {spread:.2f}")
    print(f"pooled     {100 * sum(hits.values()) / (n * len(TRUE)):.1f} %")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "hits.json").write_text(json.dumps(hits | {"sets": n}, indent=2) + "\n")
    draw(found, options.out / "intervals.png")


if __name__ == "__main__":
    main()
