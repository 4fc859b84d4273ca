"""Recordings in tables: CSV files and NPZ archives with one named column for each quantity.

The columns are `time_ms`, `voltage_mV`, `current_pA` and, for more than one sweep, `sweep`. Behind
the underscore stands the unit; another one of the same dimension (`time_s`, `current_nA`) is
converted. Other columns are ignored.
"""

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxneuro.recording import Recording, Sweep
from jaxneuro.units import convert

__all__ = ["read_csv", "read_npz"]

_UNITS = {"time": "ms", "voltage": "mV", "current": "pA"}


def read_csv(path: str | Path) -> Recording:
    """Read a comma-separated table whose first line names the columns.

    Arguments:
        path: A CSV file with columns `time_ms`, `voltage_mV`, `current_pA` and optionally `sweep`.

    Raises a ValueError that names the line for text in the place of a number, NaN, or times that
    do not increase within a sweep, and one that names the column for a missing or wrong one.

    >>> recording = read_csv("cell.csv")  # doctest: +SKIP
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = _rows(file)
            names = [name.strip() for name in next(rows, (1, []))[1]]
            if not names:
                raise ValueError(f"File '{path}' must have column names and data, but is empty; export it again.")
            factors = _factors(names, path)
            wanted = [*factors, *(["sweep"] if "sweep" in names else [])]
            lines, table = _numbers(rows, [names.index(name) for name in wanted], wanted, path)
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(
            f"File '{path}' must be comma-separated text, but holds other bytes; export it as CSV in UTF-8."
        ) from None
    if not lines.size:
        raise ValueError(f"File '{path}' must have data below its column names, but has none; export it again.")
    for name, column in zip(wanted, table.T, strict=True):
        _check_finite(name, column, lines, path)
    groups = _groups(table[:, 3] if "sweep" in wanted else np.zeros(len(table)), path)
    for index, at in groups.items():
        _check_times(table[at, 0], lines[at], index, path)
    return _recording(table[:, :3] * list(factors.values()), groups, path)


def read_npz(path: str | Path) -> Recording:
    """Read a NumPy archive with one array for each column.

    Arguments:
        path: An NPZ file with arrays `time_ms`, `voltage_mV` and `current_pA`. They are
            one-dimensional, with an array `sweep` of the same length where there are several
            sweeps; or, without `sweep`, of shape (n_sweep, n_time) or (n_time,).

    Raises a ValueError for a broken archive, a missing array, a wrong unit, text, or bad samples.

    >>> recording = read_npz("cell.npz")  # doctest: +SKIP
    """
    path = Path(path)
    arrays = _load_npz(path)
    factors = _factors(list(arrays), path)
    for name in [*factors, *(["sweep"] if "sweep" in arrays else [])]:
        if arrays[name].dtype.kind not in "iuf":
            raise ValueError(
                f"Array `{name}` of file '{path}' must hold real numbers, but has dtype "
                f"{arrays[name].dtype}; write it as float64."
            )
    columns = [arrays[name] * factor for name, factor in factors.items()]
    if "sweep" not in arrays:
        return Recording.from_arrays(*columns, source=str(path))
    shapes = sorted({column.shape for column in [*columns, arrays["sweep"]]})
    if len(shapes) > 1 or len(shapes[0]) != 1:
        raise ValueError(
            f"File '{path}' must have one-dimensional arrays of one length beside `sweep`, but has "
            f"shapes {', '.join(map(str, shapes))}; give every sample its sweep, or drop `sweep`."
        )
    return _recording(np.stack(columns, axis=1), _groups(arrays["sweep"], path), path)


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # A broken archive can fail in zipfile, zlib, struct or numpy's parser of array headers.
    except Exception as error:
        raise ValueError(
            f"File '{path}' must be a NumPy archive of plain arrays, but cannot be read as one; "
            "write it again with `numpy.savez`."
        ) from error


def _factors(names: Sequence[str], path: Path) -> dict[str, float]:
    """Column of time, voltage and current -> the factor that brings it to ms, mV and pA."""
    named = {q: [name for name in names if name.partition("_")[0] == q] for q in _UNITS}
    for quantity, unit in _UNITS.items():
        if not named[quantity]:
            shown = ", ".join(f"`{name[:40]}`" for name in names[:10]) or "none"
            raise ValueError(
                f"File '{path}' must have a column `{quantity}_{unit}`, but its columns are "
                f"{shown}; add it, or rename the one that holds it."
            )
    factors = {}
    for quantity, unit in _UNITS.items():
        valid = {name: f for name in named[quantity] if (f := _factor(name, unit)) is not None}
        if not valid:
            name, suffix = named[quantity][0], named[quantity][0].partition("_")[2]
            raise ValueError(
                f"Column `{name}` of file '{path}' must end in a unit of {quantity}, but its "
                f"suffix is '{suffix}'; name it `{quantity}_{unit}` if it is in {unit}."
            )
        if len(valid) > 1:
            raise ValueError(
                f"File '{path}' must have one column of {quantity}, but has `{'`, `'.join(valid)}`; remove the others."
            )
        factors |= valid
    return factors


def _factor(name: str, unit: str) -> float | None:
    """What the values of a column are multiplied with; None if its suffix is no such unit."""
    try:
        return float(convert(1.0, name.partition("_")[2], unit))
    except ValueError:
        return None


def _rows(file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number, counted from 1, and cells of each line that is not blank."""
    reader = csv.reader(file)
    return ((reader.line_num, row) for row in reader if any(map(str.strip, row)))


