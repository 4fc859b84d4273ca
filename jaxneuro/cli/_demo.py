"""`jaxneuro demo`."""

from pathlib import Path

import click

from jaxneuro.cli._common import common_options, output_folder, save_figure, start
from jaxneuro.cli._report import section, show

__all__ = ["demo"]


@click.command()
@common_options(out="demo-out")
def demo(out: Path, seed: int) -> None:
    """Fit two models and show the result: a real neuron's f-I curve, and Hodgkin-Huxley conductances.

    Writes figures (PNG), fitted parameters (JSON) and report.md; takes about a minute.

    \b
    Example:
      jaxneuro demo --out demo-out
    """
    start(out)
    click.echo("1. An integrate-and-fire neuron fitted to the f-I curve of a real neuron (cell 0018, patch clamp)")
    curve, curve_text = _fit_fi(seed)
    show(curve)
    click.echo("\n2. Hodgkin-Huxley conductances fitted to a voltage trace with 0.5 mV of noise")
    trace, trace_text = _fit_trace(seed)
    show(trace)
    with output_folder(out) as folder:
        for name, result in (("fi", curve), ("hh", trace)):
            result.save(folder / f"{name}_fit.json")
            save_figure(result.plot(), folder / f"{name}_fit.png")
        parts = [
            section("f-I curve of a real neuron", curve_text, curve, ["fi_fit.png"]),
            section("Hodgkin-Huxley conductances", trace_text, trace, ["hh_fit.png"]),
        ]
        (folder / "report.md").write_text("# jaxneuro demo\n\n" + "\n".join(parts))
    click.echo(f"Figures, parameters and report.md are in {out}/")


def _fit_fi(seed: int):
    """LIF with an adaptation current; E_L, R_m and tau_m are the cell's measured ones."""
    from jaxneuro.datasets import cell_0018_fi
    from jaxneuro.fitters import fit_fi_table

    cell = cell_0018_fi()
    result = fit_fi_table(cell, E_L=cell.E_L, R_m=cell.R_m, tau_m=cell.tau_m, seed=seed)
    text = (
        f"Data: {cell.source}; {cell.licence}. Resting potential, input resistance and time constant are measured "
        f"({cell.E_L:g} mV, {cell.R_m:g} MOhm, {cell.tau_m:g} ms); threshold, reset, refractory period and adaptation "
        "are fitted through exact spike times."
    )
    return result, text


def _fit_trace(seed: int):
    """Three conductances from a trace made with known ones."""
    import numpy as np

    import jaxneuro as jn

    true = {"na.g_max": 120.0, "k.g_max": 36.0, "leak.g_max": 0.3}
    stimulus = jn.Step(amplitude=10.0, onset=2.0)
    solution = jn.simulate(jn.HodgkinHuxley(), stimulus, t1=30.0, dt_save=0.05)
    noise = np.random.default_rng(seed).normal(0.0, 0.5, solution.voltage.shape)
    target = jn.VoltageTrace(0.05, solution.voltage + noise, stimulus)
    free = {name: (value / 2, value * 2) for name, value in true.items()}
    result = jn.fit(jn.HodgkinHuxley(), target, free=free, seed=seed).compare(true)
    text = (
        "A 30 ms trace of the squid axon under a step of 10 uA/cm^2, with 0.5 mV of white noise added. Eight starts "
        "within a factor of two of the truth; the best one counts."
    )
    return result, text
