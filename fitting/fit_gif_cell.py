"""Fit a generalised integrate-and-fire (GIF) cell to a recording with current steps, and predict a ramp with it.

RECORDING is an ABF, NWB, CSV or NPZ file whose sweeps step the current by different amounts. The even sweeps are
fitted, the odd ones are predicted. Three fits follow one another, each by Newton's steps:
1. the membrane, a current that follows the voltage (sag) and the series resistance, on sweeps without spikes;
2. threshold, reset and what spikes leave behind, by the likelihood of the spikes of all fitted sweeps;
3. the same without noise, by the f-I curve and the times of spikes.

Example: python fitting/fit_gif_cell.py 171116sh_0018.abf --ramp 171116sh_0016.abf --out gif-cell
"""

import argparse
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from jaxneuro import GLIF, EscapeRate, ExactSpikes, SpikeCurrent, SpikeThreshold, Step, analysis, params
from jaxneuro.fitters import (
    Electrode,
    FICurve,
    FitResult,
    Joint,
    Played,
    SpikeTimeLoss,
    SpikeTimes,
    SpikeTrains,
    fit,
    play,
    trace_of,
)
from jaxneuro.io import read_recording
from jaxneuro.recording import Recording

SOLVER = ExactSpikes(0.2)
MEMBRANE = {
    "R_m": (60.0, 250.0),
    "tau_m": (10.0, 80.0),
    "a_w": (0.0, 0.02),
    "tau_w": (30.0, 600.0),
    "E_L": (-80.0, -50.0),
    "*.R_s": (0.0, 40.0),
}
SPIKING = {
    "V_th": (-58.0, -30.0),
    "reset_drop": (-30.0, 10.0),
    "threshold.jump": (0.0, 30.0),
    "threshold.tau": (5.0, 400.0),
    "current.jump": (-0.5, -0.0005),
    "current.tau": (30.0, 500.0),
    "a_V": (-0.2, 0.05),
    "b_V": (0.01, 0.3),  # slower, it would be an adaptation
}
ABOVE = np.array([0.7, 1.4, 2.1])  # widths of the noisy threshold by which one without noise may lie above it


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="current-clamp recording with steps")
    parser.add_argument("--ramp", type=Path, help="recording of the same cell to predict, one sweep after the other")
    parser.add_argument("--seed", type=int, default=0, help="seed, of which nothing depends here [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-gif-cell"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="a few steps of each fit")
    return parser.parse_args()


def fit_membrane(train: Recording, silent: list[int], steps: int) -> FitResult:
    """Sweeps without spikes, as a whole."""
    cell = analysis.passive_properties(train)
    electrode = Electrode(R_s=cell.R_series)
    terms = {f"sweep {k}": trace_of(train.select([k])[0], every=20, electrode=electrode) for k in silent}
    parts = {
        "currents": {"current": SpikeCurrent(-0.02, 200.0)},
        "thresholds": {"threshold": SpikeThreshold(10.0, 200.0)},
    }
    rest = {"V_th": 0.0, "t_ref": 5.0, "reset_drop": -10.0, "a_V": -0.01, "b_V": 0.013, "a_w": 0.004, "tau_w": 200.0}
    start = GLIF(**parts, R_m=cell.R_m, tau_m=cell.tau_m, E_L=cell.E_L, **rest)
    options = {"n_starts": 1, "start": "model", "steps": steps, "strategy": "newton", "solver": SOLVER}
    return fit(start, Joint(terms), free=MEMBRANE, **options)


def fit_spikes(model: GLIF, train: Recording, steps: int) -> tuple[FitResult, FitResult]:
    """By the likelihood of the spikes in the step of all sweeps; then without noise, by the f-I curve and the times of
    spikes in sweeps with several, of which the first counts by itself too."""
    window = analysis.main_step(train)
    onset, end = window.onset, SOLVER.dt * np.floor((window.onset + window.duration) / SOLVER.dt)
    sweeps = [train.select([int(k)])[0] for k in window.sweep]
    spikes = [(times := analysis.find_spikes(s.ts, s.voltage))[(times >= onset) & (times < end)] for s in sweeps]
    stimuli = [Step(1e-3 * pA, onset=onset, duration=window.duration) for pA in window.amplitude]
    trials = [times if times.size else [np.inf] for times in spikes]
    noisy = EscapeRate(params.replace(model, {"V_th": -48.0}), rate_0=10.0, Delta_u=2.0)
    target = SpikeTrains(trials, stimuli, t1=end, dt=SOLVER.dt)
    likely = fit(noisy, target, free=SPIKING | {"Delta_u": (0.1, 5.0)}, n_starts=1, start="model", steps=steps)

    counts = np.array([times.size for times in spikes])
    terms = {"rate": FICurve(window.amplitude, 1e3 * counts / window.duration, duration=window.duration, unit="pA")}
    for k in np.flatnonzero(counts > 1):  # a single spike comes by chance: its time says little
        alone = SOLVER.dt * np.floor((spikes[k][1] - 1.0) / SOLVER.dt)
        terms[f"spikes {k}"] = SpikeTimes(spikes[k], stimuli[k], t1=end, room=24)
        terms[f"first spike {k}"] = SpikeTimes(spikes[k][:1], stimuli[k], t1=alone, room=24)
    scales = {name: 2.5 if "first" in name else 5.0 for name in terms if name != "rate"}  # ms
    joint = Joint(terms, scales=scales, losses={name: SpikeTimeLoss(huber=10.0) for name in scales})
    # without noise the threshold must be where the rate with it is already high
    start = {name: np.full(ABOVE.size, inside(likely.values[name], *pair)) for name, pair in SPIKING.items()}
    start |= {"V_th": likely.values["V_th"] + likely.values["Delta_u"] * ABOVE, "t_ref": np.full(ABOVE.size, 5.0)}
    options = {"n_starts": ABOVE.size, "start": start, "steps": steps, "strategy": "newton", "solver": SOLVER}
    return likely, fit(likely.model.cell, joint, free=SPIKING | {"t_ref": (2.0, 14.0)}, **options)


