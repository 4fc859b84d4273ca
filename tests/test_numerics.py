"""Exponentials and removable singularities against 60 digits: values and derivatives, both precisions."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import assert_finite, eps

from jaxneuro.fusion import separated
from jaxneuro.numerics import (
    exp,
    exp_difference,
    expm1,
    expm1_over_x,
    linear_update,
    safe_divide,
    sigmoid,
    x_over_expm1,
)

DTYPES = (np.float64, np.float32)
mpmath.mp.dps = 60

# 0, around 0, around the branch between series and formula, and far out
ORDINARY = (0, 1e-30, 1e-6, 0.1, 0.4999999, 0.5, 0.5000001, 1, 7, 30)
POINTS = [sign * x for x in ORDINARY for sign in ((1,) if x == 0 else (1, -1))]


@partial(jax.jit, static_argnums=0)
def taylor(f, x):
    """(f, f', f'') of a scalar function of one variable."""
    return f(x), jax.grad(f)(x), jax.grad(jax.grad(f))(x)


update_jacobian = jax.jit(jax.jacfwd(linear_update, argnums=(0, 1, 2, 3)))
update_hessian = jax.jit(jax.hessian(linear_update, argnums=(0, 1, 2, 3)))
response_gradient = jax.jit(jax.grad(exp_difference, argnums=(0, 1, 2)))
response_hessian = jax.jit(jax.hessian(exp_difference, argnums=(0, 1, 2)))


def assert_taylor(f, reference, x, dtype, tolerances, dropped=(0.0, 0.0, 0.0)):
    """f, f', f'' are exact to `tolerances` times eps of themselves, plus `dropped` series terms."""
    x = dtype(x)
    exact = [float(mpmath.diff(reference, mpmath.mpf(float(x)), n)) for n in range(3)]
    for n, (found, wanted) in enumerate(zip(taylor(f, jnp.asarray(x)), exact, strict=True)):
        assert found.dtype == dtype
        atol = 2 * dropped[n] + float(np.finfo(dtype).tiny)  # floats below tiny lose digits
        np.testing.assert_allclose(found, wanted, rtol=tolerances[n] * eps(dtype), atol=atol)


# exponents from the smallest normal number to the largest, the borders between powers of two, and around 0
EXPONENTS = np.concatenate([np.linspace(-700, 709, 2001), np.linspace(-2, 2, 2001), np.logspace(-12, 0, 50)])
ELEMENTARY = {
    "exp": (exp, mpmath.exp, 1.0),
    "expm1": (expm1, mpmath.expm1, 2.0),
    "sigmoid": (sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), 2.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_exponentials_are_exact_to_a_unit_or_two_in_the_last_place(name, dtype):
    f, reference, units = ELEMENTARY[name]
    x = (EXPONENTS / (1 if dtype == np.float64 else 8.2)).astype(dtype)
    exact = [reference(mpmath.mpf(float(value))) for value in x]
    found = np.asarray(jax.jit(f)(jnp.asarray(x)))
    assert found.dtype == dtype
    for value, wanted, got in zip(x, exact, found, strict=True):
        # below the smallest normal number there are fewer digits, and 0 is as good
        assert abs(float(got) - wanted) <= units * eps(dtype) * abs(wanted) + float(np.finfo(dtype).tiny), value


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials_beyond_the_range_of_floats(dtype):
    huge, inf, nan = np.finfo(dtype).max, np.inf, np.nan
    x = jnp.asarray([-inf, -huge, 0.0, huge, inf, nan], dtype)
    np.testing.assert_array_equal(exp(x), [0, 0, 1, inf, inf, nan])
    np.testing.assert_array_equal(sigmoid(x), [0, 0, 0.5, 1, 1, nan])
    low, zero, *high, unknown = np.asarray(expm1(x))[1:]
    assert low == -1 and zero == 0 and np.isnan(unknown) and all(np.isfinite(high)) and min(high) > 0.4 * huge


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials_have_derivatives_of_every_order_and_mode(dtype):
    x = jnp.asarray([-50.0, -0.3, 0.0, 1e-4, 2.0, 30.0], dtype)
    for f, wanted in (
        (exp, [np.exp] * 3),
        (expm1, [np.expm1, np.exp, np.exp]),
        (sigmoid, [jax.nn.sigmoid, jax.grad(jax.nn.sigmoid), jax.grad(jax.grad(jax.nn.sigmoid))]),
    ):
        forward = jax.jacfwd(jax.jacfwd(f))
        for order, g in enumerate((f, jax.grad(f), jax.grad(jax.grad(f)))):
            with_the_library = [float(wanted[order](np.float64(value))) for value in np.asarray(x)]
            np.testing.assert_allclose(jax.vmap(g)(x), with_the_library, rtol=16 * eps(dtype), atol=2 * eps(dtype))
        backward = jax.vmap(jax.grad(jax.grad(f)))(x)
        np.testing.assert_allclose(jax.vmap(forward)(x), backward, rtol=4 * eps(dtype), atol=2 * eps(dtype))
    assert_finite(jax.vmap(jax.grad(sigmoid))(jnp.asarray([-1e3, 1e3], dtype)))


def test_separated_changes_neither_values_nor_derivatives():
    def f(x):
        y, n = separated((jnp.sin(x), jnp.asarray(3)))
        return y * y * n

    x = jnp.linspace(-1.0, 2.0, 5)
    for transform in (lambda g: g, jax.grad, jax.jacfwd, lambda g: jax.grad(jax.checkpoint(g)), jax.hessian):
        plain = jax.vmap(transform(lambda x: 3 * jnp.sin(x) ** 2))(x)
        np.testing.assert_allclose(jax.jit(jax.vmap(transform(f)))(x), plain, rtol=1e-14)


def gradient_of_both(f):
    return jax.grad(lambda x: sum(jnp.sum(jnp.sin(y)) for y in f(x)))


@pytest.mark.parametrize(("transform", "n_once"), [(lambda f: f, 2), (jax.checkpoint, 2), (gradient_of_both, 6)])
def test_what_is_separated_is_computed_once(transform, n_once):
    def n_products(held):
        @transform
        def two_results(x):
            cube = held(x * x * x)
            return jnp.roll(cube, 1) + cube, cube - x

        return jax.jit(two_results).lower(jnp.ones(256)).compile().as_text().count(" multiply(")

    assert n_products(separated) == n_once < n_products(lambda x: x)


def exact_x_over_expm1(x):
    return x / mpmath.expm1(x) if x else mpmath.mpf(1)


def exact_expm1_over_x(x):
    return mpmath.expm1(x) / x if x else mpmath.mpf(1)


# A derivative of the quotient loses 1/x = 2 per order at the branch, times the terms' number.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", POINTS)
def test_x_over_expm1_equals_the_exact_value(x, dtype):
    assert_taylor(x_over_expm1, exact_x_over_expm1, x, dtype, (8, 64, 1000))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", POINTS)
def test_expm1_over_x_equals_the_exact_value(x, dtype):
    # the first dropped term x^13 / 14! and its derivatives
    z = min(abs(x), 0.5)
    dropped = [z ** (13 - n) * math.perm(13, n) / math.factorial(14) for n in range(3)]
    assert_taylor(expm1_over_x, exact_expm1_over_x, x, dtype, (16, 64, 300), dropped)


@pytest.mark.parametrize("dtype", DTYPES)
def test_x_over_expm1_far_out_is_its_asymptote(dtype):
    for x in (1e3, 1e30, np.finfo(dtype).max):
        x = jnp.asarray(x, dtype)
        assert taylor(x_over_expm1, x) == (0, 0, 0)
        assert taylor(x_over_expm1, -x) == (x, -1, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_x_over_expm1_is_smooth_at_the_smallest_floats(dtype):
    for x in (np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal):
        for sign in (1, -1):
            found = taylor(x_over_expm1, jnp.asarray(sign * x, dtype))
            np.testing.assert_allclose(found, (1, -1 / 2, 1 / 6), rtol=2 * eps(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_expm1_over_x_is_finite_everywhere(dtype):
    last, tiny = np.log(np.finfo(dtype).max), float(np.finfo(dtype).tiny)
    for x in (last - 7, last + 1, 1e3, 1e30, np.finfo(dtype).max):
        found = taylor(expm1_over_x, jnp.asarray(x, dtype))
        assert_finite(found)
        assert found[0] > 1e-8 * np.finfo(dtype).max and found[1] == 0
    for x in (1e3, 1e10, 1e30, np.finfo(dtype).max):
        value, slope, curvature = taylor(expm1_over_x, jnp.asarray(-x, dtype))
        np.testing.assert_allclose(value, 1 / float(x), rtol=4 * eps(dtype), atol=tiny)
        np.testing.assert_allclose(slope, (1 / float(x)) ** 2, rtol=8 * eps(dtype), atol=tiny)
        assert_finite(curvature)


def test_series_and_formula_keep_shapes():
    x = jnp.linspace(-2.0, 2.0, 6).reshape(2, 3)
    for f in (x_over_expm1, expm1_over_x):
        np.testing.assert_array_equal(f(x).ravel(), [f(value) for value in x.ravel()])


def exact_linear_update(x, dx, A, h):
    return x + h * dx * exact_expm1_over_x(A * h)


# around 0, and around the branches of the derivative's series
UPDATES = [-1e3, -30, -1, -0.101, -0.099, -0.031, -0.029, -1e-3, -1e-8, 0, 1e-8, 0.029, 0.031, 0.4]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("z", UPDATES)
@pytest.mark.parametrize("slope", [1.0, -300.0])
def test_linear_update_equals_the_exact_solution(z, slope, dtype):
    point = [dtype(v) for v in (-60.0, slope, z / 0.025, 0.025)]
    exact_point = [mpmath.mpf(float(v)) for v in point]
    derivatives = update_jacobian(*map(jnp.asarray, point))
    value = linear_update(*map(jnp.asarray, point))
    assert value.dtype == dtype
    change = exact_linear_update(*exact_point) - exact_point[0]
    # a few roundings of the start and of the change
    np.testing.assert_allclose(
        value, float(exact_point[0] + change), rtol=0, atol=eps(dtype) * (60 + 8 * float(abs(change)))
    )
    h = float(point[3])
    at_zero = (1.0, h, abs(slope) * h**2 / 2, abs(slope))  # sizes of the derivatives at z = 0
    for n, found in enumerate(derivatives):
        orders = tuple(int(k == n) for k in range(4))
        wanted = float(mpmath.diff(exact_linear_update, exact_point, orders))
        # at the branch: z^6 / 5760 = 1e-13 or z^4 / 144 = 7e-7 of the series, eps / z of the formula beyond it
        rtol = 3e-13 + 400 * eps(dtype)
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=4 * eps(dtype) * at_zero[n])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("A", [-1e30, -1e6, -0.4, 0.0])
def test_linear_update_is_finite_with_two_derivatives(A, dtype):
    point = [jnp.asarray(v, dtype) for v in (-60.0, 30.0, A, 0.025)]
    assert_finite(update_hessian(*point))


def exact_exp_difference(a, b, h):
    return (mpmath.exp(-a * h) - mpmath.exp(-b * h)) / (b - a) if a != b else h * mpmath.exp(-a * h)


RATES = [(0.05, 0.05), (0.05, 0.05 + 1e-9), (0.05, 0.0501), (0.01, 0.05), (0.05, 0.01), (1e-3, 1e4)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("h", [0.0, 0.1, 20.0, 400.0])
@pytest.mark.parametrize("a, b", [*RATES, (1e4, 1e-3)])
def test_exp_difference_equals_the_exact_response(a, b, h, dtype):
    point = [jnp.asarray(v, dtype) for v in (a, b, h)]
    exact_point = [mpmath.mpf(float(v)) for v in point]
    value = exp_difference(*point)
    assert value.dtype == dtype
    # e^-ah is known to a h eps, and a nearly equal pair of rates differs by few of its digits
    rtol = (64 + 4 * min(a, b) * h) * eps(dtype)
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(value, float(exact_exp_difference(*exact_point)), rtol=rtol, atol=tiny)
    gradient = response_gradient(*point)
    for n, found in enumerate(gradient):
        orders = tuple(int(k == n) for k in range(3))
        # the reference is differentiated off its own singularity at a = b
        nudged = [exact_point[0], exact_point[1] + mpmath.mpf(10) ** -25, exact_point[2]]
        wanted = float(mpmath.diff(exact_exp_difference, nudged, orders))
        scale = float(abs(exact_exp_difference(*exact_point))) * eps(dtype)
        np.testing.assert_allclose(found, wanted, rtol=40 * rtol, atol=100 * scale + 1e-30)
    assert_finite(response_hessian(*point))


def test_exp_difference_is_symmetric():
    a, b, h = jnp.array([0.3, 0.2, 5.0]), jnp.array([0.1, 0.2, 0.01]), jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(exp_difference(a, b, h), exp_difference(b, a, h), rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_safe_divide_is_finite_in_both_branches(dtype):
    x, y = jnp.array([3.0, 0.0, -2.0, 5.0], dtype), jnp.array([2.0, 0.0, 0.0, -1e-6], dtype)
    found = safe_divide(x, y, 7.0)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [1.5, 7.0, 7.0, -5e6], rtol=2 * eps(dtype))
    slopes = jax.jit(jax.vmap(jax.grad(safe_divide, argnums=(0, 1))))(x, y)
    np.testing.assert_allclose(slopes[0], [0.5, 0.0, 0.0, -1e6], rtol=2 * eps(dtype))
    np.testing.assert_allclose(slopes[1], [-0.75, 0.0, 0.0, -5e12], rtol=4 * eps(dtype))
    assert_finite(jax.jit(jax.vmap(jax.hessian(safe_divide, argnums=(0, 1))))(x, y))
    assert safe_divide(x, y)[1] == 0
