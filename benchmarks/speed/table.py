"""The report as text: one line a figure, the target and its verdict beside it."""

from typing import Any

from speed.targets import target_of

__all__ = ["table", "verdict"]

_COLUMNS = (
    ("figure", "<51"),
    ("", "<3"),
    ("N", ">9"),
    ("ours ns", ">9"),
    ("peer ns", ">9"),
    ("value", ">9"),
    ("target", ">7"),
    ("", "<6"),
    ("spike error [ms]", ">17"),
    ("compile [s]", ">11"),
    ("memory [MiB]", ">12"),
)


def verdict(row: dict[str, Any], jaxlib: str) -> tuple[str, str]:
    """(target, "met" or "missed"), both "" without one."""
    target = target_of(row["claim"], row["precision"], row["n"], jaxlib)
    if target is None or row["value"] is None:
        return str(target or ""), ""
    return str(target), "met" if target.is_met(row["value"]) else "missed"


def table(rows: list[dict[str, Any]], jaxlib: str) -> str:
    """All rows under one heading; notes of refused comparisons below their row."""
    lines = [_line([name for name, _ in _COLUMNS]), "-" * sum(int(width[1:]) + 1 for _, width in _COLUMNS)]
    for row in rows:
        lines.append(_line(_cells(row, jaxlib)))
        if row["refusal"]:
            lines.append(f"    no ratio: {row['refusal']}")
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return " ".join(f"{cell:{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True)).rstrip()


def _cells(row: dict[str, Any], jaxlib: str) -> list[str]:
    return [
        row["label"],
        {"float32": "f32", "float64": "f64"}[row["precision"]],
        f"{row['n']:,}",
        _number(row["ours_ns"]),
        _number(row["peer_ns"]),
        "-" if row["value"] is None else _value(row["value"], row["unit"]),
        *verdict(row, jaxlib),
        _two(row["ours_error"], row["peer_error"], _error),
        _two(row["ours_compile"], row["peer_compile"], lambda s: f"{s:.1f}"),
        _two(row["ours_mib"], row["peer_mib"], lambda m: f"{m:.0f}"),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _value(value: float, unit: str) -> str:
    if unit == "1":
        return f"{value:.0f}"
    return f"{value:.2f}x" if unit == "x" else f"{value:.3g} {unit}"


def _error(value: float) -> str:
    return f"{value:.2g}" if value < float("inf") else "lost"


def _two(ours: float | None, peer: float | None, show: Any) -> str:
    return "" if ours is None and peer is None else " / ".join("-" if v is None else show(v) for v in (ours, peer))
