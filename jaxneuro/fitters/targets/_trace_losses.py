"""Losses of voltage traces that put up with spikes at other times: moments, trajectory density, time warping."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxneuro._solution import Solution
from jaxneuro.fitters.targets._losses import AbstractNumber, AbstractResiduals
from jaxneuro.fitters.targets._samples import positive_number
from jaxneuro.fitters.targets._targets import VoltageTrace

__all__ = ["PhasePlaneLoss", "SoftDTW", "WindowLoss"]


class WindowLoss(AbstractResiduals):
    """Differences of mean and standard deviation of the voltage in windows, each over its tolerance.

    r_k = (mean_k(V) - mean_k(data)) / mean,   r_{n + k} = (std_k(V) - std_k(data)) / std,   k = 1 .. n windows

    The loss is the mean of squares. What a window does not resolve, such as the times of spikes within it, counts for
    nothing, and parameters that only matter for that are left open.

    **Arguments:** `windows`: the length of windows that tile the trace [ms], what remains at the end being part of the
    last one; or a list of (start, stop) [ms], each start <= t < stop; `mean` and `std`, the tolerances [mV].

    Of a target with a mask only the samples that are compared enter the moments; a window without any is left out.
    The standard deviation divides by the number of samples; where it is 0 its derivative is set to 0.

    **Raises:** ValueError for windows that are no times, or hold no sample of the trace.

    >>> fit(model, target, free={"na.g_max": (10.0, 200.0)}, loss=WindowLoss([(0.0, 20.0), (20.0, 120.0)]))

    References: Deistler et al. (2025), Nat Methods. doi:10.1038/s41592-025-02895-w (mean and standard deviation in two
    windows, over 8 and 4 mV)
    """

    unit: ClassVar[str] = "tolerances^2"
    targets: ClassVar[tuple[type, ...]] = (VoltageTrace,)
    mean: Float[Array, ""]
    std: Float[Array, ""]
    windows: float | tuple[tuple[float, float], ...] = eqx.field(static=True)

    def __init__(self, windows: float | Sequence[tuple[float, float]], *, mean: float = 8.0, std: float = 4.0):
        self.windows = _checked_windows(windows)
        self.mean = positive_number("mean", mean, "mV", 8.0)
        self.std = positive_number("std", std, "mV", 4.0)

    def __call__(self, solution: Solution, target: VoltageTrace) -> Float[Array, " two_n"]:
        start, stop = self._samples(target)
        # windows as rows of equal length: as many numbers as there are samples, if they are alike
        index = start[:, None] + np.arange(np.max(stop - start))[None]
        is_inside = index < stop[:, None]
        index = np.minimum(index, target.voltage.size - 1)
        is_compared = jnp.asarray(is_inside) if target.mask is None else is_inside & target.mask[index]
        model, data = (_moments(V[index], is_compared) for V in (target.recorded(solution), target.voltage))
        has_samples = jnp.any(is_compared, axis=1)
        # the mean over all windows becomes the mean over those that are compared
        weight = has_samples * jnp.sqrt(start.size / jnp.maximum(jnp.sum(has_samples), 1))
        return jnp.concatenate([weight * (model[0] - data[0]) / self.mean, weight * (model[1] - data[1]) / self.std])

    def _samples(self, target: VoltageTrace) -> tuple[np.ndarray, np.ndarray]:
        """First sample of each window, and the first one after it."""
        n, t0, dt = target.voltage.size, target.t0, target.dt
        if isinstance(self.windows, float):
            width = round(self.windows / dt)
            if not 1 <= width <= n:
                raise ValueError(
                    f"Argument `windows` must be a length between the sampling interval, {dt:g} ms, and that of the "
                    f"trace, {n * dt:g} ms, but is {self.windows:g}; use e.g. {n * dt / 2:g}."
                )
            start = width * np.arange(n // width)
            return start, np.append(start[1:], n)
        edges = np.ceil((np.array(self.windows) - t0) / dt - 1e-6).astype(int)
        for (low, high), (first, after) in zip(self.windows, edges, strict=True):
            if not 0 <= first < after <= n:
                raise ValueError(
                    f"Argument `windows` must hold samples of the trace, which runs from {t0:g} to {target.t1:g} ms in "
                    f"steps of {dt:g} ms, and lie within it, but has ({low:g}, {high:g}); move it."
                )
        return edges[:, 0], edges[:, 1]


def _checked_windows(windows: Any) -> float | tuple[tuple[float, float], ...]:
    try:
        array = np.asarray(windows, float)
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if array.ndim == 0 and 0 < array < np.inf:
        return float(array)
    if array.ndim == 2 and array.shape[1] == 2 and len(array) and np.all(np.isfinite(array)):
        if np.all(array[:, 0] < array[:, 1]):
            return tuple((float(low), float(high)) for low, high in array)
    raise ValueError(
        f"Argument `windows` must be a positive length [ms] or a list of (start, stop) [ms], start < stop, but is "
        f"{windows!r}; use e.g. 50.0 or [(0.0, 20.0), (20.0, 120.0)]."
    )


def _moments(V: Float[Array, "n width"], is_compared: Bool[Array, "n width"]) -> tuple[Array, Array]:
    """Mean and standard deviation of every row [mV]."""
    share = is_compared / jnp.maximum(jnp.sum(is_compared, axis=1, keepdims=True), 1)
    mean = jnp.sum(share * V, axis=1)
    variance = jnp.sum(share * (V - mean[:, None]) ** 2, axis=1)
    is_positive = variance > 0
    return mean, jnp.where(is_positive, jnp.sqrt(jnp.where(is_positive, variance, 1.0)), 0.0)


# The grid goes on for this many bandwidths beyond the data, where their density has fallen to 1 %.
_MARGIN = 3
# Bandwidths, as a share of the data's range: 20 of them in it tell a spike's up-stroke from its down-stroke.
_SHARE = 0.05
# Points of the trajectory to a sample: of spikes that are sampled every 0.1 ms, with 1 the loss ripples by 10 % of its
# descent to the optimum as samples move along the flanks, with 2 by 1 %, with 4 not at all.
_BETWEEN = 4
# A trace that hardly moves is taken to have this range [mV, mV/ms].
_LEAST_RANGE = 1.0


class PhasePlaneLoss(AbstractResiduals):
    """How differently two traces fill the plane of V and dV/dt: shapes of spikes and rests, whenever they come.

    loss = integral (rho - rho_data)^2 / integral rho_data^2        [1]
    rho(V, W) = mean over t of N(V - V(t); V_bandwidth) N(W - dV/dt(t); dV_bandwidth),   N: normal densities

    on a grid that spans the data and 3 bandwidths beyond. The loss is 1 where the model is nowhere near the data, and
    more where it stays long at some other place of the grid. It does not see when things happen, and it is flat far
    from the data: a term beside another loss.

    **Arguments:** `V_bandwidth` [mV] and `dV_bandwidth` [mV/ms], the widths (standard deviations) of the kernels, 5 %
    of the data's range if None, and never less than the grid's spacing; `n_grid`, its points on either axis.

    V and dV/dt are those halfway between samples, and 4 points between these: a fast flank of a few samples would be
    separate spots of the plane. Of a target with a mask only points between three compared samples count.
    Memory: 8 n_grid numbers for every sample. In the squares rests, where the trace stays, outweigh spikes.

    **Raises:** ValueError for bandwidths that are not positive, a grid of fewer than 10 points or a trace of 2 samples.

    >>> Joint({"step": target}, losses={"step": PhasePlaneLoss()})

    References: LeMasson & Maex (2001), in De Schutter (ed.), Computational Neuroscience: Realistic Modeling for
    Experimentalists, CRC Press, p. 1; Van Geit, Achard & De Schutter (2007), Front Neuroinform 1:1.
    doi:10.3389/neuro.11.001.2007 (a histogram, which has no derivative, where this has kernels)
    """

    unit: ClassVar[str] = "1"
    targets: ClassVar[tuple[type, ...]] = (VoltageTrace,)
    V_bandwidth: Float[Array, ""] | None
    dV_bandwidth: Float[Array, ""] | None
    n_grid: int = eqx.field(static=True)

    def __init__(self, V_bandwidth: float | None = None, dV_bandwidth: float | None = None, *, n_grid: int = 40):
        widths = {"V_bandwidth": (V_bandwidth, "mV", 3.0), "dV_bandwidth": (dV_bandwidth, "mV/ms", 20.0)}
        self.V_bandwidth, self.dV_bandwidth = (
            None if width is None else positive_number(name, width, unit, example)
            for name, (width, unit, example) in widths.items()
        )
        if not isinstance(n_grid, int | np.integer) or n_grid < 10:
            raise ValueError(f"Argument `n_grid` must be a whole number of at least 10, but is {n_grid}; use e.g. 40.")
        self.n_grid = int(n_grid)

    def __call__(self, solution: Solution, target: VoltageTrace) -> Float[Array, " n"]:
        if target.voltage.size < 3:
            raise ValueError("Argument `target` must have 3 samples or more, but has 2; give a longer trace.")
        mask = jnp.ones(target.voltage.size, bool) if target.mask is None else target.mask
        is_compared = jnp.repeat(mask[2:] & mask[1:-1] & mask[:-2], _BETWEEN)
        share = is_compared / jnp.maximum(jnp.sum(is_compared), 1)
        widths = (self.V_bandwidth, self.dV_bandwidth)
        data, model = (_trajectory(V, target.dt) for V in (target.voltage, target.recorded(solution)))
        axes = [self._axis(x, share, width) for x, width in zip(data, widths, strict=True)]
        of_data, of_model = (_density(*trajectory, *axes, share) for trajectory in (data, model))
        square = jnp.mean(of_data**2)
        has_data = square > 0
        return jnp.where(has_data, of_model - of_data, 0.0).ravel() / jnp.sqrt(jnp.where(has_data, square, 1.0))

    def _axis(self, x: Float[Array, " n"], share: Float[Array, " n"], width: Array | None) -> tuple[Array, Array]:
        """Points of the grid, in units of the bandwidth, and the bandwidth."""
        compared = jnp.where(share > 0, x, jnp.sum(share * x))
        low, high = jnp.min(compared), jnp.max(compared)
        span = jnp.maximum(high - low, _LEAST_RANGE)
        width = _SHARE * span if width is None else width
        width = jnp.maximum(width, span / (self.n_grid - 1 - 2 * _MARGIN))  # the spacing is then at most as large
        margin = _MARGIN * width
        return jnp.linspace(low - margin, high + margin, self.n_grid) / width, width


def _trajectory(V: Float[Array, " n_time"], dt: float) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """V [mV] and dV/dt [mV/ms] at even points, `_BETWEEN` to a sample."""
    later = (np.arange(_BETWEEN) + 0.5)[None] / _BETWEEN

    def between(x: Float[Array, " n_pair"]) -> Float[Array, " n"]:
        return ((1 - later) * x[:-1, None] + later * x[1:, None]).ravel()

    return between((V[1:] + V[:-1]) / 2), between((V[1:] - V[:-1]) / dt)


def _density(
    V: Float[Array, " n"],
    dV: Float[Array, " n"],
    V_axis: tuple[Array, Array],
    dV_axis: tuple[Array, Array],
    share: Float[Array, " n"],
) -> Float[Array, "n_grid n_grid"]:
    """Density of a trajectory on the grid, up to a factor: both kernels apart make one matrix product."""
    at_V, at_dV = (
        jnp.exp(-0.5 * (points[:, None] - (x / width)[None]) ** 2)
        for x, (points, width) in ((V, V_axis), (dV, dV_axis))
    )
    # in full precision also where an accelerator would round the factors: differences of densities are wanted
    return jnp.matmul(at_V * share[None], at_dV.T, precision=lax.Precision.HIGHEST)


class SoftDTW(AbstractNumber):
    """Mean distance of two traces along the best ways to align them in time: spikes may come early or late.

    loss = (L(x, y) - L(x, x) / 2 - L(y, y) / 2) / n        [mV]
    L(x, y) = -gamma ln sum over alignments of exp(-sum over their pairs (i, j) of c_ij / gamma)
    c_ij = Phi_ij + gamma ln(2 - exp(-Phi_ij / gamma))
    Phi_ij = sqrt(gamma^2 + (x_i - y_j)^2) - gamma + penalty |t_i - t_j|

    x and y are model and data at n times, one every `stride` ms: the mean over `pool` ms around it of the maxima over
    `pool` ms. An alignment goes from the first pair to the last by steps of one in i, in j, or in both. With gamma -> 0
    it is the best one alone, the classical dynamic time warping with the distance |x_i - y_j|; c is
    (x_i - y_j)^2 / gamma where that is small.

    **Arguments:** `gamma` [mV], what differences in voltage count little, and how far from the best an alignment still
    counts; `pool` and `stride` [ms], both rounded to whole samples; `penalty` [mV/ms], what a shift in time costs per
    pair.

    The loss is >= 0, and 0 for equal x and y alone, for every gamma: exp(-c / gamma) = k / (2 - k) with the positive
    definite kernel k = exp(-Phi / gamma), for which the sum over alignments is one too, and Cauchy-Schwarz does the
    rest. Maxima keep the height of a spike at a coarse stride; the lowest voltages are seen less well. The loss ripples
    as spikes pass from one time to the next: hardly if their flanks, which the mean makes `pool` ms long, hold four or
    more of these, much if only one. Samples that the target's mask leaves out count as predicted: there the model has
    the data's.

    It takes (T / stride)^2 time and, with derivatives, memory, and 2 T / stride steps one after another. Its derivative
    is that of the expected alignment, found by one pass backwards, also in forward mode and for any number of
    directions.

    **Raises:** ValueError for arguments that are not positive (`penalty`: negative).

    >>> fit(model, target, free={"na.g_max": (10.0, 200.0)}, loss=SoftDTW(penalty=0.5))

    References: Cuturi & Blondel (2017), ICML, arXiv:1703.01541; Blondel, Mensch & Vert (2021), AISTATS,
    arXiv:2010.08354 (the terms L(x, x) and L(y, y)); Cuturi, Vert, Birkenes & Matsui (2007), ICASSP 2:413.
    doi:10.1109/ICASSP.2007.366260 (which kernels are positive definite)
    """

    unit: ClassVar[str] = "mV"
    targets: ClassVar[tuple[type, ...]] = (VoltageTrace,)
    gamma: Float[Array, ""]
    penalty: Float[Array, ""]
    pool: float = eqx.field(static=True)
    stride: float = eqx.field(static=True)

    def __init__(self, gamma: float = 20.0, *, pool: float = 1.0, stride: float = 0.25, penalty: float = 0.0):
        self.gamma = positive_number("gamma", gamma, "mV", 20.0)
        self.penalty = positive_number("penalty", penalty, "mV/ms", 0.5, is_open=False)
        self.pool = float(positive_number("pool", pool, "ms", 1.0))
        self.stride = float(positive_number("stride", stride, "ms", 0.25))

    def __call__(self, solution: Solution, target: VoltageTrace) -> Float[Array, ""]:
        V = target.recorded(solution)
        V = V if target.mask is None else jnp.where(target.mask, V, target.voltage)
        step = max(1, round(self.stride / target.dt))
        width = min(max(1, round(self.pool / target.dt)), V.size)
        x, y = (_pooled(trace, width, step) for trace in (V, target.voltage))
        return _divergence(x, y, self.gamma, self.penalty * step * target.dt) / x.size


def _pooled(V: Float[Array, " n_time"], width: int, step: int) -> Float[Array, " n"]:
    """Means of maxima, both of `width` samples around a sample, for every `step`-th one."""

    def around(centres: np.ndarray) -> np.ndarray:
        # beyond the ends the first and the last sample go on
        return np.clip(centres[:, None] + np.arange(width)[None] - width // 2, 0, V.size - 1)

    maxima = jnp.max(V[around(np.arange(V.size))], axis=1)
    return jnp.mean(maxima[around(np.arange(0, V.size, step))], axis=1)


@jax.custom_jvp
def _divergence(x: Array, y: Array, gamma: Array, per_step: Array) -> Float[Array, ""]:
    """L(x, y) - L(x, x) / 2 - L(y, y) / 2 [mV]; `per_step`: penalty for each step that a pair is apart [mV]."""
    return _unpaired(x, y, gamma, per_step)


@_divergence.defjvp
def _divergence_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """All slopes by one pass backwards, which is the expected alignment: it does not depend on the direction."""
    value, slopes = jax.value_and_grad(_unpaired, argnums=(0, 1, 2, 3))(*primals)
    return value, sum(jnp.vdot(slope, tangent) for slope, tangent in zip(slopes, tangents, strict=True))


def _unpaired(x: Float[Array, " n"], y: Float[Array, " n"], gamma: Array, per_step: Array) -> Float[Array, ""]:
    a, b = jnp.stack([x, x, y]), jnp.stack([y, x, y])
    both, own_x, own_y = jax.vmap(_soft_dtw, (0, 0, None, None))(a, b, gamma, per_step)
    return both - (own_x + own_y) / 2


# Stands for an infinite cost [mV] outside of the square of pairs: its weight is 0 all the same, and so are its
# derivatives, which of an infinity are NaN. Far above any sum of voltages, and its square is finite in float32.
_FAR = 1e12


def _soft_dtw(x: Float[Array, " n"], y: Float[Array, " n"], gamma: Array, per_step: Array) -> Float[Array, ""]:
    """L(x, y) by R_ij = c_ij + softmin(R_{i-1,j}, R_{i,j-1}, R_{i-1,j-1}), one anti-diagonal i + j = k at a time."""
    n = x.size
    i = jnp.arange(n)
    backwards = jnp.pad(y[::-1], n - 1)  # y_{k-i} for all i is a slice of it

    def step(diagonals: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], None]:
        before, last = diagonals  # of k - 2 and k - 1, by i
        j = k - i
        distance = x - lax.dynamic_slice(backwards, (2 * n - 2 - k,), (n,))
        cost = _cost(distance, per_step * jnp.abs(i - j), gamma)
        least = _softmin(jnp.stack([_shifted(last), last, _shifted(before)]), gamma)
        here = jnp.where((j >= 0) & (j < n), cost + jnp.where(k == 0, 0.0, least), _FAR)
        return (last, here), None

    nothing = jnp.full_like(x, _FAR)
    # a step's intermediates are computed anew on the way back, so that only its diagonals are kept
    body = jax.checkpoint(step, prevent_cse=False)
    (_, last), _ = lax.scan(body, (nothing, nothing), jnp.arange(2 * n - 1))
    return last[-1]


def _shifted(diagonal: Float[Array, " n"]) -> Float[Array, " n"]:
    """The entry of i - 1 at i."""
    return jnp.concatenate([jnp.full_like(diagonal[:1], _FAR), diagonal[:-1]])


def _cost(distance: Float[Array, " n"], penalty: Float[Array, " n"], gamma: Array) -> Float[Array, " n"]:
    """c of a pair [mV]; the root less one without cancellation."""
    square = (distance / gamma) ** 2
    phi = square / (1 + jnp.sqrt(1 + square)) + penalty / gamma
    return gamma * (phi + jnp.log1p(-jnp.expm1(-phi)))


def _softmin(costs: Float[Array, "3 n"], gamma: Array) -> Float[Array, " n"]:
    least = lax.stop_gradient(jnp.min(costs, axis=0))
    return least - gamma * jnp.log(jnp.sum(jnp.exp(-(costs - least[None]) / gamma), axis=0))
