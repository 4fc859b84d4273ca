"""Jumps of the stimulus: seen by every solver wherever they lie, and differentiable in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import finite_differences
from systems import PASSIVE, passive_voltage

from jaxneuro import (
    RK4,
    Adaptive,
    Constant,
    ExponentialEuler,
    FixedStep,
    HodgkinHuxley,
    Pulses,
    Step,
    simulate,
)
from jaxneuro.solvers import TimeGrid
from jaxneuro.solvers._grid import InputWithin, split_grid

# where the squid axon is at rest: bisection of dV/dt at steady gates
REST = -64.97405245162669


def pulse_spike(onset, solver, max_spikes=1):
    """First spike [ms] after a pulse of 0.1 ms that starts at `onset`, from rest."""
    model = HodgkinHuxley()
    pulse = Step(300.0, onset, 0.1)
    y0 = model.state_at(REST)
    run = simulate(model, pulse, t1=6.0, y0=y0, solver=solver, max_spikes=max_spikes)
    return run.spikes


def test_adaptive_sees_a_short_pulse_at_any_onset():
    """All steps begin anew at the pulse: it is followed by the same spike, wherever it lies."""
    onsets = jnp.linspace(1.0, 4.0, 101) + 1e-3 * jnp.sin(jnp.arange(101.0))
    spikes = jax.jit(jax.vmap(lambda onset: pulse_spike(onset, Adaptive(), 2)))(onsets)
    assert np.all(np.isfinite(spikes[:, 0])) and np.all(np.isinf(spikes[:, 1]))
    delays = spikes[:, 0] - onsets
    assert delays[0] == pytest.approx(0.6, abs=0.3)
    # rest drifts by 1e-13 mV until the pulse
    np.testing.assert_allclose(delays, delays[0], atol=1e-9)


def test_fixed_step_spike_moves_with_its_cause():
    """Within one step of 0.02 ms the delay changes by no more than the method's error; also on the grid."""
    onsets = jnp.linspace(2.0, 2.02, 21)
    f = jax.jit(lambda onset: pulse_spike(onset, FixedStep(0.02, solver=RK4()))[0])
    delays = np.array([f(onset) - onset for onset in onsets])
    # 2e-6 ms: RK4 across the spike, measured 6e-7; a step missed or doubled would make 0.02
    assert np.ptp(delays) < 2e-6
    slope = jax.jit(jax.jacfwd(lambda onset: pulse_spike(onset, FixedStep(0.02, solver=RK4()))[0]))
    for onset, side in ((2.0, 1), (2.0, -1), (2.0137, 0), (2.02, 1), (2.02, -1)):
        differences = finite_differences(lambda x: f(x[0]), np.array([onset]), step=1e-5, side=side)
        # on the grid the derivatives on both sides differ by the method's error
        rtol = 1e-8 if side == 0 else 1e-4
        np.testing.assert_allclose(slope(onset), differences[0], rtol=rtol)


def test_fixed_step_onset_changes_nothing_before_itself():
    run = jax.jit(
        lambda onset: (
            simulate(
                HodgkinHuxley(), Constant(8.0) + Step(20.0, onset), t1=4.0, dt_save=0.1, solver=FixedStep(0.025)
            ).voltage
        )
    )
    on_grid, off_grid, later = run(2.0), run(2.0137), run(3.9999)
    before = np.linspace(0, 4, 41) <= 2.0 + 1e-9
    np.testing.assert_array_equal(off_grid[before], later[before])
    # an empty step where the jump is on the grid: the same sums in another program order
    np.testing.assert_array_equal(on_grid[before], later[before])
    assert np.all(off_grid[~before] != later[~before])


JUMP_SOLVERS = {
    "ExponentialStrang": (FixedStep(0.5), 1e-11),
    "ExponentialEuler": (FixedStep(0.5, solver=ExponentialEuler()), 1e-11),
    "RK4": (FixedStep(0.05, solver=RK4()), 1e-7),  # (0.05 ms / 4.5 ms)^4, times the step's slope
    "Adaptive": (Adaptive(rtol=1e-9, atol=1e-9), 1e-6),
}

# onset and duration: both jumps on the grid, one rounding away from it, between, at an edge, outside
JUMPS = np.array(
    [
        [2.0, 3.0],
        [np.nextafter(2.0, 0), 3.0],
        [np.nextafter(2.0, 3), 0.5],
        [2.137, 3.9],
        [0.0, 5.0],
        [0.0, 7.0],
        [-1.0, 3.5],
        [4.4, 0.0],
        [7.0, 1.0],
    ]
)


