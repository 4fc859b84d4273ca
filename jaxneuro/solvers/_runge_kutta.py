"""Explicit Runge-Kutta methods, from their tableaus."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxneuro.compilation import HAS_JAXLIB_012
from jaxneuro.solvers._one_step import AbstractOneStep

__all__ = ["RK4", "AbstractRungeKutta", "Euler", "Heun", "Tsit5"]

# Fused into one kernel, the stages of a method are computed several times over, and too large to be vectorised.
# Barriers between them (4 times faster on Hodgkin-Huxley) need jaxlib 0.12; before, only a loop separates stages.
_KEEPS_BARRIERS = HAS_JAXLIB_012


class AbstractRungeKutta(AbstractOneStep):
    """y_i = y + h sum_j a_ij k_j,  k_i = f(t + c_i h, y_i),  y' = y + h sum_i b_i k_i, without error control."""

    a: ClassVar[tuple[tuple[float, ...], ...]]
    b: ClassVar[tuple[float, ...]]
    stability: ClassVar[float]
    """Length of the stable interval on the negative real axis: |dy'/dy| h must be below it."""

    def advance(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        if self.needs_last_slope_only and not _KEEPS_BARRIERS:
            return self._looped(terms, t0, t1, y0, args)
        return self.combined(y0, t1 - t0, self.slopes(terms, t0, t1, y0, args))

    @property
    def needs_last_slope_only(self) -> bool:
        """Whether no stage uses a slope before the last."""
        return len(self.b) > 1 and not any(any(row[:-1]) for row in self.a)

    def _looped(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        """`advance` with the stages as a loop, for methods whose stages need the last slope alone."""
        h = t1 - t0
        last = [row[-1] for row in self.a]
        table = jnp.asarray(np.array([[0.0, *last], [*last, 0.0], self.b]), jnp.result_type(h))

        def stage(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            y, total = carry
            c, shift, weight = table[:, i] * h
            k = terms.vf(t0 + c, y, args)
            total = jax.tree.map(lambda x, dx: x + weight * dx, total, k)
            return jax.tree.map(lambda x, dx: x + shift * dx, y0, k), total

        return jax.lax.fori_loop(0, len(self.b), stage, (y0, y0))[1]

    def slopes(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, *, first: Any = None) -> list[Any]:
        """The k_i; `first`, k_1 where it is known."""
        h = t1 - t0
        first = terms.vf(t0, y0, args) if first is None else first
        if self.a and not _KEEPS_BARRIERS:
            return self._looped_slopes(terms, t0, h, y0, args, first)
        ks = [first]
        for row in self.a:
            y = jax.lax.optimization_barrier(_combined(y0, h, row, ks))
            ks.append(terms.vf(t0 + sum(row) * h, y, args))
        return ks

    def _looped_slopes(self, terms: Any, t0: Any, h: Any, y0: Any, args: Any, first: Any) -> list[Any]:
        n = len(self.b)
        table = jnp.asarray(np.array([[0.0] * n] + [[*row, *[0.0] * (n - len(row))] for row in self.a]), h.dtype)
        ks = jax.tree.map(lambda k: jnp.zeros((n, *k.shape), k.dtype).at[0].set(k), first)

        def stage(i: Any, ks: Any) -> Any:
            def leaf(x: Any, k: Any) -> Any:
                return x + h * jnp.sum(table[i].reshape(n, *(1,) * x.ndim) * k, axis=0)

            k = terms.vf(t0 + jnp.sum(table[i]) * h, jax.tree.map(leaf, y0, ks), args)
            return jax.tree.map(lambda rows, row: rows.at[i].set(row), ks, k)

        ks = jax.lax.fori_loop(1, n, stage, ks)
        return [jax.tree.map(lambda rows, i=i: rows[i], ks) for i in range(n)]

    def combined(self, y0: Any, h: Any, ks: list[Any]) -> Any:
        """State at the end of a step."""
        return _combined(y0, h, self.b, ks)


def _combined(y: Any, h: Any, weights: tuple[float, ...], ks: list[Any]) -> Any:
    used = [(w, k) for w, k in zip(weights, ks, strict=True) if w]

    def leaf(x: Any, *slopes: Any) -> Any:
        return x + h * sum(w * slope for (w, _), slope in zip(used, slopes, strict=True))

    return jax.tree.map(leaf, y, *(k for _, k in used))


class Euler(AbstractRungeKutta):
    """Forward Euler method, first order: y' = y + h f(t, y). Stable on Hodgkin-Huxley for dt max(g)/C_m < 2.

    On Hodgkin-Huxley at dt = 0.01 ms use ExponentialStrang instead, which costs twice as much and is 100 times closer.

    References: Euler (1768), Institutiones calculi integralis.
    """

    a: ClassVar = ()
    b: ClassVar = (1.0,)
    stability: ClassVar = 2.0

    def order(self, terms: Any) -> int:
        return 1


class Heun(AbstractRungeKutta):
    """Heun's method, second order, two evaluations. Stable on Hodgkin-Huxley for dt max(g)/C_m < 2.

    References: Heun (1900), Z Math Phys 45:23.
    """

    a: ClassVar = ((1.0,),)
    b: ClassVar = (0.5, 0.5)
    stability: ClassVar = 2.0

    def order(self, terms: Any) -> int:
        return 2


class RK4(AbstractRungeKutta):
    """Classical fourth-order Runge-Kutta method, four evaluations.

    Stable on Hodgkin-Huxley only for dt max(g)/C_m < 2.78: at most 0.025 ms with its default conductances.

    References: Kutta (1901), Z Math Phys 46:435.
    """

    a: ClassVar = ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0))
    b: ClassVar = (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    stability: ClassVar = 2.78

    def order(self, terms: Any) -> int:
        return 4


class Tsit5(AbstractRungeKutta):
    """Tsitouras' fifth-order method, six evaluations; with error control, the method of `Adaptive`.

    Stable on Hodgkin-Huxley for dt max(g)/C_m < 3.5.

    References: Tsitouras (2011), Comput Math Appl 62:770. doi:10.1016/j.camwa.2011.06.002
    """

    a: ClassVar = (
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    )
    b: ClassVar = (
        0.09646076681806523,
        0.01,
        0.4798896504144996,
        1.379008574103742,
        -3.290069515436081,
        2.324710524099774,
    )
    error: ClassVar = (
        -0.0017800110522257714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        1 / 66,
    )
    """Weights of the six slopes and of that at the end in the difference to the embedded fourth-order method."""
    stability: ClassVar = 3.5

    def order(self, terms: Any) -> int:
        return 5
