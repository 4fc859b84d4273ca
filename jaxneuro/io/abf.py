"""Recordings in Axon Binary Files (ABF1 and ABF2, by pCLAMP), read with pyabf."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from jaxneuro.io._missing import check_file
from jaxneuro.recording import ClampRecording, Recording, Sweep
from jaxneuro.units import convert, same_dimension

__all__ = ["read_abf", "read_voltage_clamp"]

_BLOCK = 512
# Where an ABF2 header describes its sections, each as (first block, bytes per entry, entries):
# protocol, ADC, DAC, epochs, epochs per DAC, user lists, data, tags and sweep starts.
_ABF2_SECTIONS = (76, 92, 108, 124, 156, 172, 236, 252, 316)
_ABF2_DATA = 236
_ABF2_HEADER = 512
# ABF 1.6 and later; before, the header had 2,048 bytes and another layout of the command.
_ABF1_HEADER = 6144
_FROM_EPOCHS, _FROM_FILE = 1, 2


def read_abf(path: str | Path, *, stimulus_folder: str | Path | None = None, channel: int | None = None) -> Recording:
    """Read a current-clamp recording with the current that the amplifier was told to inject.

    The voltage is that of the first input channel in volts whose output of the same number is in
    amperes; the current is this output's command, rebuilt from the protocol in the file or read
    from the waveform file that the protocol names. Nothing measures the current that really flowed.

    Arguments:
        path: An ABF1 (1.6 or later) or ABF2 file with sweeps of one length.
        stimulus_folder: Where waveform files (.abf, .atf) lie; the file's own folder is searched
            too. A name that ends in .abf also finds the same waveform exported as .atf.
        channel: Input channel, counted from 0, to choose another than the first.

    Raises ImportError without pyabf, and ValueError for voltage clamp, a file that is broken or
    cut short, and a command that cannot be rebuilt.

    >>> recording = read_abf("cell.abf")  # doctest: +SKIP
    """
    ts, voltages, commands = _signals(Path(path), channel, ("mV", "pA"), stimulus_folder)
    sweeps = (Sweep(ts, *pair, index=k) for k, pair in enumerate(zip(voltages, commands, strict=True)))
    return Recording(tuple(sweeps), str(path))


def read_voltage_clamp(
    path: str | Path, *, stimulus_folder: str | Path | None = None, channel: int | None = None
) -> ClampRecording:
    """Read a voltage-clamp recording: the current, and the voltage that the amplifier was told to hold.

    Arguments and errors are those of `read_abf`, with the current of an input channel and the voltage of the output of
    the same number.

    >>> read_voltage_clamp("memtest.abf").mean()  # doctest: +SKIP
    """
    ts, currents, commands = _signals(Path(path), channel, ("pA", "mV"), stimulus_folder)
    return ClampRecording(ts, commands, currents, str(path))


def _signals(
    path: Path, channel: int | None, wanted: tuple[str, str], stimulus_folder: str | Path | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times [ms], and what is recorded and what is commanded, (n_sweep, n_time), in the units `wanted`."""
    try:
        with np.printoptions():  # which pyabf would set for all of the user's program
            import pyabf
    except ImportError:
        raise ImportError(
            'Reading ABF files needs the package pyabf, which is not installed; run `pip install "jaxneuro[io]"`.'
        ) from None
    check_file(path)
    _check_complete(path)
    # pyabf warns of every waveform file that it cannot find where we look ourselves.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _readable(path):
            abf = pyabf.ABF(str(path))
            if abf.abfVersion["major"] == 1:
                # pyabf takes the first epoch's level for the holding level.
                abf.holdingCommand = list(struct.unpack_from("<4f", path.read_bytes(), 1394))
        channel = _channel(abf, channel, path, wanted)
        _check_command(abf, channel, path)
        with _readable(path):
            source = _source(abf, channel)
            recorded = _recorded(abf, channel)
        if source == _FROM_FILE:
            commands = _from_file(abf, channel, stimulus_folder, path)
        else:
            with _readable(path):
                commands = [_command(abf, channel, k, source) for k in abf.sweepList]
    ts = np.arange(recorded.shape[1]) * 1e3 / abf.dataRate
    recorded = convert(recorded, _plain(abf.adcUnits[channel]), wanted[0])
    return ts, recorded, convert(np.stack(commands), _plain(abf.dacUnits[channel]), wanted[1])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever pyabf fails with into one sentence: on broken files it can be any exception."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"File '{path}' must be an intact Axon ABF file, but cannot be read as one; "
            "copy it again from where it was recorded, or export it as CSV."
        ) from error


