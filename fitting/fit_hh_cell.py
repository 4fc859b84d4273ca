"""Fit a conductance-based cell to the action potentials of a recording with current steps.

RECORDING is an ABF, NWB, CSV or NPZ file whose sweeps step the current by different amounts. The even sweeps are
fitted, the odd ones are predicted: spike count, height of the action potentials, depth of the after-hyperpolarisation,
latency. Channels have their published kinetics, but for a threshold and a rate (q10) of each spike current.

With --traces nothing is told of the cell: no values, no priors, no features. The default strategy fits every fourth
sweep's voltage from random starts, sees that squares have the model silent, and goes on by itself.

Example: python fitting/fit_hh_cell.py 171116sh_0018.abf --out hh-cell
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array

from jaxneuro.analysis.recordings import main_step, passive_properties
from jaxneuro.channels import HCurrent, Leak, MCurrent, TraubMilesPotassium, TraubMilesSodium
from jaxneuro.fitters import (
    Electrode,
    FitResult,
    Joint,
    LogNormal,
    Normal,
    StepResponse,
    VoltageTrace,
    fit,
    responses_of,
)
from jaxneuro.io import read_recording
from jaxneuro.models import Membrane
from jaxneuro.solvers import FixedStep

JUNCTION = 12.0  # mV that a liquid junction adds to a recorded voltage, with potassium gluconate about as much
SOLVER = FixedStep(0.05)
Q10 = 1 / 0.35  # from 36 to 26 degC spike currents slow down to about a third

PRIORS = {
    "C_m": LogNormal(1.0, 0.15),
    "leak.g_max": LogNormal(0.015, 0.5),
    "leak.E_rev": Normal(-74.0, 3.0),
    "na.g_max": LogNormal(15.0, 0.6),
    "na.E_rev": Normal(48.0, 5.0),
    "na.V_T": Normal(-63.0, 4.0),
    "na.q10": LogNormal(Q10, 0.5),
    "k.g_max": LogNormal(3.0, 0.6),
    "k.E_rev = m.E_rev": Normal(-90.0, 5.0),
    "k.V_T": Normal(-63.0, 4.0),
    "k.q10": LogNormal(Q10, 0.5),
    "m.g_max": LogNormal(0.1, 0.6),
    "m.tau_max": LogNormal(1500.0, 0.6),
    "h.g_max": LogNormal(0.06, 0.6),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="current-clamp recording with steps")
    parser.add_argument("--starts", type=int, help="number of starts [1]; 2, each with a population, 8 with --traces")
    parser.add_argument("--traces", action="store_true", help="fit the voltage itself, by the default strategy")
    parser.add_argument("--seed", type=int, default=0, help="seed of the populations [1]")
    parser.add_argument("--out", type=Path, default=Path("fit-hh-cell"), help="output folder")
    parser.add_argument("--quick", action="store_true", help="Newton's steps alone, on every fourth sweep")
    return parser.parse_args()


def bounds(prior: Normal | LogNormal) -> tuple[float, float]:
    """3.5 standard deviations to both sides."""
    if isinstance(prior, Normal):
        return float(prior.mean - 3.5 * prior.std), float(prior.mean + 3.5 * prior.std)
    factor = np.exp(3.5 * prior.sigma)
    return float(prior.median / factor), float(prior.median * factor)


def cell_at(rest: float) -> Membrane:
    """A membrane with the published channels, at a recorded resting voltage [mV]."""
    channels = {
        "na": TraubMilesSodium(g_max=15.0, E_rev=48.0, V_T=-63.0, q10=Q10),
        "k": TraubMilesPotassium(g_max=3.0, E_rev=-90.0, V_T=-63.0, q10=Q10),
        "m": MCurrent(g_max=0.1, E_rev=-90.0, tau_max=1500.0, q10=1.0),
        "h": HCurrent(g_max=0.06),
        "leak": Leak(g_max=0.015, E_rev=-74.0),
    }
    return Membrane(channels=channels, C_m=1.0, V_init=rest - JUNCTION, celsius=26.0)


def summary(features: object, target: StepResponse) -> tuple[int, float, float, float, float]:
    """Count, mean peak and trough [mV], latency and mean width [ms] of the spikes within the step."""
    inside = np.asarray(features.has_spike & (features.time < target.end))
    if not inside.any():
        return 0, np.nan, np.nan, np.nan, np.nan
    mean = lambda values: float(np.mean(np.asarray(values)[inside]))  # noqa: E731
    # the voltage after the last spike has not come to its lowest where the step ends soon after it
    troughs = np.asarray(features.trough)[inside]
    trough = float(np.mean(troughs[:-1] if troughs.size > 1 else troughs))
    latency = float(np.asarray(features.time)[inside][0]) - target.onset
    return int(inside.sum()), mean(features.peak), trough, latency, mean(features.width)


def predicted(result: FitResult, target: StepResponse) -> tuple[StepResponse, Array]:
    """A sweep as the fitted electrode would see it, and the fitted model's recorded voltage."""
    fitted = next(iter(result.target.terms.values())).electrode
    seen = eqx.tree_at(lambda t: t.electrode, target, fitted)
    return seen, seen.recorded(seen.predict(result.model, SOLVER))


