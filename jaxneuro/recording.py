"""Current-clamp recordings: sweeps of time, voltage and injected current, checked when made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from jaxneuro._arguments import check_count, check_kind

__all__ = ["ClampRecording", "Recording", "Sweep"]

_COLUMNS = {"ts": "ms", "voltage": "mV", "current": "pA"}


def _frozen(name: str, values: ArrayLike) -> np.ndarray:
    """`values` as a float64 array that nobody can write to; a writeable one is copied first."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"Argument `{name}` must be an array of numbers, but is {type(values).__name__} "
            f"with other content; give its values in {_COLUMNS[name]}."
        ) from None
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """One sweep of a current-clamp recording.

    Arguments:
        ts: Times of the samples [ms], shape (n_time,), strictly increasing.
        voltage: Membrane potential [mV], shape (n_time,).
        current: Injected current [pA], shape (n_time,), positive depolarises.
        index: Number of the sweep in its recording [1].

    The arrays become float64 and read-only. A shape that does not fit, NaN or infinite values and
    times that do not increase raise a ValueError that names the sweep, the column and the first
    bad time.

    >>> Sweep(np.array([0.0, 0.1, 0.2]), np.array([-65.0, -65.0, -64.9]), np.zeros(3))
    Sweep(index=0, 3 samples, 0 to 0.2 ms)
    """

    ts: np.ndarray
    voltage: np.ndarray
    current: np.ndarray
    index: int = 0

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            object.__setattr__(self, name, _frozen(name, vars(self)[name]))
        self._check_shapes()
        for name in _COLUMNS:
            self._check_finite(name)
        stuck = np.flatnonzero(np.diff(self.ts) <= 0)
        if stuck.size:
            before, after = self.ts[stuck[0] : stuck[0] + 2]
            raise ValueError(
                f"Argument `ts` must increase strictly, but sweep {self.index} has t={after:g} ms "
                f"after t={before:g} ms; give every sweep its own number, or sort its samples."
            )

    def _check_shapes(self) -> None:
        for name in _COLUMNS:
            shape = vars(self)[name].shape
            if len(shape) != 1:
                raise ValueError(
                    f"Argument `{name}` must be one-dimensional, but has shape {shape} in sweep "
                    f"{self.index}; use `Recording.from_arrays` for several sweeps."
                )
        lengths = {name: vars(self)[name].size for name in _COLUMNS}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{size} of `{name}`" for name, size in lengths.items())
            raise ValueError(
                f"Arguments `ts`, `voltage` and `current` must be equally long, but sweep "
                f"{self.index} has {found}; cut them to the shortest."
            )
        if self.ts.size < 2:
            raise ValueError(
                f"Argument `ts` must have at least 2 samples, but sweep {self.index} has "
                f"{self.ts.size}; leave this sweep out."
            )

    def _check_finite(self, name: str) -> None:
        values = vars(self)[name]
        bad = np.flatnonzero(~np.isfinite(values))
        if not bad.size:
            return
        k = int(bad[0])
        place = f"sample {k}" if name == "ts" else f"t={self.ts[k]:g} ms"
        raise ValueError(
            f"Argument `{name}` must be finite, but is {values[k]} in sweep {self.index} at "
            f"{place} (first of {bad.size}); cut the sweep there or leave it out."
        )

    @property
    def dt(self) -> float:
        """Sampling interval [ms], the mean one where times are uneven."""
        return float(self.ts[-1] - self.ts[0]) / (self.ts.size - 1)

    @property
    def t1(self) -> float:
        """Time of the last sample [ms]."""
        return float(self.ts[-1])

    def __repr__(self) -> str:
        return f"Sweep(index={self.index}, {self.ts.size} samples, {self.ts[0]:g} to {self.t1:g} ms)"


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The sweeps of one cell.

    Arguments:
        sweeps: One or more `Sweep`s whose indices differ.
        source: Where they come from, usually a path.

    `recording[k]` is the sweep at position k; `select` goes by the sweeps' own numbers, which
    differ from the positions where a file does not hold every sweep.

    >>> voltage = [[-65.0, -65.0, -65.0], [-65.0, -64.0, -63.0]]
    >>> Recording.from_arrays([0.0, 0.5, 1.0], voltage, [0.0, 9.0, 9.0])
    Recording(2 sweeps of 3 samples at 2000 Hz)
    """

    sweeps: tuple[Sweep, ...]
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sweeps", tuple(self.sweeps))
        if not self.sweeps:
            raise ValueError("Argument `sweeps` must hold at least one sweep, but is empty; give one.")
        indices = [sweep.index for sweep in self.sweeps]
        double = next((i for k, i in enumerate(indices) if i in indices[:k]), None)
        if double is not None:
            raise ValueError(
                f"Argument `sweeps` must have sweeps of different index, but index {double} comes "
                "twice; number them anew."
            )

    @staticmethod
    def from_arrays(ts: ArrayLike, voltage: ArrayLike, current: ArrayLike, *, source: str = "") -> "Recording":
        """A recording from arrays of shape (n_time,) or (n_sweep, n_time).

        Arguments:
            ts: Times [ms].
            voltage: Membrane potential [mV].
            current: Injected current [pA].
            source: Where they come from.

        A one-dimensional array serves all sweeps. Raises a ValueError where the numbers of sweeps
        differ.
        """
        columns = {name: _frozen(name, values) for name, values in zip(_COLUMNS, (ts, voltage, current), strict=True)}
        n_sweep = max(column.shape[0] if column.ndim == 2 else 1 for column in columns.values())
        rows = {}
        for name, column in columns.items():
            if column.ndim not in (1, 2) or (column.ndim == 2 and column.shape[0] != n_sweep):
                raise ValueError(
                    f"Argument `{name}` must have shape (n_time,) or (n_sweep, n_time) with "
                    f"n_sweep={n_sweep} as in the other arrays, but has shape {column.shape}; "
                    "give one row for each sweep."
                )
            rows[name] = [column] * n_sweep if column.ndim == 1 else list(column)
        sweeps = (Sweep(*row, index=k) for k, row in enumerate(zip(*rows.values(), strict=True)))
        return Recording(tuple(sweeps), source)

    @property
    def sampling_rate(self) -> float:
        """Samples per second [Hz], the same in all sweeps."""
        intervals = np.array([sweep.dt for sweep in self.sweeps])
        # Stored times carry rounding errors; intervals that differ by more are different settings.
        if np.ptp(intervals) > 1e-4 * intervals[0]:
            raise ValueError(
                "Property `sampling_rate` must be the same in all sweeps, but their intervals run "
                f"from {intervals.min():g} to {intervals.max():g} ms; select sweeps of one rate."
            )
        return 1e3 / float(intervals[0])

    def select(self, indices: Iterable[int]) -> "Recording":
        """The sweeps with these numbers (`Sweep.index`), in the order given.

        Raises a ValueError that lists the numbers that there are.
        """
        by_index = {sweep.index: sweep for sweep in self.sweeps}
        check_kind("indices", indices, Iterable, "a list of sweep numbers", "give e.g. [0, 3]")
        indices = list(indices)
        absent = [i for i in indices if i not in by_index]
        if absent:
            raise ValueError(
                f"Argument `indices` must name sweeps of the recording, but {absent[0]} is none of "
                f"them; choose from {', '.join(map(str, by_index))}."
            )
        return Recording(tuple(by_index[i] for i in indices), self.source)

    def split(self, every: int = 2) -> tuple["Recording", "Recording"]:
        """The sweeps to fit to, and those to hold out: every second one of them, or one of so many.

        The first and the last sweep are fitted wherever possible, so that none that is held out lies beyond.

        Raises a ValueError for fewer than 2 of `every`, or too few sweeps.

        >>> fitted, held_out = recording.split()  # doctest: +SKIP
        """
        if len(self) < 2:
            raise ValueError(
                f"A recording must have at least 2 sweeps to be split, but has {len(self)}; fit it, and hold out "
                "another recording."
            )
        if isinstance(every, bool) or not isinstance(every, int | np.integer) or not 2 <= every <= len(self):
            raise ValueError(
                f"Argument `every` must be a whole number from 2 to the number of sweeps, {len(self)}, but is "
                f"{every!r}; use e.g. 2."
            )
        held_out = [sweep for k, sweep in enumerate(self.sweeps) if k % every == every - 1]
        fitted = [sweep for k, sweep in enumerate(self.sweeps) if k % every != every - 1]
        if len(held_out) > 1 and held_out[-1] is self.sweeps[-1]:
            fitted.append(held_out.pop())
        return Recording(tuple(fitted), self.source), Recording(tuple(held_out), self.source)

    def prepared(
        self,
        *,
        junction_potential: float = 0.0,
        series_resistance: float = 0.0,
        low_pass: float | None = None,
        every: int = 1,
    ) -> "Recording":
        """The same sweeps, corrected, filtered and with fewer samples.

        V = V_rec - junction_potential - series_resistance * I        [mV]

        Arguments:
            junction_potential: What the liquid junction adds to the recorded voltage [mV].
            series_resistance: What the bridge balance has left of it [MOhm].
            low_pass: Corner of a low-pass filter of the voltage [kHz], four poles (Butterworth), run forwards and
                backwards, so that nothing is delayed; None for none.
            every: Keep one sample of so many. The voltage passes a filter below half the new sampling rate first, so
                that nothing faster is folded into it; the current is a command, whose steps stay sharp.

        Raises a ValueError for a corner above half the sampling rate, or fewer than 1 of `every`.

        >>> recording.prepared(junction_potential=14.0, series_resistance=15.0, every=4)  # doctest: +SKIP
        """
        from scipy import signal  # a quarter of a second, which not every import should take

        every = check_count("every", every, 1, 4)
        sweeps = []
        for sweep in self:
            half = 0.5 / sweep.dt  # kHz
            if low_pass is not None:
                check_kind("low_pass", low_pass, Real, "a number [kHz]", "give e.g. 5.0")
            if low_pass is not None and not 0 < low_pass < half:
                raise ValueError(
                    f"Argument `low_pass` must lie between 0 and half the sampling rate, {half:g} kHz, but is "
                    f"{low_pass:g} in sweep {sweep.index}; lower it."
                )
            voltage = sweep.voltage - junction_potential - 1e-3 * series_resistance * sweep.current
            for corner in (low_pass, 0.8 * half / every if every > 1 else None):
                if corner is not None:
                    voltage = signal.sosfiltfilt(signal.butter(4, corner / half, output="sos"), voltage)
            sweeps.append(Sweep(sweep.ts[::every], voltage[::every], sweep.current[::every], sweep.index))
        return Recording(tuple(sweeps), self.source)

    def joined(self) -> "Recording":
        """One sweep of all of them, which follow one another without a gap, such as the pieces of a long ramp.

        Times count from 0 ms at the sampling rate, which must be the same in all.
        """
        dt = 1e3 / self.sampling_rate
        voltage, current = (np.concatenate([vars(sweep)[name] for sweep in self]) for name in ("voltage", "current"))
        return Recording((Sweep(dt * np.arange(voltage.size), voltage, current),), self.source)

    def __len__(self) -> int:
        return len(self.sweeps)

    def __getitem__(self, k: int) -> Sweep:
        try:
            return self.sweeps[k]
        except IndexError:
            raise IndexError(
                f"Sweeps of this recording must be one of 0 to {len(self) - 1}, but {k} is asked for; use `select` for "
                "a sweep by its number in the file."
            ) from None

    def __iter__(self) -> Iterator[Sweep]:
        return iter(self.sweeps)

    def __repr__(self) -> str:
        n, first = len(self), self.sweeps[0]
        where = f"{Path(self.source).name!r}, " if self.source else ""
        size = f"{n} sweep{'s' * (n > 1)} of {first.ts.size} samples at {1e3 / first.dt:g} Hz"
        return f"Recording({where}{size})"


@dataclass(frozen=True, eq=False, repr=False)
class ClampRecording:
    """The sweeps of one cell in voltage clamp.

    Arguments:
        ts: Times of the samples [ms], shape (n_time,).
        command: Commanded voltage [mV], shape (n_sweep, n_time).
        current: Recorded current [pA], shape (n_sweep, n_time), positive out of the cell.
        source: Where they come from, usually a path.
    """

    ts: np.ndarray
    command: np.ndarray
    current: np.ndarray
    source: str = ""

    @property
    def dt(self) -> float:
        """Sampling interval [ms]."""
        return float(self.ts[-1] - self.ts[0]) / (self.ts.size - 1)

    def mean(self) -> np.ndarray:
        """Mean current of all sweeps [pA], shape (n_time,).

        Raises a ValueError where the sweeps have different commands.
        """
        if np.ptp(self.command, axis=0).any():
            raise ValueError(
                f"Property `command` must be the same in all {len(self.command)} sweeps to average them, but differs; "
                "average those that belong together."
            )
        return self.current.mean(axis=0)

    def __repr__(self) -> str:
        n, size = self.current.shape
        where = f"{Path(self.source).name!r}, " if self.source else ""
        return f"ClampRecording({where}{n} sweep{'s' * (n > 1)} of {size} samples at {1e3 / self.dt:g} Hz)"
