"""Files to recordings: Axon ABF, NWB, CSV and NPZ.

The packages that read ABF and NWB files are optional and imported when such a file is read.
"""

import os
from pathlib import Path

from jaxneuro._arguments import check_kind
from jaxneuro.io._missing import check_file
from jaxneuro.io.abf import read_abf, read_voltage_clamp
from jaxneuro.io.glif import read_glif
from jaxneuro.io.nwb import read_nwb
from jaxneuro.io.table import read_csv, read_npz
from jaxneuro.recording import Recording

__all__ = ["read_abf", "read_csv", "read_glif", "read_npz", "read_nwb", "read_recording", "read_voltage_clamp"]

_SUFFIXES = (".abf", ".csv", ".npz", ".nwb")


def read_recording(path: str | os.PathLike[str], *, stimulus_folder: str | os.PathLike[str] | None = None) -> Recording:
    """Read a current-clamp recording: times in ms, voltages in mV, injected currents in pA.

    Arguments:
        path: An Axon file (.abf), an NWB file (.nwb) or a table (.csv, .npz), in capitals or not.
        stimulus_folder: Where the waveform files (.abf, .atf) lie that an ABF file names as its
            command; its own folder is searched too. Other kinds of files do not need it.

    Raises FileNotFoundError where there is no such file, ImportError where the package that reads
    it is not installed, and ValueError where it holds no usable current-clamp recording.

    >>> recording = read_recording("cell.abf")  # doctest: +SKIP
    >>> recording[0].voltage  # doctest: +SKIP
    """
    check_kind("path", path, (str, os.PathLike), "the name of a file", 'give e.g. "cell.abf"')
    path = Path(path)
    check_file(path)
    if stimulus_folder is not None and not Path(stimulus_folder).is_dir():
        raise ValueError(
            f"Argument `stimulus_folder` must be an existing folder, but '{stimulus_folder}' is none; check its name."
        )
    match path.suffix.lower():
        case ".abf":
            return read_abf(path, stimulus_folder=stimulus_folder)
        case ".nwb":
            return read_nwb(path)
        case ".csv":
            return read_csv(path)
        case ".npz":
            return read_npz(path)
    raise ValueError(
        f"Argument `path` must end in one of {', '.join(_SUFFIXES)}, but is '{path}'; "
        "rename the file or export it as CSV."
    )
