"""Sweeps: every point equals its own simulation, whatever the grid, the chunks and the solver."""

import diffrax
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
    swept = run(grid, keep=("spike_count", "spike_times", "first_spike", "V_end"))
    for tau in swept.tau_m.values:
        for amplitude in swept["stimulus.amplitude"].values:
            alone = jn.simulate(jn.LIF(b_w=0.05, tau_m=tau), jn.Step(amplitude, 5.0, 80.0), t1=100.0, solver=SOLVER)
            point = swept.sel({"tau_m": tau, "stimulus.amplitude": amplitude})
            assert int(point.spike_count) == alone.spikes.size
            kept = point.spike_times.values[np.isfinite(point.spike_times.values)]
            # vmap may reorder sums: equal to a few units in the last place
            np.testing.assert_allclose(kept, alone.spikes, rtol=1e-12)
            np.testing.assert_allclose(point.V_end, alone.voltage[-1], rtol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 64, 65, 300])
def test_sweep_does_not_depend_on_the_other_lanes(n):
    """One lane, a few, a full chunk, one more, and several: padded or not."""
    bounds = {"V_th": (-55.0, -45.0), "stimulus.onset": (0.0, 9.0)}
    whole = jn.latin_hypercube(bounds, 300, seed=3)
    part = jn.zipped({name: column[:n] for name, column in whole.columns.items()})
    kept = ("first_spike", "spike_count", "V_mean")
    few, many = run(part, keep=kept), run(whole, keep=kept)
    for name in kept:
        np.testing.assert_allclose(few[name], many[name][:n], rtol=1e-12)


@pytest.mark.parametrize("solver", [jn.FixedStep(0.025), jn.FixedStep(0.025, solver=jn.RK4()), jn.Adaptive(1e-4, 1e-4)])
def test_sweep_bad_lane_leaves_every_bit_of_the_others(solver):
    """A lane that starts at infinity, or that steps too far, in the middle of two chunks."""
    amplitude = np.linspace(2.0, 20.0, 100)
    V_init = np.full(100, -65.0)
    V_bad = V_init.copy()
    V_bad[[7, 80]] = np.inf
    kept = ("spike_count", "first_spike", "V_end", "V_mean", "isi_mean")

    def swept(V):
        grid = {"stimulus.amplitude": amplitude, "V_init": V}
        model, step = jn.HodgkinHuxley(), jn.Step(5.0, 1.0)
        return jn.sweep(model, step, grid, t1=20.0, solver=solver, keep=kept, progress=False)

    good, bad = swept(V_init), swept(V_bad)
    others = V_bad == V_init
    for name in (*kept, "result"):
        np.testing.assert_array_equal(good[name].values[others], bad[name].values[others])
    assert (good.result == 0).all() and (bad.result.values[~others] != 0).all()


def test_sweep_reducers_equal_the_solution():
    """Every number gathered in the loop, against the same from the whole run."""
    kept = ("spike_count", "rate", "first_spike", "isi_mean", "isi_cv", "V_min", "V_max", "V_mean", "V_end")
    grid = {"stimulus.amplitude": np.linspace(0.0, 0.9, 7)}
    swept = run(grid, keep=(*kept, "spike_times", "voltage"), dt_save=0.5)
    for k, amplitude in enumerate(swept["stimulus.amplitude"].values):
        alone = jn.simulate(CELL, jn.Step(amplitude, 5.0, 80.0), t1=100.0, dt_save=0.5, solver=SOLVER)
        point, intervals = swept.isel(point=k), np.diff(alone.spikes)
        assert point.spike_count == alone.spikes.size
        assert point.rate == pytest.approx(10.0 * alone.spikes.size)
        assert point.first_spike == pytest.approx(alone.spikes[0] if alone.spikes.size else np.inf)
        wanted = (intervals.mean(), intervals.std() / intervals.mean()) if intervals.size else (np.nan, np.nan)
        np.testing.assert_allclose((point.isi_mean, point.isi_cv), wanted, rtol=1e-9, atol=1e-9)
        extremes = (alone.voltage.min(), alone.voltage.max(), alone.voltage[-1])
        np.testing.assert_allclose((point.V_min, point.V_max, point.V_end), extremes, rtol=1e-12)
        np.testing.assert_allclose(point.voltage, alone.voltage, rtol=1e-12)
        mean = np.trapezoid(alone.voltage, alone.ts) / 100.0
        # the steps at the onset and the end are shorter than the saving interval
        assert point.V_mean == pytest.approx(float(mean), rel=1e-3)


