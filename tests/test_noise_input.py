"""Noisy models: what is refused, and going on from a saved state."""

import jax
import numpy as np
import pytest
from refusals import refused

from jaxneuro import (
    Adaptive,
    DiscreteChannels,
    EulerMaruyama,
    FixedStep,
    HHSodium,
    HodgkinHuxley,
    Leak,
    Membrane,
    NoisyMembrane,
    simulate,
    with_channel_noise,
)
from jaxneuro.channels import StateNoise, SubunitNoise
from jaxneuro.params import replace

PASSIVE = Membrane({"leak": Leak(g_max=0.2, E_rev=-70.0)}, C_m=0.9, V_init=-60.0)
SMALL = with_channel_noise(HodgkinHuxley(), area=20.0)
SUBUNIT = with_channel_noise(HodgkinHuxley(), area=20.0, kind="subunit")


@pytest.mark.parametrize(
    "model, solver, message",
    [
        (SMALL, Adaptive(), "must take the noise of the model, but is Adaptive for NoisyMembrane; use EulerMaruyama"),
        (SMALL, FixedStep(0.01), "must take the noise of the model, but is FixedStep for NoisyMembrane"),
        (HodgkinHuxley(), EulerMaruyama(0.01), "`model` must be noisy for EulerMaruyama, but is HodgkinHuxley; "),
        (HodgkinHuxley(), DiscreteChannels(0.01), "must be a NoisyMembrane for DiscreteChannels, but is Hodgkin"),
        (SUBUNIT, DiscreteChannels(0.01), "must have Markov schemes for DiscreteChannels, but 'na' is a HHSodium; "),
        (SMALL, EulerMaruyama(0.03), "`dt_save` must be a multiple of the solver's dt=0.03 ms"),
    ],
)
def test_noisy_simulation_refuses_the_wrong_solver(model, solver, message):
    with refused(message):
        simulate(model, 0.0, t1=1.0, dt_save=0.1, solver=solver)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: NoisyMembrane(HodgkinHuxley(), {"na": StateNoise(10.0)}), "StateNoise of 'na' meets a HHSodium; "),
        (lambda: NoisyMembrane(SMALL.cell, {"na": SubunitNoise(1.0)}), "SubunitNoise of 'na' meets a GatingScheme; "),
        (lambda: NoisyMembrane(HodgkinHuxley(), {"ca": SubunitNoise(1.0)}), "has 'ca'; .*nown are na, k, leak"),
        (lambda: NoisyMembrane(HodgkinHuxley(), sigma=-1.0), "`sigma` must be a number >= 0"),
        (lambda: StateNoise(0.0), "`n` must be a number > 0, but is 0; "),
        (lambda: with_channel_noise(HodgkinHuxley(), 0.0), r"`area` must be positive, but is area=0.0 um\^2; "),
        (lambda: with_channel_noise(HodgkinHuxley(), np.nan), "`area` must be positive, but is area=nan"),
        (lambda: with_channel_noise(HodgkinHuxley(), 1.0, kind="gate"), "'state' or 'subunit', but is 'gate'; "),
        (lambda: with_channel_noise(HodgkinHuxley(), 1.0, density={"ca": 1.0}), "has 'ca'; .*nown are na, k, leak"),
        (lambda: with_channel_noise(HodgkinHuxley(), 1.0, density={"na": 0.0}), "`density` must be positive, but is"),
        (lambda: with_channel_noise(PASSIVE, 1.0), "`density` must name channels of the cell, but has 'na'; "),
        (lambda: with_channel_noise(PASSIVE, 1.0, density={"leak": 1.0}), "StateNoise of 'leak' meets a Leak; "),
        (lambda: EulerMaruyama(0.01, resolution=0.02), "`resolution` must divide dt=0.01 ms into whole cells"),
        (lambda: EulerMaruyama(-0.1), "`dt` must be a positive number"),
        (lambda: NoisyMembrane(PASSIVE, seed=1.5), "`seed` must be a whole number >= 0 and <= 1.67772e.07, but is 1.5"),
        (lambda: with_channel_noise(HodgkinHuxley(), 0.01), r"`area` must hold channels, but 0.01 um\^2 with 18 per"),
        (lambda: DiscreteChannels(0.0), "`dt` must be a positive number"),
    ],
)
def test_noise_refuses_bad_arguments(build, message):
    with refused(message):
        build()


def test_noisy_membrane_refuses_what_is_no_membrane():
    with refused("`cell` must be a membrane", TypeError):
        NoisyMembrane(HHSodium())


def test_discrete_channels_have_no_derivative():
    def late(C_m):
        return simulate(replace(SMALL, {"C_m": C_m}), 5.0, t1=0.2, solver=DiscreteChannels(0.1)).voltage[-1]

    with pytest.raises(TypeError, match="DiscreteChannels must not be differentiated"):
        jax.grad(late)(1.0)


@pytest.mark.parametrize("solver", [EulerMaruyama(0.02), DiscreteChannels(0.02)], ids=["langevin", "counted"])
def test_noisy_simulation_goes_on_where_another_ended(solver):
    """Neither drawn anew at the start nor repeating its noise."""
    whole = simulate(SMALL, 10.0, t1=4.0, solver=solver, dt_save=0.2)
    half = jax.tree.map(lambda leaf: leaf[10], whole.ys)
    rest = simulate(SMALL, 10.0, t0=2.0, t1=4.0, y0=half, solver=solver, dt_save=0.2)
    # time is rounded differently, and a spike amplifies that
    np.testing.assert_allclose(rest.voltage, whole.voltage[10:], rtol=0, atol=1e-8)
