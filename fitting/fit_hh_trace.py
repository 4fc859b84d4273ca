"""Recover three Hodgkin-Huxley conductances from a short, noisy voltage trace.

The trace is made here: 30 ms of the squid-axon model under a current step, solved to 1e-8 and
sampled every 0.05 ms, with white noise added. The fit starts from 8 points within a factor of 2 of
the truth and uses a fixed step of 0.025 ms.

Example: python fitting/fit_hh_trace.py --noise 0.5 --out hh-trace
"""

import argparse
from pathlib import Path

import jax
import numpy as np

from jaxneuro import Adaptive, HodgkinHuxley, Step, simulate
from jaxneuro.fitters import VoltageTrace, fit

TRUE = {"na.g_max": 120.0, "k.g_max": 36.0, "leak.g_max": 0.3}  # mS/cm^2
DT = 0.05  # ms


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--current", type=float, default=10.0, help="current step [uA/cm^2]")
    parser.add_argument("--noise", type=float, default=0.5, help="standard deviation of noise [mV]")
    parser.add_argument("--starts", type=int, default=8, help="number of starts [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise and starts [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-hh-trace"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="fewer starts and steps")
    return parser.parse_args()


def noisy_trace(current: float, noise: float, seed: int) -> VoltageTrace:
    """The data [mV], made with a solver that is more exact than the one in the fit."""
    stimulus = Step(amplitude=current, onset=5.0)
    solver = Adaptive(rtol=1e-8, atol=1e-8)
    V = simulate(HodgkinHuxley(), stimulus, t1=30.0, dt_save=DT, solver=solver).voltage
    rng = np.random.default_rng(seed)
    return VoltageTrace(DT, V + noise * rng.normal(size=V.shape), stimulus)


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    target = noisy_trace(options.current, options.noise, options.seed)
    result = fit(
        HodgkinHuxley(),
        target,
        free={name: (value / 2, value * 2) for name, value in TRUE.items()},
        n_starts=4 if options.quick else options.starts,
        steps=40 if options.quick else 100,
        seed=options.seed,
    ).compare(TRUE)

    print(result.table())
    print(f"RMS error {np.sqrt(result.loss):.3f} mV with noise of {options.noise:g} mV")
    print(f"{np.sum(result.start_losses < 1.01 * result.loss)} of {result.start_losses.size} starts")
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    result.plot()[0].figure.savefig(options.out / "fit.png")
    print(f"results in {options.out}/ after {result.seconds:.0f} s")


if __name__ == "__main__":
    main()
