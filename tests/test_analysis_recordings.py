"""Analysis of recordings: measured facts of the real cell, synthetic cells with known answers."""

import numpy as np
import pytest
from refusals import refused

from jaxneuro.analysis.recordings import (
    CurrentStep,
    FITable,
    fi_table,
    find_spikes,
    find_steps,
    main_step,
    passive_properties,
)
from jaxneuro.io import read_recording
from jaxneuro.recording import Recording, Sweep

CELL = "abf/171116sh_0018.abf"
TS = np.arange(0.0, 500.0, 0.05)  # 20 kHz


def steps(*levels: tuple[float, float], at: float = 0.0, ts: np.ndarray = TS) -> np.ndarray:
    """A current that starts at `at` and goes to each level at its time: (time, level)."""
    current = np.full(ts.size, at)
    for onset, level in levels:
        current[ts >= onset] = level
    return current


def sweep_of(current: np.ndarray, *, ts: np.ndarray = TS, index: int = 0) -> Sweep:
    return Sweep(ts, np.full(ts.size, -65.0), current, index=index)


# --- spikes ---


def test_find_spikes_interpolates_crossings():
    ts = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    voltage = np.array([-60.0, -20.0, 20.0, -60.0, -30.0, 30.0])
    # 10 of 40 mV into [1, 2], 20 of 60 mV into [5, 6].
    assert np.allclose(find_spikes(ts, voltage), [1.25, 5.0 + 1.0 / 3.0], rtol=1e-15)
    assert np.allclose(find_spikes(ts, voltage, threshold=0.0), [1.5, 5.5], rtol=1e-15)
    assert find_spikes(ts, voltage, threshold=40.0).size == 0


def test_find_spikes_re_arms_5_mV_below_threshold():
    ts = np.arange(9.0)
    flank = [-60.0, -5.0, -14.0, -5.0, 30.0, -14.9, 0.0, -15.1, 0.0]
    assert np.array_equal(np.floor(find_spikes(ts, np.array(flank))), [0.0, 7.0])


@pytest.mark.parametrize("start, n_spike", [(20.0, 0), (-10.0, 0), (-12.0, 1), (-60.0, 1)])
def test_find_spikes_counts_no_crossing_before_the_beginning(start, n_spike):
    assert find_spikes(np.arange(3.0), np.array([start, 30.0, -60.0])).size == n_spike


def test_find_spikes_is_robust_to_noise(data_dir):
    sweep = read_recording(data_dir / CELL)[16]
    clean = find_spikes(sweep.ts, sweep.voltage)
    noise = np.random.default_rng(0).normal(0.0, 1.0, sweep.ts.size)
    noisy = find_spikes(sweep.ts, sweep.voltage + noise)
    # The flanks rise by 100 mV/ms and more: 1 mV of noise moves them by 0.01 ms, five times that
    # is never seen in 18 spikes.
    assert noisy.size == clean.size and np.max(np.abs(noisy - clean)) < 0.05


def test_find_spikes_refuses_other_shapes():
    with refused(r"must be one-dimensional and equally long, but have shapes \(3,\) and \(2,\); "):
        find_spikes(np.zeros(3), np.zeros(2))


def test_find_spikes_counts_those_of_the_cell(data_dir):
    ramp = read_recording(data_dir / "abf/171116sh_0016.abf")
    counts = [find_spikes(sweep.ts, sweep.voltage).size for sweep in ramp]
    assert counts == [0] * 7 + [1, 2, 3, 4]


# --- steps ---


def test_find_steps_of_the_cell(data_dir):
    recording = read_recording(data_dir / CELL)
    assert find_steps(recording[0]) == [
        CurrentStep(146.85, 500.0, -100.0, 0.0),
        CurrentStep(1146.85, 1000.0, -100.0, 0.0),
    ]
    assert find_steps(recording[4]) == [CurrentStep(1146.85, 500.0, -100.0, 0.0)]
    assert find_steps(recording[16]) == [
        CurrentStep(146.85, 500.0, 300.0, 0.0),
        CurrentStep(1146.85, 500.0, -100.0, 0.0),
        CurrentStep(1646.85, 500.0, 300.0, 0.0),
    ]


