"""Voltage and dynamic clamp: relaxation, conductances, currents and their reversal, series resistance, leak
subtraction, gating curves, and the commands that they follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, finite_differences, quick_jit
from refusals import refused

from jaxneuro import (
    Adaptive,
    FixedStep,
    HHSodium,
    HodgkinHuxley,
    Leak,
    Levels,
    Membrane,
    PassiveMembrane,
    Ramp,
    Sampled,
    Step,
    clamp_family,
    simulate,
    sweep,
    voltage_clamp,
)
from jaxneuro.analysis.clamp import (
    Boltzmann,
    activation_curve,
    fit_boltzmann,
    inactivation_curve,
    leak_subtracted,
)
from jaxneuro.models import DynamicClamp, IdealClamp, VoltageClamp
from jaxneuro.params import replace

HH = HodgkinHuxley()
PASSIVE = Membrane({"leak": Leak(g_max=0.1, E_rev=-70.0)}, C_m=1.0, V_init=-70.0)
LEVELS = (-40.0, -20.0, 0.0, 20.0, 45.0, 50.0, 55.0)


@pytest.fixture(scope="module")
def family():
    """Steps from -65 mV at 5 ms to every level, for 20 ms, then to a tail at -65 mV."""
    return clamp_family(HH, LEVELS)


@pytest.fixture(scope="module")
def in_step(family):
    """Times since the step [ms] and conductances during it, by channel."""
    is_in = (family.ts[0] > 4.999) & (family.ts[0] < 24.999)
    return np.asarray(family.ts[0][is_in] - 5.0), {c: np.asarray(g[:, is_in]) for c, g in family.conductances.items()}


@pytest.mark.parametrize("V", [-100.0, -40.0, 0.0, 33.0])
def test_ideal_clamp_gates_relax_exponentially(V):
    """x_inf + (x_0 - x_inf) e^{-t/tau}: the exponential steps are exact at constant V."""
    y0 = HH.state_at(-65.0)
    run = simulate(IdealClamp(HH), V, t1=8.0, y0=y0, solver=FixedStep(0.1))
    for name in ("na", "k"):
        x_inf, tau = HH.channels[name].rates(jnp.asarray(V), {})
        for gate, x in run.ys.gates[name].items():
            exact = x_inf[gate] + (y0.gates[name][gate] - x_inf[gate]) * np.exp(-np.asarray(run.ts) / tau[gate])
            np.testing.assert_allclose(x, exact, rtol=0, atol=1e-14 * 80)  # rounding of 80 steps
    assert np.all(run.voltage == -65.0) and run.spikes.size == 0


def test_sodium_conductance_is_transient_and_potassium_is_delayed_and_persists(in_step):
    t, g = in_step
    for k in range(len(LEVELS)):
        sodium, potassium = g["na"][k], g["k"][k]
        peak = sodium.argmax()
        assert 0.3 <= t[peak] <= 1.5 and sodium[-1] < 0.2 * sodium[peak]
        assert np.all(np.diff(potassium) > 0)
        assert potassium[t < 0.21][-1] < 0.07 * potassium[-1] and potassium[peak] < 0.5 * potassium[-1]
    sodium = g["na"][LEVELS.index(0.0)]
    assert sodium[(t > 6.0)].max() < 0.05 * sodium.max()


def test_sodium_current_reverses_at_its_reversal_potential(family):
    is_in = (family.ts[0] > 5.1) & (family.ts[0] < 24.9)
    current = np.asarray(family.currents["na"][:, is_in])
    for k, V in enumerate(LEVELS):
        assert np.all(np.sign(current[k]) == np.sign(V - 50.0))
    largest = np.abs(current).max(axis=1)
    assert LEVELS[largest[:4].argmax()] == 0.0  # the trough of the paper's I-V curve


@pytest.mark.parametrize("tail", [-100.0, -78.0, -77.0, -76.0, -50.0])
def test_potassium_tail_current_reverses_at_its_reversal_potential(tail):
    clamp = clamp_family(HH, 20.0, duration=10.0, tail=tail, tail_duration=2.0)
    current = clamp.currents["k"][0, clamp.ts[0] > 15.001]
    assert np.all(np.sign(current) == np.sign(tail + 77.0))
    assert abs(current[-1]) <= abs(current[0])


def test_voltage_clamp_delivers_the_ionic_currents(family):
    np.testing.assert_allclose(family.i_clamp, sum(family.currents.values()), rtol=1e-14)
    for name, driving in (("na", 50.0), ("k", -77.0), ("leak", -54.3)):
        wanted = family.conductances[name] * (family.command - driving)
        np.testing.assert_allclose(family.currents[name], wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(family.V, family.command)
    np.testing.assert_array_equal(family.V[:, 0], -65.0)


def test_clamp_family_equals_single_clamps(family):
    for k in (0, 4):
        command = Levels([-65.0, LEVELS[k], -65.0], starts=[0.0, 5.0, 25.0])
        alone = voltage_clamp(HH, command, t1=35.0)
        for name in ("na", "k"):
            np.testing.assert_allclose(family.currents[name][k], alone.currents[name], rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("R_s", [0.05, 0.3])
def test_series_resistance_charges_the_membrane_exponentially(R_s):
    """tau = R_s C in parallel with the membrane, charge C dV: of a step by 10 mV, (10 / R_s)(...) in closed form."""
    clamp = voltage_clamp(PASSIVE, Levels([-70.0, -60.0], starts=[0.0, 1.0]), t1=5.0, R_s=R_s, dt_save=0.01)
    t, i = np.asarray(clamp.ts) - 1.0, np.asarray(clamp.i_clamp)
    tau, i_end = R_s / (1 + 0.1 * R_s), 10 * 0.1 / (1 + 0.1 * R_s)
    is_on = t > -1e-9
    exact = np.where(is_on, i_end + (10 / R_s - i_end) * np.exp(-t / tau), 0.0)
    np.testing.assert_allclose(i, exact, rtol=0, atol=1e-10)  # exact steps: rounding of (command - V) / R_s
    V_end = 10 / (1 + 0.1 * R_s)
    assert clamp.V[-1] == pytest.approx(-70.0 + V_end, abs=10 * np.exp(-4.0 / tau) + 1e-10)
    capacitive = i[is_on] - np.asarray(clamp.currents["leak"])[is_on]
    charge = np.trapezoid(capacitive, t[is_on])
    # trapezoids of 0.01 ms: (0.01 / tau)^2 / 12 of it
    assert charge == pytest.approx(float(clamp.V[-1] + 70.0), rel=1.1 * (0.01 / tau) ** 2 / 12 + 1e-6)


def test_voltage_clamp_tends_to_the_ideal_one_with_its_resistance():
    kept = {"t1": 4.0, "dt_save": 0.5, "solver": FixedStep(0.002)}
    command = Levels([-65.0, 0.0], starts=[0.0, 0.5])
    ideal, resistances, errors = voltage_clamp(HH, command, **kept), (1e-3, 5e-4, 2.5e-4), []
    for R_s in resistances:
        real = voltage_clamp(HH, command, R_s=R_s, **kept)
        errors.append(np.abs(real.i_clamp - ideal.i_clamp)[2:].max())
        # off the command by R_s times the current
        np.testing.assert_allclose(real.V, real.command - R_s * real.i_clamp, rtol=0, atol=1e-10)
    assert np.polyfit(np.log(resistances), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.1), errors


@pytest.mark.parametrize("R_s", [None, 0.1])
def test_leak_subtraction_leaves_nothing_of_a_passive_membrane(R_s):
    """Neither leak nor capacitive transient, of 3.5 and, through a resistance, 900 uA/cm^2."""
    command = Levels([-90.0, 0.0, -60.0], starts=[0.0, 2.0, 7.0])
    kept = {"t1": 10.0, "R_s": R_s}
    for n in (1, 4, 7):
        assert np.abs(leak_subtracted(PassiveMembrane(), command, n=n, **kept).i_clamp).max() < 1e-9
    assert np.abs(voltage_clamp(PassiveMembrane(), command, **kept).i_clamp).max() > 3.0


def test_leak_subtraction_leaves_the_gated_currents_of_the_squid_axon():
    """At -90 mV hardly a gate is open, so that little is wrong: 2 in 100,000 of the peak; and it matters."""
    command = Levels([-90.0, 0.0], starts=[0.0, 2.0])
    subtracted, plain = leak_subtracted(HH, command, t1=15.0), voltage_clamp(HH, command, t1=15.0)
    gated = plain.currents["na"] + plain.currents["k"]
    largest = np.abs(gated).max()
    np.testing.assert_allclose(subtracted.i_clamp, gated, rtol=0, atol=1e-4 * largest)
    assert np.abs(plain.i_clamp - gated).max() > 1e-3 * largest
    for name, current in plain.currents.items():
        np.testing.assert_array_equal(subtracted.currents[name], current)


@pytest.mark.parametrize("channel", ["na", "k"])
def test_activation_curve_rises_with_the_level(channel):
    curve = np.asarray(activation_curve(HH, channel, np.arange(-80.0, 41.0, 20.0), duration=10.0))
    assert np.all(np.diff(curve) > 0) and abs(curve[-1] - 1.0) < 1e-15 and curve[0] < 1e-3


def test_inactivation_curve_is_that_of_the_inactivation_gate():
    """Peaks in a test step are h_inf of the prepulse times the same activation, but for what opens before it."""
    V = np.arange(-110.0, -29.0, 10.0)
    curve = inactivation_curve(HH, "na", V, duration=60.0)
    h_inf = np.array([HHSodium().rates(jnp.asarray(v), {})[0]["h"] for v in V])
    np.testing.assert_allclose(curve, h_inf / h_inf[0], rtol=0, atol=0.03)
    found, wanted = fit_boltzmann(V, curve), fit_boltzmann(V, h_inf)
    assert wanted.V_half == pytest.approx(-62.2, abs=0.3)
    assert found.V_half == pytest.approx(wanted.V_half, abs=1.0) and found.slope == pytest.approx(wanted.slope, abs=0.5)


@pytest.mark.parametrize("V_half, slope", [(-40.0, 5.0), (-62.3, -7.1), (12.0, 20.0)])
def test_boltzmann_fit_finds_what_it_was_given(V_half, slope):
    V = V_half + np.linspace(-40.0, 40.0, 17)
    noise = 0.005 * np.random.default_rng(0).normal(size=17)
    y = 1 / (1 + np.exp(-(V - V_half) / slope))
    assert fit_boltzmann(V, y) == Boltzmann(pytest.approx(V_half, abs=2e-6), pytest.approx(slope, abs=2e-6))
    rough = fit_boltzmann(V, y + noise)
    # 0.5 % of noise against a slope of 1 / (4 |slope|) per mV
    assert rough.V_half == pytest.approx(V_half, abs=4 * 0.005 * 4 * abs(slope))
    assert rough.slope == pytest.approx(slope, rel=0.1)


def test_voltage_clamp_follows_a_ramp():
    """A passive membrane under 2 mV/ms: its conductance as slope; through R_s it lags, and C dV/dt is added."""
    ramp = Ramp(-80.0, -20.0, onset=0.0, duration=30.0)
    ideal = voltage_clamp(PASSIVE, ramp, t1=29.0)
    np.testing.assert_allclose(ideal.command, -80.0 + 2 * ideal.ts, rtol=1e-13)
    np.testing.assert_allclose(ideal.i_clamp, 0.1 * (ideal.command + 70.0), rtol=0, atol=1e-12)
    real = voltage_clamp(PASSIVE, ramp, t1=29.0, R_s=0.2)
    late = np.asarray(real.ts) > 10.0
    capacitive = 1.0 * 2.0 / (1 + 0.1 * 0.2)
    # the input is held over a step at its midpoint: second order, 0.01 ms
    np.testing.assert_allclose((real.i_clamp - real.currents["leak"])[late], capacitive, rtol=0, atol=1e-3)


def test_clamp_gradients_equal_finite_differences():
    """In conductances, resistance, levels and times of the command, through a clamp whose threshold is infinite."""

    def current(x):
        cell = replace(HH, {"na.g_max": 120 * x[0], "C_m": x[1]})
        command = Levels(
            jnp.stack([-65.0 * x[2], -10.0 * x[3], -50.0]), jnp.stack([0.0 * x[4], 0.53 * x[4], 1.41 * x[5]])
        )
        kept = {"t1": 2.0, "dt_save": 1.0, "solver": FixedStep(0.05)}
        real = voltage_clamp(cell, command, R_s=0.05 * x[6], **kept)
        return jnp.concatenate([real.i_clamp[1:], voltage_clamp(cell, command, **kept).i_clamp[1:]])

    x = np.ones(7)
    expected = finite_differences(quick_jit(current), x)
    assert np.all(np.any(expected != 0, axis=0))
    for mode in MODES.values():
        found = quick_jit(mode(current))(x)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)  # of currents of up to 1000


def test_clamp_vmap_over_cells_equals_a_loop():
    def peak(g):
        clamp = voltage_clamp(replace(HH, {"na.g_max": g}), Levels([-65.0, 0.0], starts=[0.0, 0.5]), t1=2.0)
        return clamp.conductances["na"].max()

    together = jax.vmap(peak)(jnp.array([60.0, 120.0]))
    np.testing.assert_allclose(together, [peak(60.0), peak(120.0)], rtol=1e-12)
    assert together[1] == pytest.approx(2 * float(together[0]), rel=1e-12)  # V does not depend on it


def test_dynamic_clamp_of_a_constant_conductance_is_a_leak():
    """The same equation, in the same steps: rounding, grown by two spikes."""
    clamped = DynamicClamp(HH, E_rev=-10.0)
    leaky = Membrane(HH.channels | {"injected": Leak(g_max=0.3, E_rev=-10.0)}, HH.C_m, HH.V_init)
    runs = [simulate(m, i, t1=20.0, solver=FixedStep(0.025)) for m, i in ((clamped, 0.3), (leaky, 0.0))]
    assert runs[0].spikes.size >= 2
    np.testing.assert_allclose(runs[0].voltage, runs[1].voltage, rtol=0, atol=1e-8)
    np.testing.assert_allclose(runs[0].spikes, runs[1].spikes, rtol=0, atol=1e-10)


def test_dynamic_clamp_injects_a_recorded_conductance():
    """That rises and then stays: V goes to the mean of both reversal potentials, weighed by the conductances."""
    recorded = Sampled(np.concatenate([np.linspace(0.0, 0.4, 21), np.full(600, 0.4)]), dt=0.1)
    runs = [
        simulate(DynamicClamp(PASSIVE, E_rev=0.0), recorded, t1=60.0, solver=solver)
        for solver in (FixedStep(0.05), Adaptive(1e-8, 1e-8))
    ]
    for run in runs:
        # e^{-58 / 2} is left of the start
        assert run.voltage[-1] == pytest.approx((0.1 * -70.0 + 0.4 * 0.0) / 0.5, abs=1e-6)
    np.testing.assert_allclose(runs[0].voltage, runs[1].voltage, rtol=0, atol=5e-3)
    with refused("`stimulus` must cover the run from 0 to 70 ms"):
        simulate(DynamicClamp(PASSIVE), recorded, t1=70.0)


def test_dynamic_clamp_sweep_equals_simulations():
    grid = {"stimulus.amplitude": [0.1, 0.5]}
    kept = {"t1": 10.0, "solver": FixedStep(0.025)}
    swept = sweep(DynamicClamp(HH), Step(1.0, 1.0), grid, keep=("V_end", "spike_count"), progress=False, **kept)
    for k, g in enumerate(grid["stimulus.amplitude"]):
        alone = simulate(DynamicClamp(HH), Step(g, 1.0), **kept)
        assert swept.V_end[k] == pytest.approx(float(alone.voltage[-1]), abs=1e-7)
        assert swept.spike_count[k] == alone.spikes.size
    assert swept["stimulus.amplitude"].attrs["units"] == "mS/cm^2"


def test_levels_begin_at_their_starts_and_hold():
    levels = Levels([-65.0, 0.0, -40.0], starts=[2.0, 5.0, 9.0])
    ts = jnp.array([-1.0, 2.0, np.nextafter(5.0, 0), 5.0, np.nextafter(9.0, 0), 9.0, 1e9])
    np.testing.assert_array_equal(levels(ts), [-65, -65, -65, 0, 0, -40, -40])
    np.testing.assert_array_equal(levels.jump_ts, [5.0, 9.0])
    np.testing.assert_array_equal(Levels([1.0], starts=[3.0])(ts), 1.0)
    both = Levels([1.0, 2.0, 3.0], starts=[0.0, 4.0, 4.0])  # the middle one lasts no time
    np.testing.assert_array_equal(both(jnp.array([3.9, 4.0])), [1.0, 3.0])


def test_levels_are_a_step_for_a_current():
    runs = [
        simulate(HH, stimulus, t1=10.0, solver=FixedStep(0.025)).voltage
        for stimulus in (Levels([0.0, 12.0, 0.0], starts=[0.0, 1.013, 6.2]), Step(12.0, 1.013, 6.2 - 1.013))
    ]
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Levels([1.0, 2.0], starts=[5.0, 0.0]), r"`starts` must be sorted, but is \[5. 0.\]; sort it"),
        (
            lambda: Levels([1.0, 2.0], starts=[0.0]),
            r"one time per level, but has shape \(1,\) for levels of shape \(2,\)",
        ),
        (lambda: Levels([], starts=[]), r"`starts` must hold one time per level"),
        (lambda: Levels(1.0, starts=0.0), r"`starts` must hold one time per level, but has shape \(\)"),
        (lambda: Levels([1.0, np.nan], starts=[0.0, 1.0]), "`levels` must be a number, but is nan; "),
        (lambda: VoltageClamp(HH, R_s=0.0), r"`R_s` must be a number > 0 \[kOhm cm\^2\], but is 0; "),
        (lambda: clamp_family(HH, [[0.0]]), r"`levels` must be a list of finite voltages \[mV\]"),
        (lambda: clamp_family(HH, [0.0, np.nan]), r"`levels` must be a list of finite voltages \[mV\]"),
        (lambda: leak_subtracted(HH, Levels([0.0], [0.0]), t1=1.0, n=0), "`n` must be a whole number of .*, but is 0"),
        (lambda: leak_subtracted(HH, Levels([0.0], [0.0]), t1=1.0, n=2.0), "`n` must be a whole number"),
        (
            lambda: activation_curve(HH, "ca", [0.0]),
            "`channel` must be one of the cell's, but is 'ca'; .*nown are",
        ),
        (
            lambda: inactivation_curve(HH, "ca", [0.0]),
            "`channel` must be one of the cell's, but is 'ca'; .*nown are",
        ),
        (lambda: fit_boltzmann([0.0, 1.0], [0.1, 0.9]), r"three or more that differ, but has shape \(2,\)"),
        (lambda: fit_boltzmann([0.0, 1.0, 2.0], [0.1, 0.9]), "`y` must hold one finite value per voltage"),
        (lambda: fit_boltzmann([0.0, 1.0, 2.0], [0.1, np.nan, 0.9]), "`y` must hold one finite value per voltage"),
        (lambda: voltage_clamp(HH, 0.0, t1=1.0, dt_save=0.025), "`dt_save` must be a multiple of the solver's dt=0.01"),
        (lambda: voltage_clamp(HH, 0.0, t1=-1.0), "`t1` must be later than t0=0 ms"),
    ],
)
def test_clamp_refuses_bad_arguments(call, message):
    with refused(message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: IdealClamp(HHSodium()), "`cell` must be a membrane"),
        (lambda: VoltageClamp(None), "`cell` must be a membrane, but is a NoneType; "),
        (lambda: DynamicClamp(IdealClamp(HH)), "`cell` must be a membrane"),
        (lambda: voltage_clamp(HH, "0", t1=1.0), "`stimulus` must be a stimulus"),
        (lambda: leak_subtracted(HH, Step(1.0), t1=1.0), "`command` must be Levels, but is a Step; use Levels"),
    ],
)
def test_clamp_refuses_things_of_the_wrong_kind(call, message):
    with refused(message, TypeError):
        call()
