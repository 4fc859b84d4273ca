"""`jaxneuro info`."""

import json
from pathlib import Path

import click
import numpy as np

from jaxneuro.cli._common import check_output, common_options, output_folder, save_figure

__all__ = ["info"]


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--stimulus-folder", type=click.Path(path_type=Path), default=None, help="Folder of an ABF's ATF waveforms."
)
@common_options(out="info")
def info(recording: Path, stimulus_folder: Path | None, out: Path, seed: int) -> None:
    """Show what is in RECORDING (ABF, NWB, CSV or NPZ): sweeps, current steps, spikes, f-I curve, passive properties.

    Prints a table; writes sweeps.png and info.json.

    \b
    Example:
      jaxneuro info cell.abf --out cell-info
    """
    from jaxneuro.analysis.recordings import find_spikes, find_steps
    from jaxneuro.io import read_recording
    from jaxneuro.plot import plot_recording

    check_output(out)
    data = read_recording(recording, stimulus_folder=stimulus_folder)
    click.echo(f"{recording.name}: {len(data)} sweeps at {data.sampling_rate:g} Hz")
    rows = []
    for sweep in data:
        steps = [[step.onset, step.duration, step.amplitude] for step in find_steps(sweep)]
        rows.append(
            {
                "sweep": sweep.index,
                "duration_ms": sweep.t1 - float(sweep.ts[0]),
                "V_median_mV": float(np.median(sweep.voltage)),
                "spikes": int(find_spikes(sweep.ts, sweep.voltage).size),
                "steps_onset_ms_duration_ms_amplitude_pA": steps,
            }
        )
        drawn = ", ".join(
            f"{amplitude:g} pA at {onset:.1f} ms for {length:.1f} ms" for onset, length, amplitude in steps
        )
        click.echo(
            f"  sweep {sweep.index:3d}  {rows[-1]['duration_ms']:8.1f} ms  median {rows[-1]['V_median_mV']:7.2f} mV  "
            f"{rows[-1]['spikes']:4d} spikes  {drawn or 'no steps'}"
        )
    summary = {"recording": recording.name, "sampling_rate_Hz": data.sampling_rate, "sweeps": rows, **_analyses(data)}
    with output_folder(out) as folder:
        (folder / "info.json").write_text(json.dumps(summary, indent=2) + "\n")
        save_figure(plot_recording(data), folder / "sweeps.png")
    click.echo(f"results in {out}/")


def _analyses(data) -> dict:
    """f-I curve and passive properties, each only where the recording holds what it needs."""
    from jaxneuro.analysis.recordings import fi_table, passive_properties

    found = {}
    try:
        table = fi_table(data)
        found["fi"] = {"current_pA": np.asarray(table.current).tolist(), "rate_Hz": np.asarray(table.rate).tolist()}
        pairs = ", ".join(f"{i:g}: {r:g}" for i, r in zip(table.current, table.rate, strict=True))
        click.echo(f"  f-I curve [pA: Hz]  {pairs}")
    except ValueError as reason:
        click.echo(f"  no f-I curve: {reason}")
    try:
        passive = passive_properties(data)
        found["passive"] = {
            "E_L_mV": passive.E_L,
            "R_m_MOhm": passive.R_m,
            "tau_m_ms": passive.tau_m,
            "R_series_MOhm": passive.R_series,
        }
        click.echo(
            f"  passive  E_L {passive.E_L:.1f} mV, R_m {passive.R_m:.0f} MOhm, tau_m {passive.tau_m:.1f} ms, "
            f"series resistance {passive.R_series:.1f} MOhm"
        )
    except ValueError as reason:
        click.echo(f"  no passive properties: {reason}")
    return found