def test_find_steps_counts_amplitudes_from_holding():
    current = steps((100.0, 50.0), (102.0, -30.0), (300.0, 20.0), (400.0, 70.0), at=20.0)
    assert find_steps(sweep_of(current)) == [
        CurrentStep(100.0, 2.0, 30.0, 20.0),
        CurrentStep(102.0, 198.0, -50.0, 20.0),
        CurrentStep(400.0, 100.0, 50.0, 20.0),
    ]


@pytest.mark.parametrize(
    "current",
    [
        np.zeros(TS.size),
        np.full(TS.size, -70.0),
        TS.copy(),
        np.maximum(0.0, TS - 100.0),
        20.0 * np.sin(2.0 * np.pi * 5e-3 * TS),
        20.0 * np.sin(2.0 * np.pi * 1e-6 * TS**3),
        steps((100.0, 50.0), (100.5, 0.0)),
        np.cumsum(np.random.default_rng(1).normal(size=TS.size)),
    ],
    ids=["zero", "holding", "ramp", "late ramp", "sine", "chirp", "short pulse", "random walk"],
)
def test_find_steps_finds_none_in_other_currents(current):
    assert find_steps(sweep_of(current)) == []


def test_find_steps_finds_none_in_real_ramps_waves_and_noise(data_dir):
    for name in ("171116sh_0016", "171116sh_0017"):
        recording = read_recording(data_dir / f"abf/{name}.abf", stimulus_folder=data_dir / "abf")
        assert [find_steps(sweep) for sweep in recording] == [[]] * len(recording)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_filter", [1, 10], ids=["white", "2 kHz"])
def test_find_steps_tolerates_noise(seed, n_filter):
    noise = np.random.default_rng(seed).normal(0.0, 1.0, TS.size)
    noise = np.convolve(noise, np.full(n_filter, n_filter**-0.5), mode="same")
    current = steps((100.0, 40.0), (300.0, -10.0), (350.0, 0.0), at=0.0) + noise
    up, down = find_steps(sweep_of(current))
    # The change is averaged over 1 ms; within it noise can move its peak.
    assert abs(up.onset - 100.0) < 1.0 and abs(up.duration - 200.0) < 1.0
    assert abs(down.onset - 300.0) < 1.0 and abs(down.duration - 50.0) < 1.0
    # The median of 1,000 samples, 100 independent ones if filtered: 5 standard errors.
    assert abs(up.amplitude - 40.0) < 0.7 and abs(down.amplitude + 10.0) < 0.7


def test_find_steps_ends_with_the_sweep():
    (step,) = find_steps(sweep_of(steps((400.0, 50.0))))
    assert step.duration == 100.0


# --- the protocol's main step ---


def recording_of(*currents: np.ndarray) -> Recording:
    return Recording(tuple(sweep_of(current, index=k) for k, current in enumerate(currents)))


def test_main_step_of_the_cell(data_dir):
    for path in (CELL, "nwb/171116sh_0018_icephys.nwb"):
        recording = read_recording(data_dir / path)
        window = main_step(recording)
        assert (window.onset, window.duration) == (146.85, 500.0)
        assert window.sweep.tolist() == [sweep.index for sweep in recording]
        # Single precision in the NWB file.
        assert np.allclose(window.amplitude, 25.0 * window.sweep - 100.0, rtol=1e-7)
        assert np.array_equal(window.holding, np.zeros(len(recording)))


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_main_step_passes_over_the_test_pulse(noise):
    draw = np.random.default_rng(2).normal
    currents = [
        steps((20.0, -20.0), (60.0, 10.0), (200.0, 10.0 + 30.0 * k), (400.0, 10.0), at=10.0) + draw(0.0, noise, TS.size)
        for k in range(-2, 4)
    ]
    window = main_step(recording_of(*currents))
    # As in find_steps: exact without noise, else as good as its average over 1 ms.
    assert abs(window.onset - 200.0) <= noise and abs(window.duration - 200.0) <= noise
    assert np.allclose(window.amplitude, 30.0 * np.arange(-2, 4), atol=0.2 * noise + 1e-12)
    assert np.allclose(window.holding, 10.0, atol=0.2 * noise)


