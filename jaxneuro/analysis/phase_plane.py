"""Phase planes of models with two variables: field, nullclines, fixed points and a trajectory."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro._simulate import simulate
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import safe_divide

__all__ = ["FixedPoint", "PhasePlane", "phase_plane"]

# Longest Newton step, as a share of the window: no start leaps over a fixed point beside it.
_MAX_STEP = 0.1
# Towards a triple root a step gains only a factor of 2/3: (2/3)^60 = 3e-11 of the window.
_N_NEWTON = 60


class FixedPoint(NamedTuple):
    """A state that does not move, and what becomes of small deviations from it.

    `V`, `w`: first and second variable. `jacobian` of the right-hand side there [per ms], shape
    (2, 2), its `eigenvalues`, shape (2,), `trace` and `determinant`. `stability`: "stable node",
    "stable spiral", "unstable node", "unstable spiral", "saddle", "centre" (imaginary eigenvalues)
    or "degenerate" (an eigenvalue is zero); in the last two the linear part does not decide.
    """

    V: float
    w: float
    jacobian: np.ndarray
    eigenvalues: np.ndarray
    trace: float
    determinant: float
    stability: str


@dataclasses.dataclass(frozen=True)
class PhasePlane:
    """Phase plane of `model` at the constant input `i_app`; made by `phase_plane`.

    `V`, `w`: grid of the first and second variable, which the model calls `names`. `dV`, `dw`:
    their derivatives [per ms], element [i, j] at w[i], V[j]. `V_nullcline`, `w_nullcline`:
    polylines, each (n, 2), on which dV/dt or dw/dt is zero. `trajectory`: (V, w) at the times `ts`
    [ms]. `fixed_points`: those inside the window, in order of V.
    """

    model: AbstractModel
    i_app: float
    names: tuple[str, str]
    V: Float[np.ndarray, " n_grid"]
    w: Float[np.ndarray, " n_grid"]
    dV: Float[np.ndarray, "n_grid n_grid"]
    dw: Float[np.ndarray, "n_grid n_grid"]
    V_nullcline: list[np.ndarray]
    w_nullcline: list[np.ndarray]
    ts: Float[np.ndarray, " n_time"]
    trajectory: Float[np.ndarray, "n_time 2"]
    fixed_points: list[FixedPoint]

    def plot(self, axes: Any = None) -> Any:
        """Draw it; returns the matplotlib axes."""
        from jaxneuro.plot import plot_phase_plane

        return plot_phase_plane(self, axes)


def phase_plane(
    model: AbstractModel,
    i_app: float = 0.0,
    *,
    V_range: tuple[float, float] = (-2.5, 2.5),
    w_range: tuple[float, float] = (-1.5, 2.5),
    y0: Any = None,
    t1: float = 200.0,
    n_grid: int = 101,
) -> PhasePlane:
    """Phase plane of a model with two variables at a constant input.

    **Arguments:**

    - `model`: a model whose state has exactly two scalars, such as FitzHughNagumo().
    - `i_app`: constant input, in the model's input unit.
    - `V_range`, `w_range`: window of the first and second variable, in their units; the defaults
      suit FitzHughNagumo.
    - `y0`: where the trajectory starts, a state or a pair (V, w); `model.init_state()` if None.
    - `t1`: length of the trajectory [ms].
    - `n_grid`: points along each side of the grid of the field and the nullclines.

    Fixed points are sought by Newton's method from every point of the grid; two that lie closer
    together than 6e-6 of the window (0.005 in float32) count as one.

    **Raises:** ValueError for a model without exactly two scalar variables and for bad ranges.

    >>> phase_plane(FitzHughNagumo(), i_app=0.5).fixed_points[0].stability
    'unstable spiral'

    References: Rinzel & Ermentrout (1998), in Koch & Segev, Methods in Neuronal Modeling, ch. 7.
    """
    names = _names(model)
    i_app = _number("i_app", i_app)
    V_range, w_range = _window("V_range", V_range), _window("w_range", w_range)
    if isinstance(n_grid, bool) or not isinstance(n_grid, int) or n_grid < 3:
        raise ValueError(f"Argument `n_grid` must be a whole number of at least 3, but is {n_grid!r}; use 101.")
    solution = simulate(model, i_app, t1=t1, y0=None if y0 is None else _state(model, y0))
    V, w = np.linspace(*V_range, n_grid), np.linspace(*w_range, n_grid)
    field, candidates = _field_and_candidates(model, jnp.asarray(i_app), V, w)
    dV, dw = np.moveaxis(np.asarray(field), -1, 0)
    return PhasePlane(
        model=model,
        i_app=i_app,
        names=names,
        V=V,
        w=w,
        dV=dV,
        dw=dw,
        V_nullcline=_nullcline(model, i_app, (V, w, dV), 0),
        w_nullcline=_nullcline(model, i_app, (V, w, dw), 1),
        ts=np.asarray(solution.ts),
        trajectory=np.stack([np.asarray(x) for x in jax.tree.leaves(solution.ys)], axis=1),
        fixed_points=_fixed_points(candidates, V, w, scale=np.abs(field).max(axis=(0, 1))),
    )


def _names(model: Any) -> tuple[str, str]:
    """Names of the two variables of a model."""
    if not isinstance(model, AbstractModel):
        raise TypeError(f"Argument `model` must be a model, but is {model!r}; build one, e.g. FitzHughNagumo().")
    leaves, _ = jax.tree_util.tree_flatten_with_path(jax.eval_shape(model.init_state))
    names = [jax.tree_util.keystr(path[-1:], simple=True) for path, _ in leaves]
    if len(leaves) != 2 or any(leaf.shape for _, leaf in leaves):
        shapes = [f" of shape {leaf.shape}" if leaf.shape else "" for _, leaf in leaves]
        shown = ", ".join(name + shape for name, shape in zip(names, shapes, strict=True))
        raise ValueError(
            f"Argument `model` must have exactly two scalar variables, but {type(model).__name__} "
            f"has {shown}; use e.g. FitzHughNagumo()."
        )
    return names[0], names[1]


def _number(name: str, value: Any) -> float:
    number = np.asarray(value)
    if number.ndim or not np.issubdtype(number.dtype, np.number) or not np.isfinite(number):
        raise ValueError(f"Argument `{name}` must be a finite number, but is {value!r}; give a single one.")
    return float(number)


def _window(name: str, value: Any) -> tuple[float, float]:
    ends = np.asarray(value)
    is_pair = ends.shape == (2,) and np.issubdtype(ends.dtype, np.number)
    if not (is_pair and np.all(np.isfinite(ends)) and ends[0] < ends[1]):
        raise ValueError(
            f"Argument `{name}` must be (low, high) with low < high, but is {value!r}; use e.g. (-2.5, 2.5)."
        )
    return float(ends[0]), float(ends[1])


def _state(model: AbstractModel, y0: Any) -> Any:
    """The state of a model from a state or a pair of numbers."""
    values = [value for leaf in jax.tree.leaves(y0) for value in np.ravel(leaf)]
    if len(values) != 2 or not all(np.issubdtype(type(value), np.number) for value in values):
        raise ValueError(f"Argument `y0` must be a state or a pair (V, w), but is {y0!r}; give two numbers.")
    return jax.tree.unflatten(_structure(model), values)


def _structure(model: AbstractModel) -> Any:
    return jax.tree.structure(jax.eval_shape(model.init_state))


def _slope(model: AbstractModel, i_app: Array, point: Float[Array, "2"]) -> Float[Array, "2"]:
    """Time derivatives of both variables [per ms]."""
    y = jax.tree.unflatten(_structure(model), list(point))
    return jnp.stack(jax.tree.leaves(model.dynamics(y, i_app)))


class _Candidates(NamedTuple):
    """Where Newton's method ended from each start, in shares of the window, and what is there."""

    u: Float[Array, "n 2"]
    step: Float[Array, "n 2"]
    slope: Float[Array, "n 2"]
    jacobian: Float[Array, "n 2 2"]


