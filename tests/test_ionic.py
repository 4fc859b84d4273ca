"""What channels do during an action potential: facts of the squid axon, and how they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import pyplot as plt
from refusals import refused

import jaxneuro as jn
from jaxneuro.analysis import channel_traces, sodium_states
from jaxneuro.channels import BKChannel, ConnorStevensA, HHPotassium, HHSodium, WangBuzsakiSodium
from jaxneuro.plot import plot_action_potential, plot_clamp, plot_gates, plot_sodium_states, plot_window

DT = 0.002  # ms; peaks are told apart to this


@pytest.fixture(scope="module")
def spikes():
    """Temperature [degC] -> one action potential."""
    return {
        T: jn.simulate(
            jn.HodgkinHuxley(celsius=T), jn.Step(amplitude, 1.0, 1.0), t1=10.0, dt_save=DT, solver=jn.FixedStep(DT)
        )
        for T, amplitude in ((6.3, 10.0), (18.5, 20.0))
    }


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("T, delay, slack", [(6.3, 0.11, 0.02), (18.5, -0.01, 0.008)])
def test_sodium_conductance_peaks_after_the_voltage_when_cold_and_before_it_when_warm(spikes, T, delay, slack):
    solution = spikes[T]
    g = channel_traces(solution).conductances["na"]
    found = solution.ts[jnp.argmax(g)] - solution.ts[jnp.argmax(solution.voltage)]
    assert found == pytest.approx(delay, abs=slack)


def test_potassium_conductance_peaks_after_that_of_sodium_and_lasts(spikes):
    g = channel_traces(spikes[6.3]).conductances
    assert jnp.argmax(g["k"]) > jnp.argmax(g["na"])
    assert g["k"][-1] > 0.05 * jnp.max(g["k"]) and g["na"][-1] < 0.01 * jnp.max(g["na"])


def test_channel_traces_are_the_currents_and_their_conductances(spikes):
    solution = spikes[6.3]
    traces = channel_traces(solution)
    expected = solution.model.currents(solution.ys)
    for name, channel in solution.model.channels.items():
        np.testing.assert_allclose(traces.currents[name], expected[name], rtol=1e-12, atol=1e-12)
        ohmic = traces.conductances[name] * (solution.voltage - channel.E_rev)
        np.testing.assert_allclose(traces.currents[name], ohmic, rtol=1e-12, atol=1e-12)


def test_sodium_states_sum_to_one_and_come_in_order(spikes):
    states = sodium_states(spikes[6.3])
    np.testing.assert_allclose(sum(states), 1.0, rtol=1e-14)
    peaks = [int(jnp.argmax(part)) for part in (states.open, states.inactivated, states.recovering)]
    assert peaks == sorted(peaks)
    g = channel_traces(spikes[6.3]).conductances["na"]
    np.testing.assert_allclose(g, 120.0 * states.open, rtol=1e-12, atol=1e-12)
    assert states.resting[0] > 0.55 and states.open[0] < 1e-4  # h_inf(-65 mV) = 0.596


def test_squid_sodium_activation_is_fast_and_leaves_a_window():
    """tau_m below 1 ms everywhere; m_inf^3 h_inf is largest, 0.77 %, at -31.9 mV; m_inf h_inf 4.2 % at -55.5 mV."""
    V = jnp.linspace(-120.0, 80.0, 2001)
    x_inf, tau = jax.vmap(lambda v: HHSodium().rates(v, {}))(V)
    assert jnp.max(tau["m"]) < 1.0
    window = x_inf["m"] ** 3 * x_inf["h"]
    assert V[jnp.argmax(window)] == pytest.approx(-31.9, abs=0.11) and jnp.max(window) == pytest.approx(
        0.00766, rel=1e-2
    )
    product = x_inf["m"] * x_inf["h"]
    assert V[jnp.argmax(product)] == pytest.approx(-55.5, abs=0.11) and jnp.max(product) == pytest.approx(
        0.0415, rel=1e-2
    )


@pytest.mark.parametrize(
    "channel, ions",
    [(HHSodium(), {}), (ConnorStevensA(), {}), (WangBuzsakiSodium(), {}), (BKChannel(), {"ca_i": 1e-3})],
)
def test_plot_gates_draws_what_the_channel_says(channel, ions):
    axes = plot_gates(channel, V=[-60.0, -20.0], ions=ions)
    x_inf, tau = channel.rates(jnp.asarray(-60.0), {name: jnp.asarray(v) for name, v in ions.items()})
    drawn = {line.get_label(): line.get_ydata()[0] for line in axes[0, 0].lines}
    assert drawn == pytest.approx({gate: float(x) for gate, x in x_inf.items()})
    assert {line.get_label() for line in axes[0, 1].lines} == set(tau)
    assert [ax.get_ylabel() for ax in axes.flat][1] == "Time constant (ms)"


def test_plot_gates_is_faster_in_the_warm():
    cold, warm = (plot_gates(HHPotassium(), V=[-50.0, 0.0], ions={"celsius": T}) for T in (6.3, 16.3))
    y = [axes[0, 1].lines[0].get_ydata() for axes in (cold, warm)]
    np.testing.assert_allclose(y[0], 3.0 * y[1])


def test_plot_window_fills_the_product():
    axes = plot_window(HHSodium())
    assert axes.get_xlabel() == "Voltage (mV)" and "product × 100" in [t.get_text() for t in axes.get_legend().texts]
    with refused(r"Argument `channel` must have the gates m and h, but has n; use e\.g\. HHSodium"):
        plot_window(HHPotassium())


def test_plot_action_potential_and_states_share_the_time_axis(spikes):
    axes = plot_action_potential(spikes[6.3], window=(1.0, 8.0))
    assert [ax.get_xlim() for ax in axes] == [(1.0, 8.0)] * 3
    assert [t.get_text() for t in axes[1].get_legend().texts] == ["Na⁺", "K⁺"]
    assert plot_sodium_states(spikes[6.3])[1].get_ylim() == (0.0, 1.0)


def test_plot_clamp_draws_one_line_per_step():
    family = jn.clamp_family(jn.HodgkinHuxley(), [-40.0, 0.0], duration=2.0, tail_duration=1.0, onset=1.0)
    axes = plot_clamp(family)
    assert [len(ax.lines) for ax in axes] == [2, 2, 2, 2] and axes[0].get_ylabel() == "Command (mV)"
    with refused("Argument `channels` must name channels with a conductance, but has 'x'; choose from"):
        plot_clamp(family, ("x",))


def test_ionic_refuses_what_has_no_channels(spikes):
    lif = jn.simulate(jn.LIF(), 0.3, t1=5.0)
    with refused("Argument `solution` must be that of a membrane, but is of a LIF; simulate", TypeError):
        channel_traces(lif)
    with refused("Argument `channel` must be one with the gates m and h, but is 'k'; did you mean"):
        sodium_states(spikes[6.3], "k")
    with refused("Argument `channel` must be a channel with gates, but is a Leak; use", TypeError):
        plot_gates(jn.Leak())
