"""CSV and NPZ tables: units, sweeps, and one sentence for each bad file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from jaxneuro.io import read_csv, read_npz, read_recording

HEADER = "time_ms,voltage_mV,current_pA"


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes lines into a CSV file."""

    def to(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "cell.csv"
        path.write_text("\n".join(lines), encoding=encoding)
        return path

    return to


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes arrays into an NPZ file."""

    def to(**arrays: np.ndarray) -> Path:
        np.savez(tmp_path / "cell.npz", **arrays)
        return tmp_path / "cell.npz"

    return to


def test_csv_reads_one_sweep(csv):
    recording = read_recording(csv(HEADER, "0,-65,0", "0.1,-64.5,10", "0.2,-64,10", ""))
    assert recording.source.endswith("cell.csv")
    (sweep,) = recording
    assert sweep.index == 0
    assert np.array_equal(sweep.ts, [0.0, 0.1, 0.2])
    assert np.array_equal(sweep.voltage, [-65.0, -64.5, -64.0])
    assert np.array_equal(sweep.current, [0.0, 10.0, 10.0])


def test_csv_reads_sweeps_in_any_order_of_columns_and_lines(csv):
    lines = ["current_note,sweep, current_pA,voltage_mV,time_ms", "x,7,1,-65,0", "y,3,2,-64,0"]
    lines += ["", "z,7,3,-63,0.5", ",3.0,4,-62,0.5"]
    recording = read_csv(csv(*lines))
    assert [sweep.index for sweep in recording] == [7, 3]
    assert np.array_equal(recording[0].current, [1.0, 3.0])
    assert np.array_equal(recording[1].voltage, [-64.0, -62.0])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    "header, line",
    [
        ("time_s,voltage_V,current_nA", "{},-0.065,0.01"),
        ("time_us,voltage_uV,current_A", "{}e6,-65000,1e-11"),
    ],
)
def test_csv_converts_units(header, line, encoding, csv):
    recording = read_csv(csv(header, line.format(1), line.format(2), encoding=encoding))
    assert np.allclose(recording[0].ts, [1000.0, 2000.0])
    assert np.allclose(recording[0].voltage, -65.0)
    assert np.allclose(recording[0].current, 10.0)


def test_csv_round_trips_a_recording(data_dir, csv):
    sweep = read_recording(data_dir / "abf/171116sh_0018.abf")[12]
    columns = np.stack([sweep.ts, sweep.voltage, sweep.current], axis=1)
    again = read_csv(csv(HEADER, *(",".join(map(repr, row)) for row in columns.tolist())))[0]
    assert np.array_equal(again.ts, sweep.ts)
    assert np.array_equal(again.voltage, sweep.voltage)
    assert np.array_equal(again.current, sweep.current)


@pytest.mark.parametrize(
    "lines, match",
    [
        ([], r"must have column names and data, but is empty; "),
        (["", "  ", ","], r"must have column names and data, but is empty; "),
        ([HEADER], r"must have data below its column names, but has none; "),
        (["0,-65,0", "1,-65,0"], r"column `time_ms`, but its columns are `0`, `-65`, `0`; "),
        (["time_ms,voltage_mV", "0,-65"], r"column `current_pA`, but .* `time_ms`, `voltage_mV`;"),
        (
            ["time_ms;voltage_mV;current_pA", "0;-65;0"],
            r"column `voltage_mV`, but its columns are `time_ms;voltage_mV;current_pA`; ",
        ),
        (
            ["time_ms,voltage_pA,current_pA", "0,-65,0"],
            r"`voltage_pA` .* end in a unit of voltage, but its suffix is 'pA'; .*`voltage_mV`",
        ),
        (
            ["time_ms,voltage_mV,current_furlong", "0,-65,0"],
            r"`current_furlong` .* unit of current, but its suffix is 'furlong'; ",
        ),
        (
            ["time,voltage_mV,current_pA"],
            r"`time` .* unit of time, but its suffix is ''; .*`time_ms`",
        ),
        ([HEADER + ",voltage_V"], r"one column of voltage, but has `voltage_mV`, `voltage_V`; "),
        ([HEADER, "0,-65,0", "0.1,high,0"], r"Line 3 .* column `voltage_mV`, but has 'high'; "),
        ([HEADER, "0,-65,0", "", "0.1,-65"], r"Line 4 .* `current_pA`, but has nothing there; "),
        ([HEADER, "0,-65,0", "0.1,,0"], r"Line 3 .* `voltage_mV`, but has nothing there; "),
        (
            [HEADER, "0,-65,0", "0.1,nan,0", "0.2,nan,0"],
            r"Line 3 .* finite number in column `voltage_mV`, but has nan \(first of 2\); ",
        ),
        ([HEADER, "0,-65,0", "0.1,-65,inf"], r"Line 3 .* finite .* `current_pA`, but has inf"),
        (
            [HEADER, "0,-65,0", "0.1,-65,0", "0,-65,0", "0.1,-65,0"],
            r"Line 4 .* later time than line 3, but has 0 after 0\.1 in sweep 0; .*column `sweep`",
        ),
        (
            [HEADER + ",sweep", "0,-65,0,1", "0,-65,0,2", "0,-65,0,1", "1,-65,0,2"],
            r"Line 4 .* later time than line 2, but has 0 after 0 in sweep 1; ",
        ),
        (
            [HEADER + ",sweep", "0,-65,0,1.5", "1,-65,0,1.5"],
            r"must hold whole numbers, but has 1\.5",
        ),
        ([HEADER, "0,-65,0"], r"`ts` must have at least 2 samples, but sweep 0 has 1; "),
    ],
)
def test_csv_refuses_in_one_sentence(lines, match, csv):
    with refused(match):
        read_recording(csv(*lines))


def test_csv_refuses_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "cell.csv"
    for content in (b"\xff\xfe" + HEADER.encode("utf-16-le"), bytes(range(256)) * 10):
        path.write_bytes(content)
        with refused(r"must be comma-separated text, but holds other bytes; "):
            read_recording(path)


def test_npz_reads_rows_and_converts_units(npz):
    path = npz(
        time_s=np.arange(4) / 1e3,
        voltage_mV=np.arange(8).reshape(2, 4),
        current_nA=np.ones(4, dtype=np.float32),
        note=np.array("a note"),
    )
    recording = read_recording(path)
    assert len(recording) == 2
    assert np.allclose(recording[1].ts, np.arange(4.0))
    assert np.array_equal(recording[1].voltage, [4.0, 5.0, 6.0, 7.0])
    assert np.allclose(recording[1].current, 1000.0)


def test_npz_reads_sweeps_by_number(npz):
    recording = read_npz(
        npz(
            time_ms=np.array([0.0, 1.0, 0.0, 1.0, 2.0]),
            voltage_mV=np.arange(5.0),
            current_pA=np.zeros(5),
            sweep=np.array([4, 4, 2, 2, 2]),
        )
    )
    assert [sweep.index for sweep in recording] == [4, 2]
    assert np.array_equal(recording[1].voltage, [2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    "change, match",
    [
        ({"voltage_mV": None}, r"column `voltage_mV`, but its columns are `time_ms`, `current_pA`"),
        (
            {"voltage_mV": None, "voltage_pA": np.zeros(3)},
            r"`voltage_pA` .* unit of voltage, but its suffix is 'pA'; ",
        ),
        (
            {"current_pA": np.array(["a", "b", "c"])},
            r"`current_pA` .* real numbers, but has dtype <U",
        ),
        (
            {"time_ms": np.array([0.0, 1.0, 1.0])},
            r"`ts` must increase strictly, .* t=1 ms after t=1",
        ),
        ({"voltage_mV": np.array([0, np.nan, 0])}, r"`voltage` .* nan in sweep 0 at t=1 ms"),
        ({"voltage_mV": np.zeros(2)}, r"must be equally long, but sweep 0 has 3 of `ts`, 2 of "),
        (
            {"sweep": np.zeros(2)},
            r"arrays of one length beside `sweep`, but has shapes \(2,\), \(3,\)",
        ),
        ({"sweep": np.array([0, np.nan, 0])}, r"`sweep` .* must hold whole numbers, but has nan; "),
        ({"time_ms": np.zeros(0)}, r"must be equally long, but sweep 0 has 0 of `ts`, 3 of "),
        ({"voltage_mV": np.array([None, 1, 2])}, r"NumPy archive of plain arrays, but cannot be"),
    ],
)
def test_npz_refuses_in_one_sentence(change, match, npz):
    arrays = {"time_ms": np.arange(3.0), "voltage_mV": np.zeros(3), "current_pA": np.zeros(3)}
    arrays = {name: a for name, a in (arrays | change).items() if a is not None}
    with refused(match):
        read_recording(npz(**arrays))


def test_npz_refuses_broken_archives(npz, tmp_path):
    whole = npz(time_ms=np.arange(300.0), voltage_mV=np.zeros(300), current_pA=np.zeros(300))
    content = whole.read_bytes()
    flipped = bytearray(content)
    flipped[300] ^= 0xFF
    for broken in (b"", b"text", content[:100], content[:-30], bytes(flipped)):
        path = tmp_path / "broken.npz"
        path.write_bytes(broken)
        with refused(r"broken\.npz' must be a NumPy archive of plain arrays, but cannot be read"):
            read_recording(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with refused(r"must be a NumPy archive of plain arrays, but cannot be read"):
        read_recording(path)
