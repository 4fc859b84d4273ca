"""The variables of a model's state as parameters: where a recording begins is rarely known."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jaxneuro.params import NamedParams, ParamInfo

__all__ = ["state_from", "state_params"]

_INFOS = {
    "V": ParamInfo("mV", doc="Voltage at the first sample."),
    "gates": ParamInfo("1", (0.0, 1.0), "Gate at the first sample."),
    "ions": ParamInfo("mM", (0.0, None), "Concentration at the first sample."),
}
_OTHER = ParamInfo("its unit", doc="Variable at the first sample.")


def state_params(y0: Any, info: ParamInfo | None = None) -> NamedParams:
    """A state, a named tuple of arrays and of mappings of them, as parameters by its names; `info` of all of them.

    **Raises:** TypeError for anything else.
    """
    children = _children(y0)
    if children is None:
        raise TypeError(
            f"Argument `y0` must be a state with names, but is a {type(y0).__name__}; start from `model.init_state()`."
        )
    values, infos = {}, {}
    for name, value in children.items():
        own = info or _INFOS.get(name, _OTHER)
        if _children(value) is None:
            values[name], infos[name] = jnp.asarray(value, jnp.result_type(float)), own
        else:
            values[name] = state_params(value, own)
    return NamedParams(values, infos)


def state_from(parameters: NamedParams, like: Any) -> Any:
    """The state again, shaped as `like`.

    **Raises:** ValueError if it is of another model.
    """
    children = _children(like) or {}
    if set(children) != set(parameters.values):
        raise ValueError(
            f"Argument `y0` must be a state of the model, with {', '.join(children) or 'no names'}, but has "
            f"{', '.join(parameters.values)}; start from `model.init_state()` and replace its values."
        )
    values = {
        name: state_from(parameters.values[name], child)
        if isinstance(parameters.values[name], NamedParams)
        else parameters.values[name]
        for name, child in children.items()
    }
    return values if isinstance(like, Mapping) else like._replace(**values)


def _children(y: Any) -> dict[str, Any] | None:
    """Parts of a state by name; None of an array."""
    if isinstance(y, Mapping):
        return dict(y)
    return y._asdict() if isinstance(y, tuple) and getattr(y, "_fields", ()) else None
