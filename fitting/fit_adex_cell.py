"""Fit an adaptive exponential integrate-and-fire (AdEx) cell to a recording with current steps, by exact spike times.

RECORDING is an ABF, NWB, CSV or NPZ file whose sweeps step the current by different amounts. The even sweeps are
fitted, the odd ones are predicted and nothing is chosen by them. Two fits follow one another, both by Newton's steps:
1. membrane, subthreshold adaptation and series resistance, by the voltage of sweeps without spikes;
2. threshold, reset and adaptation by the f-I curve and the times of spikes.

Example: python fitting/fit_adex_cell.py 171116sh_0018.abf --out adex-cell

References: Brette & Gerstner (2005), J Neurophysiol 94:3637. doi:10.1152/jn.00686.2005
"""

import argparse
import json
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from jaxneuro import AdEx, ExactSpikes, FixedStep, analysis, params
from jaxneuro.fitters import (
    Electrode,
    FICurve,
    FitResult,
    Joint,
    Played,
    SpikeTimeLoss,
    fit,
    play,
    spikes_of,
    trace_of,
)
from jaxneuro.io import read_recording
from jaxneuro.recording import Recording

SOLVER = ExactSpikes(0.5)  # ms; spike times are right to 1e-4 ms
TOLERANCE, HUBER = 5.0, 10.0  # ms that count as 1 Hz of the f-I curve, and beyond which errors count by their size
# bounds of what spikes tell, and the first start; voltages are above rest, which a broader Delta_T would shift
SPIKING = {
    "V_T": (6.0, 24.0),
    "Delta_T": (0.5, 5.0),
    "V_reset": (0.0, 22.0),
    "b": (0.001, 0.15),
    "tau_w": (20.0, 600.0),
    "t_ref": (0.5, 15.0),
}
# the peak is where recorded spikes begin: with a broad Delta_T an upstroke to 20 mV would take 10 ms
FIRST = {"V_T": 13.0, "Delta_T": 3.0, "V_reset": 10.0, "V_peak": 27.0, "b": 0.05, "t_ref": 5.0}
VOLTAGES = ("V_T", "V_reset", "V_peak")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="current-clamp recording with steps")
    parser.add_argument("--starts", type=int, default=6, help="starts of the fit to spikes [1]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-adex-cell"), help="output folder")
    parser.add_argument(
        "--quick", action="store_true", help="a few steps from two starts, by the times of spikes alone"
    )
    return parser.parse_args()


def fit_membrane(train: Recording, silent: list[int], steps: int) -> FitResult:
    """Sweeps without spikes, as a whole; a solver that looks for none compiles three times faster."""
    cell = analysis.passive_properties(train)
    electrode = Electrode(R_s=max(cell.R_series, 1.0))
    sweeps = {f"sweep {k}": train.select([k])[0] for k in silent}
    terms = {n: trace_of(s, every=max(round(1.0 / s.dt), 1), electrode=electrode) for n, s in sweeps.items()}
    g_L, C_m = 1 / cell.R_m, 1e-3 * cell.capacitance
    above = {name: cell.E_L + FIRST[name] for name in VOLTAGES}
    start = AdEx(C_m=C_m, g_L=g_L, E_L=cell.E_L, **(FIRST | above), a=0.1 * g_L, tau_w=5 * cell.tau_m)
    measured = {"C_m": C_m, "g_L": g_L, "*.R_s": float(electrode.R_s)}
    free = {name: (value / 3, 3 * value) for name, value in measured.items()}
    free |= {"E_L": (cell.E_L - 5.0, cell.E_L + 5.0), "a": (0.02 * g_L, 3 * g_L), "tau_w": SPIKING["tau_w"]}
    fixed = {"n_starts": 1, "start": "model", "strategy": "newton", "steps": steps, "solver": FixedStep(SOLVER.dt)}
    return fit(start, Joint(terms), free=free, **fixed)


def fit_spikes(model: AdEx, train: Recording, options: argparse.Namespace) -> FitResult:
    """The f-I curve, and the times of spikes in sweeps with several, as a single one comes by chance. The early spikes,
    in twice the longest latency of these sweeps, count again and more: they alone tell how the cell charges."""
    table = analysis.fi_table(train)
    end = SOLVER.dt * np.floor((table.onset + table.duration) / SOLVER.dt)
    counts = dict(zip(table.sweep.tolist(), table.count.tolist(), strict=True))
    several = [k for k, n in counts.items() if n > 1]
    room = 2 * max(counts.values())
    terms = {f"sweep {k}": spikes_of(train.select([k])[0], t1=end, room=room) for k in several}
    first = [float(term.times[0]) - table.onset for term in terms.values()]
    early = SOLVER.dt * np.floor(min(table.onset + 2 * max(first), end) / SOLVER.dt)
    if not options.quick:  # each kind of term takes long to compile
        terms |= {f"early {k}": spikes_of(train.select([k])[0], t1=early, room=room) for k in several}
    scales = {name: TOLERANCE / 2 if "early" in name else TOLERANCE for name in terms}
    losses = dict.fromkeys(terms, SpikeTimeLoss(huber=HUBER))
    if not options.quick:
        terms["rate"] = FICurve(table.current, table.rate, duration=table.duration, unit="pA")
    n_starts, steps = (2, 3) if options.quick else (options.starts, 30)
    rng, free, start = np.random.default_rng(options.seed), {}, {}
    for name, (low, high) in SPIKING.items():
        shift = float(model.E_L) if name in VOLTAGES else 0.0
        value = np.clip(float(params.get(model, name)) - shift, 1.05 * low, 0.95 * high)
        # all but the first are scattered over the middle half of the bounds
        tried = np.append(value, low + (high - low) * rng.uniform(0.25, 0.75, n_starts - 1))
        free[name], start[name] = (low + shift, high + shift), tried + shift
    joint = Joint(terms, scales=scales, losses=losses)
    fixed = {"n_starts": n_starts, "start": start, "strategy": "newton", "steps": steps, "solver": SOLVER}
    return fit(model, joint, free=free, **fixed)


