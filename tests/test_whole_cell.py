"""The whole-cell clamp: its filter, its steady state, and the parameters of a hardware model cell."""

import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused
from scipy import signal

from jaxneuro import LIF, Constant, FixedStep, Step, WholeCell, simulate
from jaxneuro.fitters import ClampCurrent, fit
from jaxneuro.io import read_recording, read_voltage_clamp

CELL = WholeCell(C=30.0, R_m=500.0, R_s=10.0, E=-60.0, corner=2.0, lag=0.02, V_init=-70.0)
HOLD, STEP, ONSET = -70.0, -10.0, 1.0  # mV, mV, ms
FREE = {"C": (5.0, 500.0), "R_m": (20.0, 2000.0), "R_s": (2.0, 50.0), "corner": (0.5, 20.0)}


def recorded(cell=CELL, t1=12.0, dt=0.005):
    command = Constant(HOLD) + Step(STEP, onset=ONSET)
    run = simulate(cell, command, t1=t1, dt_save=0.05, solver=FixedStep(dt))
    return np.asarray(run.ts), np.asarray(cell.recorded(run.ys))


def test_whole_cell_step_response_is_that_of_its_transfer_function():
    """Against scipy: (1 / R_s) (s + 1 / R_m C) / (s + (1 / R_m + 1 / R_s) / C), the lag, and a Bessel filter."""
    tau, rate = 500.0 * 30.0 * 1e-3, (1 / 500.0 + 1 / 10.0) / 30.0 * 1e3  # ms, 1/ms
    _, poles, gain = signal.bessel(4, 2 * np.pi * 2.0, analog=True, norm="mag", output="zpk")
    system = signal.ZerosPolesGain([-1 / tau], [-rate, -1 / 0.02, *poles], gain / (10.0 * 0.02))
    ts, current = recorded()
    after = ts >= ONSET
    _, response = signal.step(system, T=ts[after] - ONSET)
    before = 1e3 * (HOLD + 60.0) / 510.0  # pA
    np.testing.assert_allclose(current[~after], before, rtol=1e-12)
    np.testing.assert_allclose(current[after], before + 1e3 * STEP * response, atol=1e-4 * 1e3)
    np.testing.assert_allclose(current[-1], 1e3 * (HOLD + STEP + 60.0) / 510.0, rtol=1e-6)


def test_whole_cell_filter_halves_the_power_at_its_corner():
    """Gain of a pure resistance, at the corner 1 / sqrt(2), from the state matrix of the filter."""
    from jax import jacfwd

    A = jacfwd(lambda x: jnp.stack(CELL.dynamics(type(CELL.init_state())(*x), -70.0)))(jnp.stack(CELL.init_state()))
    filter_, into = np.asarray(A)[2:, 2:], np.zeros(4)
    into[1] = 2 * np.pi * 2.0 * 2.570755324809453
    for frequency, gain in ((1e-3, 1.0), (2.0, 2**-0.5)):
        response = np.linalg.solve(2j * np.pi * frequency * np.eye(4) - filter_, into)[2]
        np.testing.assert_allclose(abs(response), gain, rtol=1e-6)


def test_whole_cell_is_recovered_from_its_own_current():
    ts, current = recorded(dt=0.01)
    target = ClampCurrent(0.05, current, Constant(HOLD) + Step(STEP, onset=ONSET))
    start = {"C": 60.0, "R_m": 300.0, "R_s": 20.0, "corner": 4.0}
    result = fit(CELL, target, free=FREE, start=start, n_starts=1, steps=60, progress=False)
    for name, value in {"C": 30.0, "R_m": 500.0, "R_s": 10.0, "corner": 2.0}.items():
        np.testing.assert_allclose(result.values[name], value, rtol=1e-5)
    assert result.loss_unit == "pA^2"


@pytest.mark.slow
def test_hardware_model_cell_has_its_nominal_values(data_dir):
    """500 MOhm +-1 %, 33 pF +-10 %, 2 kHz: from the step alone, to a tenth of what a plain exponential is wrong by."""
    recording = read_voltage_clamp(data_dir / "abf/model_vc_step.abf")
    assert repr(recording) == "ClampRecording('model_vc_step.abf', 20 sweeps of 10000 samples at 20000 Hz)"
    first = 56  # 100 samples before the step
    np.testing.assert_array_equal(recording.command[0, [155, 156]], [-70.0, -80.0])
    target = ClampCurrent(0.05, recording.mean()[first:1000], Constant(-70.0) + Step(-10.0, onset=5.0))
    free = FREE | {"E": (-150.0, 100.0), "lag": (0.005, 0.1)}
    start = {"C": 20.0, "R_m": 300.0, "R_s": 20.0, "corner": 3.0, "E": 0.0, "lag": 0.02}
    result = fit(WholeCell(V_init=-70.0), target, free=free, start=start, n_starts=1, steps=100, progress=False)
    found = result.values
    assert abs(found["C"] - 32.4) < 0.3 and abs(found["R_m"] / 498.0 - 1) < 0.01
    assert abs(found["R_s"] - 11.1) < 0.3 and abs(found["corner"] / 2.0 - 1) < 0.03
    assert np.sqrt(result.loss) < 0.4  # pA


def test_voltage_clamp_is_read_and_current_clamp_refused(data_dir):
    recording = read_voltage_clamp(data_dir / "abf/171116sh_0011.abf")
    assert recording.current.shape == recording.command.shape == (20, 10_000)
    assert recording.dt == pytest.approx(0.05) and recording.mean().shape == (10_000,)
    assert recording.mean()[:100].mean() == pytest.approx(-130, abs=5)  # holding current [pA]
    with refused(
        "must be a voltage-clamp recording .*but is current clamp: channel 0 records mV.*choose a voltage-clamp"
    ):
        read_voltage_clamp(data_dir / "abf/171116sh_0018.abf")
    with refused("must be a current-clamp recording .*but is voltage clamp"):
        read_recording(data_dir / "abf/171116sh_0011.abf")
    with refused("command.*same in all 7 sweeps.*average those that belong together"):
        read_voltage_clamp(data_dir / "abf/171116sh_0012.abf").mean()


def test_clamp_current_needs_a_model_that_is_recorded():
    target = ClampCurrent(0.05, np.zeros(100), Constant(-70.0))
    with refused("model.*voltage clamp.*is a LIF; use WholeCell"):
        fit(LIF(), target, free={"tau_m": (5.0, 50.0)}, progress=False)