@eqx.filter_jit
def _field_and_candidates(
    model: AbstractModel, i_app: Array, V: Array, w: Array
) -> tuple[Float[Array, "n_w n_V 2"], _Candidates]:
    points = jnp.stack(jnp.meshgrid(V, w), axis=-1)
    low, span = points[0, 0], points[-1, -1] - points[0, 0]

    def slope(point: Array) -> Array:
        return _slope(model, i_app, point)

    def newton_step(u: Array) -> tuple[Array, Array, Array]:
        point = low + span * u
        value, jacobian = slope(point), jax.jacfwd(slope)(point)
        step = -jnp.linalg.solve(jacobian, value) / span
        # a start where the Jacobian is singular stays there
        return jnp.where(jnp.all(jnp.isfinite(step)), step, 0.0), value, jacobian

    def advance(_: int, u: Array) -> Array:
        step, _, _ = newton_step(u)
        return u + step * _MAX_STEP / jnp.maximum(jnp.max(jnp.abs(step)), _MAX_STEP)

    def solve(point: Array) -> _Candidates:
        u = jax.lax.fori_loop(0, _N_NEWTON, advance, (point - low) / span)
        return _Candidates(u, *newton_step(u))

    flat = points.reshape(-1, 2)
    return jax.vmap(slope)(flat).reshape(points.shape), jax.vmap(solve)(flat)


