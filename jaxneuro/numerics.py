"""Removable singularities and other numerical traps, each solved once.

Every function here is finite in value, first and second derivative for every finite float of either precision, and
works on scalars and arrays. Rate functions and propagators must use these instead of writing `x / (exp(x) - 1)`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["x_over_expm1", "expm1_over_x", "linear_update", "exp_difference", "safe_divide"]

# Bernoulli numbers B_2k / (2k)!, k = 1..7: x/(e^x-1) = 1 - x/2 + sum_k c_k x^2k, radius 2 pi.
# At |x| = 0.5 the first dropped term is 2 (x / 2 pi)^16 = 5e-18.
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600)
# 1/(n+1)! for (e^x-1)/x; at |x| = 0.5 the first dropped term is 0.5^13/14! = 1.4e-15.
_EXPREL = tuple(1.0 / f for f in (1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600, 6227020800))
_SMALL = 0.5


def _horner(x: Float[Array, "*s"], coefficients: tuple[float, ...]) -> Float[Array, "*s"]:
    total = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def x_over_expm1(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """x / (exp(x) - 1), equal to 1 at x = 0.

    Uses f(x) = |x| e^-|x| / (1 - e^-|x|) + max(-x, 0) away from 0, so that nothing overflows, and the Bernoulli
    series near 0. Every Hodgkin-Huxley rate of the form (V - V0) / (1 - exp(-(V - V0)/k)) is k f(-(V - V0)/k).
    """
    is_small = jnp.abs(x) < _SMALL
    near = jnp.where(is_small, x, 0.0)
    series = 1.0 - near / 2 + near**2 * _horner(near**2, _BERNOULLI)
    # e^-1000 is 0 in both precisions: beyond it the product is 0, and the clip keeps 0 * inf away
    far = jnp.clip(jnp.where(is_small, 1.0, jnp.abs(x)), 0.0, 1e3)
    direct = far * jnp.exp(-far) / -jnp.expm1(-far) + jnp.where(x < 0, -x, 0.0)
    return jnp.where(is_small, series, direct)


def expm1_over_x(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(exp(x) - 1) / x, equal to 1 at x = 0; held at its largest representable value where exp(x) overflows."""
    is_small = jnp.abs(x) < _SMALL
    series = _horner(jnp.where(is_small, x, 0.0), _EXPREL)
    # the second derivative has e^x / x as leading term: stop 8 e-folds short of the largest float
    largest = jnp.log(jnp.finfo(jnp.result_type(x, float)).max) - 8.0
    far = jnp.minimum(jnp.where(is_small, 1.0, x), largest.astype(jnp.result_type(x)))
    return jnp.where(is_small, series, jnp.expm1(far) / far)


def linear_update(
    x: Float[Array, "*s"], A: Float[Array, "*s"], B: Float[Array, "*s"], h: Float[Array, ""]
) -> Float[Array, "*s"]:
    """Exact solution after time `h` of dx/dt = A x + B with constant A and B: (x + B/A) e^{Ah} - B/A.

    The quotient form is about twice as fast as `x + h (A x + B) expm1_over_x(A h)`; for |A h| < 0.01, A = 0
    included, a series takes its place (first dropped term (A h)^5 / 720 = 1.4e-13).
    """
    z = A * h
    is_small = jnp.abs(z) < 0.01
    ratio = B / jnp.where(is_small, 1.0, A)
    quotient = (x + ratio) * jnp.exp(z) - ratio
    near = jnp.where(is_small, z, 0.0)
    series = x + h * (A * x + B) * _horner(near, _EXPREL[:5])
    return jnp.where(is_small, series, quotient)


def exp_difference(a: Float[Array, "*s"], b: Float[Array, "*s"], h: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(e^{-a h} - e^{-b h}) / (b - a), equal to h e^{-a h} at a = b: response of two exponential stages [1/rate]."""
    slow, fast = jnp.where(a < b, a, b), jnp.where(a < b, b, a)  # so that no exponent is positive
    return h * jnp.exp(-slow * h) * expm1_over_x((slow - fast) * h)


def safe_divide(x: Float[Array, "*s"], y: Float[Array, "*s"], default: float = 0.0) -> Float[Array, "*s"]:
    """x / y where y is not 0, `default` elsewhere, with finite derivatives in both branches."""
    is_zero = y == 0
    return jnp.where(is_zero, default, x / jnp.where(is_zero, 1.0, y))
