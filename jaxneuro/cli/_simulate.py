"""`jaxneuro simulate`."""

import json
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

__all__ = ["simulate"]


@click.command()
@click.argument("model")
@click.option("--amplitude", type=float, default=None, help="Step amplitude [uA/cm^2 for hh, nA for lif, 1 for fhn].")
@click.option("--onset", type=float, default=5.0, show_default=True, help="Onset of the step [ms].")
@click.option("--duration", type=float, default=None, help="Length of the step [ms]; to the end if not given.")
@click.option("--noise", type=float, default=0.0, help="Standard deviation of added noise of 5 ms [unit of amplitude].")
@click.option("--t1", type=float, default=100.0, show_default=True, help="End of the run [ms].")
@click.option("--dt", type=float, default=None, help="Fixed step [ms]; adaptive, or 0.1 ms for lif, if not given.")
@model_option
@common_options(out="simulation")
def simulate(
    model: str,
    amplitude: float | None,
    onset: float,
    duration: float | None,
    noise: float,
    t1: float,
    dt: float | None,
    settings: tuple[str, ...],
    out: Path,
    seed: int,
) -> None:
    """Simulate MODEL (hh, lif, adex, ...) under a current step.

    Writes simulation.png, simulation.csv (time_ms, voltage_mV and the current) and simulation.json (spike times).

    \b
    Example:
      jaxneuro simulate hh --amplitude 10 --duration 40 --t1 50 --set na.g_max=100 --out hh-run
    """
    start(out)
    import jax.numpy as jnp

    import jaxneuro as jn

    neuron = build_model(model, settings)
    amplitude = usual_currents(neuron)[0] if amplitude is None else amplitude
    stimulus = jn.Step(amplitude, onset, jnp.inf if duration is None else duration)
    if noise:
        stimulus = stimulus + jn.OrnsteinUhlenbeck(0.0, noise, t1=t1, seed=seed)
    solution = jn.simulate(neuron, stimulus, t1=t1, solver=_solver(neuron, dt))
    spikes = np.asarray(solution.spikes)
    with output_folder(out) as folder:
        save_figure(solution.plot(), folder / "simulation.png")
        _write_csv(folder / "simulation.csv", solution, neuron.input_unit)
        record = {"model": model.lower(), "t1_ms": t1, "spikes_ms": spikes.tolist()}
        (folder / "simulation.json").write_text(json.dumps(record, indent=2) + "\n")
    times = (
        f" at {', '.join(f'{t:.2f}' for t in spikes[:8])}{' ...' if spikes.size > 8 else ''} ms" if spikes.size else ""
    )
    click.echo(f"{spikes.size} spike{'s' * (spikes.size != 1)}{times}; results in {out}/")


def _solver(neuron, dt):
    import jaxneuro as jn
    from jaxneuro.models import AbstractSpikingModel

    if dt is None:
        return None
    return jn.ExactSpikes(dt) if isinstance(neuron, AbstractSpikingModel) else jn.FixedStep(dt)


def _write_csv(path: Path, solution, unit: str) -> None:
    """Columns as `jaxneuro fit` reads them; the current of a point neuron in pA."""
    current, label = np.asarray(solution.i_app), f"current_{unit}"
    if unit == "nA":
        current, label = 1e3 * current, "current_pA"
    table = np.column_stack([solution.ts, solution.voltage, current])
    np.savetxt(path, table, delimiter=",", header=f"time_ms,voltage_mV,{label}", comments="", fmt="%.6g")