def inside(value: float, low: float, high: float) -> float:
    """A value at least 2 % of its interval away from the ends, where a fit could not begin."""
    if low > 0:
        return float(np.exp(inside(np.log(value), np.log(low), np.log(high))))
    return float(np.clip(value, low + 0.02 * (high - low), high - 0.02 * (high - low)))


def report(name: str, scores: analysis.FiringScores, data: Recording, model: Recording, silent: list[int]) -> None:
    chosen = [int(k) for k in scores.sweep]
    quiet = [k for k in chosen if k in silent]
    between, without = (analysis.explained_variance(data.select(k), model.select(k)) for k in (chosen, quiet))
    print(f"\n{name} sweeps\n{scores.table()}")
    print(f"f-I curve {scores.rate_error:.2f} Hz RMS, latency within {scores.latency_error:.1f} ms", end="; ")
    print(
        f"explained variance {100 * without:.1f} % in sweeps without spikes, {100 * between:.1f} % between all spikes"
    )


def draw(scores: analysis.FiringScores, data: Recording, played: Played, held_out: list[int]) -> plt.Figure:
    """The f-I curve, and three sweeps that were held out."""
    shown = [held_out[k] for k in np.unique(np.linspace(0, len(held_out) - 1, 3).round().astype(int))]
    figure, axes = plt.subplots(1, len(shown) + 1, figsize=(3.0 * (len(shown) + 1), 2.8), layout="constrained")
    rates = scores.count * 1e3 / scores.duration
    is_held = np.isin(scores.sweep, held_out)
    for chosen, style, name in ((~is_held, "full", "Data, fitted"), (is_held, "none", "Data, held out")):
        axes[0].plot(
            scores.amplitude[chosen], rates[chosen, 0], "o", color="black", markersize=4, fillstyle=style, label=name
        )
    axes[0].plot(scores.amplitude, rates[:, 1], color="#c03028", linewidth=1.0, label="Model")
    axes[0].set(xlabel="Current (pA)", ylabel="Rate (Hz)")
    axes[0].legend(frameon=False, fontsize=7)
    for ax, k in zip(axes[1:], shown, strict=True):
        for recording, color, width, name in (
            (data, "#999999", 1.2, "Data"),
            (played.recording, "#c03028", 0.8, "Model"),
        ):
            (sweep,) = recording.select([k])
            ax.plot(sweep.ts, sweep.voltage, color=color, linewidth=width, label=name)
        ax.plot(played.spikes[k], np.full(played.spikes[k].size, ax.get_ylim()[1]), "|", color="#c03028")
        title = f"{scores.amplitude[scores.sweep == k][0]:.0f} pA, held out"
        ax.set(xlabel="Time (ms)", ylabel="Voltage (mV)", title=title, xlim=(0.0, 1000.0))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    try:
        data = read_recording(options.recording)
        ramp = None if options.ramp is None else read_recording(options.ramp)
        measured = analysis.passive_properties(data)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(str(error)) from None
    silent = [sweep.index for sweep in data if not analysis.find_spikes(sweep.ts, sweep.voltage).size]
    train = data.select(sweep.index for sweep in data if sweep.index % 2 == 0)
    began = time.process_time()
    membrane = fit_membrane(train, [s.index for s in train if s.index in silent], 5 if options.quick else 20)
    likely, result = fit_spikes(membrane.model, train, 5 if options.quick else 40)
    for name, one in (("Membrane", membrane), ("Likelihood", likely), ("Spikes", result)):
        n = sum(stage.n_simulations for stage in one.stages)
        print(f"\n{name}: {n} simulations of the fitted sweeps, {one.seconds:.0f} s\n{one.table()}")
    print(f"\n{time.process_time() - began:.0f} s of processor time")

    electrode = next(iter(membrane.target.terms.values())).electrode
    played = play(result.model, data, electrode=electrode, solver=SOLVER)
    scores = analysis.firing_scores(data, played.spikes)
    fitted = [s.index for s in train]
    held_out = [s.index for s in data if s.index not in fitted]
    for name, chosen in (("Fitted", fitted), ("Held-out", held_out)):
        report(name, scores.select(chosen), data, played.recording, silent)
    found = analysis.passive_properties(played.recording)
    for name, unit in (("R_m", "MOhm"), ("tau_m", "ms"), ("R_series", "MOhm"), ("E_L", "mV")):
        print(f"{name} of small steps: data {getattr(measured, name):.1f}, model {getattr(found, name):.1f} {unit}")
    if ramp is not None:
        ends = ramp[0].ts.size * ramp[0].dt * np.arange(len(ramp) + 1)
        times = play(result.model, ramp.joined(), solver=SOLVER).spikes[0]
        counts = [analysis.find_spikes(s.ts, s.voltage).size for s in ramp], np.histogram(times, ends)[0].tolist()
        print(f"spikes in the pieces of the ramp: data {counts[0]}, model {counts[1]}")
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    result.report(options.out / "report.html", "GIF cell")
    draw(scores, data, played, held_out).savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
