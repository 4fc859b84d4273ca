"""Explicit Runge-Kutta methods, from their tableaus."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxneuro.fusion import separated
from jaxneuro.solvers._one_step import AbstractOneStep

__all__ = ["RK4", "AbstractRungeKutta", "Euler", "Heun", "Tsit5"]


class AbstractRungeKutta(AbstractOneStep):
    """y_i = y + h sum_j a_ij k_j,  k_i = f(t + c_i h, y_i),  y' = y + h sum_i b_i k_i, without error control."""

    a: ClassVar[tuple[tuple[float, ...], ...]]
    b: ClassVar[tuple[float, ...]]
    stability: ClassVar[float]
    """Length of the stable interval on the negative real axis: |dy'/dy| h must be below it."""

    def advance(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        if any(any(row[:-1]) for row in self.a):
            return self.combined(y0, t1 - t0, self.slopes(terms, t0, t1, y0, args))
        return self._by_states(terms, t0, t1 - t0, y0, args)

    def _by_states(self, terms: Any, t0: Any, h: Any, y0: Any, args: Any) -> Any:
        """`advance` where each stage needs the last slope alone: h k_i = (y_{i+1} - y) / a_{i+1,i}, so that no slope is
        stored and every stage is one loop over the lanes."""
        shifts = [row[-1] for row in self.a]
        starts = [0.0, *shifts]
        y, moved = y0, []
        for start, shift in zip(starts, shifts, strict=False):
            k = terms.vf(t0 + start * h, y, args)
            y = separated(jax.tree.map(lambda x, dx, a=shift: x + a * h * dx, y0, k))
            moved.append(y)
        k = terms.vf(t0 + starts[-1] * h, y, args)
        weights = [b / a for b, a in zip(self.b, shifts, strict=False)]

        def leaf(x: Any, dx: Any, *stages: Any) -> Any:
            return x + sum((w * (stage - x) for w, stage in zip(weights, stages, strict=True)), self.b[-1] * h * dx)

        return jax.tree.map(leaf, y0, k, *moved)

    def slopes(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, *, first: Any = None) -> list[Any]:
        """The k_i, each computed once and not anew in every later stage; `first`, k_1 where it is known."""
        h = t1 - t0
        first = terms.vf(t0, y0, args) if first is None else first
        ks = [first]
        for row in self.a:
            y = separated(_combined(y0, h, row, ks))
            ks.append(separated(terms.vf(t0 + sum(row) * h, y, args)))
        return ks

    def advance_in_loop(self, terms: Any, t0: Any, h: Any, y0: Any, args: Any) -> Any:
        """`advance` in a loop over the stages, so that the model is compiled once instead of once per stage; over many
        lanes it runs slower."""
        a = np.zeros((len(self.b), len(self.b)))
        for i, row in enumerate(self.a, start=1):
            a[i, : len(row)] = row

        def moved(weights: Any, ks: Any) -> Any:
            return jax.tree.map(lambda x, k: x + h * jnp.tensordot(weights.astype(x.dtype), k, 1), y0, ks)

        def stage(ks: Any, at: tuple) -> tuple[Any, None]:
            i, row, c = at
            k = terms.vf(t0 + c * h, moved(row, ks), args)
            return jax.tree.map(lambda rows, x: rows.at[i].set(x), ks, k), None

        unknown = jax.tree.map(lambda x: jnp.zeros((len(self.b), *x.shape), x.dtype), y0)
        ks, _ = jax.lax.scan(stage, unknown, (np.arange(len(self.b)), a, a.sum(axis=1)))
        return moved(np.asarray(self.b), ks)

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
    dense: ClassVar = (
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.1317, -0.2234, 0.1017),
        (0.0, 3.930296236894751, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.338188630282318, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479368, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    )
    """Weights of the same seven slopes in the coefficients of u to u^4 of the fourth-order course within a step, u from
    0 to 1."""
    stability: ClassVar = 3.5

    def order(self, terms: Any) -> int:
        return 5

    def course(self, h: Any, slopes: list[Array]) -> list[Array]:
        """What a step of length h adds to one variable, from its seven slopes: the coefficients of u to u^4."""
        columns = zip(*self.dense, strict=True)
        return [h * sum(w * k for w, k in zip(column, slopes, strict=True) if w) for column in columns]
