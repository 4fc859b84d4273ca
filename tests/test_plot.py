"""Figures: what is drawn, where, and with which units."""

import io

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxneuro import (
    LIF,
    Adaptive,
    Constant,
    FitzHughNagumo,
    FixedStep,
    HodgkinHuxley,
    Sampled,
    Step,
    simulate,
)
from jaxneuro.analysis.phase_plane import phase_plane
from jaxneuro.models import SpikeDetector
from jaxneuro.plot import plot_fi, plot_phase_plane, plot_solution

N_CELL = 5


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def hh():
    return simulate(HodgkinHuxley(), Step(10.0, 5.0, 20.0), t1=30.0, solver=FixedStep(0.05))


@pytest.fixture(scope="module")
def lif():
    return simulate(LIF(b_w=0.02), Step(0.35, 10.0, 80.0), t1=100.0)


@pytest.fixture(scope="module")
def lif_batch():
    amplitudes = jnp.array([0.1, 0.3, 0.5])
    return jax.vmap(lambda a: simulate(LIF(), Step(a, 10.0, 80.0), t1=100.0))(amplitudes)


@pytest.fixture(scope="module")
def network():
    """Cells side by side: voltage (n_time, n_cell) and spikes (n_cell, n), as a network has."""
    cells = LIF(E_L=jnp.full(N_CELL, -70.0), R_m=jnp.linspace(60.0, 120.0, N_CELL))
    return simulate(cells, Step(0.3, 10.0, 80.0), t1=100.0)


@pytest.fixture(scope="module")
def fhn():
    return simulate(FitzHughNagumo(), 0.5, t1=50.0, solver=FixedStep(0.1))


def spike_lines(line, peak):
    """Times at which a drawn trace rises upright to the peak and falls upright to the reset."""
    t, v = line.get_data()
    (at,) = np.nonzero(v == peak)
    np.testing.assert_array_equal(t[at - 1], t[at])
    np.testing.assert_array_equal(t[at + 1], t[at])
    return t[at], v[at - 1], v[at + 1]


def test_plot_solution_shows_the_trace(hh):
    voltage, stimulus = hh.plot()
    (line,) = voltage.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), hh.ts)
    np.testing.assert_array_equal(line.get_ydata(), hh.voltage)
    assert voltage.get_ylabel() == "Membrane potential (mV)"
    assert stimulus.get_ylabel() == "Current\n(µA/cm²)"
    assert stimulus.get_xlabel() == "Time (ms)"
    assert voltage.get_xlim() == stimulus.get_xlim() == (0.0, 30.0)


def test_plot_solution_draws_reset_spikes_at_their_exact_times(lif):
    voltage, stimulus = lif.plot()
    (line,) = voltage.get_lines()
    times, feet, after = spike_lines(line, 20.0)
    assert lif.spikes.size > 2
    np.testing.assert_array_equal(times, lif.spikes)
    # the foot is V - (V - V_th) and the end V + (V_reset - V): exact but for rounding
    np.testing.assert_allclose(feet, -50.0, rtol=1e-14)
    np.testing.assert_allclose(after, -65.0, rtol=1e-14)
    assert np.all(np.diff(line.get_xdata()) >= 0)
    assert stimulus.get_ylabel() == "Current\n(nA)"


def test_plot_solution_spikes_do_not_depend_on_saving_times():
    model, current = LIF(tau_m=10.0), Constant(0.5)
    solution = simulate(model, current, t1=60.0, dt_save=20.0)
    times, _, _ = spike_lines(solution.plot()[0].get_lines()[0], 20.0)
    assert times.size > solution.ts.size
    np.testing.assert_array_equal(times, solution.spikes)


def test_plot_solution_peak_lies_above_a_positive_threshold():
    model = LIF(E_L=0.0, V_th=1.0, V_reset=0.0, R_m=1.0)
    line = simulate(model, 1.5, t1=60.0).plot()[0].get_lines()[0]
    assert line.get_ydata().max() == pytest.approx(1.4)  # 1 + 0.4 (1 - 0)


def test_plot_solution_invents_no_spikes_where_nothing_is_reset():
    solution = simulate(SpikeDetector(FitzHughNagumo(), threshold=1.0), 0.5, t1=50.0)
    assert solution.spikes.size > 0
    np.testing.assert_array_equal(solution.plot()[0].get_lines()[0].get_ydata(), solution.voltage)


def test_plot_solution_stimulus_has_upright_edges():
    # a pulse that begins and ends between two saved times
    solution = simulate(LIF(), Step(0.2, 3.03, 0.04), t1=10.0, dt_save=1.0)
    t, i = solution.plot()[1].get_lines()[0].get_data()
    on = t[i == 0.2]
    assert on[0] == 3.03
    assert on[-1] == pytest.approx(3.07, abs=1e-12)
    assert t[np.flatnonzero(i == 0.2)[0] - 1] == pytest.approx(3.03, abs=1e-12)
    assert set(i) == {0.0, 0.2}


