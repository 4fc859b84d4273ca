"""What is said of an argument of the wrong kind."""

from typing import Any

import numpy as np

__all__ = ["check_count", "check_flags", "check_kind"]


def check_kind(name: str, value: Any, kind: type | tuple[type, ...], what: str, example: str) -> None:
    """Raise a TypeError unless `value` is a `kind`, which the sentence calls `what`; `example` says how to make one."""
    if not isinstance(value, kind):
        found = f"the class {value.__name__}" if isinstance(value, type) else _shown(value)
        raise TypeError(f"Argument `{name}` must be {what}, but is {found}; {example}.")


def check_flags(**flags: Any) -> None:
    """Raise a TypeError for an argument that is neither True nor False."""
    for name, value in flags.items():
        check_kind(name, value, (bool, np.bool_), "True or False", f"write {name}=False for no")


def check_count(name: str, value: Any, least: int, example: int) -> int:
    """A whole number, or the sentence that says that it is none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(
            f"Argument `{name}` must be a whole number of at least {least}, but is {value!r}; give e.g. {example}."
        )
    return int(value)


def _shown(value: Any) -> str:
    """A number or a word as it is, anything else by its class."""
    return repr(value) if value is None or isinstance(value, str | int | float) else f"a {type(value).__name__}"
