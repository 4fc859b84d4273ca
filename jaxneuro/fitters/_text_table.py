"""Rows of text in columns."""

__all__ = ["text_table"]


def text_table(rows: list[list[str]]) -> list[str]:
    """Lines of a table whose first row is its head, with a rule below it."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return lines