def test_main_step_of_repeats_is_the_first():
    current = steps((50.0, 10.0), (100.0, 0.0), (200.0, 30.0), (300.0, 0.0))
    for currents in ([current], [current] * 3):
        window = main_step(recording_of(*currents))
        assert (window.onset, window.duration) == (50.0, 50.0)
        assert np.array_equal(window.amplitude, [10.0] * len(currents))


def test_main_step_leaves_out_sweeps_without_the_window():
    pulses = [steps((100.0, 10.0 * k), (200.0, 0.0)) for k in range(3)]
    window = main_step(recording_of(pulses[1], TS.copy(), *pulses))
    assert (window.onset, window.duration) == (100.0, 100.0)
    assert window.sweep.tolist() == [0, 2, 3, 4]
    assert window.amplitude.tolist() == [10.0, 0.0, 10.0, 20.0]


def test_main_step_refuses_recordings_without_steps(data_dir):
    with refused(r"must have a step of constant current of at least 1 ms, but has none in its 11 "):
        main_step(read_recording(data_dir / "abf/171116sh_0016.abf"))


# --- f-I ---


def test_fi_table_of_the_cell(data_dir):
    table = fi_table(read_recording(data_dir / CELL))
    rates = [0] * 6 + [2, 2, 6, 8, 10, 12, 12, 14, 16, 16, 18]
    assert table.current.tolist() == list(range(-100, 325, 25))
    assert table.rate.tolist() == rates
    assert table.count.tolist() == [rate // 2 for rate in rates]
    assert table.sweep.tolist() == list(range(17))
    assert (table.onset, table.duration) == (146.85, 500.0)


def test_fi_table_of_the_nwb_is_part_of_the_abf(data_dir):
    whole = fi_table(read_recording(data_dir / CELL))
    part = fi_table(read_recording(data_dir / "nwb/171116sh_0018_icephys.nwb"))
    assert np.array_equal(part.sweep, whole.sweep[::2])
    assert np.array_equal(part.rate, whole.rate[::2])
    assert np.allclose(part.current, whole.current[::2], rtol=1e-7)  # single precision


def spiking(amplitude: float, times: list[float], index: int) -> Sweep:
    """A sweep with a step at 100-300 ms from a holding current of 5 pA, and spikes at `times`."""
    voltage = np.full(TS.size, -65.0)
    voltage[np.searchsorted(TS, times)] = 30.0
    current = steps((100.0, 5.0 + amplitude), (300.0, 5.0), at=5.0)
    return Sweep(TS, voltage, current, index=index)


def test_fi_table_counts_inside_the_step_and_sorts_by_whole_current():
    recording = Recording((spiking(20.0, [90.0, 120.0, 150.0, 310.0], 3), spiking(10.0, [150.0], 8)))
    table: FITable = fi_table(recording)
    assert table.current.tolist() == [15.0, 25.0]
    assert table.count.tolist() == [1, 2]
    assert table.rate.tolist() == [5.0, 10.0]
    assert table.sweep.tolist() == [8, 3]
    assert fi_table(recording, threshold=40.0).count.tolist() == [0, 0]


# --- passive membrane ---


def passive_cell(
    *amplitudes: float, E_L=-70.0, R_m=150.0, tau_m=20.0, R_series=12.0, holding=0.0, sag=0.0
) -> Recording:
    """RC cells at 20 kHz, step at 150-500 ms; `sag` is the share of a slow (100 ms) decay."""
    sweeps = []
    t = np.maximum(TS - 150.0, 0.0)
    charge = (1.0 - np.exp(-t / tau_m)) - sag * (1.0 - np.exp(-t / 100.0))
    for k, amplitude in enumerate(amplitudes):
        current = steps((150.0, holding + amplitude), at=holding)
        voltage = E_L + 1e-3 * (R_m * (holding + amplitude * charge) + R_series * current)
        sweeps.append(Sweep(TS, voltage, current, index=k))
    return Recording(tuple(sweeps), "synthetic")


def test_passive_properties_of_the_cell(data_dir):
    passive = passive_properties(read_recording(data_dir / CELL))
    # The rest drifts by 1 mV between sweeps; eFEL's -62.6 mV is that of the 200 pA sweep.
    assert abs(passive.E_L + 62.6) < 1.0
    assert 129.0 < passive.R_m < 144.0
    assert 29.0 < passive.tau_m < 36.0
    assert 11.0 < passive.R_series < 17.0
    # -100, -75, -50, -25, 25 pA, and at 0 pA the -100 pA step that comes later.
    assert passive.n_sweeps == 6
    assert passive.capacitance == pytest.approx(1e3 * passive.tau_m / passive.R_m)


@pytest.mark.parametrize("holding", [0.0, -40.0])
@pytest.mark.parametrize("R_series", [0.0, 12.0])
@pytest.mark.parametrize("tau_m", [5.0, 20.0, 60.0])
@pytest.mark.parametrize("amplitudes", [(-50.0,), (20.0,), (-80.0, -40.0, 25.0, 300.0)])
def test_passive_properties_recover_a_synthetic_cell(amplitudes, tau_m, R_series, holding):
    recording = passive_cell(*amplitudes, tau_m=tau_m, R_series=R_series, holding=holding)
    passive = passive_properties(recording)
    # The search for tau_m ends when it is known to 1e-9 in its logarithm, the others follow.
    assert passive.E_L == pytest.approx(-70.0, rel=1e-6)
    assert passive.R_m == pytest.approx(150.0, rel=1e-6)
    assert passive.tau_m == pytest.approx(tau_m, rel=1e-6)
    assert passive.R_series == pytest.approx(R_series, rel=1e-5, abs=1e-4)
    assert passive.capacitance == pytest.approx(1e3 * tau_m / 150.0, rel=1e-6)
    assert passive.n_sweeps == min(len(amplitudes), 3)


def test_passive_properties_see_the_membrane_before_the_sag():
    passive = passive_properties(passive_cell(-50.0, sag=0.3))
    # A fit to the whole step has tau_m 11.9 ms and R_series 0.3 MOhm instead of 20 and 12; what
    # decays within 4 tau_m is missed all the same.
    assert 16.0 < passive.tau_m < 20.0
    assert 9.0 < passive.R_series < 12.0
    assert 127.0 < passive.R_m < 150.0


def test_passive_properties_average_noise():
    recording = passive_cell(-50.0, -40.0, -30.0, 20.0)
    draw = np.random.default_rng(3).normal
    noisy = Recording(
        tuple(Sweep(s.ts, s.voltage + draw(0.0, 0.3, s.ts.size), s.current, index=s.index) for s in recording)
    )
    passive = passive_properties(noisy)
    # Four standard deviations, which over 40 seeds are 0.41 MOhm, 0.14 ms and 0.46 MOhm.
    assert passive.R_m == pytest.approx(150.0, abs=1.6)
    assert passive.tau_m == pytest.approx(20.0, abs=0.6)
    assert passive.R_series == pytest.approx(12.0, abs=1.9)


def test_passive_properties_keep_to_small_responses():
    nearly_linear = passive_cell(-100.0, -60.0)
    passive = passive_properties(Recording((*nearly_linear, *bent(-400.0))))
    assert passive.n_sweeps == 2 and passive.R_m == pytest.approx(150.0, rel=1e-6)
    # Where all are large, the smallest serves.
    assert passive_properties(Recording(bent(-400.0))).n_sweeps == 1


def bent(amplitude: float) -> tuple[Sweep, ...]:
    """A cell whose resistance is halved at this large hyperpolarisation."""
    (sweep,) = passive_cell(amplitude, R_m=75.0)
    return (Sweep(sweep.ts, sweep.voltage, sweep.current, index=9),)


def test_passive_properties_refuse_recordings_without_small_steps():
    with refused(r"must have a step of current that evokes no spike .* none in its 1 sweeps; "):
        passive_properties(passive_cell(200.0))
    with refused(r"must have a step of current that evokes no spike .* none in its 2 sweeps; "):
        passive_properties(Recording((spiking(-20.0, [120.0], 0), spiking(-20.0, [90.0], 1))))


def test_passive_properties_refuse_a_response_that_does_not_charge(data_dir):
    with refused(r"must answer small steps .* with a charging curve, but the best .* explains 3% "):
        passive_properties(read_recording(data_dir / "nwb/99111002.nwb"))
