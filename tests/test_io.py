"""Reading recordings by path, and Axon files: the real ones, and one sentence for each bad one."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from jaxneuro.io import read_abf, read_recording

CELL = "abf/171116sh_0018.abf"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """A function that writes a file into an empty folder."""

    def to(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to


# --- paths ---


def test_read_recording_takes_suffixes_in_any_case(write):
    path = write("CELL.CSV", "time_ms,voltage_mV,current_pA\n0,-65,0\n1,-64,5\n")
    assert len(read_recording(str(path))) == 1


def test_read_recording_refuses_what_is_no_recording_file(write, tmp_path):
    write("cell.csv", "")
    match = r"must be an existing file.*sell\.csv' does not exist; did you mean '.*/cell\.csv'\?"
    with refused(match, FileNotFoundError):
        read_recording(tmp_path / "sell.csv")
    with refused(r"must be an existing file.* does not exist; check", FileNotFoundError):
        read_recording(tmp_path / "nowhere" / "x.abf")
    with refused(r"`path` must be a file, but '.*' is a folder; "):
        read_recording(tmp_path)
    with refused(r"must end in one of \.abf, \.csv, \.npz, \.nwb, but is '.*cell\.mat'; "):
        read_recording(write("cell.mat", "x"))


def test_read_recording_refuses_an_unreadable_file(write, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError("denied")

    path = write("cell.csv", "x")
    monkeypatch.setattr(Path, "open", denied)
    with refused(r"must be a file that you may read, but '.*' cannot be opened; "):
        read_recording(path)


@pytest.mark.parametrize("suffix, package", [("abf", "pyabf"), ("nwb", "pynwb")])
def test_read_recording_names_the_missing_extra(suffix, package, write, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with refused(rf"needs the package {package}.*pip install \"jaxneuro\[io\]\"", ImportError):
        read_recording(write(f"cell.{suffix}", "x"))


# --- ABF ---


def test_abf_reads_current_clamp(data_dir):
    recording = read_recording(data_dir / CELL)
    assert [sweep.index for sweep in recording] == list(range(17))
    assert recording.sampling_rate == 20000.0
    assert recording.source.endswith("171116sh_0018.abf")
    for k, sweep in enumerate(recording):
        assert sweep.ts[0] == 0.0 and sweep.ts.size == 60000
        assert sweep.t1 == pytest.approx(2999.95, abs=1e-9)  # rounding of double precision
        expected = np.zeros(60000)
        for start, level in ((2937, 25 * k - 100), (22937, -100), (32937, 25 * k - 100)):
            expected[start : start + 10000] = level
        assert np.array_equal(sweep.current, expected)
    # eFEL's base of the 200 pA sweep is -62.6 mV, given to one decimal.
    assert np.mean(recording[12].voltage[2643:2937]) == pytest.approx(-62.6, abs=0.05)


def test_abf_reads_a_ramp_in_pieces(data_dir):
    recording = read_recording(data_dir / "abf/171116sh_0016.abf")
    assert len(recording) == 11
    for k, sweep in enumerate(recording):
        assert (sweep.current[0], sweep.current[-1]) == (10 * max(k - 1, 0), 10 * k)


def test_abf_reads_its_waveform_file(data_dir, tmp_path):
    path = tmp_path / "sine.abf"
    path.write_bytes((data_dir / "abf/171116sh_0017.abf").read_bytes())
    with refused(r"waveform file 'sine sweep magnitude 20\.abf' or .*`stimulus_folder`"):
        read_recording(path)
    (tmp_path / "nowhere").mkdir()
    with refused(r"but it is not in '.*nowhere' and '.*'; "):
        read_recording(path, stimulus_folder=tmp_path / "nowhere")
    recording = read_recording(path, stimulus_folder=data_dir / "abf")
    assert len(recording) == 3 and recording.sampling_rate == 10000.0
    waveform = np.loadtxt(data_dir / "abf/sine sweep magnitude 20.atf", skiprows=11)[:, 1]
    for sweep in recording:
        # pyabf keeps the waveform in single precision.
        assert np.allclose(sweep.current, waveform[:100000], rtol=1e-6, atol=1e-6)


def test_abf_refuses_a_waveform_that_does_not_fit(data_dir, tmp_path):
    lines = (data_dir / "abf/sine sweep magnitude 20.atf").read_text().splitlines()
    (tmp_path / "sine sweep magnitude 20.atf").write_text("\n".join(lines[:1000]))
    with refused(r"must have 1 or 3 sweeps of at least 100000 samples, but has 1 of 989; "):
        read_recording(data_dir / "abf/171116sh_0017.abf", stimulus_folder=tmp_path)
    (tmp_path / "sine sweep magnitude 20.atf").write_text("no waveform")
    with refused(r"magnitude 20\.atf' must be an intact Axon"):
        read_recording(data_dir / "abf/171116sh_0017.abf", stimulus_folder=tmp_path)


@pytest.mark.parametrize("name", ["171116sh_0011", "171116sh_0012", "model_vc_step"])
def test_abf_refuses_voltage_clamp(name, data_dir):
    with refused(r"current-clamp.* is voltage clamp: channel 0 records pA under a command in mV; "):
        read_recording(data_dir / f"abf/{name}.abf")


def test_abf_refuses_a_channel_without_current_clamp(data_dir):
    with refused(r"`channel` must be .* but is 1, and channel 0 records mV.*choose from \[0\]"):
        read_abf(data_dir / CELL, channel=1)


# The header has 512 bytes, the data end at byte 2,046,656 and the sweep starts at 2,047,112.
@pytest.mark.parametrize("size", [0, 3, 4, 400, 512, 5000, 6656, 1_000_000, 2_046_655, 2_047_111])
def test_abf_refuses_a_truncated_file(size, data_dir, write):
    path = write("cut.abf", (data_dir / CELL).read_bytes()[:size])
    with refused(r"cut\.abf' must be (a complete|an Axon) ABF file, but .*; "):
        read_recording(path)


def test_abf_reads_a_file_that_lacks_padding_only(data_dir, write):
    whole = read_recording(data_dir / CELL)
    cut = read_recording(write("cut.abf", (data_dir / CELL).read_bytes()[:2_047_112]))
    assert all(np.array_equal(a.voltage, b.voltage) for a, b in zip(whole, cut, strict=True))


@pytest.mark.parametrize("start", [12, 76, 92, 108, 220, 236])
def test_abf_refuses_a_corrupt_header(start, data_dir, write):
    content = bytearray((data_dir / CELL).read_bytes())
    content[start : start + 12] = b"\xff" * 12
    with refused(r"bad\.abf' must be (a complete ABF|an intact Axon ABF) file, but .*; "):
        read_recording(write("bad.abf", bytes(content)))


def test_abf_refuses_text(write):
    with refused(r"must be an Axon ABF file, but does not begin with 'ABF'; "):
        read_recording(write("text.abf", "time,voltage\n" * 1000))


def abf1(units: tuple[bytes, bytes] = (b"mV", b"pA"), *, header: int = 6144) -> bytes:
    """A synthetic ABF 1.83 file: 2 sweeps of 640 samples at 10 kHz, steps of 70 and 100 pA."""
    content = bytearray(header) + struct.pack("<1280h", *range(1280))
    for at, kind, value in (
        (0, "4s", b"ABF "), (4, "f", 1.83), (8, "h", 5), (10, "i", 1280), (16, "i", 2),
        (40, "i", header // 512), (120, "h", 1), (122, "f", 100.0), (138, "i", 640),
        (244, "f", 10.0), (252, "i", 32768), (602, "8s", units[0].ljust(8)),
        (730, "f", 1.0), (922, "f", 0.01), (1050, "f", 1.0), (1346, "8s", units[1].ljust(8)),
        (1394, "f", 20.0), (2296, "h", 1), (2300, "h", 1), (2308, "h", 1), (2348, "f", 70.0),
        (2428, "f", 30.0), (2508, "i", 100),
    ):  # fmt: skip
        struct.pack_into(f"<{kind}", content, at, value)
    return bytes(content)


def test_abf1_reads_voltage_and_command(write):
    recording = read_recording(write("old.abf", abf1()))
    assert len(recording) == 2 and recording.sampling_rate == 10000.0
    # One count is 10 V / 32768 at 0.01 V/mV; pyabf computes in single precision.
    counts = np.arange(1280).reshape(2, 640)
    for k, sweep in enumerate(recording):
        assert np.allclose(sweep.voltage, counts[k] * 1000.0 / 32768.0, rtol=1e-6)
        # Clampex holds for 1/64 of a sweep before the first epoch.
        assert np.array_equal(sweep.current, np.repeat([20.0, 70.0 + 30.0 * k, 20.0], [10, 100, 530]))


@pytest.mark.parametrize("units, scale", [((b"V", b"nA"), 1e3), ((b"uV", b"fA"), None)])
def test_abf1_converts_units(units, scale, write):
    path = write("old.abf", abf1(units))
    if scale is None:
        with refused(r"must be a current-clamp .* channel 0 records uV under a command in fA; "):
            read_recording(path)
        return
    sweep = read_recording(path)[0]
    assert sweep.current[50] == 70.0 * scale
    assert sweep.voltage[-1] == pytest.approx(639 * scale * 1000.0 / 32768.0, rel=1e-6)


def test_abf1_refuses_what_is_older_or_cut(write):
    with refused(r"must be a complete ABF file"):
        read_recording(write("old.abf", abf1()[:-2]))
    with refused(r"must have a command .* but its format is older than ABF 1\.6; "):
        read_recording(write("old.abf", abf1(header=4096)))


def test_reading_abf_leaves_how_numpy_prints(run_python):
    """pyabf sets four digits for the whole program when it is imported."""
    run_python("""
        import contextlib, sys
        import numpy as np
        from jaxneuro.io import read_abf
        before = np.get_printoptions()
        with contextlib.suppress(Exception):  # there is no such file; the package is imported first
            read_abf("missing.abf")
        assert "pyabf" in sys.modules and np.get_printoptions() == before
    """)
