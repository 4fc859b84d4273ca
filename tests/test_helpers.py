"""The laws' own tools can fail: a wrong derivative, a constant function, a new program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, compilations, finite_differences


def cube(factor):
    """x^3, whose derivative is wrong unless the factor is 3."""

    @jax.custom_jvp
    def f(x):
        return x**3

    f.defjvp(lambda primals, tangents: (f(*primals), factor * primals[0] ** 2 * tangents[0]))
    return f


@pytest.mark.parametrize("dtype, error", [(np.float64, 1e-4), (np.float32, 0.03)])
def test_helpers_notice_a_wrong_derivative(dtype, error):
    x = jnp.array([1.3, -40.0], dtype)
    assert_derivatives_agree(cube(3.0), x)
    with pytest.raises(AssertionError, match="finite differences"):
        assert_derivatives_agree(cube(3.0 * (1 + error)), x)


def test_helpers_notice_a_function_without_dependence():
    with pytest.raises(AssertionError, match="does not depend"):
        assert_derivatives_agree(lambda x: jnp.sin(jax.lax.stop_gradient(x)) * 0, jnp.ones(2))


@pytest.mark.parametrize("side", [0, 1, -1])
def test_helpers_differences_are_accurate_on_either_side(side):
    x = np.array([0.7, -60.0])
    # rounding of sin over a step of 6e-6, times 60 for the second entry
    rtol = 1e-9 if side == 0 else 1e-7
    found = finite_differences(lambda v: np.sin(v / 10), x, side=side)
    np.testing.assert_allclose(found, np.diag(np.cos(x / 10) / 10), rtol=rtol, atol=1e-12)
    # a kink has two derivatives
    slope = finite_differences(lambda v: np.abs(v - 0.7), x[:1], side=side)[0, 0]
    assert slope == pytest.approx(side, abs=1e-9)


def test_helpers_count_compilations():
    f = jax.jit(lambda x: x * 3 + 1)
    with compilations() as first:
        f(jnp.ones(3))
    with compilations() as second:
        f(jnp.zeros(3))
    with compilations() as third:
        f(jnp.zeros(4))
    assert len(first) >= 1 and len(third) >= 1 and not second
