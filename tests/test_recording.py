"""Sweeps and recordings as values: what they check, what they compute, what they refuse."""

import numpy as np
import pytest
from refusals import refused

from jaxneuro.recording import Recording, Sweep

TS = np.arange(5) * 0.5


def sweep(index: int = 0, **columns: np.ndarray) -> Sweep:
    values = {"ts": TS, "voltage": np.full(5, -65.0), "current": np.zeros(5)} | columns
    return Sweep(**values, index=index)


def test_sweep_holds_read_only_float64_copies():
    voltage = np.full(5, -65, dtype=np.int32)
    made = sweep(voltage=voltage)
    voltage[0] = 0
    assert made.voltage.dtype == np.float64 and made.voltage[0] == -65.0
    with pytest.raises(ValueError, match="read-only"):
        made.voltage[0] = 0.0


def test_sweep_times():
    assert sweep().dt == 0.5
    assert sweep().t1 == 2.0
    assert sweep(ts=TS + 7.0).dt == 0.5


def test_sweep_repr_is_short():
    assert repr(sweep(3)) == "Sweep(index=3, 5 samples, 0 to 2 ms)"


@pytest.mark.parametrize("column", ["voltage", "current"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_sweep_refuses_samples_that_are_not_finite(column, bad):
    values = np.zeros(5)
    values[3:] = bad
    with refused(rf"`{column}` must be finite.*{bad} in sweep 7 at t=1\.5 ms \(first of 2\); "):
        sweep(7, **{column: values})


def test_sweep_refuses_times_that_are_not_finite():
    with refused(r"`ts` must be finite, but is nan in sweep 0 at sample 2"):
        sweep(ts=np.array([0.0, 0.5, np.nan, 1.5, 2.0]))


@pytest.mark.parametrize("late", [1.0, 0.5])
def test_sweep_refuses_times_that_do_not_increase(late):
    with refused(rf"`ts` must increase strictly, but sweep 0 has t={late:g} ms after t=1 ms; "):
        sweep(ts=np.array([0.0, 0.5, 1.0, late, 2.0]))


def test_sweep_refuses_unequal_lengths():
    with refused(r"equally long, but sweep 2 has 5 of `ts`, 4 of `voltage`, 5 of `current`; "):
        sweep(2, voltage=np.zeros(4))


def test_sweep_refuses_one_sample():
    with refused(r"at least 2 samples, but sweep 0 has 1; "):
        Sweep(np.array([0.0]), np.array([-65.0]), np.array([0.0]))


def test_sweep_refuses_other_dimensions():
    with refused(r"`voltage` must be one-dimensional, but has shape \(1, 5\) in sweep 0; "):
        sweep(voltage=np.zeros((1, 5)))


def test_sweep_refuses_text():
    with refused(r"`current` must be an array of numbers", TypeError):
        sweep(current=np.array(["much"] * 5))


def test_recording_is_a_sequence_of_sweeps():
    recording = Recording((sweep(0), sweep(4), sweep(2)), source="folder/cell.abf")
    assert len(recording) == 3
    assert [s.index for s in recording] == [0, 4, 2]
    assert recording[1].index == 4 and recording[-1].index == 2
    assert repr(recording) == "Recording('cell.abf', 3 sweeps of 5 samples at 2000 Hz)"
    with pytest.raises(IndexError):
        recording[3]


def test_recording_selects_by_sweep_number():
    recording = Recording((sweep(0), sweep(4), sweep(2)), source="here")
    chosen = recording.select([2, 0])
    assert [s.index for s in chosen] == [2, 0]
    assert chosen.source == "here"
    with refused(r"`indices` must name sweeps .* but 1 is none of them; choose from 0, 4, 2\."):
        recording.select([0, 1])


def test_recording_refuses_no_sweeps_and_equal_numbers():
    with refused(r"`sweeps` must hold at least one sweep"):
        Recording(())
    with refused(r"index 4 comes twice; "):
        Recording((sweep(4), sweep(4)))


def test_recording_sampling_rate_is_common():
    assert Recording((sweep(0), sweep(1))).sampling_rate == 2000.0
    mixed = Recording((sweep(0), sweep(1, ts=2 * TS)))
    with refused(r"`sampling_rate` must be the same .* from 0\.5 to 1 ms; "):
        _ = mixed.sampling_rate


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5)])
def test_recording_from_arrays_shares_one_dimensional_arrays(shape):
    voltage = np.arange(np.prod(shape), dtype=float).reshape(shape)
    recording = Recording.from_arrays(TS, voltage, np.ones(5), source="made")
    assert len(recording) == (1 if len(shape) == 1 else shape[0])
    assert recording.source == "made"
    assert [s.index for s in recording] == list(range(len(recording)))
    assert np.array_equal(np.stack([s.voltage for s in recording]), np.atleast_2d(voltage))
    assert all(np.array_equal(s.current, np.ones(5)) for s in recording)


