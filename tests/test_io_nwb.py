"""NWB files: new and old layouts, the real ones, and one sentence for each bad one."""

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from jaxneuro.io import read_nwb, read_recording


def series(kind: str, name: str, electrode, data: np.ndarray, **options):
    """A patch-clamp series of pynwb, by default sampled at 10 kHz."""
    icephys = pytest.importorskip("pynwb.icephys")
    options = {"rate": 10000.0} | options
    return vars(icephys)[kind](name=name, data=data, electrode=electrode, gain=1.0, **options)


def write_nwb(path: Path, fill: Callable) -> Path:
    """An NWB file that `fill(nwb, electrode_0, electrode_1)` has put series into."""
    pynwb = pytest.importorskip("pynwb")
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    nwb = pynwb.NWBFile("a test", "id", start)
    device = nwb.create_device("amplifier")
    electrodes = [nwb.create_icephys_electrode(name=f"elec{k}", device=device, description="a pipette") for k in (0, 1)]
    fill(nwb, *electrodes)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path


def test_nwb_equals_the_abf_it_was_made_from(data_dir):
    nwb = read_recording(data_dir / "nwb/171116sh_0018_icephys.nwb")
    assert [sweep.index for sweep in nwb] == list(range(0, 17, 2))
    abf = read_recording(data_dir / "abf/171116sh_0018.abf").select(range(0, 17, 2))
    # Volts and amperes are stored in single precision: half an ulp of 0.08 V and of 3e-10 A.
    for a, b in zip(abf, nwb, strict=True):
        assert np.allclose(a.ts, b.ts, rtol=0, atol=1e-9)
        assert np.allclose(a.voltage, b.voltage, rtol=0, atol=4e-6)
        assert np.allclose(a.current, b.current, rtol=0, atol=1.3e-5)


def test_nwb_reads_another_laboratory(data_dir):
    recording = read_recording(data_dir / "nwb/99111002.nwb")
    assert len(recording) == 16 and recording.sampling_rate == 10000.0
    assert [sweep.index for sweep in recording] == list(range(16))
    for k, sweep in enumerate(recording):
        assert sweep.ts.size == 7168
        # Stored in nanoamperes in single precision.
        assert np.allclose(sweep.current[312:4312], 200.0 * k - 2000.0, atol=1e-4)
    assert np.median(recording[0].voltage[:312]) == pytest.approx(-15, abs=1)


@pytest.mark.parametrize(
    "responses, stimuli, numbers, expected",
    [
        (("b", "a", "c"), ("x", "y", "z"), (3, 7, 5), {3: 1, 7: 2, 5: 3}),
        (("Sweep_10", "Sweep_9", "Sweep_8"),) * 2 + (None, {0: 3, 1: 2, 2: 1}),
        (("ic_2_AD0", "ic_10_AD0", "ic_1_AD0"), ("s_2_DA0", "s_10_DA0", "s_1_DA0"), None,
         {0: 3, 1: 1, 2: 2}),
    ],
    ids=["by sweep number", "by name", "by the numbers in the name"],
)  # fmt: skip
def test_nwb_pairs_the_series_of_older_files(responses, stimuli, numbers, expected, tmp_path):
    def fill(nwb, electrode, _):
        for k in range(3):
            number = {} if numbers is None else {"sweep_number": np.uint32(numbers[k])}
            data = np.full(4, float(k + 1))
            pair = (
                series("CurrentClampSeries", responses[k], electrode, data, **number),
                series("CurrentClampStimulusSeries", stimuli[k], electrode, data, **number),
            )
            nwb.add_acquisition(pair[0])
            nwb.add_stimulus(pair[1])

    recording = read_nwb(write_nwb(tmp_path / "old.nwb", fill))
    assert {sweep.index: sweep.voltage[0] / 1e3 for sweep in recording} == expected
    assert {sweep.index: sweep.current[0] / 1e12 for sweep in recording} == expected