@pytest.mark.parametrize("name", JUMP_SOLVERS)
def test_solver_with_jumps_anywhere_equals_the_exact_solution(name):
    """Value, and derivative in onset and duration, at the end of the run."""
    solver, rtol = JUMP_SOLVERS[name]

    def at(is_simulated):
        def V_end(x):
            step = Step(2.0, x[0], x[1])
            if is_simulated:
                return simulate(PASSIVE, step, t1=5.0, dt_save=5.0, solver=solver).voltage[-1]
            return passive_voltage(PASSIVE, step, jnp.asarray(5.0))

        return jax.jit(lambda x: (V_end(x), jax.jacfwd(V_end)(x)))

    simulated, exact = at(True), at(False)
    for x in JUMPS:
        V, slope = simulated(x)
        assert np.all(np.isfinite(slope))
        # the exact formula starts from V_init at the onset, so it knows no onset before the run
        if x[0] < 0:
            assert slope[0] == slope[1]
            continue
        assert V == pytest.approx(float(exact(x)[0]), rel=rtol)
        # at the borders of the run and at a duration of 0 the derivatives on both sides differ
        is_smooth = np.array([x[0] > 0, True]) & (x[1] > 0) & ~np.isclose(x.sum(), 5.0)
        wanted = np.where(is_smooth, exact(x)[1], slope)
        np.testing.assert_allclose(slope, wanted, rtol=10 * rtol, atol=rtol)


def test_solver_takes_a_batch_of_onsets_in_any_order_of_grid_and_jumps():
    def V_end(onset, duration):
        step = Step(2.0, onset, duration)
        return simulate(PASSIVE, step, t1=5.0, dt_save=1.0, solver=FixedStep(0.5)).voltage

    together = jax.vmap(V_end)(*JUMPS.T)
    for x, V in zip(JUMPS, together, strict=True):
        np.testing.assert_allclose(V, V_end(*map(jnp.asarray, x)), rtol=1e-14)


def test_solver_derivative_of_a_step_without_end_is_finite():
    def V_end(step):
        return simulate(PASSIVE, step, t1=5.0, dt_save=5.0, solver=FixedStep(0.5)).voltage[-1]

    slope = jax.grad(V_end)(Step(2.0, 2.1))
    assert np.isfinite(slope.onset) and slope.onset < 0
    assert slope.duration == 0.0


def test_solver_sees_every_pulse_of_a_train():
    pulses = Pulses(5.0, onset=0.53, duration=0.11, interval=0.93, count=4)
    steps = [Step(5.0, 0.53 + 0.93 * k, 0.11) for k in range(4)]
    for train in (pulses, steps[2] + steps[0] + steps[3] + steps[1]):
        run = simulate(PASSIVE, train, t1=5.0, dt_save=1.0, solver=FixedStep(0.5))
        silent = passive_voltage(PASSIVE, Step(0.0), run.ts)
        exact = sum(passive_voltage(PASSIVE, step, run.ts) - silent for step in steps) + silent
        np.testing.assert_allclose(run.voltage, exact, rtol=1e-13)


def test_split_grid_holds_grid_and_jumps_in_order():
    grid = TimeGrid(1.0, 2.0, 0.5)
    for stimulus in (Step(1.0, 1.3, 0.2), Step(1.0, 1.25, 0.5), Step(1.0, -3.0), Step(1.0, 1.99999, 9.0)):
        split = split_grid(grid, 0.25, stimulus)
        jumps = np.clip(stimulus.jump_ts, 1.0, 2.0)
        np.testing.assert_allclose(split.edges, np.sort(np.append(grid.steps(0.25), jumps)), rtol=1e-15)
        np.testing.assert_allclose(split.edges[split.save_indices], [1.0, 1.5, 2.0], rtol=1e-15)
        np.testing.assert_array_equal(split.edges[split.is_regular], grid.steps(0.25))
        below = np.searchsorted(grid.steps(0.25), split.edges, side="right") - 1
        np.testing.assert_array_equal(np.minimum(split.regular_index, below), split.regular_index)


def test_step_sees_the_limits_of_its_own_side():
    """The value inside at both ends, in a step that begins or ends at a jump, however short."""
    jump = 0.3
    stimulus = Step(2.0, jump)
    for length in (0.1, 1e-12, 8 * np.spacing(0.3)):
        left, right = map(jnp.asarray, (jump - length, jump + length))
        before = InputWithin(stimulus, left, jnp.asarray(jump))
        after = InputWithin(stimulus, jnp.asarray(jump), right)
        for t in (left, jnp.asarray(jump)):
            assert before(t) == 0.0
        for t in (jnp.asarray(jump), right):
            assert after(t) == 2.0
        assert before.midpoint() == 0.0 and after.midpoint() == 2.0
    empty = InputWithin(stimulus, jnp.asarray(jump), jnp.asarray(jump))
    assert empty.midpoint() == 0.0


@pytest.mark.parametrize(
    "t0, t1, dt, n", [(0, 1, 0.1, 11), (0, 0.35, 0.1, 5), (0, 0.3, 0.1, 4), (5, 5.01, 0.1, 2), (0, 1e5, 0.1, 1_000_001)]
)
def test_time_grid_ends_at_t1_without_an_empty_step(t0, t1, dt, n):
    steps = TimeGrid(t0, t1, dt).steps(dt)
    assert len(steps) == n and steps[0] == t0 and steps[-1] == t1
    assert np.all(np.diff(steps) > 1e-3 * dt)