def test_recording_from_arrays_refuses_rows_that_do_not_match():
    with refused(r"`current` must have shape .* n_sweep=3 .* has shape \(2, 5\); "):
        Recording.from_arrays(TS, np.zeros((3, 5)), np.zeros((2, 5)))
    with refused(r"`voltage` must have shape .* but has shape \(1, 1, 5\); "):
        Recording.from_arrays(TS, np.zeros((1, 1, 5)), np.zeros(5))


def test_recording_from_arrays_names_the_bad_sweep():
    voltage = np.zeros((3, 5))
    voltage[1, 4] = np.nan
    with refused(r"`voltage` must be finite, but is nan in sweep 1 at t=2 ms"):
        Recording.from_arrays(TS, voltage, np.zeros(5))


def prepared_sine(kHz: float, **options: float) -> np.ndarray:
    """Voltage of a sine of 1 mV at -60 mV, sampled at 20 kHz with 100 pA from 50 ms on, after preparation."""
    ts = 0.05 * np.arange(4000)
    current = np.where(ts >= 50.0, 100.0, 0.0)
    recording = Recording.from_arrays(ts, np.sin(2 * np.pi * kHz * ts) - 60.0, current).prepared(**options)
    return recording[0].voltage


def test_prepared_takes_off_what_the_electrode_adds():
    plain = prepared_sine(0.1)
    voltage = prepared_sine(0.1, junction_potential=14.0, series_resistance=20.0)
    np.testing.assert_allclose(voltage[:1000], plain[:1000] - 14.0)
    np.testing.assert_allclose(voltage[1000:], plain[1000:] - 14.0 - 2.0)


def test_prepared_filter_halves_the_power_twice_at_its_corner_and_delays_nothing():
    inside = slice(500, -500)
    at_corner = prepared_sine(1.0, low_pass=1.0)[inside] + 60.0
    assert np.sqrt(2) * np.std(at_corner) == pytest.approx(0.5, abs=0.01)  # -3 dB forwards and backwards
    slow = prepared_sine(0.05, low_pass=1.0)[inside]
    np.testing.assert_allclose(slow, prepared_sine(0.05)[inside], atol=1e-3)


def test_prepared_folds_nothing_into_fewer_samples():
    """A sine of 4.9 kHz, kept at 5 kHz without a filter, would be one of 100 Hz."""
    assert prepared_sine(4.9, every=4).size == 1000
    assert np.std(prepared_sine(4.9, every=4)[100:-100]) < 0.01
    np.testing.assert_allclose(prepared_sine(0.05, every=4)[100:-100], prepared_sine(0.05)[::4][100:-100], atol=1e-3)


def test_prepared_wrong_use_is_one_sentence():
    with pytest.raises(ValueError, match="`low_pass` must lie between 0 and half the sampling rate, 10 kHz, but is 20"):
        prepared_sine(1.0, low_pass=20.0)
    with pytest.raises(ValueError, match="`every` must be a whole number of at least 1, but is 0"):
        prepared_sine(1.0, every=0)


@pytest.mark.parametrize(
    ("n", "every", "held_out"), [(5, 2, [1, 3]), (6, 2, [1, 3]), (2, 2, [1]), (7, 3, [2, 5]), (6, 3, [2])]
)
def test_split_holds_out_sweeps_between_others(n, every, held_out):
    fitted, other = Recording(tuple(map(sweep, range(n))), "made up").split(every)
    assert [s.index for s in other] == held_out
    assert sorted(s.index for s in (*fitted, *other)) == list(range(n)) and other.source == "made up"
    assert fitted[0].index == 0 and (n == 2 or max(s.index for s in fitted) == n - 1)


@pytest.mark.parametrize(("n", "every"), [(5, 1), (5, 6), (1, 2), (5, 2.0)])
def test_split_refuses_what_leaves_nothing(n, every):
    rule = "must have at least 2 sweeps to be split, but has 1"
    with refused(rule if n == 1 else "`every` must be a whole number from 2 to the number of sweeps"):
        Recording(tuple(map(sweep, range(n))), "made up").split(every)