def test_plot_solution_sampled_stimulus_is_drawn_to_its_end():
    values = jnp.linspace(0.0, 0.1, 101)
    solution = simulate(LIF(), Sampled(values, dt=0.1), t1=10.0)
    t, i = solution.plot()[1].get_lines()[0].get_data()
    np.testing.assert_allclose(i, 0.01 * t, atol=1e-14)  # rounding of the interpolation


def test_plot_solution_dimensionless_models_have_no_units(fhn):
    voltage, stimulus = fhn.plot()
    assert (voltage.get_ylabel(), stimulus.get_ylabel()) == ("$V$", "Input")
    assert stimulus.get_xlabel() == "Time"


def test_plot_solution_overlays_a_batch(lif_batch):
    voltage, stimulus = lif_batch.plot()
    assert len(voltage.get_lines()) == len(stimulus.get_lines()) == 3
    for i, (line, input_line) in enumerate(zip(voltage.get_lines(), stimulus.get_lines(), strict=True)):
        spikes = lif_batch.spikes[i]
        times, _, _ = spike_lines(line, 20.0)
        np.testing.assert_array_equal(times, spikes[np.isfinite(spikes)])
        assert input_line.get_ydata().max() == pytest.approx([0.1, 0.3, 0.5][i])
        assert line.get_color() == input_line.get_color()
    assert len({line.get_color() for line in voltage.get_lines()}) == 3
    assert voltage.get_title() == ""


def test_plot_solution_draws_at_most_twenty_runs_and_says_so():
    def run(a, b):
        return simulate(FitzHughNagumo(), a + b, t1=5.0, solver=FixedStep(0.5), dt_save=0.5)

    grid = jax.vmap(jax.vmap(run, (None, 0)), (0, None))(jnp.arange(6.0) / 10, jnp.arange(5.0))
    voltage, _ = grid.plot()
    assert len(voltage.get_lines()) == 20
    assert voltage.get_title() == "20 of 30 runs"
    np.testing.assert_array_equal(voltage.get_lines()[-1].get_ydata(), grid.voltage[-1, -1])


def test_plot_solution_network_has_traces_and_a_raster(network):
    voltage, raster, stimulus = network.plot()
    labels = [label.get_text() for label in voltage.get_yticklabels()]
    assert labels == [str(i) for i in range(N_CELL)]
    assert any("mV" in text.get_text() for text in voltage.texts)
    traces = voltage.get_lines()[:N_CELL]
    (marks,) = raster.collections
    segments = np.array(marks.get_segments())
    rows = segments[:, :, 1].mean(axis=1)
    for i in range(N_CELL):
        spikes = network.spikes[i][np.isfinite(network.spikes[i])]
        np.testing.assert_array_equal(segments[rows == i, 0, 0], spikes)
        t, v = traces[i].get_data()
        assert set(t) == {*np.asarray(network.ts).tolist(), *spikes.tolist()}
        # the first saved state, at rest, is the lowest of a trace with V_reset > E_L
        assert v.min() == voltage.get_yticks()[i]
    assert not np.any(np.isfinite(network.spikes[0])), "a silent cell must be among them"
    assert raster.get_ylim() == (N_CELL - 0.5, -0.5)
    assert len(stimulus.get_lines()) == 1


def test_plot_solution_network_shows_each_cells_own_input(network):
    own = simulate(network.model, Step(jnp.linspace(0.1, 0.5, N_CELL), 10.0, 20.0), t1=40.0)
    _, _, stimulus = own.plot()
    tops = [line.get_ydata().max() for line in stimulus.get_lines()]
    np.testing.assert_allclose(tops, np.linspace(0.1, 0.5, N_CELL))


def test_plot_solution_of_a_failed_run_ends_where_it_failed(network):
    V = network.ys.V.at[500:, 2].set(jnp.inf)
    failed = eqx.tree_at(lambda solution: solution.ys.V, network, V)
    voltage, _, _ = failed.plot()
    t, v = voltage.get_lines()[2].get_data()
    np.testing.assert_array_equal(np.isfinite(v[np.isin(t, network.ts)]), np.arange(1001) < 500)
    assert np.all(np.isfinite(voltage.get_ylim()))


def test_plot_solution_uses_given_axes(lif):
    figure, axes = plt.subplots(2)
    assert list(lif.plot(axes)) == list(axes)
    assert plt.get_fignums() == [figure.number]
    (single,) = plot_solution(lif, plt.figure().subplots())
    assert single.get_xlabel() == "Time (ms)"


