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
from typing import NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np

from jaxneuro import GLIF, EscapeRate, ExactSpikes, Sampled, SpikeCurrent, SpikeThreshold, Step, params, simulate
from jaxneuro.analysis.recordings import find_spikes, main_step, passive_properties
from jaxneuro.fitters import (
    Electrode,
    FICurve,
    FitResult,
    Joint,
    SpikeTimeLoss,
    SpikeTimes,
    SpikeTrains,
    fit,
    stimulus_of,
    trace_of,
)
from jaxneuro.io import read_recording
from jaxneuro.recording import Recording, Sweep

SOLVER = ExactSpikes(0.2)
AFTER = 2900.0  # ms, to which the voltage between spikes is compared, if the sweep lasts as long
ABOVE = (0.7, 1.4, 2.1)  # widths of the noisy threshold by which one without noise may lie above it
AROUND = (3.0, 12.0)  # ms before and after a spike in which it is not: an action potential has no place in the model

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
    "b_V": (0.01, 0.3),  # a threshold that followed the voltage more slowly would be an adaptation
}


class Cell(NamedTuple):
    """What the recording says: sweeps by number, step, spikes within the step [ms after the sweep's begin]."""

    sweeps: dict[int, Sweep]
    amplitude: dict[int, float]  # pA
    spikes: dict[int, np.ndarray]
    onset: float
    end: float
    passive: object

    def step(self, index: int) -> Step:
        return Step(1e-3 * self.amplitude[index], onset=self.onset, duration=self.end - self.onset)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="current-clamp recording with steps")
    parser.add_argument(
        "--ramp", type=Path, default=None, help="recording of the same cell to predict, sweep after sweep"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed, of which nothing depends here [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-gif-cell"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="a few steps of each fit")
    return parser.parse_args()


def read(recording: Recording) -> Cell:
    window = main_step(recording)
    sweeps = {int(i): recording.select([int(i)])[0] for i in window.sweep}
    start = next(iter(sweeps.values())).ts[0]
    onset, end = window.onset - start, window.onset - start + window.duration
    spikes = {}
    for index, sweep in sweeps.items():
        times = find_spikes(sweep.ts - sweep.ts[0], sweep.voltage)
        spikes[index] = times[(times >= onset) & (times < end)]
    amplitude = {int(i): float(pA) for i, pA in zip(window.sweep, window.amplitude, strict=True)}
    return Cell(sweeps, amplitude, spikes, onset, end, passive_properties(recording))


def fit_membrane(cell: Cell, train: list[int], steps: int) -> FitResult:
    """Sweeps without spikes, as a whole."""
    silent = [i for i in train if not find_spikes(cell.sweeps[i].ts, cell.sweeps[i].voltage).size]
    if not silent:
        raise SystemExit("RECORDING must have a fitted sweep without spikes, but has none; record smaller steps too.")
    electrode = Electrode(R_s=cell.passive.R_series)
    terms = {
        f"sweep {i}": trace_of(cell.sweeps[i], t1=last_time(cell, i), every=20, electrode=electrode) for i in silent
    }
    start = GLIF(
        currents={"current": SpikeCurrent(-0.02, 200.0)},
        thresholds={"threshold": SpikeThreshold(10.0, 200.0)},
        R_m=cell.passive.R_m,
        tau_m=cell.passive.tau_m,
        E_L=cell.passive.E_L,
        V_th=0.0,
        t_ref=5.0,
        reset_drop=-10.0,
        a_w=0.004,
        tau_w=200.0,
    )
    return fit(
        start, Joint(terms), free=MEMBRANE, n_starts=1, start="model", steps=steps, strategy="newton", solver=SOLVER
    )


def fit_likelihood(model: GLIF, cell: Cell, train: list[int], steps: int) -> FitResult:
    """Spikes of all fitted sweeps, those without any too."""
    values = {"V_th": -48.0, "a_V": -0.01, "b_V": 0.013}
    noisy = EscapeRate(params.replace(model, values), rate_0=10.0, Delta_u=2.0)
    trials = [cell.spikes[i] if cell.spikes[i].size else [np.inf] for i in train]
    t1 = SOLVER.dt * np.floor(cell.end / SOLVER.dt)
    target = SpikeTrains(trials, [cell.step(i) for i in train], t1=t1, dt=SOLVER.dt)
    free = SPIKING | {"Delta_u": (0.1, 5.0)}
    return fit(noisy, target, free=free, n_starts=1, start="model", steps=steps)


def fit_spikes(likely: FitResult, cell: Cell, train: list[int], steps: int) -> FitResult:
    """The f-I curve, and the spike times of sweeps with several, the first of them once more by itself."""
    noisy, width = likely.model, float(likely.model.Delta_u)
    model = noisy.cell
    rates = [1e3 * cell.spikes[i].size / (cell.end - cell.onset) for i in train]
    terms = {"rate": FICurve([cell.amplitude[i] for i in train], rates, duration=cell.end - cell.onset, unit="pA")}
    scales, losses = {}, {}
    for i in train:
        spikes = cell.spikes[i]
        if spikes.size < 2:  # a single spike comes by chance: its time says little
            continue
        room, t1 = 24, SOLVER.dt * np.floor(cell.end / SOLVER.dt)
        alone = SOLVER.dt * np.floor((spikes[1] - 1.0) / SOLVER.dt)
        terms[f"spikes {i}"] = SpikeTimes(spikes[spikes < t1], cell.step(i), t1=t1, room=room)
        terms[f"first spike {i}"] = SpikeTimes(spikes[:1], cell.step(i), t1=alone, room=room)
        scales |= {f"spikes {i}": 5.0, f"first spike {i}": 2.5}  # ms
        losses |= {name: SpikeTimeLoss(huber=10.0) for name in (f"spikes {i}", f"first spike {i}")}
    free = SPIKING | {"t_ref": (2.0, 14.0)}
    target = Joint(terms, scales=scales, losses=losses)
    # without noise the threshold must be where the rate with it is already high
    start = {name: np.full(len(ABOVE), value) for name, value in inside(likely.values).items()}
    start |= {"V_th": likely.values["V_th"] + width * np.array(ABOVE), "t_ref": np.full(len(ABOVE), 5.0)}
    options = {"steps": steps, "strategy": "newton", "solver": SOLVER}
    return fit(model, target, free=free, n_starts=len(ABOVE), start=start, **options)


def inside(values: dict[str, float]) -> dict[str, float]:
    """Values at least 2 % of their interval away from its ends, where a fit could not begin."""

    def clipped(value: float, low: float, high: float) -> float:
        if low > 0:
            return float(np.clip(value, low * (high / low) ** 0.02, high / (high / low) ** 0.02))
        return float(np.clip(value, low + 0.02 * (high - low), high - 0.02 * (high - low)))

    return {name: clipped(values[name], *pair) for name, pair in SPIKING.items()}


def last_time(cell: Cell, index: int) -> float:
    sweep = cell.sweeps[index]
    return min(AFTER, float(sweep.ts[-1] - sweep.ts[0]))


def explained_variance(model: GLIF, cell: Cell, electrode: Electrode, indices: list[int]) -> float:
    """Share of the variance of the voltage between spikes that the model explains [1], of all these sweeps together."""
    left = total = 0.0
    for i in indices:
        target = trace_of(cell.sweeps[i], t1=last_time(cell, i), every=20, electrode=electrode, without_spikes=AROUND)
        mask, data = np.asarray(target.mask), np.asarray(target.voltage)
        error = np.asarray(target.recorded(target.predict(model, SOLVER))) - data
        left += np.sum(error[mask] ** 2)
        total += np.sum((data[mask] - data[mask].mean()) ** 2)
    return 1 - left / total


def evaluate(model: GLIF, cell: Cell, electrode: Electrode, train: list[int]) -> dict[int, np.ndarray]:
    """Prints data and model sweep by sweep, and the scores of fitted and of held-out sweeps; the model's spikes."""
    runs = {i: np.asarray(simulate(model, cell.step(i), t1=cell.end, solver=SOLVER).spikes) for i in cell.sweeps}
    print("sweep   pA   set       count   latency [ms]")
    for i, times in runs.items():
        data = cell.spikes[i]
        latency = [f"{t[0] - cell.onset:6.1f}" if t.size else "      " for t in (data, times)]
        kind = "fitted  " if i in train else "held out"
        print(f"{i:4}  {cell.amplitude[i]:5.0f}  {kind}  {data.size:3}/{times.size:<3}  {' / '.join(latency)}")
    for kind, indices in (("fitted", train), ("held out", [i for i in cell.sweeps if i not in train])):
        per_spike = 1e3 / (cell.end - cell.onset)
        rate = np.sqrt(np.mean([(per_spike * (runs[i].size - cell.spikes[i].size)) ** 2 for i in indices]))
        late = [abs(runs[i][0] - cell.spikes[i][0]) for i in indices if runs[i].size and cell.spikes[i].size]
        silent = [i for i in indices if not find_spikes(cell.sweeps[i].ts, cell.sweeps[i].voltage).size]
        print(
            f"{kind}: f-I curve {rate:.2f} Hz RMS, latency {max(late):.1f} ms at most, explained variance of the voltage "
            f"{100 * explained_variance(model, cell, electrode, silent):.1f} % without spikes, "
            f"{100 * explained_variance(model, cell, electrode, indices):.1f} % with those between spikes"
        )
    return runs


def predict_ramp(model: GLIF, ramp: Recording) -> None:
    """Counts in every piece of a recording whose sweeps follow one another without a gap."""
    current = 1e-3 * np.concatenate([sweep.current for sweep in ramp])
    dt, length = ramp[0].dt, ramp[0].ts.size * ramp[0].dt
    t1 = 0.2 * np.floor(dt * (current.size - 1) / 0.2)
    times = np.asarray(simulate(model, Sampled(current, dt=dt), t1=t1, solver=SOLVER, dt_save=10 * SOLVER.dt).spikes)
    model_counts = np.histogram(times, bins=length * np.arange(len(ramp) + 1))[0]
    data_counts = np.array([find_spikes(sweep.ts, sweep.voltage).size for sweep in ramp])
    print(f"ramp, spikes in each piece: data {data_counts.tolist()}, model {model_counts.tolist()}", end=", ")
    print(f"largest difference {np.max(np.abs(model_counts - data_counts))}")


def check_passive(model: GLIF, cell: Cell, electrode: Electrode) -> None:
    """The same measurement on the model's own sweeps as on the data's."""
    sweeps = []
    for i, sweep in cell.sweeps.items():
        ts = sweep.ts[: int(np.searchsorted(sweep.ts - sweep.ts[0], cell.end + 200.0))]
        stimulus = stimulus_of(sweep, t1=cell.end + 200.0)
        run = simulate(model, stimulus, t1=SOLVER.dt * np.ceil(ts[-1] / SOLVER.dt), solver=SOLVER, dt_save=SOLVER.dt)
        recorded = np.asarray(run.voltage + electrode.added(run.i_app))
        sweeps.append(Sweep(ts, np.interp(ts, np.asarray(run.ts), recorded), sweep.current[: ts.size], i))
    found = passive_properties(Recording(tuple(sweeps)))
    for name, unit in (("R_m", "MOhm"), ("tau_m", "ms"), ("R_series", "MOhm"), ("E_L", "mV")):
        print(f"{name}: data {getattr(cell.passive, name):.1f}, model {getattr(found, name):.1f} {unit}", end="; ")
    print("by the same measurement of small steps")


def draw(model: GLIF, cell: Cell, electrode: Electrode, runs: dict[int, np.ndarray], train: list[int]) -> plt.Figure:
    """The f-I curve, and three held-out sweeps."""
    held_out = [i for i in cell.sweeps if i not in train]
    shown = [held_out[k] for k in np.unique(np.linspace(0, len(held_out) - 1, 3).round().astype(int))]
    figure, axes = plt.subplots(1, len(shown) + 1, figsize=(3.0 * (len(shown) + 1), 2.8), layout="constrained")
    per_spike = 1e3 / (cell.end - cell.onset)
    for indices, marker, name in ((train, "o", "Data, fitted"), (held_out, "s", "Data, held out")):
        x, y = [cell.amplitude[i] for i in indices], [per_spike * cell.spikes[i].size for i in indices]
        axes[0].plot(
            x, y, marker, color="black", markersize=4, fillstyle="full" if marker == "o" else "none", label=name
        )
    order = sorted(cell.sweeps, key=cell.amplitude.get)
    x, y = [cell.amplitude[i] for i in order], [per_spike * runs[i].size for i in order]
    axes[0].plot(x, y, color="#c03028", linewidth=1.0, label="Model")
    axes[0].set(xlabel="Current (pA)", ylabel="Rate (Hz)")
    axes[0].legend(frameon=False, fontsize=7)
    for ax, i in zip(axes[1:], shown, strict=True):
        target = trace_of(cell.sweeps[i], t1=cell.end + 100.0, every=4, electrode=electrode)
        voltage = np.asarray(target.recorded(target.predict(model, SOLVER)))
        ax.plot(target.ts, target.voltage, color="#999999", linewidth=1.2, label="Data")
        ax.plot(target.ts, voltage, color="#c03028", linewidth=0.8, label="Model")
        top = ax.get_ylim()[1]
        ax.plot(runs[i], np.full(runs[i].size, top), "|", color="#c03028", markersize=6)
        ax.set(xlabel="Time (ms)", ylabel="Voltage (mV)", title=f"{cell.amplitude[i]:.0f} pA, held out")
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    try:
        cell = read(read_recording(options.recording))
        ramp = None if options.ramp is None else read_recording(options.ramp)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(str(error)) from None
    train = [i for i in cell.sweeps if i % 2 == 0]
    began = time.process_time()
    membrane = fit_membrane(cell, train, 5 if options.quick else 20)
    likely = fit_likelihood(membrane.model, cell, train, 5 if options.quick else 40)
    result = fit_spikes(likely, cell, train, 5 if options.quick else 30)
    for name, one in (("Membrane", membrane), ("Likelihood", likely), ("Spikes", result)):
        n = sum(stage.n_simulations for stage in one.stages)
        print(f"\n{name}: loss {one.loss:.4g} {one.loss_unit}, {n} simulations of the fitted sweeps\n{one.table()}")
    print(f"\n{time.process_time() - began:.0f} s of processor time")
    electrode = next(iter(membrane.target.terms.values())).electrode
    runs = evaluate(result.model, cell, electrode, train)
    check_passive(result.model, cell, electrode)
    if ramp is not None:
        predict_ramp(result.model, ramp)
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    draw(result.model, cell, electrode, runs, train).savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
