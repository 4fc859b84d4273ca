"""`jaxneuro fit`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from jaxneuro.cli._common import build_model, common_options, model_option, output_folder, save_figure, start
from jaxneuro.cli._problems import PROBLEMS
from jaxneuro.cli._report import section, show

__all__ = ["fit"]


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Choice(list(dict.fromkeys(kind for kind, _ in PROBLEMS)), case_sensitive=False),
    default="lif",
    show_default=True,
    help="Model that is fitted.",
)
@click.option(
    "--target",
    type=click.Choice(["fi", "spikes", "trace"]),
    default=None,
    help="What to fit: the f-I curve (lif), the spike times of a sweep (lif) or its voltage trace (others).",
)
@click.option(
    "--sweep",
    type=int,
    default=None,
    help="Sweep for --target spikes or trace [number in the file]; the one with most spikes if not given.",
)
@click.option(
    "--area",
    type=float,
    default=None,
    help="Membrane area for a trace [um^2]; from the measured capacitance if not given.",
)
@click.option(
    "--free",
    "free",
    multiple=True,
    metavar="NAME=LOW:HIGH",
    help="Fit this parameter between these bounds, in its unit, instead of the default ones; may be repeated.",
)
@click.option("--starts", type=click.IntRange(min=1), default=8, show_default=True, help="Number of starts [1].")
@click.option("--steps", type=click.IntRange(min=1), default=100, show_default=True, help="Steps of the optimiser [1].")
@click.option(
    "--strategy",
    type=click.Choice(["auto", "nudging", "descent", "newton", "population"]),
    default="auto",
    show_default=True,
    help="How the fit goes on: see the documentation of jaxneuro.fitters.",
)
@click.option(
    "--held-out",
    type=int,
    multiple=True,
    metavar="SWEEP",
    help="Sweep that is not fitted but scored, for --target spikes or trace; may be repeated.",
)
@click.option("--patience", type=click.IntRange(min=1), default=None, help="Gradient steps without a gain [1].")
@click.option("--time-budget", type=click.FloatRange(min=0, min_open=True), default=None, help="Longest time [s].")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    default=None,
    help="File for the progress: the same command goes on from it after a kill.",
)
@click.option(
    "--stimulus-folder", type=click.Path(path_type=Path), default=None, help="Folder of an ABF's ATF waveforms."
)
@model_option
@common_options(out="fit")
def fit(
    recording: Path,
    model: str,
    target: str | None,
    sweep: int | None,
    area: float | None,
    free: tuple[str, ...],
    starts: int,
    steps: int,
    strategy: str,
    held_out: tuple[int, ...],
    patience: int | None,
    time_budget: float | None,
    checkpoint: Path | None,
    stimulus_folder: Path | None,
    settings: tuple[str, ...],
    out: Path,
    seed: int,
) -> None:
    """Fit a model to RECORDING (ABF, NWB, CSV or NPZ).

    Finds sweeps, current steps and spikes; E_L, R_m and tau_m of lif come from the subthreshold sweeps. Writes
    fit.json, fit.png, report.md and report.html. CSV and NPZ hold columns time_ms, voltage_mV, current_pA and
    optionally sweep.

    \b
    Examples:
      jaxneuro fit cell.abf --model lif --target fi --out fitted
      jaxneuro fit cell.csv --free V_th=-60:-40 --free b_w=0:0.3
      jaxneuro fit cell.abf --model regular-spiking --sweep 12 --held-out 13
    """
    start(out)
    from jaxneuro.fitters import fit as run
    from jaxneuro.io import read_recording

    neuron = build_model(model, settings)
    kind = model.lower()
    target = target or ("fi" if kind == "lif" else "trace")
    data = read_recording(recording, stimulus_folder=stimulus_folder)
    make = PROBLEMS[_checked(kind, target)]
    _check_options(kind, target, sweep, held_out, area)
    neuron, goal, bounds = make(data, neuron, sweep, area)
    result = run(
        neuron,
        goal,
        free=dict(map(_bounds, free)) or bounds,
        held_out=_held_out(lambda index: make(data, neuron, index, area)[1], held_out),
        n_starts=starts,
        steps=steps,
        strategy=strategy,
        patience=patience,
        time_budget=time_budget,
        seed=seed,
        checkpoint=checkpoint,
    )
    show(result)
    with output_folder(out) as folder:
        result.save(folder / "fit.json")
        save_figure(result.plot(), folder / "fit.png")
        text = f"{type(neuron).__name__} fitted to the {_NAMES[target]} of {recording.name}."
        result.report(folder / "report.html", f"Fit of {recording.name}")
        (folder / "report.md").write_text(section(f"Fit of {recording.name}", text, result, ["fit.png"]))
    click.echo(f"results in {out}/")


_NAMES = {"fi": "f-I curve", "spikes": "spike times of one sweep", "trace": "voltage trace of one sweep"}


def _checked(kind: str, target: str) -> tuple[str, str]:
    if (kind, target) not in PROBLEMS:
        pairs = ", ".join(f"--model {k} --target {t}" for k, t in PROBLEMS)
        raise ValueError(
            f"Options --model and --target must be one of {pairs}, but are --model {kind} --target {target}; "
            "choose a pair."
        )
    return kind, target


def _held_out(make: Callable[[int], Any], sweeps: tuple[int, ...]) -> Any:
    """The targets of the sweeps that are scored only, None if there are none."""
    from jaxneuro.fitters import Joint

    return Joint({f"sweep {index}": make(index) for index in sweeps}) if sweeps else None


def _check_options(kind: str, target: str, sweep: int | None, held_out: tuple[int, ...], area: float | None) -> None:
    """Options that would do nothing are refused."""
    for name, is_given in {"--sweep": sweep is not None, "--held-out": bool(held_out)}.items():
        if is_given and target == "fi":
            raise ValueError(
                f"Option {name} must go with --target spikes or trace, but the target is fi, which all sweeps make "
                "together; leave it out."
            )
    if area is not None and target != "trace":
        raise ValueError(f"Option --area must go with --target trace, but the target is {target}; leave it out.")
    if sweep in held_out:
        raise ValueError(
            f"Option --held-out must name other sweeps than the one that is fitted, but has {sweep}; choose another."
        )


def _bounds(text: str) -> tuple[str, tuple[float, float]]:
    name, _, values = text.partition("=")
    try:
        low, high = map(float, values.split(":"))
    except ValueError:
        raise ValueError(
            f"Option --free must be NAME=LOW:HIGH with two numbers, but is {text!r}; write e.g. --free V_th=-60:-40."
        ) from None
    return name.strip(), (low, high)
