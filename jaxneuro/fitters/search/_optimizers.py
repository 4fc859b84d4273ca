"""Optimisers of gradients by name, and optax's own."""

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

if TYPE_CHECKING:
    import optax

__all__ = ["OPTIMIZERS", "chosen_optimizer", "idle", "n_searched", "polyak"]

_LEARNING_RATE = 0.1  # of Adam, in u, where an interval is about 4 wide
_MOST_TRIES = 12  # of a line search


def chosen_optimizer(optimizer: Any, n_steps: int) -> "optax.GradientTransformationExtraArgs":
    """The optimiser of so many steps; None is Adam. One object for equal arguments: it is compiled in, and known by its
    identity."""
    if optimizer is None or isinstance(optimizer, str):
        name = "adam" if optimizer is None else optimizer
        if name not in OPTIMIZERS:
            raise ValueError(
                f"Argument `optimizer` must be one of {', '.join(OPTIMIZERS)}, or of optax, but is {name!r}; choose "
                "one, or give e.g. optax.adam(0.05)."
            )
        return _named(name, n_steps if name == "adam" else 0)
    if not callable(getattr(optimizer, "init", None)):
        raise TypeError(
            f"Argument `optimizer` must be an optax optimiser, but is {optimizer!r}; use e.g. optax.adam(0.05)."
        )
    return _extended(optimizer)


@functools.lru_cache(maxsize=32)
def _named(name: str, n_steps: int) -> "optax.GradientTransformationExtraArgs":
    return OPTIMIZERS[name](n_steps)


@functools.lru_cache(maxsize=32)
def _extended(optimizer: "optax.GradientTransformation") -> "optax.GradientTransformationExtraArgs":
    """Takes the loss and the function too, which only some optimisers look at."""
    import optax

    return optax.with_extra_args_support(optimizer)


@functools.cache
def idle() -> "optax.GradientTransformationExtraArgs":
    """One that does nothing, where all steps are Levenberg-Marquardt's."""
    import optax

    return _extended(optax.sgd(0.0))


def _adam(n_steps: int) -> "optax.GradientTransformationExtraArgs":
    import optax  # a tenth of a second, which not every import of the library should take

    schedule = optax.cosine_decay_schedule(_LEARNING_RATE, max(n_steps, 1))
    return optax.with_extra_args_support(optax.adam(schedule))


def _lbfgs(n_steps: int) -> "optax.GradientTransformationExtraArgs":
    import optax

    search = optax.scale_by_zoom_linesearch(max_linesearch_steps=_MOST_TRIES, initial_guess_strategy="one")
    return optax.lbfgs(memory_size=10, linesearch=search)


class _First(NamedTuple):
    """The first finite loss, inf before it."""

    loss: Float[Array, ""]


def polyak(rate: float = 0.5) -> "optax.GradientTransformationExtraArgs":
    """Polyak's step on the normalised gradient: it gets shorter as the loss falls.

    u <- u - rate * (loss / first loss) * g / |g|

    A steep cliff, where a spike appears, moves u no farther than a plain does. 0 is taken as the loss of the optimum,
    so that data with noise end in steps of the noise's share of the first loss.

    **Arguments:** `rate`, length of the first step [1], in u, where an interval is about 4 wide.

    References: Polyak (1969), USSR Comput Math Math Phys 9:14. doi:10.1016/0041-5553(69)90035-4; Deistler et al.
    (2025), Nat Methods. doi:10.1038/s41592-025-02895-w (with the gradient normalised).
    """
    import optax

    def init(u: Array) -> _First:
        return _First(jnp.asarray(jnp.inf, u.dtype))

    def update(gradient: Array, state: _First, u: Any = None, *, value: Array, **_: Any) -> tuple[Array, _First]:
        first = jnp.where(jnp.isfinite(state.loss), state.loss, value)
        is_known = jnp.isfinite(first) & (first > 0)
        share = jnp.where(is_known, jnp.minimum(value / jnp.where(is_known, first, 1.0), 1.0), 1.0)
        norm = jnp.linalg.norm(gradient)
        direction = gradient / jnp.where(norm > 0, norm, 1.0)
        return -rate * share * direction, _First(first)

    return optax.GradientTransformationExtraArgs(init, update)


OPTIMIZERS = {"adam": _adam, "lbfgs": _lbfgs, "polyak": lambda n_steps: polyak()}


def n_searched(state: Any) -> Any:
    """Evaluations that the last update took beside the gradient it was given: those of a line search."""
    import optax

    return optax.tree_utils.tree_get(state, "num_linesearch_steps", 0)
