"""What a sweep keeps of each simulation: numbers gathered while it runs, or functions of its whole solution."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from jaxneuro._solution import Solution
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import safe_divide
from jaxneuro.solvers import Reducer, Span

__all__ = ["MEASURES", "Measure", "chosen_measures"]

_OWN = "Function of the user."


class Measure(NamedTuple):
    """One kept quantity, its unit, its extra axes and its meaning.

    Either `reducer(model, duration)`, which gives the Reducer that gathers it in the loop, or `function(solution)`,
    which needs the saved states and spike times.
    """

    reducer: Callable[[AbstractModel, float], Reducer] | None
    function: Callable[[Solution], Array] | None
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


def _like_voltage(model: AbstractModel, value: float, dtype: Any = None) -> Callable[[Any], Array]:
    return lambda y: jnp.full_like(model.voltage(y), value, dtype=dtype)


def _spike_count(model: AbstractModel, duration: float) -> Reducer:
    return Reducer(_like_voltage(model, 0, int), lambda n, span: n + span.has_spiked, needs_steps=False)


def _rate(model: AbstractModel, duration: float) -> Reducer:
    return _spike_count(model, duration)._replace(finish=lambda n: 1e3 * n / duration)


def _first_spike(model: AbstractModel, duration: float) -> Reducer:
    return Reducer(
        _like_voltage(model, jnp.inf), lambda first, span: jnp.minimum(first, span.spike_time), needs_steps=False
    )


class _Intervals(NamedTuple):
    """Last spike, number of spikes, mean of the intervals and sum of their squared deviations (Welford 1962)."""

    last: Array
    n_spikes: Array
    mean: Array
    squares: Array


def _intervals(model: AbstractModel, finish: Callable[[_Intervals], Array]) -> Reducer:
    def init(y: Any) -> _Intervals:
        zero = jnp.zeros_like(model.voltage(y))
        return _Intervals(zero, zero, zero, zero)

    def update(seen: _Intervals, span: Span) -> _Intervals:
        interval = jnp.where(span.has_spiked, span.spike_time, 0.0) - seen.last
        is_interval = span.has_spiked & (seen.n_spikes > 0)
        deviation = jnp.where(is_interval, interval - seen.mean, 0.0)
        mean = seen.mean + deviation / jnp.maximum(seen.n_spikes, 1.0)
        squares = seen.squares + jnp.where(is_interval, deviation * (interval - mean), 0.0)
        last = jnp.where(span.has_spiked, span.spike_time, seen.last)
        return _Intervals(last, seen.n_spikes + span.has_spiked, mean, squares)

    return Reducer(init, update, finish, needs_steps=False)


def _isi_mean(model: AbstractModel, duration: float) -> Reducer:
    return _intervals(model, lambda seen: jnp.where(seen.n_spikes > 1, seen.mean, jnp.nan))


def _isi_cv(model: AbstractModel, duration: float) -> Reducer:
    def finish(seen: _Intervals) -> Array:
        variance = safe_divide(seen.squares, seen.n_spikes - 1)
        return jnp.where(seen.n_spikes > 1, safe_divide(jnp.sqrt(variance), seen.mean), jnp.nan)

    return _intervals(model, finish)


def _V_min(model: AbstractModel, duration: float) -> Reducer:
    return Reducer(model.voltage, lambda low, span: jnp.minimum(low, model.voltage(span.after)))


def _V_max(model: AbstractModel, duration: float) -> Reducer:
    return Reducer(model.voltage, lambda high, span: jnp.maximum(high, model.voltage(span.after)))


def _V_mean(model: AbstractModel, duration: float) -> Reducer:
    def update(total: Array, span: Span) -> Array:
        return total + 0.5 * (span.right - span.left) * (model.voltage(span.before) + model.voltage(span.after))

    return Reducer(_like_voltage(model, 0.0), update, lambda total: total / duration)


def _V_end(model: AbstractModel, duration: float) -> Reducer:
    return Reducer(model.voltage, lambda V, span: model.voltage(span.after), needs_steps=False)


MEASURES = {
    "spike_count": Measure(_spike_count, None, "1", doc="Number of spikes."),
    "rate": Measure(_rate, None, "Hz", doc="Spike count over the duration of the run."),
    "first_spike": Measure(_first_spike, None, "ms", doc="Time of the first spike; inf without one."),
    "isi_mean": Measure(_isi_mean, None, "ms", doc="Mean interspike interval; NaN below two spikes."),
    "isi_cv": Measure(_isi_cv, None, "1", doc="Coefficient of variation of the interspike intervals."),
    "V_min": Measure(_V_min, None, "mV", doc="Lowest voltage."),
    "V_max": Measure(_V_max, None, "mV", doc="Highest voltage."),
    "V_mean": Measure(_V_mean, None, "mV", doc="Mean voltage over time."),
    "V_end": Measure(_V_end, None, "mV", doc="Voltage at t1."),
    "voltage": Measure(None, lambda s: s.voltage, "mV", ("time",), "Voltage at the saving times."),
    "spike_times": Measure(None, lambda s: s.spike_times, "ms", ("spike",), "Spike times, padded with inf."),
}


def chosen_measures(keep: Any) -> dict[str, Measure]:
    """The measures called for: names, Reducers or functions of a Solution; a ValueError lists the known names."""
    is_single = isinstance(keep, str | Reducer) or callable(keep)
    items: Sequence[Any] = (keep,) if is_single else tuple(keep)
    if not items:
        raise ValueError('Argument `keep` must name at least one quantity, but is empty; give e.g. ("spike_count",).')
    chosen = {}
    for item in items:
        if isinstance(item, Reducer):
            chosen[item.name] = Measure(_Constant(item), None, item.unit, doc=_OWN)
        elif callable(item):
            chosen[getattr(item, "__name__", type(item).__name__)] = Measure(None, item, "", doc=_OWN)
        elif item in MEASURES:
            chosen[item] = MEASURES[item]
        else:
            raise ValueError(
                f"Argument `keep` must hold functions, Reducers or names among {', '.join(MEASURES)}, but has {item!r}."
            )
    return chosen


class _Constant(NamedTuple):
    """A reducer of the user as one of ours; equal to another with the same functions, so that nothing recompiles."""

    reducer: Reducer

    def __call__(self, model: AbstractModel, duration: float) -> Reducer:
        return self.reducer
