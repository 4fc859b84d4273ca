"""`jaxneuro fi`."""

from pathlib import Path

import click
import numpy as np

from jaxneuro.cli._common import (
    build_model,
    common_options,
    model_option,
    output_folder,
    save_figure,
    start,
    usual_currents,
)

__all__ = ["fi"]


@click.command()
@click.argument("model")
@click.option(
    "--low",
    type=float,
    default=None,
    help="Lowest current [unit of the model: uA/cm^2 for cells, nA for lif, 1 for fhn].",
)
@click.option("--high", type=float, default=None, help="Highest current [same unit].")
@click.option("--points", type=click.IntRange(min=2), default=21, show_default=True, help="Number of currents [1].")
@click.option("--duration", type=float, default=500.0, show_default=True, help="Length of each step [ms].")
@model_option
@common_options(out="fi")
def fi(
    model: str,
    low: float | None,
    high: float | None,
    points: int,
    duration: float,
    settings: tuple[str, ...],
    out: Path,
    seed: int,
) -> None:
    """Firing rate of MODEL (hh, lif, adex, ...) over the injected current.

    Writes fi.csv and fi.png.

    \b
    Example:
      jaxneuro fi lif --low 0 --high 0.5 --points 26 --set b_w=0.05 --out lif-fi
    """
    start(out)
    from jaxneuro.analysis.firing import fi_curve
    from jaxneuro.plot import plot_fi

    neuron = build_model(model, settings)
    low, high = 0.0 if low is None else low, usual_currents(neuron)[1] if high is None else high
    if not low < high:
        raise ValueError(f"Option --low must be below --high, but is {low:g} with --high {high:g}; swap them.")
    curve = fi_curve(neuron, np.linspace(low, high, points), duration=duration)
    current, rate = np.asarray(curve.current), np.asarray(curve.rate)
    with output_folder(out) as folder:
        header = f"current_{neuron.input_unit},rate_Hz"
        np.savetxt(
            folder / "fi.csv", np.column_stack([current, rate]), delimiter=",", header=header, comments="", fmt="%.6g"
        )
        save_figure(plot_fi(current, model_rate=rate, unit=neuron.input_unit), folder / "fi.png")
    for i, r in zip(current, rate, strict=True):
        click.echo(f"{i:10.4g} {neuron.input_unit}  {r:8.2f} Hz")
    click.echo(f"results in {out}/")
