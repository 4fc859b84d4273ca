"""Current-clamp recordings in Neurodata Without Borders (NWB 2) files, read with pynwb."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxneuro.recording import Recording, Sweep
from jaxneuro.units import convert

__all__ = ["read_nwb"]

# The schema spells its units out.
_SPELLED = {"volts": "V", "volt": "V", "amperes": "A", "ampere": "A"}


class _Clamp(NamedTuple):
    """A response with its stimulus, still in the units of the file."""

    name: str
    electrode: str
    sweep_number: int | None
    times_s: np.ndarray
    voltage: np.ndarray
    voltage_unit: str
    stimulus_times_s: np.ndarray
    current: np.ndarray
    current_unit: str


def read_nwb(path: str | Path, *, electrode: str | None = None) -> Recording:
    """Read the current-clamp sweeps of one electrode.

    Sweeps come from the table of intracellular recordings where the file has one. In older files
    each CurrentClampSeries is paired with the CurrentClampStimulusSeries of the same sweep number,
    of the same name, or with the same numbers in its name, whichever pairs most; responses without
    a stimulus are left out. Response and stimulus are paired sample by sample from their starts.
    Conversion factors and offsets of the file are applied; its bias current is not added.

    Arguments:
        path: An NWB file.
        electrode: Name of the electrode to read, needed where the file has several.

    Sweeps keep their sweep numbers, if the file gives each a different one; else they are counted
    from 0. Raises a ValueError where the file holds no current clamp, or not enough to read it.
    """
    path = Path(path)
    clamps = _of_electrode(_load(path), electrode, path)
    numbers = [clamp.sweep_number for clamp in clamps]
    if None in numbers or len(set(numbers)) < len(numbers):
        numbers = list(range(len(clamps)))
    sweeps = (_sweep(clamp, int(n)) for clamp, n in zip(clamps, numbers, strict=True))
    return Recording(tuple(sweeps), str(path))


def _load(path: Path) -> list[_Clamp]:
    try:
        import pynwb
    except ImportError:
        raise ImportError(
            'Reading NWB files needs the package pynwb, which is not installed; run `pip install "jaxneuro[io]"`.'
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
                nwb = io.read()
                return _from_table(nwb) or _from_series(nwb)
    # pynwb, hdmf and h5py each fail in many ways on a broken file, all of them Exceptions.
    except Exception as error:
        raise ValueError(
            f"File '{path}' must be an NWB 2 file, but cannot be read as one; "
            "check it with pynwb's validator, or export it anew."
        ) from error


def _from_table(nwb: Any) -> list[_Clamp]:
    from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries

    table = nwb.intracellular_recordings
    if table is None:
        return []
    responses = table.category_tables["responses"]["response"]
    stimuli = table.category_tables["stimuli"]["stimulus"]
    clamps = []
    for response, stimulus in ((responses[row], stimuli[row]) for row in range(len(table))):
        if isinstance(response.timeseries, CurrentClampSeries) and isinstance(
            stimulus.timeseries, CurrentClampStimulusSeries
        ):
            clamps.append(_clamp(response.timeseries, stimulus.timeseries, _window(response), _window(stimulus)))
    return clamps


def _window(reference: Any) -> slice:
    return slice(reference.idx_start, reference.idx_start + reference.count)


def _from_series(nwb: Any) -> list[_Clamp]:
    from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries, IZeroClampSeries

    responses = [
        series
        for series in nwb.acquisition.values()
        if isinstance(series, CurrentClampSeries) and not isinstance(series, IZeroClampSeries)
    ]
    stimuli = [s for s in nwb.stimulus.values() if isinstance(s, CurrentClampStimulusSeries)]
    pairs = max((_pairs(responses, stimuli, key) for key in (_by_sweep, _by_name, _by_digits)), key=len)
    whole = slice(None)
    return [_clamp(response, stimulus, whole, whole) for response, stimulus in sorted(pairs, key=_order)]


def _by_sweep(series: Any) -> Hashable:
    return None if series.sweep_number is None else (series.electrode.name, int(series.sweep_number))


def _by_name(series: Any) -> Hashable:
    return series.name


def _by_digits(series: Any) -> Hashable:
    return (series.electrode.name, *re.findall(r"\d+", series.name))


def _order(pair: tuple[Any, Any]) -> list[tuple[int, str]]:
    """Sort key that puts Sweep_2 before Sweep_10."""
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", pair[0].name)]


def _pairs(responses: list[Any], stimuli: list[Any], key: Callable[[Any], Hashable]) -> list[tuple[Any, Any]]:
    """Responses and stimuli that share a key which is unique among each."""
    counts = Counter(map(key, responses)), Counter(map(key, stimuli))
    partner = {key(series): series for series in stimuli}
    return [
        (series, partner[key(series)])
        for series in responses
        if key(series) is not None and all(count[key(series)] == 1 for count in counts)
    ]


def _clamp(response: Any, stimulus: Any, rows: slice, stimulus_rows: slice) -> _Clamp:
    voltage, current = _physical(response, rows), _physical(stimulus, stimulus_rows)
    return _Clamp(
        name=response.name,
        electrode=response.electrode.name,
        sweep_number=None if response.sweep_number is None else int(response.sweep_number),
        times_s=_times(response, rows, voltage.size),
        voltage=voltage,
        voltage_unit=response.unit,
        stimulus_times_s=_times(stimulus, stimulus_rows, current.size),
        current=current,
        current_unit=stimulus.unit,
    )


def _physical(series: Any, rows: slice) -> np.ndarray:
    data = np.asarray(series.data[rows], dtype=np.float64)
    return data * series.conversion + series.offset


def _times(series: Any, rows: slice, n_time: int) -> np.ndarray:
    if series.rate is not None:
        return np.arange(n_time) / series.rate
    timestamps = np.asarray(series.timestamps[rows], dtype=np.float64)
    return timestamps - timestamps[0]


def _of_electrode(clamps: list[_Clamp], electrode: str | None, path: Path) -> list[_Clamp]:
    if not clamps:
        raise ValueError(
            f"File '{path}' must hold a current-clamp recording, but has no "
            "CurrentClampSeries with a CurrentClampStimulusSeries; choose a file recorded in "
            "current clamp."
        )
    names = sorted({clamp.electrode for clamp in clamps})
    if electrode is None and len(names) > 1:
        raise ValueError(
            f"File '{path}' must hold one electrode, but has {', '.join(names)}; "
            f"choose one with `jaxneuro.io.read_nwb(path, electrode={names[0]!r})`."
        )
    if electrode is not None and electrode not in names:
        raise ValueError(
            f"Argument `electrode` must be an electrode of '{path}', but is {electrode!r}; "
            f"choose from {', '.join(names)}."
        )
    return [clamp for clamp in clamps if electrode in (None, clamp.electrode)]


def _sweep(clamp: _Clamp, index: int) -> Sweep:
    if clamp.voltage.size != clamp.current.size:
        raise ValueError(
            f"Series '{clamp.name}' must be as long as its stimulus, but has {clamp.voltage.size} "
            f"samples against {clamp.current.size}; cut both to the same window."
        )
    drift = np.max(np.abs(clamp.times_s - clamp.stimulus_times_s))
    if drift > 0.5 * clamp.times_s[-1] / max(clamp.times_s.size - 1, 1):
        raise ValueError(
            f"Series '{clamp.name}' must be sampled at the times of its stimulus, but they differ "
            f"by up to {1e3 * drift:g} ms; resample the stimulus."
        )
    return Sweep(
        ts=convert(clamp.times_s, "s", "ms"),
        voltage=convert(clamp.voltage, _SPELLED.get(clamp.voltage_unit, clamp.voltage_unit), "mV"),
        current=convert(clamp.current, _SPELLED.get(clamp.current_unit, clamp.current_unit), "pA"),
        index=index,
    )
