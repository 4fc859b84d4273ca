"""Predict when a neuron spikes in noise that it has not been fitted to.

REPEATS is an NPZ file of 10 s of noise that a neuron got several times: `V_mV_x64` (64 per mV), `I_nA` and `dt_ms`. Two
neurons with escape noise are fitted to the spikes of the first 5 s by likelihood; that of lower AIC predicts the other
5 s by what many runs agree on. Scored are coincidences within 4 ms, over those of the repeats among themselves.

Example: python fitting/fit_frozen_noise.py frozen_noise_9rep_first10s.npz --out frozen-noise
"""

import argparse
import itertools
import time
import zipfile
from pathlib import Path

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np

from jaxneuro import GLIF, EscapeRate, ExactSpikes, Sampled, SpikeThreshold, params, simulate
from jaxneuro.analysis import coincidence_factor, consensus, find_spikes, normalised_coincidence
from jaxneuro.fitters import FitResult, SpikeTrains, fit

HALF, END, DT = 5000.0, 9999.8, 0.2  # ms
SCORE = {"duration": HALF, "precision": 4.0}  # ms
FREE = {  # mV, MOhm, ms
    "V_th": (1.0, 60.0),
    "R_m": (1.0, 300.0),
    "tau_m": (1.0, 50.0),
    "reset_drop": (-30.0, 30.0),
    "slow.jump": (0.0, 30.0),
    "slow.tau": (10.0, 500.0),
}
FOLLOWS = {"a_V": (-2.0, 1.0), "b_V": (0.005, 0.5)}  # 1/ms
CANDIDATES = {
    "reset and threshold": ({"a_V": 0.0}, FREE),
    "with a threshold that follows the voltage": ({"a_V": -0.02, "b_V": 1 / 30}, FREE | FOLLOWS),
}
DRAWN, RED, PALE = np.arange(6.4, 7.9, 5e-4), "#d55e00", "#f7d9c4"  # s, colours


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repeats", type=Path, metavar="REPEATS.npz", help="voltages under one noise current")
    parser.add_argument("--seed", type=int, default=0, help="seed of the runs that are to agree [1]")
    parser.add_argument("--out", type=Path, default=Path("frozen-noise"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="ten steps of each fit and 32 runs")
    return parser.parse_args()


def halves(trains: list | np.ndarray) -> tuple[list, list]:
    """The spikes before and after the middle [ms]."""
    return [t[t < HALF] for t in trains], [t[(t >= HALF) & (t < END)] for t in trains]


def read(path: Path) -> tuple[tuple[list, list], Sampled]:
    """The spikes of both halves, where the voltage crosses 0 mV upwards, and the current."""
    try:
        with np.load(path) as file:
            voltage, current, dt = file["V_mV_x64"] / 64, file["I_nA"].astype(float), float(file["dt_ms"])
        both = halves([find_spikes(dt * np.arange(current.size), row, threshold=0.0) for row in voltage])
        n_spikes = [len(train) for train in both[0] + both[1]]
        if len(voltage) < 2 or dt * (current.size - 1) < END or min(n_spikes) < 2:
            raise ValueError(f"{len(voltage)} of {dt * current.size:g} ms, with {sum(n_spikes)} spikes")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        rule = f"must hold V_mV_x64, two or more repeats of {END:g} ms that fire in both halves, I_nA and dt_ms"
        raise SystemExit(f"'{path}' {rule}, but does not ({str(error).split('. ')[0]}); choose another.") from None
    return both, Sampled(current, dt=dt)


def fitted(trains: list, current: Sampled, start: dict, free: dict, steps: int) -> FitResult:
    """The neuron that makes these spikes likely."""
    # the likelihood grows with t_ref up to the shortest interval, beyond which there is none
    t_ref = min(np.diff(train).min() for train in trains) - 0.2
    # spikes do not tell the scale of V: it is the one on which Delta_u is 1 mV
    cell = GLIF(E_L=0.0, V_th=15.0, R_m=30.0, tau_m=5.0, t_ref=t_ref, thresholds={"slow": SpikeThreshold(5.0, 100.0)})
    model = params.replace(EscapeRate(cell, rate_0=100.0, Delta_u=1.0), start)
    return fit(model, SpikeTrains(trains, current, t1=HALF), free=free, n_starts=1, start="model", steps=steps)


@eqx.filter_jit
def runs(model: EscapeRate, current: Sampled, seeds: jax.Array, t1: float) -> jax.Array:
    """Spikes of the model from 0 to t1 [ms] for each seed, padded with inf."""
    options = {"t1": t1, "dt_save": t1, "solver": ExactSpikes(DT), "max_spikes": 2000}
    return jax.vmap(lambda seed: simulate(params.replace(model, {"seed": seed}), current, **options).spike_times)(seeds)


def scored(data: list, trains: list) -> tuple[float, float]:
    """Coincidences with the data, over theirs among themselves: of what the runs agree on, and of single runs."""
    return tuple(float(normalised_coincidence(data, way, **SCORE)) for way in ([consensus(trains)], trains))


def report(both: tuple[list, list], results: dict, aics: dict, scores: dict, chosen: str) -> None:
    """Prints the candidates, the chosen one and how reliable the neuron is."""
    print(f"{'candidate':42}{'P':>3}{'nats/spike':>12}{'AIC':>9}{'fitted half':>13}{'new half':>10}")
    for name, result in results.items():
        agreed = "".join(f"{one:{width}.3f}" for (one, _), width in zip(scores[name], (13, 10), strict=False))
        print(f"{name:42}{len(result.params):3d}{result.loss:12.3f}{aics[name]:9.1f}{agreed}")
    print(results[chosen].table())
    gammas = [np.mean([coincidence_factor(*p, **SCORE) for p in itertools.permutations(d, 2)]) for d in both]
    print(f"coincidence factor of the repeats: {gammas[0]:.3f} in the fitted half, {gammas[1]:.3f} in the new one")
    print("scores of the chosen: {:.3f} (single runs {:.3f}), {:.3f} ({:.3f})".format(*sum(scores[chosen], ())))


def draw(repeats: list, trains: list, current: Sampled, title: str, path: Path) -> None:
    """A stretch of the new half: the current, the repeats, some runs, and what all agree on, -+ 4 ms pale."""
    agreed = consensus(trains)
    rows = {"Repeats": (repeats, "black"), "Runs": (trains[:20], RED), "Agreed": ([agreed], RED)}
    plt.rc("axes.spines", top=False, right=False, bottom=False)
    figure, axes = plt.subplots(4, figsize=(7.0, 4.4), sharex=True, height_ratios=(5, 10, 21, 2), layout="constrained")
    axes[0].plot(DRAWN, current(1e3 * DRAWN), color="#7f7f7f", linewidth=0.8)
    axes[0].set(xlim=(DRAWN[0], DRAWN[-1]), title=title)
    axes[1].eventplot(agreed / 1e3, colors=PALE, lineoffsets=4, linelengths=50, linewidths=2.1)
    for ax, (spikes, color) in zip(axes[1:], rows.values(), strict=True):
        ax.eventplot([t / 1e3 for t in spikes], colors=color, lineoffsets=range(len(spikes)), linelengths=0.8)
        ax.set(ylim=(len(spikes) - 0.3, -0.7), yticks=[])
    for ax, name in zip(axes, ["Current (nA)", *rows], strict=True):
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.xaxis.set_visible(ax is axes[-1])
    axes[-1].spines.bottom.set_visible(True)
    axes[-1].set_xlabel("Time (s)")
    figure.savefig(path, dpi=200)


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    both, current = read(options.repeats)
    n_runs, steps = (32, 10) if options.quick else (128, 20)
    results = {name: fitted(both[0], current, *candidate, steps) for name, candidate in CANDIDATES.items()}
    aics = {name: 2 * (len(result.params) + result.n_errors * result.loss) for name, result in results.items()}
    chosen = min(aics, key=aics.get)
    n_done = len(both[0]) * sum(stage.n_simulations for result in results.values() for stage in result.stages)
    seeds, scores = np.arange(float(n_runs)) + n_runs * options.seed, {}
    for name in sorted(aics, key=aics.get, reverse=True):  # the chosen one last
        n_half = 2 if name == chosen else 1
        trains = halves(np.asarray(runs(results[name].model, current, seeds, END if n_half == 2 else HALF)))
        scores[name] = [scored(*pair) for pair in zip(both[:n_half], trains, strict=False)]
        n_done += n_half * n_runs
    report(both, results, aics, scores, chosen)
    print(f"{n_done} simulations of 5 s (a Jacobian is 1 + P), {time.process_time():.0f} s of processor time")
    options.out.mkdir(parents=True, exist_ok=True)
    results[chosen].save(options.out / "fit.json")
    results[chosen].report(options.out / "report.html", "Frozen noise")
    title = "Score {:.2f} in the fitted half, {:.2f} in the new one".format(*(agreed for agreed, _ in scores[chosen]))
    draw(both[1], trains[1], current, title, options.out / "fit.png")


if __name__ == "__main__":
    main()