def test_nwb_applies_conversion_offset_window_and_timestamps(tmp_path):
    def fill(nwb, electrode, _):
        counts = np.arange(10, dtype=np.int16)
        clock = {"rate": None, "timestamps": 5.0 + np.arange(10) / 2000.0}
        response = series("CurrentClampSeries", "r", electrode, counts, conversion=1e-3, offset=-0.07, **clock)
        stimulus = series("CurrentClampStimulusSeries", "s", electrode, counts, conversion=2e-12, **clock)
        nwb.add_intracellular_recording(
            electrode=electrode,
            stimulus=stimulus,
            stimulus_start_index=4,
            stimulus_index_count=5,
            response=response,
            response_start_index=4,
            response_index_count=5,
        )

    sweep = read_nwb(write_nwb(tmp_path / "table.nwb", fill))[0]
    assert np.allclose(sweep.ts, 0.5 * np.arange(5))
    assert np.allclose(sweep.voltage, -70.0 + np.arange(4, 9))
    assert np.allclose(sweep.current, 2.0 * np.arange(4, 9))


def pair(voltage: np.ndarray, current: np.ndarray, which: int = 0, **options) -> Callable:
    def fill(nwb, *electrodes):
        for k, electrode in enumerate(electrodes[: which + 1]):
            name = f"sweep_{k}"
            nwb.add_acquisition(series("CurrentClampSeries", name, electrode, voltage))
            nwb.add_stimulus(series("CurrentClampStimulusSeries", name, electrode, current, **options))

    return fill


def test_nwb_reads_one_electrode_of_several(tmp_path):
    path = write_nwb(tmp_path / "two.nwb", pair(np.zeros(5), np.zeros(5), which=1))
    with refused(r"one electrode, but has elec0, elec1; choose .*electrode='elec0'"):
        read_recording(path)
    assert len(read_nwb(path, electrode="elec1")) == 1
    with refused(r"`electrode` must be an electrode of .* but is 'elec2'; choose from elec0, elec1"):
        read_nwb(path, electrode="elec2")


def test_nwb_refuses_bad_samples(tmp_path):
    voltage = np.full(20, -0.065)
    voltage[15:] = np.nan
    with refused(r"`voltage` must be finite, but is nan in sweep 0 at t=1\.5 ms \(first of 5\); "):
        read_nwb(write_nwb(tmp_path / "nan.nwb", pair(voltage, np.zeros(20))))
    with refused(r"'sweep_0' must be as long as its stimulus, but has 20 samples against 19; "):
        read_nwb(write_nwb(tmp_path / "short.nwb", pair(np.zeros(20), np.zeros(19))))
    with refused(r"'sweep_0' must be sampled at the times of its stimulus, .* up to 0\.95 ms; "):
        read_nwb(write_nwb(tmp_path / "slow.nwb", pair(np.zeros(20), np.zeros(20), rate=20000.0)))


def test_nwb_refuses_files_without_current_clamp(tmp_path):
    def empty(nwb, electrode, _):
        pass

    def voltage_clamp(nwb, electrode, _):
        nwb.add_acquisition(series("VoltageClampSeries", "i", electrode, np.zeros(5)))
        nwb.add_stimulus(series("VoltageClampStimulusSeries", "v", electrode, np.zeros(5)))

    def no_stimulus(nwb, electrode, _):
        nwb.add_acquisition(series("CurrentClampSeries", "v", electrode, np.zeros(5)))

    for k, fill in enumerate((empty, voltage_clamp, no_stimulus)):
        with refused(r"must hold a current-clamp recording, but has no CurrentClampSeries with a "):
            read_recording(write_nwb(tmp_path / f"{k}.nwb", fill))


@pytest.mark.parametrize("size", [0, 8, 2000, 400_000])
def test_nwb_refuses_a_truncated_file(size, data_dir, tmp_path):
    path = tmp_path / "cut.nwb"
    path.write_bytes((data_dir / "nwb/171116sh_0018_icephys.nwb").read_bytes()[:size])
    with refused(r"cut\.nwb' must be an NWB 2 file, but cannot be read as one; "):
        read_recording(path)


def test_nwb_refuses_other_hdf5_files_and_text(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.nwb", "w") as file:
        file["voltage"] = np.zeros(5)
    (tmp_path / "text.nwb").write_text("time,voltage\n")
    for name in ("other.nwb", "text.nwb"):
        with refused(r"must be an NWB 2 file, but cannot be read as one; "):
            read_recording(tmp_path / name)
