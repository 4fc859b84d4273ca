"""Removable singularities and other numerical traps, each solved once.

Every function here is finite in value, first and second derivative for every finite float of either precision, and
works on scalars and arrays. Rate functions and propagators must use these instead of writing `x / (exp(x) - 1)`.
They are under jax.jit so that a model that calls one in twenty places is traced as twenty calls of the same program.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

__all__ = [
    "as_floats",
    "bounded_exp",
    "cos_sqrt",
    "exp",
    "exp_difference",
    "exp_second_difference",
    "expm1",
    "expm1_over_x",
    "linear_update",
    "safe_divide",
    "sigmoid",
    "sinc_sqrt",
    "where",
    "x_over_expm1",
]

# Bernoulli numbers B_2k / (2k)!: x/(e^x-1) = 1 - x/2 + sum_k c_k x^2k, radius 2 pi.
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160)
# 1/(n+1)! for (e^x-1)/x; at |x| = 0.5 the first dropped term is 0.5^13/14! = 1.4e-15.
_EXPREL = tuple(1.0 / f for f in (1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600, 6227020800))
_SMALL = 0.5
# Derivative of (e^x-1)/x: sum_k x^k / (k! (k + 2)).
_EXPREL_SLOPE = tuple(1.0 / (math.factorial(k) * (k + 2)) for k in range(6))


def _horner(x: Float[Array, "*s"], coefficients: tuple[float, ...]) -> Float[Array, "*s"]:
    total = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _is_double(x: Float[Array, "*s"]) -> bool:
    return jnp.finfo(jnp.result_type(x)).bits > 32


class _Exponential(NamedTuple):
    """What e^x = 2^n e^r takes, n whole and |r| <= ln(2) / 2, with e^r = 1 + r (1 + r q(r))."""

    ln2: tuple[float, float]
    """ln 2 in two parts, the first so short that n times it is exact."""
    q: tuple[float, ...]
    """Coefficients of least largest relative error (Remez): 0.03 (float32) and 0.02 units in the last place."""
    highest: float
    """x above which 2^n overflows."""
    n_digits: int
    """Binary digits of the mantissa."""
    bias: int
    """Of the exponent."""
    whole: type


_EXPONENTIALS = {
    "float32": _Exponential(
        (0.693359375, -2.12194440e-4),
        (0.4999999341, 0.1666652011, 0.04166839421, 0.008368780411, 0.001381446706),
        89.0,
        23,
        127,
        jnp.int32,
    ),
    "float64": _Exponential(
        (6.93147180369123816490e-01, 1.90821492927058770002e-10),
        (
            0.500000000000001072,
            0.166666666666664102,
            0.0416666666665291888,
            0.00833333333349562489,
            0.00138888889439225894,
            0.000198412695047626892,
            0.0000248014927628433341,
            2.7557587344703162e-6,
            2.76303786055979153e-7,
            2.49999645434367262e-8,
        ),
        710.0,
        52,
        1023,
        jnp.int64,
    ),
}


def _power_of_two_and_rest(x: Float[Array, "*s"], highest: float, parts: _Exponential) -> tuple[Array, Array]:
    """(2^n, e^r - 1) with e^x = 2^n e^r."""
    lowest = -(parts.bias * math.log(2))
    x = jnp.where(x < lowest, lowest, x)
    x = jnp.where(x > highest, highest, x)
    n = jax.lax.round(x * (1 / math.log(2)), jax.lax.RoundingMethod.TO_NEAREST_EVEN)
    r = x - n * parts.ln2[0] - n * parts.ln2[1]
    # of a number so large the last digits are those of the whole number n + bias, which is how a float holds 2^n
    shifted = n + (1.5 * 2.0**parts.n_digits + parts.bias)
    bits = jax.lax.bitcast_convert_type(shifted, parts.whole) << parts.n_digits
    return jax.lax.bitcast_convert_type(bits, x.dtype), r * (1.0 + r * _horner(r, parts.q))


def _own_exponential(x: Float[Array, "*s"]) -> _Exponential | None:
    return _EXPONENTIALS.get(str(x.dtype)) if jax.default_backend() == "cpu" else None


@jax.jit
def exp(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """e^x to a unit in the last place; 0 below the smallest normal number, inf within a factor of sqrt(2) of the
    largest.

    On CPUs by a polynomial of our own: over many lanes 1.6 times (float64) and 1.2 times faster than XLA's, and
    exponentials are most of what conductance models cost. Elsewhere `jnp.exp`.
    """
    return _exp(x)


@jax.custom_jvp
def _exp(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    x = jnp.asarray(x, jnp.result_type(x, float))
    parts = _own_exponential(x)
    if parts is None:
        return jnp.exp(x)
    scale, rest = _power_of_two_and_rest(x, parts.highest, parts)
    return scale * (1.0 + rest)


@_exp.defjvp
def _exp_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    value = exp(*primals)
    return value, value * tangents[0]


@jax.jit
def expm1(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """e^x - 1 to a few units in the last place, also near 0; held at half the largest float where it would overflow.

    On CPUs by the same polynomial as `exp`, 2 to 4 times faster than XLA's. Elsewhere `jnp.expm1`.
    """
    return _expm1(x)


@jax.custom_jvp
def _expm1(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    x = jnp.asarray(x, jnp.result_type(x, float))
    parts = _own_exponential(x)
    if parts is None:
        return jnp.expm1(x)
    scale, rest = _power_of_two_and_rest(x, parts.bias * math.log(2), parts)
    return scale * rest + (scale - 1.0)


@_expm1.defjvp
def _expm1_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    value = expm1(*primals)
    return value, (value + 1.0) * tangents[0]


@jax.jit
def sigmoid(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """1 / (1 + e^-x)."""
    return _sigmoid(x)


@jax.custom_jvp
def _sigmoid(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    return 1.0 / (1.0 + exp(-x))


@_sigmoid.defjvp
def _sigmoid_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    value = sigmoid(*primals)
    return value, value * (1.0 - value) * tangents[0]


@jax.jit
def x_over_expm1(x: Float[Array, "*s"], exp_x: Float[Array, "*s"] | None = None) -> Float[Array, "*s"]:
    """x / (exp(x) - 1), equal to 1 at x = 0.

    Uses f(x) = |x| e^-|x| / (1 - e^-|x|) + max(-x, 0) away from 0, so that nothing overflows, and the Bernoulli
    series near 0. Every Hodgkin-Huxley rate of the form (V - V0) / (1 - exp(-(V - V0)/k)) is k f(-(V - V0)/k).

    `exp_x`: exp(x) where another rate needs it too, finite; an exponential is most of the cost of a rate.
    """
    # the first dropped term is 2 (x / 2 pi)^12 = 3e-17 at 0.25, and 2 (x / 2 pi)^8 = 3e-9 at 0.5
    small, terms = (0.25, _BERNOULLI) if _is_double(x) else (0.5, _BERNOULLI[:3])
    is_small = jnp.abs(x) < small
    near = jnp.where(is_small, x, 0.0)
    series = 1.0 - near / 2 + near**2 * _horner(near**2, terms)
    if exp_x is not None:
        direct = jnp.where(is_small, 1.0, x) / (jnp.where(is_small, 2.0, exp_x) - 1)
    else:
        far = jnp.where(is_small, 1.0, jnp.abs(x))
        decay = exp(-far)
        direct = far * decay / (1 - decay) + jnp.where(x < 0, -x, 0.0)
    return jnp.where(is_small, series, direct)


@jax.jit
def expm1_over_x(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(exp(x) - 1) / x, equal to 1 at x = 0; held at its largest representable value where exp(x) overflows."""
    is_small = jnp.abs(x) < _SMALL
    series = _horner(jnp.where(is_small, x, 0.0), _EXPREL)
    # the second derivative has e^x / x as leading term: stop 8 e-folds short of the largest float
    largest = jnp.log(jnp.finfo(jnp.result_type(x, float)).max) - 8.0
    far = jnp.minimum(jnp.where(is_small, 1.0, x), largest.astype(jnp.result_type(x)))
    return jnp.where(is_small, series, expm1(far) / far)


