"""Sweeps: every point equals its own simulation, whatever the grid, the chunks and the solver."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

import jaxneuro as jn
from jaxneuro.sweeps import Grid

CELL, STEP = jn.LIF(b_w=0.05), jn.Step(0.4, 5.0, 80.0)
SOLVER = jn.ExactSpikes(0.5)


def run(grid, **options):
    settings = {"t1": 100.0, "solver": SOLVER, "progress": False} | options
    return jn.sweep(CELL, STEP, grid, **settings)


def test_sweep_equals_loop_of_simulations():
    grid = jn.product({"tau_m": [10.0, 20.0, 30.0], "stimulus.amplitude": [0.1, 0.3, 0.6]})
    swept = run(grid, keep=("spike_count", "spike_times", "first_spike", "V_end"), chunk_size=4)
    for tau in swept.tau_m.values:
        for amplitude in swept["stimulus.amplitude"].values:
            alone = jn.simulate(jn.LIF(b_w=0.05, tau_m=tau), jn.Step(amplitude, 5.0, 80.0), t1=100.0, solver=SOLVER)
            point = swept.sel({"tau_m": tau, "stimulus.amplitude": amplitude})
            assert int(point.spike_count) == alone.spikes.size
            kept = point.spike_times.values[np.isfinite(point.spike_times.values)]
            # vmap may reorder sums: equal to a few units in the last place
            np.testing.assert_allclose(kept, alone.spikes, rtol=1e-12)
            np.testing.assert_allclose(point.V_end, alone.voltage[-1], rtol=1e-12)


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100])
def test_sweep_does_not_depend_on_chunks(chunk_size):
    grid = jn.sobol({"V_th": (-55.0, -45.0), "stimulus.onset": (0.0, 9.0)}, 7, seed=3)
    swept = run(grid, keep="first_spike", chunk_size=chunk_size)
    whole = run(grid, keep="first_spike")
    assert swept.sizes["point"] == 7
    np.testing.assert_allclose(swept.first_spike, whole.first_spike, rtol=1e-12)


def test_sweep_labels_axes_units_and_outcomes():
    swept = run(jn.product({"R_m": [80.0, 120.0], "stimulus.amplitude": [0.2, 0.4]}), keep=("rate", "isi_cv"))
    assert swept.rate.dims == ("R_m", "stimulus.amplitude")
    assert swept.R_m.attrs["units"] == "MOhm"
    assert swept["stimulus.amplitude"].attrs["units"] == "nA"
    assert swept.rate.attrs["units"] == "Hz"
    assert "successful" in swept.result.attrs["flag_meanings"]
    assert (swept.result == 0).all()


def test_sweep_marks_failed_lanes_and_goes_on():
    """RK4 at 0.1 ms explodes for a large sodium conductance; the lane beside it is as if alone."""
    solver = jn.FixedStep(0.1, solver=jn.RK4())
    grid = jn.zipped({"na.g_max": [20.0, 3000.0]})
    swept = jn.sweep(jn.HodgkinHuxley(), jn.Step(10.0, 1.0), grid, t1=8.0, solver=solver, keep="V_end", progress=False)
    alone = jn.sweep(
        jn.HodgkinHuxley(),
        jn.Step(10.0, 1.0),
        jn.zipped({"na.g_max": [20.0, 20.0]}),
        t1=8.0,
        solver=solver,
        keep="V_end",
        progress=False,
    )
    names = dict(zip(swept.result.flag_values, swept.result.flag_meanings.split(), strict=True))
    assert [names[int(code)] for code in swept.result] == ["successful", "nonfinite"]
    np.testing.assert_allclose(swept.V_end[0], alone.V_end[0], rtol=1e-12)


def test_sweep_keeps_functions_of_the_user():
    def last_spike(solution):
        times = solution.spike_times
        return jnp.max(jnp.where(jnp.isfinite(times), times, -jnp.inf))

    swept = run({"stimulus.amplitude": [0.3, 0.5]}, keep=("spike_times", last_spike))
    times = swept.spike_times.values
    np.testing.assert_array_equal(swept.last_spike, np.where(np.isfinite(times), times, -np.inf).max(-1))


def test_sweep_interrupted_keeps_what_is_done(monkeypatch):
    from jaxneuro.sweeps import _sweep

    real, calls = _sweep._run_chunk, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(_sweep, "_run_chunk", interrupted)
    swept = run({"stimulus.amplitude": np.linspace(0.2, 0.6, 5)}, keep="V_end", chunk_size=2)
    assert np.isfinite(swept.V_end.values).tolist() == [True] * 4 + [False]
    assert int(swept.result[-1]) == -1


def test_sweep_second_call_does_not_recompile():
    from jaxneuro.sweeps import _sweep

    run({"tau_m": [10.0, 20.0]}, keep="rate")
    before = _sweep._run_chunk._cached._cache_size()
    run({"tau_m": [11.0, 33.0]}, keep="rate")
    other = jn.sweep(
        jn.LIF(b_w=0.01, R_m=55.0),
        jn.Step(0.9, 2.0, 60.0),
        {"tau_m": [1.0, 2.0]},
        t1=100.0,
        solver=SOLVER,
        keep="rate",
        progress=False,
    )
    assert _sweep._run_chunk._cached._cache_size() == before
    assert other.rate.shape == (2,)


@pytest.mark.parametrize("design", [jn.sobol, jn.latin_hypercube])
def test_designs_fill_the_box_evenly(design):
    grid = design({"a": (2.0, 4.0), "b": (-1.0, 0.0)}, 64, seed=1)
    points = np.column_stack([(grid.columns["a"] - 2.0) / 2.0, grid.columns["b"] + 1.0])
    random = np.random.default_rng(1).random((64, 2))
    assert points.min() >= 0 and points.max() <= 1
    assert qmc.discrepancy(points) < 0.5 * qmc.discrepancy(random)
    assert np.array_equal(design({"a": (2.0, 4.0), "b": (-1.0, 0.0)}, 64, seed=1).columns["a"], grid.columns["a"])


def test_product_has_every_combination_in_order():
    grid = jn.product({"a": [1.0, 2.0], "b": [3.0, 4.0, 5.0]})
    assert grid.shape == (2, 3) and len(grid) == 6
    assert grid.columns["a"].tolist() == [1, 1, 1, 2, 2, 2]
    assert grid.columns["b"].tolist() == [3, 4, 5, 3, 4, 5]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: run({"tau": [1.0]}), "did you mean 'tau_"),
        (lambda: run({"stimulus.amplitud": [1.0]}), "did you mean 'amplitude'"),
        (lambda: run({"tau_m": [-1.0, 2.0]}), "`tau_m` must be a number > 0"),
        (lambda: run({"tau_m": []}), "must be a list of numbers"),
        (lambda: run({"tau_m": ["a"]}), "must be a list of numbers"),
        (lambda: run({}), "must map parameter names"),
        (lambda: jn.zipped({"a": [1.0], "b": [1.0, 2.0]}), "equal length"),
        (lambda: jn.sobol({"a": (2.0, 1.0)}, 4), "low < high"),
        (lambda: jn.latin_hypercube({"a": (0.0, 1.0)}, 0), "at least 1"),
        (lambda: run({"tau_m": [10.0]}, keep="spikes"), "spike_count"),
        (lambda: run({"tau_m": [10.0]}, keep=()), "at least one quantity"),
        (lambda: run({"tau_m": [10.0]}, chunk_size=0), "chunk_size"),
        (lambda: run({"tau_m": [10.0]}, t1=-1.0), "later than t0"),
    ],
)
def test_sweep_refuses_bad_input_in_one_sentence(call, match):
    with pytest.raises(ValueError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_grid_is_reusable_as_columns():
    assert isinstance(jn.zipped({"a": [1.0]}), Grid)
