"""From two timed sides to a row of the report: gate first, ratio second."""

from collections.abc import Callable
from typing import Any

from speed.accuracy import LIMIT
from speed.clock import compare
from speed.rows import Row, Settings

__all__ = ["ratio_row"]


def ratio_row(
    settings: Settings,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    lane_steps: float,
    is_speedup: bool = True,
    errors: tuple[float | None, float | None] = (None, None),
    refusal: str = "",
    **fields: Any,
) -> Row:
    """Both sides timed; the value is how many times faster ours is, or ours / peer if not `is_speedup`.

    The ratio is refused where ours is less accurate than the peer by more than `LIMIT`, or for a reason given.
    """
    a, b = compare(ours, peer, rounds=settings.mode.rounds, least=settings.mode.least)
    if None not in errors and not errors[0] <= errors[1] + LIMIT:
        refusal = refusal or "not as accurate"
    ratio = b.seconds / a.seconds if is_speedup else a.seconds / b.seconds
    return Row(
        precision=settings.precision,
        value=None if refusal else ratio,
        ours_ns=1e9 * a.seconds / lane_steps,
        peer_ns=1e9 * b.seconds / lane_steps,
        ours_error=errors[0],
        peer_error=errors[1],
        ours_compile=a.compile_seconds,
        peer_compile=b.compile_seconds,
        ours_mib=a.peak_mib,
        peer_mib=b.peak_mib,
        refusal=refusal,
        **fields,
    )