@jax.custom_jvp
def _relaxation(z: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(e^z - 1) / z to a few units in the last place, without any series."""
    z = jnp.where(z == 0, -1e-30, z)
    return expm1(z) / z


@_relaxation.defjvp
def _relaxation_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """f' = f + (1 - f) / z, which cancels near 0; the first dropped term of the series is z^6 / 5760 = 1e-13, in
    float32 z^4 / 144 = 7e-7."""
    (z,), (dz,) = primals, tangents
    f = _relaxation(z)
    small, terms = (0.03, _EXPREL_SLOPE) if _is_double(z) else (0.1, _EXPREL_SLOPE[:4])
    is_small = jnp.abs(z) < small
    series = _horner(jnp.where(is_small, z, 0.0), terms)
    return f, dz * jnp.where(is_small, series, f + (1 - f) / jnp.where(is_small, 1.0, z))


@jax.jit
def linear_update(
    x: Float[Array, "*s"], dx: Float[Array, "*s"], A: Float[Array, "*s"], h: Float[Array, ""]
) -> Float[Array, "*s"]:
    """Exact solution after time `h` of a linear equation with rate A and derivative `dx` now: x + dx (e^{Ah} - 1) / A.

    dx/dt = A x + B gives dx = A x + B. A may be 0 or positive.

    Where A is a matrix, (..., n, n) for x (..., n), whose columns sum to 0 and whose other entries are rates >= 0 (a
    Markov scheme), the trapezoidal rule x + (1 - A h / 2)^-1 h dx instead: second order, stable for every h, and the
    sum of x is kept to rounding. Entries of x may undershoot 0 where a rate times h exceeds 2.
    """
    if A.ndim > x.ndim:
        return x + h * _solve_dominant(jnp.broadcast_to(jnp.eye(A.shape[-1], dtype=A.dtype), A.shape) - 0.5 * h * A, dx)
    return x + dx * h * _relaxation(A * h)


def _solve_dominant(M: Float[Array, "*s n n"], b: Float[Array, "*s n"]) -> Float[Array, "*s n"]:
    """M^-1 b for a matrix whose diagonal dominates its columns, so that elimination needs no pivots; unrolled, because
    every operation then runs over all lanes."""
    done = []
    for _ in range(M.shape[-1]):
        pivot, row, first = M[..., 0, 0], M[..., 0, 1:], b[..., 0]
        done.append((pivot, row, first))
        factor = M[..., 1:, 0] / pivot[..., None]
        M = M[..., 1:, 1:] - factor[..., :, None] * row[..., None, :]
        b = b[..., 1:] - factor * first[..., None]
    x: list[Array] = []
    for pivot, row, first in reversed(done):
        known = sum((row[..., k] * x[k] for k in range(len(x))), jnp.zeros_like(first))
        x.insert(0, (first - known) / pivot)
    return jnp.stack(x, axis=-1)


@jax.jit
def exp_difference(a: Float[Array, "*s"], b: Float[Array, "*s"], h: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(e^{-a h} - e^{-b h}) / (b - a), equal to h e^{-a h} at a = b: response of two exponential stages [1/rate]."""
    slow, fast = jnp.where(a < b, a, b), jnp.where(a < b, b, a)  # so that no exponent is positive
    return h * exp(-slow * h) * expm1_over_x((slow - fast) * h)


_FEW = 0.5  # e-folds apart below which three rates are summed as a series, 12 terms of which are exact to 1e-16


@jax.jit
def exp_second_difference(
    a: Float[Array, "*s"], b: Float[Array, "*s"], c: Float[Array, "*s"], h: Float[Array, "*s"]
) -> Float[Array, "*s"]:
    """[exp_difference(a, b) - exp_difference(b, c)] / (c - a), h^2 e^{-a h} / 2 where all are equal: response of three
    exponential stages of rates a, b and c [1/rate^2]."""
    a, b, c = jnp.broadcast_arrays(a, b, c)
    low, high = jnp.minimum(jnp.minimum(a, b), c), jnp.maximum(jnp.maximum(a, b), c)
    middle = a + b + c - low - high
    is_near = (high - low) * h < _FEW
    apart = exp_difference(low, middle, h) - exp_difference(middle, high, h)
    apart = apart / jnp.where(is_near, 1.0, high - low)
    # complete homogeneous polynomials of the two distances, p_k = y p_{k-1} + x^k, over (-1)^k (k + 2)!
    x, y = (jnp.where(is_near, (rate - low) * h, 0.0) for rate in (middle, high))
    polynomial, power, series = jnp.ones_like(x), jnp.ones_like(x), jnp.full_like(x, 0.5)
    for k in range(1, 12):
        power = power * x
        polynomial = y * polynomial + power
        series = series + (-1) ** k * polynomial / math.factorial(k + 2)
    return jnp.where(is_near, h * h * exp(-low * h) * series, apart)


_COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(9))
_SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9))


