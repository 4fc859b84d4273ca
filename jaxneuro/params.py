"""Parameters that know their unit, bounds and meaning, and are found by a dotted path.

A parameter is a field made with `param()`: always a strongly typed array of the default float, so that it has a
gradient and a new value never recompiles. The metadata labels plots, tables, files and error messages.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxneuro import units

__all__ = [
    "AbstractParametrised",
    "NamedParams",
    "ParamInfo",
    "called",
    "get",
    "guess",
    "is_concrete",
    "names",
    "param",
    "params",
    "replace",
    "resolve",
]


def is_concrete(*values: Any) -> bool:
    """Whether all values are numbers or arrays that can be looked at now (none is traced or a placeholder)."""
    return all(eqx.is_array_like(value) and not isinstance(value, jax.core.Tracer) for value in values)


@dataclasses.dataclass(frozen=True)
class ParamInfo:
    """Unit, bounds and meaning of one parameter. `is_open`: the bounds themselves are not allowed; `is_whole`: whole
    numbers only, so that it has no derivative."""

    unit: str
    bounds: tuple[float | None, float | None] = (None, None)
    doc: str = ""
    is_open: bool = False
    is_whole: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError if a concrete value breaks the bounds or is NaN; traced values are skipped."""
        if not is_concrete(value):
            return
        array, is_good = np.asarray(value), self.allows(value)
        if not np.all(is_good):
            worst = array[~is_good].flat[0] if array.ndim else array
            raise ValueError(
                f"Argument `{name}` must be {self.rule}, but is {float(worst):g}; "
                f"choose another value for it ({self.doc[:1].lower() + self.doc[1:].rstrip('.')})."
            )

    def allows(self, value: Any) -> np.ndarray:
        """Whether numbers lie within the bounds."""
        array = np.asarray(value)
        low, high = self.bounds
        above = True if low is None else (array > low if self.is_open else array >= low)
        below = True if high is None else (array < high if self.is_open else array <= high)
        return ~np.isnan(array) & above & below & (not self.is_whole or array % 1 == 0)

    @property
    def rule(self) -> str:
        """What a value must be, e.g. "a number >= 0 [mS/cm^2]"."""
        low, high = self.bounds
        strict, loose = (">", "<") if self.is_open else (">=", "<=")
        parts = [f"{strict} {low:g}"] if low is not None else []
        parts += [f"{loose} {high:g}"] if high is not None else []
        noun = "a whole number" if self.is_whole else "a number"
        unit = "" if self.unit in ("1", "input") else f" [{self.unit}]"
        return (f"{noun} " + " and ".join(parts) if parts else noun) + unit


def param(
    default: float | None = dataclasses.MISSING,
    *,
    unit: str,
    bounds: tuple[float | None, float | None] = (None, None),
    is_open: bool = False,
    is_whole: bool = False,
    doc: str,
) -> Any:
    """Field of a model, channel, synapse or stimulus that holds a parameter.

    **Arguments:** `default`, the value in `unit` (no default: a required argument; None: may be left out, and then is
    no parameter); `unit`, e.g. "mS/cm^2"; `bounds`, the physically possible closed
    interval (None: unbounded), open if `is_open`, of whole numbers if `is_whole`; `doc`, its
    meaning.

    >>> class Leak(AbstractParametrised):
    ...     g_max: Array = param(0.3, unit="mS/cm^2", bounds=(0, None), doc="Leak conductance.")
    """
    info = ParamInfo(unit, bounds, doc, is_open, is_whole)
    chosen = {} if default is dataclasses.MISSING else {"default": default}

    def convert(value: Any) -> Array | None:
        return None if value is None and default is None else _to_array(field.name, value, unit)

    # dataclasses give the field its name later
    field = eqx.field(converter=convert, metadata={"param": info}, **chosen)
    return field


def _to_array(name: str, value: Any, unit: str) -> Array:
    if value is None or isinstance(value, str):
        raise TypeError(f"Argument `{name}` must be a number or an array in {unit}, but is {value!r}; give a number.")
    value = units.magnitude(value, unit, name)
    try:
        return jnp.asarray(value, dtype=jnp.result_type(float))
    except (TypeError, ValueError):
        raise TypeError(
            f"Argument `{name}` must be a number or an array in {unit}, but is a {type(value).__name__} with something "
            "else in it; give numbers."
        ) from None


class AbstractParametrised(eqx.Module):
    """Base of everything with parameters: checks them against their bounds when it is built."""

    def __check_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if "param" in field.metadata and value is not None:
                field.metadata["param"].check(field.name, value)


class NamedParams(eqx.Module):
    """Parameters whose names are only known when they are made: the variables of a model's state, say.

    `values`, name -> array, or others of its kind; `infos`, name -> what an array is.
    """

    values: dict[str, Any]
    infos: dict[str, ParamInfo] = eqx.field(static=True)


