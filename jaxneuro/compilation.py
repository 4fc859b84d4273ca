"""What the installed compiler does, and how long compilation took, read from what jax reports of itself."""

import contextlib
import threading
from collections.abc import Iterator

import jax
import jaxlib

__all__ = ["HAS_JAXLIB_012", "Stopwatch", "compile_seconds"]

HAS_JAXLIB_012 = tuple(map(int, jaxlib.__version__.split(".")[:2])) >= (0, 12)
"""Since then XLA compiles whole loops into one kernel, and keeps optimisation barriers until it has fused."""

_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
_watches: list["Stopwatch"] = []
_lock = threading.Lock()


class Stopwatch:
    """Seconds that jax spent on tracing, lowering and compiling."""

    def __init__(self) -> None:
        self._parts = {"trace": 0.0, "lower": 0.0, "compile": 0.0}

    @property
    def seconds(self) -> float:
        """All three together."""
        return sum(self._parts.values())

    def note(self, part: str, seconds: float) -> None:
        """An outer trace contains the inner ones: of traces the longest counts, of the rest the sum."""
        old = self._parts[part]
        self._parts[part] = max(old, seconds) if part == "trace" else old + seconds


def _listen(event: str, seconds: float, **_: object) -> None:
    if event in _EVENTS:
        with _lock:
            for watch in _watches:
                watch.note(_EVENTS[event], seconds)


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextlib.contextmanager
def compile_seconds() -> Iterator[Stopwatch]:
    """Watch compilation, in all threads, while the block runs.

    >>> with compile_seconds() as watch:
    ...     jax.jit(jnp.sin)(1.0)
    >>> watch.seconds > 0
    True
    """
    watch = Stopwatch()
    with _lock:
        _watches.append(watch)
    try:
        yield watch
    finally:
        with _lock:
            _watches.remove(watch)
