"""Where the compiler's fusion must stop: it computes anew, for each of its uses, whatever it fuses."""

from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

from jaxneuro.compilation import HAS_JAXLIB_012

__all__ = ["separated"]

_behind_barrier = jax.jit(jax.lax.optimization_barrier)


def separated(values: Any) -> Any:
    """The values themselves, arrays in any pytree, computed once before anything that uses them.

    jaxlib keeps optimisation barriers until it has fused from version 0.12 on. Before that, on CPUs only the border of
    a function holds that it may not inline.
    """
    if HAS_JAXLIB_012 or jax.default_backend() != "cpu":
        return jax.lax.optimization_barrier(values)
    with set_xla_metadata(inlineable="false"):
        return _behind_barrier(values)