def _children(node: Any) -> Iterator[tuple[str, Any, ParamInfo | None]]:
    """Name, value and, of a parameter, what it is."""
    if isinstance(node, NamedParams):
        yield from ((name, child, node.infos.get(name)) for name, child in node.values.items())
    elif dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            yield field.name, getattr(node, field.name), field.metadata.get("param")
    elif isinstance(node, Mapping):
        yield from ((name, child, None) for name, child in node.items())
    elif isinstance(node, tuple | list):
        yield from ((str(i), child, None) for i, child in enumerate(node))


def params(tree: Any) -> dict[str, ParamInfo]:
    """All parameters of a model (or channel, stimulus, ...): full dotted path -> unit, bounds and meaning."""
    found = {}
    for name, child, info in _children(tree):
        if info is not None and child is not None:
            found[name] = info
        else:
            found.update({f"{name}.{path}": sub for path, sub in params(child).items()})
    return found


def names(tree: Any) -> dict[str, str]:
    """Shortest unambiguous name of every parameter -> its full path, e.g. "na.g_max" -> "channels.na.g_max"."""
    paths = list(params(tree))

    def shortest(path: str) -> str:
        parts = path.split(".")
        for start in range(len(parts) - 1, -1, -1):
            name = ".".join(parts[start:])
            # a channel's `g_max` is shown as "na.g_max" even where only one channel has it
            is_member = len(parts) > 1 and start == len(parts) - 1
            if sum(_matches(p, name) for p in paths) == 1 and not is_member:
                return name
        return path

    return {shortest(path): path for path in paths}


def _matches(path: str, name: str) -> bool:
    return path == name or path.endswith("." + name)


def resolve(tree: Any, name: str) -> str:
    """Full path of the parameter called `name`; a ValueError lists the candidates if there is none or several."""
    return _resolved(tree, name, params(tree))


def described(tree: Any, names: Iterable[str]) -> dict[str, ParamInfo]:
    """Unit, bounds and meaning of the parameters that are called `names`; a ValueError as of `resolve`."""
    paths = params(tree)
    return {name: paths[_resolved(tree, name, paths)] for name in names}


def _resolved(tree: Any, name: str, paths: Mapping[str, ParamInfo]) -> str:
    if name in paths:
        return name
    found = [path for path in paths if _matches(path, name)]
    if len(found) == 1:
        return found[0]
    short = names(tree)
    if found:
        candidates = sorted(n for n, p in short.items() if p in found)
        raise ValueError(f"Parameter {name!r} must name one parameter, but fits {', '.join(candidates)}; choose one.")
    if dataclasses.is_dataclass(tree) and getattr(tree, name, ...) is None:
        raise ValueError(
            f"Parameter {name!r} must have a value, but is None in this {type(tree).__name__}; build it with {name}=..."
        )
    close = difflib.get_close_matches(name, [*short, *paths], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? It has " if close else "it has "
    raise ValueError(
        f"Parameter {name!r} must be one of {type(tree).__name__}'s, but is not; {hint}{', '.join(sorted(short))}."
    )


def guess(given: Any, allowed: Iterable[str]) -> str:
    """End of a message about an unknown name: "did you mean 'na'? Known are k, na", or only what is known."""
    names = list(allowed)
    close = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? Known are" if close else "known are"
    return f"{hint} {', '.join(names)}"


def called(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """The one of `known` that is called `name`; a ValueError lists them, as of this kind ("preset", "surrogate")."""
    if name not in known:
        raise ValueError(f"Argument `name` must be a {kind}, but is {name!r}; {guess(name, known)}.")
    return known[name]


def _walk(tree: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(tree, NamedParams):
            tree = tree.values[part]
        elif dataclasses.is_dataclass(tree):
            tree = getattr(tree, part)
        else:
            tree = tree[part] if isinstance(tree, Mapping) else tree[int(part)]
    return tree


def get(tree: Any, name: str) -> Array:
    """Value of the parameter called `name`, e.g. `get(HodgkinHuxley(), "na.g_max")` [in its unit]."""
    return _walk(tree, resolve(tree, name))


def replace(tree: Any, values: Mapping[str, Any]) -> Any:
    """Copy of `tree` with other parameter values: `replace(HodgkinHuxley(), {"na.g_max": 100.0})`.

    Values may be traced; concrete ones are checked against the bounds. A scalar replaces every entry of a parameter
    with a shape, e.g. of all cells of a network.
    """
    if not values:
        return tree
    infos = params(tree)
    paths = {_resolved(tree, name, infos): name for name in values}
    arrays = []
    for path, name in paths.items():
        array = _to_array(name, values[name], infos[path].unit)
        infos[path].check(name, array)
        arrays.append(jnp.broadcast_to(array, jnp.shape(_walk(tree, path))) if array.ndim == 0 else array)
    return eqx.tree_at(lambda node: [_walk(node, path) for path in paths], tree, arrays)
