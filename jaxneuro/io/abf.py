"""Current-clamp recordings in Axon Binary Files (ABF1 and ABF2, by pCLAMP), read with pyabf."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from jaxneuro.recording import Recording, Sweep
from jaxneuro.units import convert, same_dimension

__all__ = ["read_abf"]

_BLOCK = 512
# Where an ABF2 header describes its sections, each as (first block, bytes per entry, entries):
# protocol, ADC, DAC, epochs, epochs per DAC, user lists, data, tags and sweep starts.
_ABF2_SECTIONS = (76, 92, 108, 124, 156, 172, 236, 252, 316)
_ABF2_DATA = 236
_ABF2_HEADER = 512
# ABF 1.6 and later; before, the header had 2,048 bytes and another layout of the command.
_ABF1_HEADER = 6144
_FROM_EPOCHS, _FROM_FILE = 1, 2


def read_abf(
    path: str | Path, *, stimulus_folder: str | Path | None = None, channel: int | None = None
) -> Recording:
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
    path = Path(path)
    try:
        import pyabf
    except ImportError:
        raise ImportError(
            "Reading ABF files needs the package pyabf, which is not installed; "
            'run `pip install "jaxneuro[io]"`.'
        ) from None
    _check_complete(path)
    # pyabf warns of every waveform file that it cannot find where we look ourselves.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _readable(path, "an Axon ABF file"):
            abf = pyabf.ABF(str(path))
        channel = _channel(abf, channel, path)
        _check_command(abf, channel, path)
        with _readable(path, "an Axon ABF file"):
            source = _waveform_source(abf, channel)
        if source == _FROM_FILE:
            commands = _waveform_file(abf, channel, stimulus_folder, path)
        else:
            with _readable(path, "an Axon ABF file"):
                commands = [_command(abf, channel, k) for k in abf.sweepList]
        return Recording(tuple(_sweeps(abf, channel, commands)), str(path))


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever pyabf fails with into one sentence: on broken files it can be any exception."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"File '{path}' must be {kind}, but cannot be read as one; "
            "copy it again from where it was recorded, or export it as CSV."
        ) from error


def _check_complete(path: Path) -> None:
    """Compare the sections that the header promises with the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_ABF1_HEADER)
    if header[:4] == b"ABF2" and len(header) >= _ABF2_HEADER:
        sections = [struct.unpack_from("<IIq", header, at) for at in _ABF2_SECTIONS]
        needed = max(block * _BLOCK + entry * n for block, entry, n in sections if block)
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
            f"File '{path}' must be a complete ABF file, but its {size} bytes are fewer than its "
            "header says; copy it again from where it was recorded."
        )


def _is_unit_of(unit: str | None, like: str) -> bool:
    try:
        return same_dimension(_plain(unit), like)
    except ValueError:
        return False


def _plain(unit: str | None) -> str:
    # The letter mu and the micro sign are different characters, and both occur.
    return (unit or "").strip().replace("\u00b5", "u").replace("\u03bc", "u")


def _channel(abf: Any, channel: int | None, path: Path) -> int:
    """The input channel whose voltage answers a current command."""
    pairs = list(zip(abf.adcUnits, abf.dacUnits, strict=False))
    good = [
        k
        for k, (adc, dac) in enumerate(pairs)
        if _is_unit_of(adc, "mV") and _is_unit_of(dac, "pA")
    ]
    if channel in good or (channel is None and good):
        return good[0] if channel is None else channel
    found = "; ".join(
        f"channel {k} records {adc} under a command in {_plain(dac) or 'no unit'}"
        for k, (adc, dac) in enumerate(pairs)
    ).replace(";", " and")
    if channel is not None:
        raise ValueError(
            f"Argument `channel` must be a current-clamp channel of '{path}', but is {channel}, and "
            f"{found}; choose from {good}."
        )
    kind = "voltage clamp" if _is_unit_of(abf.adcUnits[0], "pA") else "no current clamp"
    raise ValueError(
        f"File '{path}' must be a current-clamp recording (mV under a command in pA), but is "
        f"{kind}: {found}; choose a file recorded in current clamp."
    )
