"""`convergence` and `explain`: what they report is what runs do."""

import jax
import numpy as np
import pytest

import jaxneuro as jn
from jaxneuro.analysis.convergence import convergence

STEP = jn.Step(10.0, 0.5)


def test_convergence_errors_fall_by_the_order_of_the_stepper():
    report = convergence(jn.HodgkinHuxley(), STEP, t1=6.0, solver=jn.FixedStep(0.05))
    spikes, voltages = (
        np.array([getattr(row, name) for row in report.rows]) for name in ("spike_error", "voltage_error")
    )
    assert [row.dt for row in report.rows] == [0.05, 0.025, 0.0125]
    # second order: a quarter for half the step
    np.testing.assert_allclose(spikes[:-1] / spikes[1:], 4.0, rtol=0.15)
    np.testing.assert_allclose(voltages[:-1] / voltages[1:], 4.0, rtol=0.15)
    assert report.recommended.dt == 0.05 and "recommended: FixedStep(0.05)" in str(report)


def test_convergence_recommends_what_meets_the_tolerance():
    model = jn.HodgkinHuxley()
    strict = convergence(model, STEP, t1=6.0, solver=jn.FixedStep(0.05), spike_tolerance=1e-3, voltage_tolerance=10)
    meets = [row.dt for row in strict.rows if row.spike_error <= 1e-3]
    assert strict.recommended.dt == meets[0] < 0.05
    hopeless = convergence(model, STEP, t1=6.0, solver=jn.FixedStep(0.05), spike_tolerance=1e-9)
    assert isinstance(hopeless.recommended, jn.Adaptive)
    unstable = convergence(model, STEP, t1=6.0, solver=jn.FixedStep(0.1, solver=jn.RK4()))
    assert unstable.rows[0].result in ("nonfinite", "unstable_step") and unstable.rows[0].spike_error == np.inf
    assert unstable.recommended.dt < 0.1


def test_convergence_of_a_resetting_model_knows_exact_spikes():
    report = convergence(jn.LIF(), 0.3, t1=60.0, solver=jn.FixedStep(0.5))
    # spikes on the grid are late by up to a step, each time anew
    assert report.rows[0].spike_error > 0.1
    assert report.recommended == jn.ExactSpikes(0.5)
    exact = convergence(jn.LIF(), 0.3, t1=60.0)
    assert exact.recommended == jn.ExactSpikes(0.1)


def test_convergence_in_float32_shows_both_precisions(run_python):
    printed = run_python(
        """
        import jax, jaxneuro as jn
        report = jn.convergence(jn.FitzHughNagumo(), 0.5, t1=20.0)
        assert [row.precision for row in report.rows] == ["float32"] * 3 + ["float64"] * 3
        assert report.rows[5].voltage_error < report.rows[3].voltage_error
        assert jax.numpy.ones(1).dtype == "float32"  # the process is what it was
        print(report)
        """
    )
    assert "float32" in printed and "recommended" in printed


def test_convergence_refuses_a_solver_without_a_step():
    with pytest.raises(ValueError, match="`solver` must have a fixed step, but is Adaptive; use"):
        convergence(jn.HodgkinHuxley(), STEP, t1=6.0, solver=jn.Adaptive())


def test_explain_counts_what_a_gradient_stores():
    values = {"C_m": jax.numpy.full(128, 1.0)}

    def loss(values):
        model = jn.params.replace(jn.HodgkinHuxley(), values)
        run = jn.simulate(model, 10.0, t1=20.0, dt_save=1.0, solver=jn.FixedStep(0.05), throw=False)
        return jax.numpy.mean(run.voltage**2)

    told = jn.explain(jn.HodgkinHuxley(), 10.0, 128, t1=20.0, solver=jn.FixedStep(0.05))
    compiled = jax.jit(jax.vmap(jax.grad(loss))).lower(values).compile()
    used = compiled.memory_analysis().temp_size_in_bytes
    assert told["steps"] == 400 and told["chunk"] == 128
    # the cotangent of every step's voltage comes on top of what is carried, and no copy of it
    assert told["bytes of a chunk, gradient"] == pytest.approx(used, rel=0.3)


def test_explain_tells_when_blocks_are_stored_and_when_traces_are_kept():
    settings = {"t1": 1000.0, "solver": jn.FixedStep(0.025)}
    whole = jn.explain(jn.HodgkinHuxley(), STEP, 10**6, **settings)
    settings["solver"] = jn.FixedStep(0.025, memory=0.01)
    blocks = jn.explain(jn.HodgkinHuxley(), STEP, 10**6, keep="voltage", **settings)
    name = "bytes of a chunk, gradient"
    assert blocks[name] < 0.05 * whole[name]
    assert "before each step" in str(whole) and "each block of" in str(blocks)
    assert "which voltage needs" in str(blocks) and "1,000,000" in str(whole)
    with pytest.raises(ValueError, match="`grid` must hold at least one point, but is 0"):
        jn.explain(jn.HodgkinHuxley(), STEP, 0, **settings)
    with pytest.raises(ValueError, match=r"`memory` must be a positive number \[GiB\], but is memory=-1"):
        jn.FixedStep(0.025, memory=-1)


def test_simulate_reports_compile_and_run_seconds():
    def run(g):
        return jn.simulate(jn.HodgkinHuxley(C_m=g), 3.0, t1=1.25, solver=jn.FixedStep(0.05)).stats

    first, second = run(1.0), run(1.1)
    assert first["compile_seconds"] > 0 and second["compile_seconds"] == 0
    assert 0 < second["run_seconds"] < first["compile_seconds"] + first["run_seconds"]