def _fixed_points(candidates: _Candidates, V: np.ndarray, w: np.ndarray, *, scale: np.ndarray) -> list[FixedPoint]:
    """The different fixed points among the ends of Newton's method."""
    u, step, slope, jacobian = (np.asarray(part, dtype=float) for part in candidates)
    low, span = np.array([V[0], w[0]]), np.array([V[-1] - V[0], w[-1] - w[0]])
    eps = np.finfo(candidates.u.dtype).eps
    # a triple root, where one fixed point becomes three, is known to eps^(1/3) only
    tolerance = eps ** (1 / 3)
    is_inside = np.all((u >= -tolerance) & (u <= 1 + tolerance), axis=1)
    # a thousand roundings, since the terms of a slope may be larger than any slope in the window
    residual = np.max(np.abs(slope) / scale, axis=1)
    has_converged = (residual <= 1e3 * eps) & np.all(np.abs(step) <= tolerance, axis=1)
    left = np.flatnonzero(is_inside & has_converged)
    left = left[np.argsort(residual[left], kind="stable")]
    found = []
    while left.size:
        best = left[0]
        found.append(_fixed_point(low + span * u[best], jacobian[best], tolerance))
        left = left[np.max(np.abs(u[left] - u[best]), axis=1) > tolerance]
    return sorted(found, key=lambda point: (point.V, point.w))


def _fixed_point(point: np.ndarray, jacobian: np.ndarray, tolerance: float) -> FixedPoint:
    eigenvalues = np.linalg.eigvals(jacobian)
    return FixedPoint(
        V=float(point[0]),
        w=float(point[1]),
        jacobian=jacobian,
        eigenvalues=eigenvalues,
        trace=float(np.trace(jacobian)),
        determinant=float(np.linalg.det(jacobian)),
        stability=_stability(eigenvalues, tolerance),
    )


def _stability(eigenvalues: np.ndarray, tolerance: float) -> str:
    """Name of a fixed point; what is below `tolerance` times the largest eigenvalue is zero."""
    zero = tolerance * np.max(np.abs(eigenvalues))
    if np.min(np.abs(eigenvalues)) <= zero:
        return "degenerate"
    low, high = np.sort(eigenvalues.real)
    if low < 0 < high:
        return "saddle"
    is_spiral = bool(np.any(eigenvalues.imag != 0))
    if is_spiral and abs(low) <= zero:
        return "centre"
    return f"{'stable' if high < 0 else 'unstable'} {'spiral' if is_spiral else 'node'}"


def _nullcline(model: AbstractModel, i_app: float, grid: tuple[np.ndarray, ...], component: int) -> list[np.ndarray]:
    """Polylines on which one variable stands still: contours of its slope on the grid, polished."""
    import contourpy

    lines = contourpy.contour_generator(*grid).lines(0.0)
    if not lines:
        return []
    points = np.concatenate(lines)
    # padded to a power of two, so that few sizes are compiled
    padded = np.resize(points, (1 << (len(points) - 1).bit_length(), 2))
    exact = np.asarray(_onto_nullcline(model, jnp.asarray(i_app), padded, component))
    return np.split(exact[: len(points)], np.cumsum([len(line) for line in lines])[:-1])


@eqx.filter_jit
def _onto_nullcline(model: AbstractModel, i_app: Array, points: Array, component: int) -> Float[Array, "n 2"]:
    """Points moved along the gradient to where the derivative of variable `component` is zero."""

    def move(point: Array) -> Array:
        slope, gradient = jax.value_and_grad(lambda p: _slope(model, i_app, p)[component])(point)
        return point - safe_divide(slope, jnp.sum(gradient**2)) * gradient

    # quadratic from within a cell of the grid: 1e-2, 1e-4, 1e-8, 1e-16, and one step to be sure
    return jax.lax.fori_loop(0, 5, lambda _, p: jax.vmap(move)(p), jnp.asarray(points))