def compare(
    result: FitResult, targets: dict[int, StepResponse], amplitudes: dict[int, float], train: list[int]
) -> None:
    """Prints data and model sweep by sweep, and the largest differences over the sweeps that were held out."""
    print("sweep  pA    set       count   peak [mV]     trough [mV]    latency [ms]   width [ms]")
    rows = []
    for index, target in targets.items():
        seen, voltage = predicted(result, target)
        data, model = summary(target.features, target), summary(seen.model_features(voltage), target)
        rows.append((index, data, model))
        numbers = "   ".join(f"{a:5.1f}/{b:5.1f}" for a, b in zip(data[1:], model[1:], strict=True))
        kind = "fitted  " if index in train else "held out"
        print(f"{index:4}  {amplitudes[index]:5.0f}  {kind}  {data[0]:3}/{model[0]:<3}  {numbers}")
    for kind, is_in in (("fitted", True), ("held out", False)):
        chosen = [(d, m) for index, d, m in rows if (index in train) == is_in]
        if not chosen:
            continue
        count = max(abs(d[0] - m[0]) for d, m in chosen)
        both = [(d, m) for d, m in chosen if d[0] and m[0]]
        peak, trough = (max((abs(d[k] - m[k]) for d, m in both), default=np.nan) for k in (1, 2))
        print(
            f"{kind}: largest difference of the count {count}, of the peak {peak:.1f} mV, of the trough {trough:.1f} mV"
        )


def draw(
    result: FitResult, targets: dict[int, StepResponse], amplitudes: dict[int, float], train: list[int]
) -> plt.Figure:
    """Data and model in four sweeps that were held out."""
    spiking = [i for i, t in targets.items() if i not in train and bool(np.any(t.features.has_spike))]
    shown = [spiking[k] for k in np.unique(np.linspace(0, len(spiking) - 1, 4).round().astype(int))] if spiking else []
    shown = shown or list(targets)[:4]
    figure, axes = plt.subplots(len(shown), 1, figsize=(7.0, 1.7 * len(shown)), sharex=True, layout="constrained")
    for ax, index in zip(np.atleast_1d(axes), shown, strict=True):
        seen, voltage = predicted(result, targets[index])
        n = seen.voltage.size
        ax.plot(seen.ts - seen.onset, seen.voltage, color="#999999", linewidth=1.6, label="Data")
        ax.plot(seen.ts - seen.onset, voltage[:n], color="#c03028", linewidth=0.8, label="Model")
        ax.set_ylabel(f"{amplitudes[index]:.0f} pA\nVoltage (mV)")
        ax.spines[["top", "right"]].set_visible(False)
    np.atleast_1d(axes)[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False)
    np.atleast_1d(axes)[-1].set_xlabel("Time from the step's onset (ms)")
    return figure


def main() -> None:
    options = parse()
    jax.config.update("jax_enable_x64", True)
    try:
        recording = read_recording(options.recording)
        passive, window = passive_properties(recording), main_step(recording)
        area = passive.capacitance / 1e-2  # um^2: 1 uF/cm^2 is 0.01 pF/um^2
        electrode = Electrode(R_s=max(passive.R_series, 3.5), offset=JUNCTION, area=area)
        targets = responses_of(recording, area=area, electrode=electrode)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(str(error)) from None
    amplitudes = dict(zip(window.sweep.tolist(), window.amplitude.tolist(), strict=True))
    train = [index for index in targets if index % (8 if options.quick else 4 if options.traces else 2) == 0]
    # small steps tell the series resistance to within 1 MOhm; a balanced one is not below 0
    priors = PRIORS | {"*.R_s": Normal(max(passive.R_series, 3.5), 1.0)}
    free = {name: bounds(prior) for name, prior in priors.items()}
    terms = {f"sweep {index}": targets[index] for index in train}
    steps, strategy = (5, "newton") if options.quick else (40, "population")
    how = {"priors": priors, "start": "model", "n_starts": 2, "steps": steps, "strategy": strategy, "solver": SOLVER}
    if options.traces:
        terms = {n: VoltageTrace(t.dt, t.voltage, t.stimulus, electrode=t.electrode) for n, t in terms.items()}
        how = {"steps": 10} if options.quick else {}
    how |= {} if options.starts is None else {"n_starts": options.starts}
    began = time.process_time()
    result = fit(cell_at(passive.E_L), Joint(terms), free=free, seed=options.seed, **how)
    print(result.table())
    n = sum(stage.n_simulations for stage in result.stages)
    print(f"loss {result.loss:.0f}, {n} simulations of {len(train)} sweeps for each start, ", end="")
    print(f"{time.process_time() - began:.0f} s of processor time")
    compare(result, targets, amplitudes, train)
    options.out.mkdir(parents=True, exist_ok=True)
    result.save(options.out / "fit.json")
    result.report(options.out / "report.html", "Conductance-based cell")
    draw(result, targets, amplitudes, train).savefig(options.out / "fit.png", dpi=150)


if __name__ == "__main__":
    main()
