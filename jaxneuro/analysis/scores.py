"""How well a model's answer to the currents of a recording agrees with the recording, sweep by sweep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from jaxneuro.analysis.recordings import find_spikes, is_between_spikes, main_step
from jaxneuro.recording import Recording

__all__ = ["FiringScores", "explained_variance", "firing_scores"]


@dataclass(frozen=True, eq=False)
class FiringScores:
    """Spikes in the main step of each sweep: arrays with one entry for each sweep.

    `sweep`, its number; `amplitude` of the step [pA]; `count` of data and model [1], `latency` of the first spike from
    the step's onset [ms], NaN without one, arrays (n_sweep, 2); `duration` of the step [ms].
    """

    sweep: np.ndarray
    amplitude: np.ndarray
    count: np.ndarray
    latency: np.ndarray
    duration: float

    @property
    def rate_error(self) -> float:
        """Root of the mean square of the difference of the rates, count / duration [Hz]."""
        return float(np.sqrt(np.mean(np.diff(self.count, axis=1) ** 2)) * 1e3 / self.duration)

    @property
    def count_error(self) -> int:
        """Largest difference of the counts [1]."""
        return int(np.max(np.abs(np.diff(self.count, axis=1))))

    @property
    def latency_error(self) -> float:
        """Largest difference of the latencies [ms], of sweeps in which both fire; NaN if there is none."""
        late = np.abs(np.diff(self.latency, axis=1))
        return float(np.nanmax(late)) if np.isfinite(late).any() else np.nan

    def select(self, sweeps: Iterable[int]) -> "FiringScores":
        """Those of the sweeps with these numbers."""
        chosen = np.isin(self.sweep, list(sweeps))
        parts = (values[chosen] for values in (self.sweep, self.amplitude, self.count, self.latency))
        return FiringScores(*parts, self.duration)

    def table(self) -> str:
        """One line for each sweep: number, current, spikes of data / model, latencies of data / model."""
        lines = ["sweep  current [pA]  spikes  latency [ms]"]
        for index, amplitude, count, latency in zip(self.sweep, self.amplitude, self.count, self.latency, strict=True):
            times = " / ".join("-" if np.isnan(t) else f"{t:.1f}" for t in latency)
            lines.append(f"{index:5}  {amplitude:12.0f}  {count[0]:2} / {count[1]:<2} {times}")
        return "\n".join(lines)


def firing_scores(data: Recording, spikes: Mapping[int, ArrayLike], *, threshold: float = -10.0) -> FiringScores:
    """Compare the spikes of a model with those of a recording, in the step that its protocol varies.

    **Arguments:** `data`, sweeps with steps of current; `spikes`, sweep number -> the model's spike times [ms], on the
    sweep's own times, such as `fitters.play` gives; `threshold` that a recorded spike crosses [mV].

    **Raises:** ValueError where no sweep has a step.

    >>> firing_scores(recording, played.spikes).rate_error
    """
    window = main_step(data)
    stop = window.onset + window.duration
    counts, latencies = [], []
    for index in window.sweep:
        (sweep,) = data.select([int(index)])
        both = find_spikes(sweep.ts, sweep.voltage, threshold), np.asarray(spikes[int(index)])
        inside = [times[(times >= window.onset) & (times < stop)] for times in both]
        counts.append([times.size for times in inside])
        latencies.append([times[0] - window.onset if times.size else np.nan for times in inside])
    return FiringScores(window.sweep, window.amplitude, np.array(counts), np.array(latencies), window.duration)


def explained_variance(
    data: Recording, model: Recording, *, without_spikes: tuple[float, float] = (3.0, 12.0), threshold: float = -10.0
) -> float:
    """Share of the variance of the voltage between spikes that a model explains [1]; 1 if they are equal.

    1 - sum (V_data - V_model)^2 / sum (V_data - mean of V_data in the sweep)^2, over all samples that are not
    near a spike of the data

    **Arguments:** `data`; `model`, with the same sweeps, each at least as many samples of the same times or fewer;
    `without_spikes`, how long before and after a spike is left out [ms]; `threshold` that a spike crosses [mV].

    **Raises:** ValueError where the numbers of the sweeps differ.

    >>> explained_variance(recording, play(model, recording).recording)
    """
    if [sweep.index for sweep in data] != [sweep.index for sweep in model]:
        raise ValueError(
            f"Arguments `data` and `model` must hold the same sweeps, but hold {[s.index for s in data]} and "
            f"{[s.index for s in model]}; select them."
        )
    left = total = 0.0
    for recorded, simulated in zip(data, model, strict=True):
        n = min(recorded.ts.size, simulated.ts.size)
        ts, voltage = recorded.ts[:n], recorded.voltage[:n]
        spikes = find_spikes(recorded.ts, recorded.voltage, threshold)
        kept = is_between_spikes(ts, spikes, *without_spikes)
        left += np.sum((simulated.voltage[:n] - voltage)[kept] ** 2)
        total += np.sum((voltage[kept] - voltage[kept].mean()) ** 2)
    return float(1 - left / total)
