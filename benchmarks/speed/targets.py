"""What each figure must reach, as the project set it."""

import dataclasses

__all__ = ["Target", "target_of"]

_LARGE = 10_000


@dataclasses.dataclass(frozen=True)
class Target:
    """`limit` must not be exceeded, or must be reached if `is_least`."""

    limit: float
    is_least: bool

    def is_met(self, value: float) -> bool:
        """Whether the figure reaches it."""
        return value >= self.limit if self.is_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.limit:g}"


# claim -> limit by precision, and whether it is a least; ratios against C fall and all others rise
_AT_MOST = {
    "c-fhn": {"float32": 1.6, "float64": 1.6},
    "c-lif": {"float32": 2.2, "float64": 2.2},
    "gradient-exponential_euler": {"float32": 3.5, "float64": 3.5},
    "gradient-rk4": {"float32": 4.0, "float64": 4.0},
    "gradient-single": {"float32": 6.0, "float64": 6.0},
    "gradient-memory": {"float32": 24.0},
    "compile-forward": {"float32": 1.0},
    "compile-flat": {"float32": 1.5},
    "compile-gradient": {"float32": 4.0},
    "recompile": {"float32": 0.0},
    "million-seconds": {"float32": 90.0},
    "million-memory": {"float32": 2.0},
}
_AT_LEAST = {
    "diffrax-hh": {"float32": 8.0, "float64": 4.0},
    "diffrax-adaptive": {"float32": 3.5, "float64": 1.9},
    "spiking-forward": {"float32": 2.0, "float64": 2.0},
    "spiking-gradient": {"float32": 5.0, "float64": 5.0},
    "jaxley-sweep": {"float32": 3.0},
    "jaxley-vmap": {"float32": 2.0},
    "jaxley-gradient": {"float32": 8.0},
    "two-cores": {"float32": 1.5},
}
_FOR_LARGE_BATCHES = ("c-hh", "c-fhn", "c-lif", "diffrax-hh", "diffrax-adaptive")


def target_of(claim: str, precision: str, n: int, jaxlib: str) -> Target | None:
    """The target of a claim, or None where it has none, e.g. for small batches."""
    if claim in _FOR_LARGE_BATCHES and n < _LARGE:
        return None
    if claim == "c-hh":
        is_new = tuple(int(part) for part in jaxlib.split(".")[:2]) >= (0, 12)
        limits = {"float32": 1.4, "float64": 1.6} if is_new else {"float32": 1.6, "float64": 1.8}
        return Target(limits[precision], is_least=False)
    for table, is_least in ((_AT_MOST, False), (_AT_LEAST, True)):
        limit = table.get(claim, {}).get(precision)
        if limit is not None:
            return Target(limit, is_least)
    return None
