"""The amplifier's filter: that of SciPy, exact for straight pieces, differentiable, and an electrode's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree
from scipy import signal

from jaxneuro import Constant, FixedStep, Leak, Membrane, Step, WholeCell, simulate
from jaxneuro.filters import bessel_delay, bessel_low_pass
from jaxneuro.fitters import Electrode, Joint, StepResponse, VoltageTrace, fit, play
from jaxneuro.recording import Recording, Sweep


def by_scipy(samples, dt, corner):
    system = signal.bessel(4, 2 * np.pi * corner, analog=True, norm="mag")
    return samples[0] + signal.lsim(system, samples - samples[0], dt * np.arange(samples.size))[1]


@pytest.mark.parametrize(("dt", "corner"), [(0.05, 2.0), (0.01, 0.3), (0.5, 5.0), (0.02, 1e3)])
def test_bessel_low_pass_is_that_of_scipy(dt, corner):
    samples = np.random.default_rng(0).normal(size=300) - 60.0
    found = bessel_low_pass(jnp.asarray(samples), dt, jnp.asarray(corner))
    np.testing.assert_allclose(found, by_scipy(samples, dt, corner), atol=1e-9)


def test_bessel_low_pass_has_3_db_at_its_corner_and_none_at_rest():
    dt, corner = 0.001, 2.0
    ts = dt * np.arange(20_000)
    found = bessel_low_pass(jnp.sin(2 * jnp.pi * corner * ts), dt, jnp.asarray(corner))
    assert float(jnp.max(found[10_000:])) == pytest.approx(10 ** (-3.0103 / 20), rel=1e-4)
    np.testing.assert_allclose(bessel_low_pass(jnp.full(50, -65.0), dt, jnp.asarray(corner)), -65.0, rtol=1e-12)


@pytest.mark.parametrize("corner", [0.5, 3.0])
def test_bessel_low_pass_delays_a_ramp_by_its_delay(corner):
    dt, slope = 0.05, 2.0
    ts = dt * jnp.arange(2000)
    behind = bessel_low_pass(slope * ts, dt, jnp.asarray(corner))
    np.testing.assert_allclose(behind[-1], slope * (ts[-1] - bessel_delay(jnp.asarray(corner))), rtol=1e-9)


def test_electrode_undoes_all_but_the_smoothing_of_its_filter():
    """A slow wave comes back in time and size, whatever current is stepped; without a filter anything does."""
    dt = 0.02
    ts = dt * np.arange(5000)
    voltage, i_app = jnp.asarray(-65 + 10 * np.sin(2 * np.pi * 0.05 * ts)), jnp.asarray(0.3 * (ts > 50))
    for electrode, worst in ((Electrode(R_s=30.0, offset=-5.0, corner=1.0), 0.02), (Electrode(R_s=30.0), 1e-12)):
        read = electrode.read(voltage, i_app, dt)
        back = electrode.undone(read, i_app, dt)
        assert np.max(np.abs(back - voltage)[250:-50]) < worst  # the filter is at rest at first, the wave is not
        assert np.max(np.abs(read - voltage)) > 5


def test_bessel_low_pass_derivatives_agree(getkey):
    samples = jax.random.normal(getkey(), (40,))
    assert_derivatives_agree(lambda x: bessel_low_pass(x[1:], 0.05, x[0]), jnp.append(1.5, samples), atol=1e-8)


def test_bessel_low_pass_is_the_filter_of_the_whole_cell():
    cell, command = WholeCell(C=30.0, R_m=400.0, R_s=9.0, corner=1.5, lag=0.005), Constant(-70.0) + Step(-10.0, 1.0)
    run = simulate(cell, command, t1=6.0, dt_save=0.002, solver=FixedStep(0.002))
    current = 1e3 * (run.ys.V_p - run.ys.V) / cell.R_s
    found = bessel_low_pass(current, 0.002, cell.corner)
    np.testing.assert_allclose(found, cell.recorded(run.ys), atol=2e-3 * float(jnp.ptp(current)))


def recorded(cell, amplitude, electrode):
    run = simulate(cell, Step(amplitude, onset=2.0), t1=30.0, dt_save=0.05, solver=FixedStep(0.025))
    noise = 0.02 * jax.random.normal(jax.random.key(int(amplitude)), run.ts.shape)
    return electrode.read(run.voltage, run.i_app, 0.05) + noise


def test_corner_and_resistance_of_an_electrode_are_recovered_from_a_trace():
    """Without the filter the onset of the step, where R_s shows, is off; both are shared by two sweeps."""
    cell = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-65.0)})
    electrode = Electrode(R_s=25.0, area=1e4, corner=1.2)
    terms = {
        f"{amplitude:g}": VoltageTrace(
            0.05,
            recorded(cell, amplitude, electrode),
            Step(amplitude, onset=2.0),
            electrode=Electrode(R_s=10.0, area=1e4, corner=4.0),
        )
        for amplitude in (1.0, 2.0)
    }
    free = {"leak.g_max": (0.05, 1.0), "*.electrode.R_s": (1.0, 100.0), "*.electrode.corner": (0.3, 9.0)}
    result = fit(cell, Joint(terms), free=free, strategy="newton", n_starts=2, progress=False)
    for name, true in {"*.electrode.R_s": 25.0, "*.electrode.corner": 1.2, "leak.g_max": 0.2}.items():
        assert abs(result.params[name].value - true) < 4 * result.params[name].std < 0.2 * true
    assert result.loss == pytest.approx(0.02**2 * 2, rel=0.1)


def test_step_responses_and_played_recordings_are_filtered_too():
    cell, electrode = (
        Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-65.0)}),
        Electrode(R_s=30.0, area=1e5, corner=0.5),
    )
    target = StepResponse(0.05, np.full(400, -65.0), amplitude=1.0, onset=5.0, electrode=electrode)
    solution = target.predict(cell, FixedStep(0.05))
    raw = solution.voltage + electrode.added(target.stimulus(solution.ts))
    np.testing.assert_allclose(target.recorded(solution), by_scipy(np.asarray(raw), 0.05, 0.5), atol=1e-9)
    ts = 0.05 * np.arange(400)
    recording = Recording((Sweep(ts, np.full(400, -65.0), 1e3 * (ts >= 5.0), 0),), "made up")
    played = play(cell, recording, electrode=electrode, area=1e5, solver=FixedStep(0.05)).recording[0].voltage
    bare = (
        play(cell, recording, electrode=Electrode(R_s=30.0, area=1e5), area=1e5, solver=FixedStep(0.05))
        .recording[0]
        .voltage
    )
    np.testing.assert_allclose(played, by_scipy(bare, 0.05, 0.5), atol=1e-6)
    assert np.ptp(bare - played) > 1.0