def test_plot_solution_refuses_what_it_cannot_draw(lif, network):
    with pytest.raises(ValueError, match=r"`axes` must hold 1 or 2 axes .*but holds 3"):
        lif.plot(plt.subplots(3)[1])
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), network)
    with pytest.raises(ValueError, match=r"`solution` must be one run of a network.*\(2,\)"):
        batch.plot()


def test_solution_input_of_a_batch_is_that_of_every_run(lif_batch):
    each = [lif_batch.stimulus.amplitude[i] * (lif_batch.ts[i] >= 10.0) for i in range(3)]
    on = lif_batch.ts[0] < 90.0
    np.testing.assert_array_equal(lif_batch.i_app[:, on], jnp.stack(each)[:, on])


def test_plot_fi_draws_points_and_line():
    ax = plot_fi([0, 1, 2], [0, 5, 9], model_current=[2, 0, 1], model_rate=[8, 0, 4], unit="pA")
    points, line = ax.get_lines()
    np.testing.assert_array_equal(points.get_xydata(), [[0, 0], [1, 5], [2, 9]])
    assert points.get_linestyle() == "None"
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [1, 4], [2, 8]])  # in order
    assert ax.get_xlabel() == "Current (pA)"
    assert ax.get_ylabel() == "Firing rate (Hz)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Data", "Model"]


def test_plot_fi_draws_either_alone():
    (points,) = plot_fi([0.0, 1.0], [0.0, 5.0]).get_lines()
    assert points.get_label() == "Data"
    ax = plot_fi([0.0, 1.0], model_rate=[0.0, 5.0], unit="uA/cm^2")
    assert [line.get_label() for line in ax.get_lines()] == ["Model"]
    assert ax.get_xlabel() == "Current (µA/cm²)"


def test_plot_fi_refuses_unequal_lengths():
    with pytest.raises(ValueError, match=r"`rate` must have one rate per entry of `current`"):
        plot_fi([0.0, 1.0], [0.0])
    with pytest.raises(ValueError, match="both are None"):
        plot_fi([0.0, 1.0])
    assert not plt.get_fignums(), "a refused plot leaves no figure behind"


def test_plot_phase_plane_draws_all_parts():
    plane = phase_plane(FitzHughNagumo(a=0.0, b=2.0), y0=(0.0, 0.3), t1=50.0)
    ax = plane.plot()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[2:] == ["Trajectory", "Start", "Stable spiral", "Saddle"]
    drawn = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(drawn["Trajectory"].get_xydata(), plane.trajectory)
    np.testing.assert_array_equal(drawn[names[0]].get_xydata(), plane.V_nullcline[0])
    np.testing.assert_array_equal(drawn[names[1]].get_xydata(), plane.w_nullcline[0])
    assert drawn["Saddle"].get_fillstyle() == "left"
    assert drawn["Stable spiral"].get_fillstyle() == "full"
    assert ax.get_xlim() == (-2.5, 2.5)
    assert ax.get_ylim() == (-1.5, 2.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$V$", "$w$")


def test_plot_phase_plane_opens_the_circle_of_an_unstable_point():
    ax = plot_phase_plane(phase_plane(FitzHughNagumo(), 0.5, t1=10.0), plt.figure().subplots())
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert drawn["Unstable spiral"].get_fillstyle() == "none"


def test_plots_leave_the_users_settings_alone(lif, network):
    mpl.rcParams["font.size"] = 17.0
    before = dict(mpl.rcParams)
    try:
        lif.plot()
        network.plot()
        plot_fi([0.0, 1.0], [0.0, 5.0])
        phase_plane(FitzHughNagumo(), t1=5.0).plot()
        assert dict(mpl.rcParams) == before
    finally:
        mpl.rcParams["font.size"] = mpl.rcParamsDefault["font.size"]


def test_plots_look_the_same_whatever_the_users_settings(lif):
    def picture():
        buffer = io.BytesIO()
        lif.plot()[0].figure.savefig(buffer, format="png", dpi=50)
        return buffer.getvalue()

    plain = picture()
    with mpl.rc_context({"xtick.labelsize": 30, "axes.labelsize": 30, "lines.linewidth": 9}):
        assert picture() == plain


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_plots_can_be_saved(lif, network, tmp_path, suffix):
    for name, solution in (("lif", lif), ("network", network)):
        path = tmp_path / f"{name}.{suffix}"
        solution.plot()[0].figure.savefig(path)
        assert path.stat().st_size > 1000


def test_plot_solution_works_with_an_adaptive_run():
    solution = simulate(FitzHughNagumo(), 0.5, t1=20.0, solver=Adaptive())
    assert len(solution.plot()[0].get_lines()[0].get_xdata()) == solution.ts.size
