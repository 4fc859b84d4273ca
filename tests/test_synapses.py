"""Synapses: kinetics against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxneuro as jn
from jaxneuro.models._base import rk4_flow


def conductance_course(synapse, ts):
    """Current at -1 mV driving force after one spike of weight 1 at t = 0, by fine RK4."""
    state = synapse.on_spike(synapse.init(), jnp.asarray(1.0))
    V = synapse.E_rev - 1.0
    course = [state]
    for left, right in zip(ts[:-1], ts[1:], strict=True):
        h = jax.tree.map(lambda _, step=right - left: step, state)
        state = rk4_flow(lambda s: synapse.dynamics(s, V), state, h)
        course.append(state)
    return np.array([-synapse.current(s, V) for s in course])


def test_ampa_decays_exponentially():
    synapse, ts = jn.AMPA(g_max=0.3, tau=2.0), np.linspace(0, 8, 81)
    # RK4 at h/tau = 0.05: 0.05^4/120 = 5e-8 per time constant
    np.testing.assert_allclose(conductance_course(synapse, ts), 0.3 * np.exp(-ts / 2.0), rtol=1e-6)


def test_nmda_peaks_at_g_max_where_theory_says():
    synapse = jn.NMDA(g_max=0.7, tau_rise=3.0, tau_decay=80.0, Mg=0.0)
    peak_time = 3.0 * 80.0 / (80.0 - 3.0) * np.log(80.0 / 3.0)
    ts = np.linspace(0, peak_time, 400)
    np.testing.assert_allclose(conductance_course(synapse, ts)[-1], 0.7, rtol=1e-6)


def test_nmda_block_is_that_of_jahr_and_stevens():
    V = jnp.array([-80.0, -40.0, 0.0, 40.0])
    expected = 1 / (1 + 1.5 / 3.57 * np.exp(-0.062 * np.asarray(V)))
    np.testing.assert_allclose(jn.NMDA(Mg=1.5).unblocked(V), expected, rtol=1e-12)
    np.testing.assert_allclose(jn.NMDA(Mg=0.0).unblocked(V), 1.0)


@pytest.mark.parametrize("synapse", [jn.AMPA(), jn.NMDA()])
def test_synapse_is_silent_before_a_spike(synapse):
    state = synapse.init()
    assert float(synapse.current(state, jnp.asarray(-65.0))) == 0.0
    assert all(float(d) == 0.0 for d in jax.tree.leaves(synapse.dynamics(state, jnp.asarray(20.0))))


def test_nmda_refuses_a_rise_slower_than_the_decay():
    with pytest.raises(ValueError, match="`tau_rise` must be shorter than tau_decay"):
        jn.NMDA(tau_rise=90.0)