@jax.jit
def cos_sqrt(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """cos(sqrt(x)), which is cosh(sqrt(-x)) for x < 0; smooth at 0, and held below -7000, where a float32 overflows."""
    return _of_root(x, _COSINE, jnp.cos, jnp.cosh)


@jax.jit
def sinc_sqrt(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """sin(sqrt(x)) / sqrt(x), which is sinh(sqrt(-x)) / sqrt(-x) for x < 0; smooth at 0, held below -7000."""
    return _of_root(x, _SINE, lambda r: jnp.sin(r) / r, lambda r: jnp.sinh(r) / r)


def _of_root(
    x: Float[Array, "*s"],
    series: tuple[float, ...],
    positive: Callable[[Array], Array],
    negative: Callable[[Array], Array],
) -> Float[Array, "*s"]:
    """An entire function of x given by its series, and by functions of sqrt(|x|) for x > 1 and x < -1."""
    near = _horner(jnp.clip(x, -1.0, 1.0), series)
    over, under = jnp.sqrt(jnp.maximum(x, 1.0)), jnp.sqrt(jnp.clip(-x, 1.0, 7000.0))
    return jnp.where(x > 1, positive(over), jnp.where(x < -1, negative(under), near))


def as_floats(*values: ArrayLike) -> list[Float[Array, "*s"]]:
    """The values as arrays of one shape and float type; plain numbers take the precision of the arrays."""
    values = tuple(jnp.asarray(value, float) if isinstance(value, list | tuple) else value for value in values)
    if any(isinstance(value, str) for value in values):
        raise TypeError(f"Arguments must be numbers or arrays, but are {values!r}; leave out the quotes.")
    dtype = jnp.result_type(float, *values)
    return list(jnp.broadcast_arrays(*(jnp.asarray(value, dtype) for value in values)))


def interpolated(
    t: Float[Array, "*t"], values: Float[Array, " n"], dt: ArrayLike, onset: ArrayLike
) -> Float[Array, "*t"]:
    """Linear interpolation of samples every `dt` from `onset` on; held at the ends, differentiable in both."""
    position = jnp.clip((t - onset) / dt, 0, values.size - 1)
    left = jnp.clip(jnp.floor(jax.lax.stop_gradient(position)).astype(int), 0, values.size - 2)
    fraction = position - left
    return (1 - fraction) * values[left] + fraction * values[left + 1]


@jax.jit
def bounded_exp(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp(x), held at exp(25) = 7e10 above: the exponential of a rate [1/ms], whose cube is a float32."""
    return exp(jnp.where(x > 25.0, 25.0, x))


def safe_divide(x: Float[Array, "*s"], y: Float[Array, "*s"], default: float = 0.0) -> Float[Array, "*s"]:
    """x / y where y is not 0, `default` elsewhere, with finite derivatives in both branches."""
    is_zero = y == 0
    return jnp.where(is_zero, default, x / jnp.where(is_zero, 1.0, y))


def where(condition: Bool[Array, ""], a: Any, b: Any) -> Any:
    """`jnp.where` over two trees of arrays."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)