def _numbers(
    rows: Iterator[tuple[int, list[str]]], places: list[int], wanted: list[str], path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Line numbers (n_row,) and the wanted columns (n_row, n_wanted)."""
    # A plain list of a million rows of strings would need ten times the memory of the numbers.
    lines, values = array("q"), array("d")
    for line, row in rows:
        try:
            values.extend([float(row[place]) for place in places])
        except (ValueError, IndexError):
            raise ValueError(_fault(line, row, places, wanted, path)) from None
        lines.append(line)
    return np.array(lines), np.array(values).reshape(-1, len(places))


def _fault(line: int, row: list[str], places: list[int], wanted: list[str], path: Path) -> str:
    """What is wrong with a line that does not hold a number in every wanted column."""
    cells = [row[place].strip() if place < len(row) else "" for place in places]
    name, cell = next(pair for pair in zip(wanted, cells, strict=True) if not _is_number(pair[1]))
    return (
        f"Line {line} of file '{path}' must have a number in column `{name}`, but has "
        f"{repr(cell[:40]) if cell else 'nothing there'}; correct the line or remove it."
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_finite(name: str, column: np.ndarray, lines: np.ndarray, path: Path) -> None:
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise ValueError(
            f"Line {lines[bad[0]]} of file '{path}' must have a finite number in column `{name}`, "
            f"but has {column[bad[0]]} (first of {bad.size}); remove these lines or this sweep."
        )


def _check_times(times: np.ndarray, lines: np.ndarray, index: int, path: Path) -> None:
    stuck = np.flatnonzero(np.diff(times) <= 0)
    if stuck.size:
        k = stuck[0]
        raise ValueError(
            f"Line {lines[k + 1]} of file '{path}' must have a later time than line {lines[k]}, "
            f"but has {times[k + 1]:g} after {times[k]:g} in sweep {index}; "
            "sort the lines, or number the sweeps in a column `sweep`."
        )


def _groups(sweep: np.ndarray, path: Path) -> dict[int, np.ndarray]:
    """Sweep number -> its rows, in the order of the sweeps' first rows."""
    bad = sweep[~(np.isfinite(sweep) & (sweep == np.round(sweep)))]
    if bad.size:
        raise ValueError(
            f"Column `sweep` of file '{path}' must hold whole numbers, but has {bad[0]:g}; "
            "number the sweeps 0, 1, 2 and so on."
        )
    numbers, first = np.unique(sweep, return_index=True)
    return {int(n): np.flatnonzero(sweep == n) for n in numbers[np.argsort(first)]}


def _recording(table: np.ndarray, groups: dict[int, np.ndarray], path: Path) -> Recording:
    sweeps = (Sweep(*table[at].T, index=index) for index, at in groups.items())
    return Recording(tuple(sweeps), str(path))
