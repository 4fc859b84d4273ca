"""Features of action potentials in a sampled voltage, differentiable in it and of a fixed size."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro._solution import Solution
from jaxneuro.analysis.recordings import REARM, find_spikes
from jaxneuro.fitters.targets._targets import VoltageTrace
from jaxneuro.numerics import interpolated

__all__ = ["LAGS", "THRESHOLD", "SpikeFeatures", "spike_features", "spikes_in", "spikes_of_both"]

# Where a spike's waveform is compared, from its upward crossing on [ms]: dense where it moves fast.
LAGS = (-10.0, -5.0, -2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)


THRESHOLD = 0.0  # mV, which every spike crosses
_LEAST_RANGE = 30.0  # mV between the ends of a trace with spikes


def spikes_in(trace: VoltageTrace, voltage: Array) -> np.ndarray:
    """Times of spikes [ms] in a voltage recorded like a trace, or in that itself, whatever its mask; none beside data
    that hardly move, as those of a model without units."""
    is_spiking = np.ptp(np.asarray(trace.voltage)) >= _LEAST_RANGE
    return find_spikes(trace.ts, voltage, THRESHOLD) if is_spiking else np.empty(0)


def spikes_of_both(trace: VoltageTrace, prediction: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Times of spikes [ms] in a trace and in a prediction of it."""
    return spikes_in(trace, trace.voltage), spikes_in(trace, trace.recorded(prediction))


class SpikeFeatures(NamedTuple):
    """Of the first `room` spikes of a trace, arrays (room,), padded.

    `has_spike`; `is_over`, whether it ends within the trace; `time` at which the voltage crosses the threshold upwards
    [ms], `end`, at which it is down to 5 mV below it, so that noise on a flank is no spike, the end of the trace if it
    does not; `peak` in between and `trough`, the lowest voltage from there to the next spike or the end [mV]; `width`
    at the threshold [ms]; `waveform` at LAGS after `time` [mV], shape (room, n_lag), and `is_own` [same shape], whether
    that is a sample of this spike and of no other.
    """

    has_spike: Bool[Array, " room"]
    is_over: Bool[Array, " room"]
    time: Float[Array, " room"]
    end: Float[Array, " room"]
    peak: Float[Array, " room"]
    trough: Float[Array, " room"]
    waveform: Float[Array, "room n_lag"]
    is_own: Bool[Array, "room n_lag"]

    @property
    def width(self) -> Float[Array, " room"]:
        return self.end - self.time


def spike_features(
    voltage: Float[Array, " n_time"], t0: float, dt: float, threshold: float, room: int, stop: float
) -> SpikeFeatures:
    """Features of a voltage [mV] sampled every `dt` from `t0` on [ms]; troughs are sought up to `stop` [ms]."""
    n = voltage.size
    above = _is_above(voltage, threshold)
    up, down = above[1:] & ~above[:-1], ~above[1:] & above[:-1]
    (rising,) = jnp.nonzero(up, size=room, fill_value=n - 2)
    has_spike = jnp.arange(room) < jnp.sum(up)
    # the first fall after each rise; a trace that begins above the threshold has one fall too many
    falls = jnp.nonzero(down, size=room + 1, fill_value=n - 2)[0]
    order = jnp.searchsorted(falls, rising)
    falling = falls[jnp.clip(order, 0, room)]
    is_over = has_spike & (order < jnp.sum(down))
    times = t0 + dt * jnp.arange(n)

    def crossing(k: Array, level: float) -> Array:
        rise = jnp.where(has_spike, voltage[k + 1] - voltage[k], 1.0)
        share = jnp.where(has_spike, (level - voltage[k]) / jnp.where(rise == 0, 1.0, rise), 0.0)
        return times[k] + dt * share

    # every sample belongs to the last spike that began before it
    owner = jnp.append(0, jnp.cumsum(up)) - 1
    number = jnp.where((owner >= 0) & (owner < room), owner, room)
    highest = jax.ops.segment_max(voltage, number, num_segments=room + 1)
    is_top = voltage == highest[number]
    top = jax.ops.segment_min(jnp.where(is_top, jnp.arange(n), n - 2), number, num_segments=room + 1)[:room]
    peak = _vertex(voltage, jnp.clip(top, 1, n - 2))
    is_after = ~above & (jnp.arange(n) > falling[jnp.clip(owner, 0, room - 1)]) & (times <= stop)
    trough = jax.ops.segment_min(jnp.where(is_after, voltage, jnp.inf), number, num_segments=room + 1)[:room]
    trough = jnp.where(jnp.isfinite(trough), trough, threshold)
    time = crossing(rising, threshold)
    end = jnp.where(has_spike & ~is_over, times[-1], crossing(falling, threshold - REARM))
    before = jnp.append(t0, end[:-1]) + 3.0  # ms after the spike before, when that is over
    after = jnp.where(jnp.append(has_spike[1:], False), jnp.append(time[1:], stop), stop) - 1.5
    at = time[:, None] + jnp.array(LAGS)[None]
    is_own = has_spike[:, None] & (at > before[:, None]) & (at < after[:, None])
    waveform = interpolated(at, voltage, dt, t0)
    return SpikeFeatures(has_spike, is_over, time, end, jnp.where(has_spike, peak, threshold), trough, waveform, is_own)


def _is_above(voltage: Float[Array, " n_time"], threshold: float) -> Bool[Array, " n_time"]:
    """From an upward crossing on until the voltage has fallen below the threshold by more than noise does."""
    is_up, is_down = voltage >= threshold, voltage < threshold - REARM
    last = jax.lax.cummax(jnp.where(is_up | is_down, jnp.arange(voltage.size), -1))
    return (last >= 0) & is_up[last]


def _vertex(voltage: Float[Array, " n_time"], k: Array) -> Array:
    """Height of the parabola through a sample and its neighbours: the largest sample alone has kinks."""
    left, middle, right = (voltage[k + shift] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    is_bent = bend < 0
    return jnp.where(is_bent, middle - (right - left) ** 2 / (8 * jnp.where(is_bent, bend, -1.0)), middle)
