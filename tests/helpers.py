"""What the laws share: finite differences, comparison of derivatives, and a count of compilations."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxneuro import ExactSpikes, simulate

MODES = {"forward": jax.jacfwd, "reverse": jax.jacrev}
# Derivatives are laws of the traced program; compiled without optimisation it is ready sooner.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def eps(like: Any) -> float:
    """Distance from 1 to the next float of the precision of an array or dtype."""
    dtype = np.dtype(like) if isinstance(like, type | np.dtype | str) else jnp.result_type(like)
    return float(jnp.finfo(dtype).eps)


def exact_spikes(model, stimulus, dt, *, t1, n, y0=None):
    """First n spikes [ms], padded with inf; the shape does not depend on how many there are."""
    run = simulate(model, stimulus, t1=t1, dt_save=dt, solver=ExactSpikes(dt), max_spikes=n, y0=y0, throw=False)
    return run.spike_times


def assert_close(actual: Any, expected: Any, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Trees of arrays with equal structure, shapes and (close) values."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def assert_finite(tree: Any) -> None:
    """No leaf has an infinity or a NaN."""
    for leaf in jax.tree.leaves(tree):
        assert np.all(np.isfinite(leaf)), leaf


def cast(tree: Any, dtype: Any) -> Any:
    """The tree with all floating-point leaves in another precision."""

    def convert(leaf: Any) -> Any:
        is_float = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, dtype) if is_float else leaf

    return jax.tree.map(convert, tree)


def finite_differences(f: Callable, x: np.ndarray, *, step: float | None = None, side: int = 0) -> np.ndarray:
    """Jacobian (n_out, n) of f at a vector x by Richardson's extrapolation of two differences.

    Steps are `step` times max(|x_i|, 1), eps^(1/3) unless given: rounding then costs about
    eps^(2/3) |f| / |x|, and nothing is left of the leading error. `side` is 0 for central
    differences, +1 or -1 for one-sided ones, where only one side is smooth.
    """
    x = np.asarray(x)
    scale = (eps(x) ** (1 / 3) if step is None else step) * np.maximum(np.abs(x), 1.0)

    def difference(i: int, h: float) -> np.ndarray:
        high, low = x.copy(), x.copy()
        high[i] += h if side >= 0 else 0
        low[i] -= h if side <= 0 else 0
        return (np.asarray(f(high)) - np.asarray(f(low))) / (high[i] - low[i])

    # the error of a central difference is even in h, that of a one-sided one begins with h
    weight = 4 if side == 0 else 2
    columns = [(weight * difference(i, scale[i] / 2) - difference(i, scale[i])) / (weight - 1) for i in range(x.size)]
    return np.stack(columns, axis=-1)


def in_factors(f: Callable, x: Any) -> tuple[Callable, Any]:
    """f as a function of factors of every number in x (of what is added to those that are 0), and the factors 1.

    A step of one size then fits a concentration of 1e-4 as well as a conductance of 100.
    """

    def g(factors: Any) -> Any:
        return f(jax.tree.map(lambda value, s: jnp.where(value == 0, s - 1, value * s), x, factors))

    return g, jax.tree.map(jnp.ones_like, x)


def assert_derivatives_agree(
    f: Callable,
    x: Any,
    *,
    rtol: float | None = None,
    atol: float = 0.0,
    step: float | None = None,
    modes: tuple[str, ...] = ("forward", "reverse"),
) -> None:
    """jvp = vjp = finite differences of f, which takes a tree of floats to an array or a tree.

    Finite differences are trusted to `rtol` of themselves, eps^(1/3) unless given, plus what
    rounding of f costs them. Forward and reverse mode differ by rounding alone.
    """
    flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, x))

    def g(vector: jax.Array) -> jax.Array:
        return ravel_pytree(f(unravel(vector)))[0]

    compiled = quick_jit(g)
    value = np.asarray(compiled(flat))
    expected = finite_differences(compiled, np.asarray(flat), step=step)
    assert np.all(np.isfinite(expected)) and np.any(expected != 0), "f does not depend on x"
    h = (eps(flat) ** (1 / 3) if step is None else step) * np.maximum(np.abs(np.asarray(flat)), 1)
    rounding = 30 * eps(flat) * np.maximum(np.abs(value), eps(flat))[:, None] / h
    rtol = eps(flat) ** (1 / 3) if rtol is None else rtol
    # all modes in one program, which costs one compilation
    found = quick_jit(lambda x: [MODES[mode](g)(x) for mode in modes])(flat)
    jacobians = {mode: np.asarray(jacobian) for mode, jacobian in zip(modes, found, strict=True)}
    for mode, jacobian in jacobians.items():
        error = np.abs(jacobian - expected)
        allowed = rtol * np.abs(expected) + rounding + atol
        assert np.all(error <= allowed), f"{mode}:\n{jacobian}\nfinite differences:\n{expected}"
    if len(jacobians) == 2:
        forward, reverse = jacobians.values()
        largest = np.max(np.abs(forward), axis=1, keepdims=True)
        np.testing.assert_array_less(
            np.abs(forward - reverse), np.broadcast_to(1e5 * eps(flat) * largest + 1e-300, forward.shape)
        )


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """What jax compiles inside the block, one message per program."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Compiling"):
                messages.append(record.getMessage())

    collector, logger = Collector(), logging.getLogger("jax")
    logger.addHandler(collector)
    try:
        with jax.log_compiles():
            yield messages
    finally:
        logger.removeHandler(collector)
