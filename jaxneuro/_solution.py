"""What a simulation returns."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxneuro.models import AbstractModel
from jaxneuro.params import is_concrete
from jaxneuro.results import RESULTS
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["Solution"]


class Solution(eqx.Module):
    """States over time, spikes and outcome of one simulation.

    `ts`: saving times [ms], shape (n_time,). `ys`: the model's state, each leaf (n_time, ...). `result`: how it ended,
    a member of RESULTS. `stats`: number of steps; outside jit and vmap also `compile_seconds` and `run_seconds` [s].
    `spike_steps`, `spike_offsets`: the same spikes as t0 + step * dt + offset, for float32 runs so long that a time has
    too few digits. Under jax.vmap every array has a leading batch axis.
    """

    ts: Float[Array, "*batch n_time"]
    ys: Any
    spike_times: Float[Array, "*batch n"]
    spike_steps: Int[Array, "*batch n"]
    spike_offsets: Float[Array, "*batch n"]
    counts: Float[Array, "*batch n_time"] | None
    result: RESULTS
    stats: dict[str, Any]
    model: AbstractModel
    stimulus: AbstractStimulus

    @property
    def voltage(self) -> Float[Array, "*batch n_time"]:
        """Membrane potential [mV] at `ts`; (n_time, n_cell) for a network."""
        return self.model.voltage(self.ys)

    @property
    def spikes(self) -> Float[Array, "*batch n"]:
        """Spike times [ms] in order.

        One neuron alone: exactly its spikes. Where a fixed size is needed (networks, jax.vmap, jax.jit) the array is
        padded with inf at the end.
        """
        times = self.spike_times
        if times.ndim == 1 and is_concrete(times):
            return times[: int(np.isfinite(times).sum())]
        return times

    @property
    def spike_train(self) -> Float[Array, "*batch n_time"]:
        """Number of spikes at each of `ts` since the one before [1], differentiable by a surrogate where the solver has
        one: what a layer of neurons hands on. Needs a run of FixedStep with `surrogate`."""
        if self.counts is None:
            raise ValueError(
                "Argument `solver` must have a surrogate for a spike train, but has none; use "
                "FixedStep(dt, surrogate=SuperSpike())."
            )
        return self.counts

    @property
    def i_app(self) -> Float[Array, "*batch n_time"]:
        """The injected current at `ts`, in the model's input unit."""
        return _input_over(self.ts, self.stimulus)

    def plot(self, axes: Any = None) -> Any:
        """Draw voltage (with spikes) and stimulus over time; returns the matplotlib axes."""
        from jaxneuro.plot import plot_solution

        return plot_solution(self, axes)


def _input_over(ts: Float[Array, "*batch n_time"], stimulus: AbstractStimulus) -> Any:
    return jax.vmap(stimulus)(ts) if ts.ndim == 1 else jax.vmap(_input_over)(ts, stimulus)
