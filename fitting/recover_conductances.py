"""Recover four conductances and a time constant of a regular-spiking cell from one noisy trace.

The trace is made here: 500 ms of the cell of Pospischil et al. (2008) with an M current, about 20
spikes, solved to 1e-9 and sampled every 0.02 ms, with white noise of 0.5 mV. Every start is up to
4 times off in each parameter. The convex start sees the trace and the current only; nudged runs
follow, ever more free. Printed beside the errors are the standard deviations of Cramer and Rao,
below which no method gets.

Example: python fitting/recover_conductances.py --seeds 3 --out recovered
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from jaxneuro import Step, params, simulate
from jaxneuro.fitters import FitResult, VoltageTrace, fit
from jaxneuro.models import RegularSpiking
from jaxneuro.solvers import Adaptive

TRUE = {"na.g_max": 50.0, "k.g_max": 5.0, "leak.g_max": 0.1, "m.g_max": 0.07, "m.tau_max": 600.0}  # mS/cm^2, ms
STIMULUS = Step(amplitude=4.0, onset=20.0, duration=460.0)  # uA/cm^2, ms
DT, NOISE, OFF = 0.02, 0.5, 4.0  # ms, mV, factor


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of traces with other noise [1]")
    parser.add_argument("--starts", type=int, default=8, help="starts of each fit [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first trace [1]")
    parser.add_argument("--out", type=Path, default=Path("recovered-conductances"), help="output folder")
    parser.add_argument("--resume", action="store_true", help="keep the progress in the folder, and go on from it")
    parser.add_argument("--quick", action="store_true", help="one trace of 100 ms and two starts")
    return parser.parse_args()


def recovered(voltage: np.ndarray, n_starts: int, seed: int, checkpoint: Path | None) -> FitResult:
    """A fit to the voltage [mV] with new noise, from random starts."""
    rng = np.random.default_rng(seed)
    noisy = voltage + NOISE * rng.normal(size=voltage.shape)
    factors = OFF ** rng.uniform(-1, 1, size=(len(TRUE), n_starts))
    return fit(
        RegularSpiking(),
        VoltageTrace(DT, noisy, STIMULUS),
        free={name: (value / 8, value * 8) for name, value in TRUE.items()},
        n_starts=n_starts,
        start={name: value * f for (name, value), f in zip(TRUE.items(), factors, strict=True)},
        checkpoint=checkpoint,
        checkpoint_every=5.0,
    ).compare(TRUE)


def report(result: FitResult) -> dict:
    """Prints one fit; its numbers."""
    rmse = np.sqrt(result.start_losses)
    sigmas = {name: (p.value - p.true) / p.std for name, p in result.params.items()}
    print(result.table())
    print("off by", ", ".join(f"{name} {s:+.2f}" for name, s in sigmas.items()), "standard deviations")
    print("Cramer-Rao", ", ".join(f"{name} {100 * p.std / p.true:.3f} %" for name, p in result.params.items()))
    print("RMS error of each start [mV]:", ", ".join(f"{e:.4f}" for e in rmse))
    for stage in result.stages:
        print(f"  {stage.name:16} {stage.n_simulations:4d} simulations per start {stage.seconds:6.1f} s")
    is_good = rmse <= 0.505
    has_truth = max(map(abs, sigmas.values())) < 3
    return {"rmse": rmse.tolist(), "sigmas": sigmas, "n_good": int(np.sum(is_good)) if has_truth else 0}


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    t1 = 100.0 if options.quick else 500.0
    n_seeds, n_starts = (1, 2) if options.quick else (options.seeds, options.starts)
    cell = params.replace(RegularSpiking(), TRUE)
    run = simulate(cell, STIMULUS, t1=t1, dt_save=DT, solver=Adaptive(rtol=1e-9, atol=1e-9))
    print(f"{run.spikes.size} spikes in {t1:g} ms")
    options.out.mkdir(parents=True, exist_ok=True)
    reports = []
    for seed in range(options.seed, options.seed + n_seeds):
        checkpoint = options.out / f"seed-{seed}.checkpoint" if options.resume else None
        result = recovered(np.asarray(run.voltage), n_starts, seed, checkpoint)
        reports.append(report(result))
    n_good, n = sum(r["n_good"] for r in reports), n_seeds * n_starts
    n_simulations = sum(stage.n_simulations for stage in result.stages)
    print(f"{n_good} of {n} starts at the global optimum, with {n_simulations} simulations each")
    (options.out / "report.json").write_text(json.dumps(reports, indent=2) + "\n")
    result.save(options.out / "fit.json")
    result.plot()[0].figure.savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
