"""The upstroke of models whose voltage blows up, in a coordinate in which it is nearly a straight line.

Where V' = sharp(V) + rest(V) and sharp grows without bound, one step in V is wrong by far more than its order says. A
coordinate x(V) that falls with V as dx/dV = -steepness(x), chosen so that sharp(V) steepness(x) is a constant k, makes
it x' = -(k + rest steepness): a line that runs through x(V_peak) and on beyond at the speed k.
"""

import abc
import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro.models._base import rk4_flow
from jaxneuro.numerics import exp

__all__ = ["AbstractUpstroke", "ExponentialUpstroke", "Linear", "QuadraticUpstroke", "upstroke_flow", "upstroke_time"]

# e^(this), of a voltage below the start of the upstroke that a step too long throws far beyond it: still a float32
_LARGEST_EXPONENT = 25.0


class AbstractUpstroke(eqx.Module):
    """The coordinate x of voltages from `start` [mV] on, and how fast x falls, `k` [1/ms] (the unit of x times)."""

    k: eqx.AbstractVar[Float[Array, ""]]
    start: eqx.AbstractVar[Float[Array, ""]]
    V_peak: eqx.AbstractVar[Float[Array, ""]]

    @abc.abstractmethod
    def coordinate(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """x of a voltage between `start` and V_peak."""

    @abc.abstractmethod
    def inverse(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """The voltage [mV] of x, down to that of V_peak."""

    @abc.abstractmethod
    def steepness(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """-dx/dV [1/mV]."""

    @abc.abstractmethod
    def sharp(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """The part of V' that grows without bound [mV/ms], at a voltage below `start`."""

    @property
    @abc.abstractmethod
    def unit(self) -> Float[Array, ""]:
        """Change of voltage with x at `start` [mV]: in it the gap to the peak is a voltage."""

    @abc.abstractmethod
    def antiderivatives(self, x: Float[Array, "*c"]) -> tuple[Float[Array, "*c"], Float[Array, "*c"]]:
        """Integrals over x of the voltage, and of voltage times steepness."""

    def voltage(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """The voltage of any x [mV]; a line beyond the peak, where only trial steps come."""
        x_peak = self.coordinate(self.V_peak)
        is_beyond = x <= x_peak
        return jnp.where(is_beyond, self.V_peak + self.unit * (x_peak - x), self.inverse(jnp.where(is_beyond, 1.0, x)))

    def gap(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """Distance to the peak [mV], counted in x from `start` on, so that it grows evenly along the upstroke."""
        x_peak = self.coordinate(self.V_peak)
        x = self.coordinate(jnp.clip(V, self.start, self.V_peak))
        below = jnp.minimum(V - self.start, 0.0)
        above = jnp.maximum(V - self.V_peak, 0.0)
        return below + self.unit * (x_peak - x) + above


class ExponentialUpstroke(AbstractUpstroke):
    """x = exp(-(V - V_T) / Delta_T) from V_T on, for V' = k Delta_T exp((V - V_T) / Delta_T) + rest."""

    k: Float[Array, ""]
    start: Float[Array, ""]
    V_peak: Float[Array, ""]
    Delta_T: Float[Array, ""]

    def coordinate(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return exp(-(V - self.start) / self.Delta_T)

    def inverse(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return self.start - self.Delta_T * jnp.log(x)

    def steepness(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return x / self.Delta_T

    def sharp(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        exponent = jnp.minimum((V - self.start) / self.Delta_T, _LARGEST_EXPONENT)
        return self.k * self.Delta_T * exp(exponent)

    def antiderivatives(self, x: Float[Array, "*c"]) -> tuple[Float[Array, "*c"], Float[Array, "*c"]]:
        log = jnp.log(x)
        area = self.start * x - self.Delta_T * (x * log - x)
        return area, x * x * (0.5 * self.start / self.Delta_T - (0.5 * log - 0.25))

    @property
    def unit(self) -> Float[Array, ""]:
        return self.Delta_T


class QuadraticUpstroke(AbstractUpstroke):
    """x = 1 / (V - V_mid) from `start` > V_mid on, for V' = k (V - V_mid)^2 + rest."""

    k: Float[Array, ""]
    start: Float[Array, ""]
    V_peak: Float[Array, ""]
    V_mid: Float[Array, ""]

    def coordinate(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return 1 / (V - self.V_mid)

    def inverse(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return self.V_mid + 1 / x

    def steepness(self, x: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return x * x

    def sharp(self, V: Float[Array, "*c"]) -> Float[Array, "*c"]:
        return self.k * (V - self.V_mid) ** 2

    def antiderivatives(self, x: Float[Array, "*c"]) -> tuple[Float[Array, "*c"], Float[Array, "*c"]]:
        return self.V_mid * x + jnp.log(x), x * x * (self.V_mid * x / 3 + 0.5)

    @property
    def unit(self) -> Float[Array, ""]:
        return (self.start - self.V_mid) ** 2


class Linear(NamedTuple):
    """constant + V * per_V + w * per_w, in [mV/ms] for V' and the unit of w per ms for w'."""

    constant: Float[Array, "*c"]
    per_V: Float[Array, "*c"]
    per_w: Float[Array, "*c"]

    def __call__(self, V: Float[Array, "*c"], w: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """Its value at V and w."""
        return self.constant + self.per_V * V + self.per_w * w


class _Moving(NamedTuple):
    """x in the upstroke and V below it; the recovery variable; integral of V over time."""

    x: Float[Array, "*c"]
    w: Float[Array, "*c"]
    area: Float[Array, "*c"]


def upstroke_flow(
    upstroke: AbstractUpstroke,
    V: Float[Array, "*c"],
    w: Float[Array, "*c"],
    h: Float[Array, "*c"],
    rest: Linear,
    recovery: Linear,
) -> tuple[Float[Array, "*c"], Float[Array, "*c"]]:
    """V and w a time h [ms] later by one RK4 step, of V' = sharp(V) + rest(V, w) and w' = recovery(V, w).

    Where V is in the upstroke at the start, in its coordinate x. There V, though not x, still runs away at the end of
    the spike, where no polynomial follows it: in the last steps x and w are corrected by what `_passage` finds.
    """
    is_up = V >= upstroke.start
    x = upstroke.coordinate(jnp.where(is_up, jnp.minimum(V, upstroke.V_peak), upstroke.start))

    def voltage(x: Array) -> Array:
        return jnp.where(is_up, upstroke.voltage(jnp.where(is_up, x, 1.0)), x)

    def field(y: _Moving) -> _Moving:
        V = voltage(y.x)
        slow = rest(V, y.w)
        falling = upstroke.k + slow * upstroke.steepness(jnp.where(is_up, y.x, 0.0))
        rising = slow + upstroke.sharp(jnp.where(is_up, upstroke.start, y.x))
        return _Moving(jnp.where(is_up, -falling, rising), recovery(V, y.w), V)

    start = _Moving(jnp.where(is_up, x, V), w, jnp.zeros_like(V))
    end = rk4_flow(field, start, _Moving(h, h, h))
    is_last = is_up & (x - end.x > _LAST * x)
    x_end = jnp.where(is_last, end.x, 0.5 * x)
    slope = field(end)
    course = _cubic((w, end.w), (h * field(start).w, h * slope.w))
    time, area = _passage(upstroke, (x, x_end), rest, course)
    late = jnp.where(is_last, time - h, 0.0)
    lacking = jnp.where(is_last, area - upstroke.voltage(x_end) * late - end.area, 0.0)
    return voltage(end.x - late * slope.x), end.w + recovery.per_V * lacking


# Share of x that a step must cover to be corrected; below it RK4 is right to 1e-8.
_LAST = 0.25
_GAUSS = tuple(zip((0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15)), (5 / 18, 8 / 18, 5 / 18), strict=True))


def _cubic(ends: tuple[Array, Array], slopes: tuple[Array, Array]) -> Callable[[float], Array]:
    """The cubic in u from 0 to 1 with these values and slopes."""
    rise = ends[1] - ends[0]
    return lambda u: ends[0] + u * rise + u * (1 - u) * ((1 - u) * (slopes[0] - rise) - u * (slopes[1] - rise))


def _passage(
    upstroke: AbstractUpstroke, xs: tuple[Array, Array], rest: Linear, w: Callable[[float], Array]
) -> tuple[Float[Array, "*c"], Float[Array, "*c"]]:
    """Time in which x falls from one value to another, and integral of V over it; w is a function of the share of the
    way.

    Over x instead of time, dt = dx / (k + rest steepness): in closed form where V runs away, at the speed k and for
    what `rest` has of V, and by Gauss' rule for the difference.
    """
    x0, x_peak = xs[0], upstroke.coordinate(upstroke.V_peak)
    x1 = jnp.maximum(xs[1], x_peak)
    (area, moment), ends = upstroke.antiderivatives(x0), upstroke.antiderivatives(x1)
    area, moment = area - ends[0], moment - ends[1]
    path = x0 - x1 - moment * rest.per_V / upstroke.k
    for u, weight in _GAUSS:
        x = x0 + u * (x1 - x0)
        V, steepness = upstroke.inverse(x), upstroke.steepness(x)
        slow = rest(V, w(u)) * steepness
        share = slow / (upstroke.k + slow)
        path = path - weight * (x0 - x1) * (share - rest.per_V * V * steepness / upstroke.k)
        area = area - weight * (x0 - x1) * V * share
    beyond = x1 - xs[1]
    return (path + beyond) / upstroke.k, (area + beyond * upstroke.V_peak) / upstroke.k


# Panels and nodes of the quadrature of a period; they crowd where V' is least.
_PANELS, _NODES = 24, 12


def upstroke_time(
    upstroke: AbstractUpstroke, V_start: Float[Array, ""], rest: Callable[[Array], Array]
) -> Float[Array, "*c"]:
    """Time [ms] from V_start to V_peak of V' = sharp(V) + rest(V), where V' > 0 throughout; rest takes voltages in a
    last axis.

    By Gauss-Legendre quadrature of dV / V' below the start of the upstroke and of dx / x' in it.
    """
    middle = jnp.maximum(upstroke.start, V_start)
    low = _quadrature(lambda V: 1 / (upstroke.sharp(V) + rest(V)), V_start, middle)

    def falling(x: Array) -> Array:
        return 1 / (upstroke.k + rest(upstroke.voltage(x)) * upstroke.steepness(x))

    return low + _quadrature(falling, upstroke.coordinate(upstroke.V_peak), upstroke.coordinate(middle))


def _quadrature(f: Callable[[Array], Array], a: Float[Array, ""], b: Float[Array, ""]) -> Float[Array, "*c"]:
    """Integral of f from a to b, with panels that shrink towards both ends."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    edges = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, _PANELS + 1))
    at = (edges[:-1, None] + np.diff(edges)[:, None] * 0.5 * (nodes + 1)).ravel()
    share = (np.diff(edges)[:, None] * 0.5 * weights).ravel()
    return jnp.sum(f(a + (b - a) * at) * share, axis=-1) * (b - a)