def _check_complete(path: Path) -> None:
    """Compare the sections that the header promises with the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_ABF1_HEADER)
    if header[:4] == b"ABF2" and len(header) >= _ABF2_HEADER:
        sections = [struct.unpack_from("<IIq", header, at) for at in _ABF2_SECTIONS]
        needed = max((block * _BLOCK + entry * n for block, entry, n in sections if block), default=size + 1)
        (n_sweep,) = struct.unpack_from("<I", header, 12)
        n_data = struct.unpack_from("<IIq", header, _ABF2_DATA)[2]
    elif header[:4] == b"ABF " and len(header) >= 2048:
        n_data, _, n_sweep = struct.unpack_from("<ihi", header, 10)
        block, tag_block, n_tag = struct.unpack_from("<iii", header, 40)
        # Samples have two bytes (format 0) or four, tags 64.
        sample = 4 if struct.unpack_from("<h", header, 100)[0] == 1 else 2
        needed = max(block * _BLOCK + n_data * sample, tag_block * _BLOCK + 64 * n_tag)
    elif header[:3] == b"ABF":
        needed, n_sweep, n_data = size + 1, 0, 1
    else:
        raise ValueError(
            f"File '{path}' must be an Axon ABF file, but does not begin with 'ABF'; "
            "check what it is, and export it as CSV if need be."
        )
    if needed > size or n_data < 1 or n_sweep > n_data:
        raise ValueError(
            f"File '{path}' must be a complete ABF file, but its {size} bytes do not hold what its "
            "header lists; copy it again from where it was recorded."
        )


def _is_unit_of(unit: str | None, like: str) -> bool:
    try:
        return same_dimension(_plain(unit), like)
    except ValueError:
        return False


def _plain(unit: str | None) -> str:
    # The letter mu and the micro sign are different characters, and both occur.
    return (unit or "").strip().replace("\u00b5", "u").replace("\u03bc", "u")


def _channel(abf: Any, channel: int | None, path: Path, wanted: tuple[str, str]) -> int:
    """The input channel that records one of the wanted units under a command in the other."""
    pairs = list(zip(abf.adcUnits, abf.dacUnits, strict=False))
    good = [k for k, pair in enumerate(pairs) if all(map(_is_unit_of, pair, wanted))]
    if channel in good or (channel is None and good):
        return good[0] if channel is None else channel
    kind, other = ("current clamp", "voltage clamp") if wanted[0] == "mV" else ("voltage clamp", "current clamp")
    found = " and ".join(
        f"channel {k} records {adc} under a command in {_plain(dac) or 'no unit'}" for k, (adc, dac) in enumerate(pairs)
    )
    if channel is not None:
        raise ValueError(
            f"Argument `channel` must be a {kind.replace(' ', '-')} channel of '{path}', but is {channel}, "
            f"and {found}; choose from {good}."
        )
    kind_found = other if _is_unit_of(abf.adcUnits[0], wanted[1]) else f"no {kind}"
    raise ValueError(
        f"File '{path}' must be a {kind.replace(' ', '-')} recording ({wanted[0]} under a command in {wanted[1]}), but "
        f"is {kind_found}: {found}; choose a {kind.replace(' ', '-')} recording."
    )


def _check_command(abf: Any, channel: int, path: Path) -> None:
    """Refuse the protocols whose command pyabf would get wrong without a word."""
    is_old = abf.abfVersion["major"] == 1 and abf.dataByteStart < _ABF1_HEADER
    lengths = abf._synchArraySection.lLength if abf.abfVersion["major"] == 2 else []
    if is_old:
        found = "its format is older than ABF 1.6"
    elif len(set(lengths)) > 1:
        found = "its sweeps differ in length"
    elif any(abf.userListEnable) and _source(abf, channel) == _FROM_EPOCHS:
        found = "a user list changes it from sweep to sweep"
    else:
        return
    raise ValueError(
        f"File '{path}' must have a command that can be rebuilt from its protocol, but {found}; "
        "export the sweeps with their command as CSV."
    )


def _source(abf: Any, channel: int) -> int:
    """Where the command comes from: epochs (1), a file (2), or the holding level alone (0)."""
    gap_free = 3
    if abf.nOperationMode == gap_free:
        return 0
    outputs = abf._headerV1 if abf.abfVersion["major"] == 1 else abf._dacSection
    if channel >= len(outputs.nWaveformEnable) or not outputs.nWaveformEnable[channel]:
        return 0
    return outputs.nWaveformSource[channel]


def _recorded(abf: Any, channel: int) -> np.ndarray:
    """What a channel recorded in the unit of the file, shape (n_sweep, n_time)."""
    n_used = abf.sweepCount * abf.sweepPointCount
    return abf.data[channel, :n_used].astype(np.float64).reshape(abf.sweepCount, -1)


def _command(abf: Any, channel: int, sweep: int, source: int) -> np.ndarray:
    """The command of one sweep in the unit of the file, shape (n_time,)."""
    if source != _FROM_EPOCHS:
        return np.full(abf.sweepPointCount, abf.holdingCommand[channel])
    abf.setSweep(sweep, channel)
    return abf.sweepC


def _from_file(abf: Any, channel: int, stimulus_folder: str | Path | None, path: Path) -> list[np.ndarray]:
    """The commands of all sweeps as the waveform file has them, scaled as the protocol says."""
    with _readable(path):
        name, scale, offset = _waveform(abf, channel)
    folders = [path.parent] if stimulus_folder is None else [Path(stimulus_folder), path.parent]
    stem = PureWindowsPath(name).stem
    wanted = {f"{stem}{suffix}".lower() for suffix in (".abf", ".atf")}
    found = [
        file
        for folder in folders
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.name.lower() in wanted
    ]
    if not found:
        searched = " and ".join(f"'{folder}'" for folder in folders)
        raise ValueError(
            f"File '{path}' must have its waveform file '{stem}.abf' or '{stem}.atf' within reach, "
            f"but it is not in {searched}; pass its folder as `stimulus_folder`."
        )
    rows = _waveform_rows(found[0])
    n_sweep, n_time = abf.sweepCount, abf.sweepPointCount
    if len(rows) not in (1, n_sweep) or rows.shape[1] < n_time:
        raise ValueError(
            f"Waveform file '{found[0]}' must have 1 or {n_sweep} sweeps of at least {n_time} "
            f"samples, but has {len(rows)} of {rows.shape[1]}; give the folder of the one used."
        )
    commands = rows[:, :n_time] * scale + offset
    return list(np.broadcast_to(commands, (n_sweep, n_time)))


def _waveform(abf: Any, channel: int) -> tuple[str, float, float]:
    """Name, scale and offset of the waveform file that drives an output."""
    if abf.abfVersion["major"] == 1:
        outputs = abf._headerV1
        name = outputs.sDACFilePath[channel]
    else:
        outputs = abf._dacSection
        name = abf._stringsSection._indexedStrings[outputs.lDACFilePathIndex[channel]]
    return name, outputs.fDACFileScale[channel], outputs.fDACFileOffset[channel]


def _waveform_rows(path: Path) -> np.ndarray:
    """The first channel of a waveform file, shape (n_sweep, n_time)."""
    import pyabf

    with _readable(path):
        if path.suffix.lower() == ".abf":
            _check_complete(path)
            return _recorded(pyabf.ABF(str(path)), 0)
        atf = pyabf.ATF(str(path))
        return np.asarray(atf.data[:: atf.channelCount], dtype=np.float64)
