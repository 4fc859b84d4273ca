"""Spike trains: how regular one is, and how alike two of them, or two sets of trials, are.

A train is an array of spike times [ms] in any order; what is not finite is padding, such as the inf at the end of
`Solution.spikes`, and counts for nothing. Trials are a list of trains, or an array (n_trial, n). Everything works in
jax.jit and jax.vmap.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxneuro.analysis._protocols import checked_number
from jaxneuro.analysis.firing import spike_count
from jaxneuro.numerics import as_floats, safe_divide

__all__ = [
    "ISIStatistics",
    "as_trials",
    "coincidence_factor",
    "fano_factor",
    "isi",
    "isi_statistics",
    "md_star",
    "normalised_coincidence",
    "van_rossum_distance",
    "victor_purpura_distance",
]


def isi(spikes: Any) -> Float[Array, "*b n"]:
    """Intervals between the spikes of a train [ms], one fewer than there are spikes; padded with inf.

    I_k = t_{k+1} - t_k

    **Arguments:** `spikes` [ms], shape (..., n).

    >>> isi([10.0, 30.0, 35.0, jnp.inf])
    Array([20.,  5., inf], dtype=float64)
    """
    intervals, is_there = _intervals(_as_times("spikes", spikes))
    return jnp.where(is_there, intervals, jnp.inf)


class ISIStatistics(NamedTuple):
    """Intervals between spikes in numbers; arrays (...).

    cv  = std(I) / mean(I)
    cv2 = mean(2 |I_{k+1} - I_k| / (I_{k+1} + I_k))
    lv  = mean(3 (I_{k+1} - I_k)^2 / (I_{k+1} + I_k)^2)

    `n`, how many intervals there are; `mean`, `min`, `max` of them and their standard deviation `std` [ms], which
    divides by n; `cv`, the coefficient of variation, `cv2` and `lv`, local ones that slow changes of the rate hardly
    move [1]: all three are 0 of a clock and 1 of a Poisson process. NaN without intervals, from `std` on with only one.

    References: Holt, Softky, Koch & Douglas (1996), J Neurophysiol 75:1806. doi:10.1152/jn.1996.75.5.1806 (cv2);
    Shinomoto, Shima & Tanji (2003), Neural Comput 15:2823. doi:10.1162/089976603322518759 (lv)
    """

    n: Int[Array, "*b"]
    mean: Float[Array, "*b"]
    min: Float[Array, "*b"]
    max: Float[Array, "*b"]
    std: Float[Array, "*b"]
    cv: Float[Array, "*b"]
    cv2: Float[Array, "*b"]
    lv: Float[Array, "*b"]


def isi_statistics(spikes: Any) -> ISIStatistics:
    """Mean, spread and irregularity of the intervals of a train, or of each of several.

    **Arguments:** `spikes` [ms], shape (..., n).

    >>> isi_statistics([0.0, 10.0, 40.0]).cv
    Array(0.5, dtype=float64)
    """
    return _statistics(_padded(_as_times("spikes", spikes)))


@jax.jit
def _statistics(times: Float[Array, "*b n"]) -> ISIStatistics:
    intervals, is_there = _intervals(times)
    n = jnp.sum(is_there, axis=-1)
    mean = _mean(intervals, is_there)
    std = _root(_mean((intervals - mean[..., None]) ** 2, is_there))
    low = jnp.min(intervals, axis=-1, where=is_there, initial=jnp.inf)
    high = jnp.max(intervals, axis=-1, where=is_there, initial=-jnp.inf)
    ratio = safe_divide(jnp.abs(jnp.diff(intervals)), intervals[..., 1:] + intervals[..., :-1])
    cv2, lv = _mean(2 * ratio, is_there[..., 1:]), _mean(3 * ratio**2, is_there[..., 1:])
    values, least = (mean, low, high, std, safe_divide(std, mean), cv2, lv), (1, 1, 1, 2, 2, 2, 2)
    return ISIStatistics(n, *(jnp.where(n < m, jnp.nan, x) for x, m in zip(values, least, strict=True)))


@jax.jit
def _intervals(times: Float[Array, "*b n"]) -> tuple[Float[Array, "*b m"], Bool[Array, "*b m"]]:
    """Intervals, 0 for those that are not there, and which ones are."""
    times = _ordered(times)
    is_there = jnp.isfinite(times[..., 1:])
    return jnp.where(is_there, jnp.diff(times), 0.0), is_there


def _mean(values: Float[Array, "*b n"], is_there: Bool[Array, "*b n"]) -> Float[Array, "*b"]:
    """Mean of those that are there; 0 without any."""
    return jnp.sum(jnp.where(is_there, values, 0.0), axis=-1) / jnp.maximum(jnp.sum(is_there, axis=-1), 1)


def _root(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Square root with derivative 0, not inf, at 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def fano_factor(trains: Any, window: float, *, t1: float, t0: float = 0.0) -> Float[Array, " n_window"]:
    """Variance over mean of the spike count, over trials, in windows one after the other [1]; 1 of Poisson processes.

    F = sum (N_i - mean(N))^2 / (n - 1) / mean(N)

    **Arguments:** `trains`, two or more trials [ms]; `window`, length of a window [ms]: what is left after the last
    whole one is not looked at; `t0`, `t1`, when the first window begins and the recording ends [ms].

    The unbiased variance makes the mean of F exactly 1 for Poisson counts; it is n / (n - 1) times elephant's, which
    divides by n. NaN where no trial has a spike.

    **Raises:** ValueError for fewer than two trials, or less than a window between t0 and t1.

    >>> fano_factor([[1.0, 2.0, 12.0], [3.0, 14.0, 15.0]], 10.0, t1=20.0)
    Array([0.33333333, 0.33333333], dtype=float64)

    References: Fano (1947), Phys Rev 72:26. doi:10.1103/PhysRev.72.26
    """
    trials = as_trials("trains", trains, 2)
    window = checked_number("window", window, "ms", is_open=True)
    t0, t1 = (checked_number(name, t, "ms", is_signed=True) for name, t in (("t0", t0), ("t1", t1)))
    n_window = math.floor((t1 - t0) / window + 1e-9)
    if n_window < 1:
        raise ValueError(f"Argument `t1` must be {window:g} ms (`window`) or more after t0, but is t1={t1:g}; move it.")
    counts = _counts(trials, t0 + window * np.arange(n_window + 1))
    return safe_divide(jnp.var(counts, axis=0, ddof=1), jnp.mean(counts, axis=0), jnp.nan)


@jax.jit
def _counts(trials: Float[Array, "n_trial n"], edges: Any) -> Float[Array, "n_trial n_window"]:
    """Spikes between edges: each is counted once, however the edges are rounded."""
    after = jax.vmap(lambda edge: spike_count(trials, edge), out_axes=-1)(edges)
    return -jnp.diff(after).astype(trials.dtype)


def van_rossum_distance(a: Any, b: Any, tau: Any, *, is_squared: bool = False) -> Float[Array, ""]:
    """Distance of two trains after smoothing with an exponential of time constant tau [1]; a spike too many costs 1.

    D^2 = 2/tau integral (f - g)^2 dt,   f(t) = sum_{t_i < t} exp(-(t - t_i) / tau) of one train, g of the other
        = sum_ij s_i s_j exp(-|t_i - t_j| / tau) over all spikes of both, s = 1 for those of a, -1 for those of b

    Short tau: the root of the number of spikes that do not coincide; long tau: the difference of the counts.

    **Arguments:** `a`, `b` [ms], shape (n,); `tau` [ms]; `is_squared`, return D^2.

    Differentiable in the spike times and tau. For gradients take D^2, which is finite everywhere: it has a kink, 2/tau
    to either side, where two spikes coincide, with the mean slope as its derivative there. The slope of D itself grows
    without bound as two trains become equal, and is set to 0 where they are.

    Van Rossum's own 1/tau makes D^2 half of this one; elephant's distance is this one.

    >>> van_rossum_distance([10.0], [10.0, 50.0, jnp.inf], 5.0)
    Array(1., dtype=float64)

    References: van Rossum (2001), Neural Comput 13:751. doi:10.1162/089976601300014321
    """
    square = _van_rossum(_as_train("a", a), _as_train("b", b), _checked("tau", tau))
    return square if is_squared else _root(square)


@jax.jit
def _van_rossum(a: Float[Array, " n"], b: Float[Array, " m"], tau: Any) -> Float[Array, ""]:
    times = jnp.concatenate([a, b])
    is_spike = jnp.isfinite(times)
    signs = jnp.concatenate([jnp.ones_like(a), -jnp.ones_like(b)]) * is_spike
    times = jnp.where(is_spike, times, 0.0)
    # spikes at one time in both orders: each has the slope to one side, and the mean is that of central differences
    return (_energy(times, signs, tau) + _energy(times[::-1], signs[::-1], tau)) / 2


def _energy(times: Float[Array, " n"], signs: Float[Array, " n"], tau: Any) -> Float[Array, ""]:
    """2/tau integral of the square of the sum of signed exponentials; of squares, so that nothing cancels."""
    order = jnp.argsort(times, stable=True)
    gaps = jnp.diff(times[order], prepend=times[order[:1]]) / tau

    def step(height: Array, spike: tuple[Array, Array]) -> tuple[Array, Array]:
        height = height * jnp.exp(-spike[0]) + spike[1]
        return height, height

    last, heights = lax.scan(step, jnp.zeros((), gaps.dtype), (gaps, signs[order]))
    return jnp.sum(heights[:-1] ** 2 * -jnp.expm1(-2 * gaps[1:])) + last**2


def victor_purpura_distance(a: Any, b: Any, cost: Any) -> Float[Array, ""]:
    """The least that it costs to turn one train into the other [1]: 1 to add or delete a spike, `cost` to move it 1 ms.

    D = n_a + n_b - max sum_pairs (2 - cost |t_i - t_j|), over all ways to pair spikes of a with spikes of b in order

    Cost 0: the difference of the counts; high cost: the number of spikes that do not coincide.

    **Arguments:** `a`, `b` [ms], shape (n,); `cost` [1/ms].

    >>> victor_purpura_distance([10.0, 50.0], [12.0, jnp.inf], 0.1)
    Array(1.2, dtype=float64)

    References: Victor & Purpura (1996), J Neurophysiol 76:1310. doi:10.1152/jn.1996.76.2.1310
    """
    return _victor_purpura(_as_train("a", a), _as_train("b", b), _checked("cost", cost, "1/ms", is_open=False))


@jax.jit
def _victor_purpura(a: Float[Array, " n"], b: Float[Array, " m"], cost: Any) -> Float[Array, ""]:
    return _size(a) + _size(b) - _best_pairing(a, b, lambda distance: 2 - cost * distance)


def _size(train: Float[Array, " n"]) -> Float[Array, ""]:
    return jnp.sum(jnp.isfinite(train)).astype(train.dtype)


def _best_pairing(a: Float[Array, " n"], b: Float[Array, " m"], gain: Callable[[Array], Array]) -> Float[Array, ""]:
    """Largest sum of gains(|t_i - t_j|) over pairs in order, with no spike in two of them.

    best[i, j] = max(best[i-1, j], best[i, j-1], best[i-1, j-1] + gain[i, j]), one row for each spike of a.
    """
    is_spike = jnp.isfinite(b)
    others = jnp.where(is_spike, b, 0.0)

    def row(best: Array, spike: Array) -> tuple[Array, None]:
        is_pair = is_spike & jnp.isfinite(spike)
        gains = gain(jnp.abs(jnp.where(jnp.isfinite(spike), spike, 0.0) - others))
        paired = jnp.maximum(best[1:], best[:-1] + jnp.where(is_pair, gains, 0.0))
        return jnp.append(best[:1], lax.cummax(paired)), None

    best, _ = lax.scan(row, jnp.zeros(b.size + 1, jnp.result_type(a, b)), a)
    return best[-1]


def coincidence_factor(data: Any, model: Any, *, duration: Any, precision: Any = 2.0) -> Float[Array, ""]:
    """Share of spikes that a model predicts, less those that it would hit by chance [1]: 1 perfect, 0 chance.

    Gamma = 2 / (1 - 2 nu precision) (N_coinc - 2 nu precision N_data) / (N_data + N_model),   nu = N_model / duration

    N_coinc is the number of pairs at most `precision` apart, with no spike in two of them.

    **Arguments:** `data`, `model` [ms], shape (n,); `duration` of the recording [ms]; `precision` [ms].

    Valid while chance hits are few, 2 nu precision << 1: they are taken to be independent. NaN where 2 nu precision is
    1 or more, and where neither train has a spike. Its derivative is zero.

    >>> coincidence_factor([10.0, 50.0], [11.0, 60.0], duration=100.0)
    Array(0.45652174, dtype=float64)

    References: Kistler, Gerstner & van Hemmen (1997), Neural Comput 9:1015. doi:10.1162/neco.1997.9.5.1015; Jolivet et
    al. (2008), J Neurosci Methods 169:417. doi:10.1016/j.jneumeth.2007.11.006
    """
    numbers = _checked("precision", precision), _checked("duration", duration)
    return _gamma(_as_train("data", data), _as_train("model", model), *numbers)


@jax.jit
def _gamma(data: Float[Array, " n"], model: Float[Array, " m"], precision: Any, duration: Any) -> Float[Array, ""]:
    reach = _reach(precision, data, model)
    n_coinc = _best_pairing(data, model, lambda distance: (distance <= reach).astype(distance.dtype))
    n_data, n_model = _size(data), _size(model)
    chance = 2 * precision * n_model / duration
    gamma = 2 * (n_coinc - chance * n_data) / ((1 - chance) * (n_data + n_model))
    return jnp.where((chance < 1) & (n_data + n_model > 0), gamma, jnp.nan)


def normalised_coincidence(data: Any, model: Any, *, duration: Any, precision: Any = 2.0) -> Float[Array, ""]:
    """Coincidence factor of a model over that of the neuron with itself from trial to trial [1]; 1: no worse than that.

    Gamma_A = mean_ij Gamma(data_i, model_j) / mean_{i != j} Gamma(data_i, data_j)

    **Arguments:** `data`, two or more trials of the neuron with one stimulus [ms]; `model`, one or more of the model;
    `duration` of a trial [ms]; `precision` [ms]. See `coincidence_factor`.

    >>> normalised_coincidence([[10.0, 50.0], [11.0, 51.5]], [11.0, 52.0], duration=100.0)
    Array(1., dtype=float64)

    References: Jolivet et al. (2008), Biol Cybern 99:417. doi:10.1007/s00422-008-0261-x
    """
    numbers = _checked("precision", precision), _checked("duration", duration)
    return _normalised(as_trials("data", data, 2), as_trials("model", model), *numbers)


@jax.jit
def _normalised(data: Array, model: Array, precision: Any, duration: Any) -> Float[Array, ""]:
    of_pairs = jax.vmap(jax.vmap(_gamma, (None, 0, None, None)), (0, None, None, None))
    between = jnp.mean(of_pairs(data, data, precision, duration), where=~jnp.eye(len(data), dtype=bool))
    return jnp.mean(of_pairs(data, model, precision, duration)) / between


def md_star(data: Any, model: Any, *, precision: Any = 4.0) -> Float[Array, ""]:
    """Similarity of the firing of a neuron and of a model over trials, not biased by how few these are [1]; 1: alike.

    M_d* = 2 <data, model> / (<data, data>* + <model, model>*)

    <x, y> is the number of pairs of spikes at most `precision` apart, a mean over pairs of trials; <x, x>* is that over
    pairs of different trials, so that a trial is not compared with itself. It estimates the overlap of the two firing
    rates over time, smoothed with a box. Trains of independent neurons have some too: chance is not taken off.

    **Arguments:** `data`, two or more trials of the neuron with one stimulus [ms]; `model`, those of a noisy model, or
    one train of a model that always answers alike; `precision` [ms]. A noisy model needs two trials or more.

    Few trials scatter to both sides of 1. NaN where no set has a pair within itself. Its derivative is zero.

    >>> md_star([[10.0, 50.0], [11.0, 60.0]], [[12.0], [9.0, 52.0]])
    Array(1.25, dtype=float64)

    References: Naud, Gerhard, Mensi & Gerstner (2011), Neural Comput 23:3016. doi:10.1162/NECO_a_00208
    """
    return _md_star(as_trials("data", data, 2), as_trials("model", model), _checked("precision", precision))


@jax.jit
def _md_star(data: Array, model: Array, precision: Any) -> Float[Array, ""]:
    reach = _reach(precision, data, model)

    def within(trials: Array) -> Array:
        n = len(trials)
        own = jnp.sum(jax.vmap(lambda train: _n_pairs(train, train, reach))(trials))
        return own if n == 1 else (_n_pairs(trials, trials, reach) - own) / (n * (n - 1))

    across = _n_pairs(data, model, reach) / (len(data) * len(model))
    return safe_divide(2 * across, within(data) + within(model), jnp.nan)


def _n_pairs(a: Float[Array, "*n"], b: Float[Array, "*m"], reach: Array) -> Float[Array, ""]:
    """Number of pairs of a spike of a and one of b that lie at most `reach` apart, of all trials together."""
    a, b = a.ravel(), jnp.sort(b.ravel())
    n = jnp.searchsorted(b, a + reach, side="right") - jnp.searchsorted(b, a - reach, side="left")
    return jnp.sum(jnp.where(jnp.isfinite(a), n, 0).astype(a.dtype))


def _reach(precision: Any, *trains: Array) -> Array:
    """The precision and what two times on a sampling grid, just that far apart, may be off by rounding."""
    largest = jnp.stack([jnp.max(jnp.abs(train), where=jnp.isfinite(train), initial=0.0) for train in trains])
    return precision + 4 * jnp.finfo(largest.dtype).eps * jnp.max(largest)


def as_trials(name: str, trains: Any, least: int = 1) -> Float[Array, "n_trial n"]:
    """Trains as one array, in order and padded with inf: of a list of trains, an array (n_trial, n) or one train."""
    if isinstance(trains, list | tuple) and any(np.ndim(train) for train in trains):
        rows = [_as_times(name, train, 1) for train in trains]
        longest = max(row.size for row in rows)
        trials = jnp.stack([_padded(row, longest) for row in rows])
    else:
        trials = _padded(_as_times(name, trains, 2 if np.ndim(trains) > 1 else 1))
        trials = trials.reshape(-1, trials.shape[-1])
    if len(trials) < least:
        raise ValueError(f"Argument `{name}` must be {least} or more trials, but is {len(trials)}; give more trains.")
    return _ordered(trials)


def _as_train(name: str, spikes: Any) -> Float[Array, " n"]:
    return _ordered(_padded(_as_times(name, spikes, 1)))


def _as_times(name: str, spikes: Any, ndim: int | None = None) -> Any:
    """Spike times as an array of floats: of NumPy where possible, which compiles nothing."""
    is_traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spikes))
    try:
        times = as_floats(spikes)[0] if is_traced else np.asarray(spikes)
        times = times if np.issubdtype(times.dtype, np.floating) else times.astype(float)
    except (TypeError, ValueError):
        times = np.zeros(())
    if times.ndim == 0:
        raise ValueError(f"Argument `{name}` must be spike times [ms], but is a {type(spikes).__name__}; give a list.")
    if ndim is not None and times.ndim != ndim:
        shape = "(n,)" if ndim == 1 else "(n_trial, n)"
        raise ValueError(f"Argument `{name}` must be spike times {shape}, but has shape {times.shape}; use jax.vmap.")
    return times


def _padded(times: Any, least: int = 1) -> Any:
    """With inf at the end, up to a power of two: the next train then seldom compiles anything anew."""
    width = max(16, 1 << (max(times.shape[-1], least) - 1).bit_length())
    array = jnp if isinstance(times, jax.Array) else np
    padding = [(0, 0)] * (times.ndim - 1) + [(0, width - times.shape[-1])]
    return array.pad(times, padding, constant_values=np.inf)


@jax.jit
def _ordered(times: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
    return jnp.sort(jnp.where(jnp.isfinite(times), times, jnp.inf), axis=-1)


def _checked(name: str, value: Any, unit: str = "ms", *, is_open: bool = True) -> Any:
    return value if isinstance(value, jax.core.Tracer) else checked_number(name, value, unit, is_open=is_open)