def report(name: str, scores: analysis.FiringScores, data: Recording, model: Recording) -> dict[str, float]:
    """Prints and returns how well the model does in sweeps."""
    chosen = [int(k) for k in scores.sweep]
    late = np.abs(np.diff(scores.latency, axis=1))
    late = late[np.isfinite(late)]
    found = {
        "rate_rms_hz": scores.rate_error,
        "latency_largest_ms": scores.latency_error,
        "latency_median_ms": float(np.median(late)) if late.size else np.nan,
        "explained_variance": analysis.explained_variance(data.select(chosen), model.select(chosen)),
    }
    print(f"\n{name} sweeps\n{scores.table()}\nf-I curve {scores.rate_error:.2f} Hz RMS, latency within", end=" ")
    print(f"{scores.latency_error:.1f} ms (median {found['latency_median_ms']:.1f});", end=" ")
    print(f"explained variance between spikes {100 * found['explained_variance']:.1f} %")
    return {key: value if np.isfinite(value) else None for key, value in found.items()}


def draw(scores: analysis.FiringScores, data: Recording, played: Played, held_out: list[int]) -> plt.Figure:
    """Rate and latency over the current, and two sweeps that were held out."""
    figure, axes = plt.subplots(1, 4, figsize=(12.0, 2.9), layout="constrained", width_ratios=[1.0, 1.0, 1.3, 1.3])
    is_held = np.isin(scores.sweep, held_out)
    rates = scores.count * 1e3 / scores.duration
    for ax, values, label in ((axes[0], rates, "Rate (Hz)"), (axes[1], scores.latency, "Latency (ms)")):
        ax.plot(scores.amplitude[~is_held], values[~is_held, 0], "o", color="black", markersize=4, label="Data, fitted")
        ax.plot(
            scores.amplitude[is_held],
            values[is_held, 0],
            "o",
            color="black",
            markersize=4,
            fillstyle="none",
            label="Data, held out",
        )
        ax.plot(scores.amplitude, values[:, 1], color="#c03028", linewidth=1.0, label="Model")
        ax.set(xlabel="Current (pA)", ylabel=label)
    axes[1].set_ylim(0.0, None)
    axes[0].legend(frameon=False, fontsize=7)
    firing = [k for k in held_out if scores.count[scores.sweep == k].any()] or held_out
    for ax, k in zip(axes[2:], (firing[len(firing) // 3], firing[-1]), strict=True):
        for recording, color, label in ((data, "#999999", "Data"), (played.recording, "#c03028", "Model")):
            (sweep,) = recording.select([k])
            ax.plot(sweep.ts, sweep.voltage, color=color, linewidth=0.8, label=label)
        ax.plot(played.spikes[k], np.full(played.spikes[k].size, ax.get_ylim()[1]), "|", color="#c03028")
        ax.set_title(f"{scores.amplitude[scores.sweep == k][0]:.0f} pA, held out", fontsize=10)
        ax.set(xlabel="Time (ms)", ylabel="Voltage (mV)", xlim=(100.0, 700.0))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    try:
        data = read_recording(options.recording)
        train = data.select(sweep.index for sweep in data if sweep.index % 2 == 0)
        analysis.passive_properties(train), analysis.fi_table(train)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(str(error)) from None
    silent = [sweep.index for sweep in train if not analysis.find_spikes(sweep.ts, sweep.voltage).size]
    began = time.process_time()
    membrane = fit_membrane(train, silent, 3 if options.quick else 15)
    result = fit_spikes(membrane.model, train, options)
    for name, one in (("Membrane", membrane), ("Spikes", result)):
        n = sum(stage.n_simulations for stage in one.stages)
        print(f"\n{name}: {n} simulations of the fitted sweeps for each start, {one.seconds:.0f} s\n{one.table()}")
    print(f"\n{time.process_time() - began:.0f} s of processor time")

    electrode = next(iter(membrane.target.terms.values())).electrode
    played = play(result.model, data, electrode=electrode, solver=SOLVER)
    scores = analysis.firing_scores(data, played.spikes)
    held_out = [sweep.index for sweep in data if sweep.index % 2]
    numbers = {
        name: report(name, scores.select(chosen), data, played.recording)
        for name, chosen in (("Fitted", [sweep.index for sweep in train]), ("Held-out", held_out))
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scores.json").write_text(json.dumps(numbers, indent=2) + "\n")
    result.save(options.out / "fit.json")
    draw(scores, data, played, held_out).savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