def test_sweep_takes_reducers_of_the_user():
    lowest = jn.Reducer(
        init=lambda y: y.gates["na"]["h"],
        update=lambda h, span: jnp.minimum(h, span.after.gates["na"]["h"]),
        name="h_min",
    )
    model, step, grid = jn.HodgkinHuxley(), jn.Step(10.0, 1.0), {"stimulus.amplitude": [2.0, 10.0]}
    swept = jn.sweep(model, step, grid, t1=10.0, keep=(lowest, "V_max"), progress=False)
    for amplitude, h in zip([2.0, 10.0], swept.h_min, strict=True):
        alone = jn.simulate(model, jn.Step(amplitude, 1.0), t1=10.0, dt_save=0.025, solver=jn.FixedStep(0.025))
        assert h == pytest.approx(float(alone.ys.gates["na"]["h"].min()), rel=1e-12)


def test_sweep_gathers_with_the_adaptive_solver_that_it_was_given():
    """Kvaerno3 at a loose tolerance is far off: numbers gathered in the loop are its own, not another method's."""
    solver = jn.Adaptive(rtol=1e-2, atol=1e-2, solver=diffrax.Kvaerno3())
    model, step, grid = jn.FitzHughNagumo(), jn.Step(0.8, 1.0), {"tau": [10.0, 12.5]}
    kept = ("spike_count", "first_spike", "V_end", "V_max")
    swept = jn.sweep(model, step, grid, t1=30.0, solver=solver, keep=kept, progress=False)
    for k, tau in enumerate((10.0, 12.5)):
        alone = jn.simulate(jn.FitzHughNagumo(tau=tau), step, t1=30.0, solver=solver)
        assert swept.spike_count[k] == alone.spikes.size > 0
        np.testing.assert_allclose(swept.first_spike[k], alone.spikes[0], rtol=1e-10)
        np.testing.assert_allclose(swept.V_end[k], alone.voltage[-1], rtol=1e-10)


def test_sweep_adaptive_sorts_lanes_by_work_and_puts_them_back():
    amplitude = np.random.default_rng(0).uniform(0.0, 20.0, 700)
    settings = {"t1": 10.0, "keep": ("first_spike", "V_end"), "progress": False, "cores": 1}
    solver = jn.Adaptive(rtol=1e-6, atol=1e-6)
    grids = [{"stimulus.amplitude": amplitude[order]} for order in (np.arange(700), np.arange(700)[::-1])]
    up, down = (jn.sweep(jn.HodgkinHuxley(), jn.Step(1.0, 1.0), g, solver=solver, **settings) for g in grids)
    np.testing.assert_array_equal(up.V_end, down.V_end[::-1])
    np.testing.assert_array_equal(up.first_spike, down.first_spike[::-1])
    alone = jn.simulate(jn.HodgkinHuxley(), jn.Step(amplitude[300], 1.0), t1=10.0, solver=solver)
    assert up.V_end[300] == pytest.approx(float(alone.voltage[-1]), abs=1e-4)


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


@pytest.mark.parametrize("cores", [1, 2])
def test_sweep_interrupted_keeps_what_is_done(monkeypatch, cores):
    from jaxneuro import lanes

    real, calls = lanes._run_batch, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(lanes, "_MOST_CHUNKS", 1)
    monkeypatch.setattr(lanes, "_run_batch", interrupted)
    swept = run({"stimulus.amplitude": np.linspace(0.2, 0.6, 300)}, keep=("V_end", "spike_count"), cores=cores)
    is_done = np.isfinite(swept.V_end.values)
    assert 60 < is_done.sum() < 300
    np.testing.assert_array_equal(swept.result == -1, ~is_done)
    np.testing.assert_array_equal(np.isfinite(swept.spike_count), is_done)


def test_sweep_second_call_does_not_recompile():
    first = run({"tau_m": np.linspace(10.0, 20.0, 200)}, keep="rate")
    assert first.attrs["compile_seconds"] > 0
    second = run({"tau_m": np.linspace(11.0, 33.0, 200)}, keep="rate")
    cell, step = jn.LIF(b_w=0.01, R_m=55.0), jn.Step(0.9, 2.0, 60.0)
    # other values, another onset, another number of lanes in as many batches
    grid = {"tau_m": np.linspace(1.0, 2.0, 190)}
    other = jn.sweep(cell, step, grid, t1=100.0, solver=SOLVER, keep="rate", progress=False)
    assert second.attrs["compile_seconds"] == other.attrs["compile_seconds"] == 0
    assert other.rate.shape == (190,)


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
        (lambda: run({"tau_m": [10.0]}, cores=0), "`cores` must be a whole number"),
        (lambda: run({"tau_m": [10.0]}, t1=-1.0), "later than t0"),
    ],
)
def test_sweep_refuses_bad_input_in_one_sentence(call, match):
    with pytest.raises(ValueError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_grid_is_reusable_as_columns():
    assert isinstance(jn.zipped({"a": [1.0]}), Grid)
