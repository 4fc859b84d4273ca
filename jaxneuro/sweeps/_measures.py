"""What a sweep keeps of each simulation: numbers, not traces."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from jaxneuro._solution import Solution
from jaxneuro.numerics import safe_divide

__all__ = ["MEASURES", "Measure", "chosen_measures"]


_OWN = "Function of the user."


class Measure(NamedTuple):
    """One kept quantity: `function(solution)`, its unit, its extra axes and its meaning."""

    function: Callable[[Solution], Array]
    unit: str
    dims: tuple[str, ...] = ()
    doc: str = ""

    def extra_dims(self, name: str, n_extra: int) -> tuple[str, ...]:
        """Names of the axes of one simulation's value; a network adds "cell", after time and before spikes."""
        if n_extra == len(self.dims):
            return self.dims
        if self.doc != _OWN:
            return ("time", "cell") if self.dims == ("time",) else ("cell", *self.dims)
        return tuple(f"{name}_{i}" for i in range(n_extra))


def _spike_count(solution: Solution) -> Array:
    return jnp.sum(jnp.isfinite(solution.spike_times), axis=-1)


def _rate(solution: Solution) -> Array:
    return 1e3 * _spike_count(solution) / (solution.ts[-1] - solution.ts[0])


def _first_spike(solution: Solution) -> Array:
    return solution.spike_times[..., 0]


def _intervals(solution: Solution) -> tuple[Array, Array]:
    times = solution.spike_times
    is_interval = jnp.isfinite(times[..., 1:])
    later = jnp.where(is_interval, times[..., 1:], 0.0)
    return jnp.where(is_interval, later - jnp.where(is_interval, times[..., :-1], 0.0), 0.0), is_interval


def _isi_mean(solution: Solution) -> Array:
    intervals, is_interval = _intervals(solution)
    return safe_divide(intervals.sum(-1), 1.0 * is_interval.sum(-1), default=jnp.nan)


def _isi_cv(solution: Solution) -> Array:
    intervals, is_interval = _intervals(solution)
    mean = _isi_mean(solution)
    squares = jnp.where(is_interval, (intervals - mean[..., None]) ** 2, 0.0)
    return jnp.sqrt(safe_divide(squares.sum(-1), 1.0 * is_interval.sum(-1), default=jnp.nan)) / mean


MEASURES = {
    "spike_count": Measure(_spike_count, "1", doc="Number of spikes."),
    "rate": Measure(_rate, "Hz", doc="Spike count over the duration of the run."),
    "first_spike": Measure(_first_spike, "ms", doc="Time of the first spike; inf without one."),
    "isi_mean": Measure(_isi_mean, "ms", doc="Mean interspike interval; NaN below two spikes."),
    "isi_cv": Measure(_isi_cv, "1", doc="Coefficient of variation of the interspike intervals."),
    "spike_times": Measure(lambda s: s.spike_times, "ms", ("spike",), "Spike times in order, padded with inf."),
    "V_min": Measure(lambda s: s.voltage.min(0), "mV", doc="Lowest saved voltage."),
    "V_max": Measure(lambda s: s.voltage.max(0), "mV", doc="Highest saved voltage."),
    "V_mean": Measure(lambda s: s.voltage.mean(0), "mV", doc="Mean of the saved voltages."),
    "V_end": Measure(lambda s: s.voltage[-1], "mV", doc="Voltage at t1."),
    "voltage": Measure(lambda s: s.voltage, "mV", ("time",), "Voltage at the saving times."),
}


def chosen_measures(keep: str | Callable | Sequence[str | Callable]) -> dict[str, Measure]:
    """The measures called for, by name or as functions of a Solution; a ValueError lists the known names."""
    keep = (keep,) if isinstance(keep, str) or callable(keep) else tuple(keep)
    if not keep:
        raise ValueError('Argument `keep` must name at least one quantity, but is empty; give e.g. ("spike_count",).')
    chosen = {}
    for item in keep:
        if callable(item):
            chosen[getattr(item, "__name__", type(item).__name__)] = Measure(item, "", doc=_OWN)
        elif item in MEASURES:
            chosen[item] = MEASURES[item]
        else:
            raise ValueError(
                f"Argument `keep` must hold functions or names among {', '.join(MEASURES)}, but has {item!r}."
            )
    return chosen
