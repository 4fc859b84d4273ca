"""Every channel against the formulas of its paper, written here a second time in plain `math`."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from refusals import refused
from registry import CHANNELS

from jaxneuro.channels import (
    AbstractKineticChannel,
    BKChannel,
    CalciumPump,
    ConnorStevensA,
    GHKChannel,
    HHSodium,
    Leak,
    MechanicallyGated,
    SodiumPotassiumPump,
    TTypeCalcium,
    find_channel,
)

F, R = 1.602176634e-19 * 6.02214076e23, 1.380649e-23 * 6.02214076e23  # C/mol, J/(mol K), from what the SI fixes
CA_I, CA_O = 1.3e-3, 2.0  # mM
# None is nearer than 0.4 mV to a removable singularity, where the naive quotients would lose digits.
VOLTAGES = (-91.3, -66.1, -43.7, -21.9, 8.2, 37.6)
# The naive quotients x / (e^x - 1) lose up to 2 digits at 0.4 mV from x = 0, the powers of gates another.
RTOL = 1e-11


def exp(x):
    return math.exp(x)


def opening(alpha, beta):
    return alpha / (alpha + beta), 1 / (alpha + beta)


def squid_sodium(V):
    m = opening(0.1 * (V + 40) / (1 - exp(-(V + 40) / 10)), 4 * exp(-(V + 65) / 18))
    return {"m": m, "h": opening(0.07 * exp(-(V + 65) / 20), 1 / (1 + exp(-(V + 35) / 10)))}


def squid_potassium(V):
    return {"n": opening(0.01 * (V + 55) / (1 - exp(-(V + 55) / 10)), 0.125 * exp(-(V + 65) / 80))}


def traub_miles_sodium(V, V_T=-63.0):
    v = V - V_T
    m = opening(0.32 * (13 - v) / (exp((13 - v) / 4) - 1), 0.28 * (v - 40) / (exp((v - 40) / 5) - 1))
    return {"m": m, "h": opening(0.128 * exp((17 - v) / 18), 4 / (1 + exp((40 - v) / 5)))}


def traub_miles_potassium(V, V_T=-63.0):
    v = V - V_T
    return {"n": opening(0.032 * (15 - v) / (exp((15 - v) / 5) - 1), 0.5 * exp((10 - v) / 40))}


def m_current(V, tau_max=1000.0):
    return {"p": (1 / (1 + exp(-(V + 35) / 10)), tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20)))}


def l_calcium(V):
    q = opening(0.055 * (-27 - V) / (exp((-27 - V) / 3.8) - 1), 0.94 * exp((-75 - V) / 17))
    return {"q": q, "r": opening(0.000457 * exp((-13 - V) / 50), 0.0065 / (exp((-15 - V) / 28) + 1))}


def t_calcium(V, V_x=2.0):
    v = V + V_x
    tau_u = 30.8 + (211.4 + exp((v + 113.2) / 5)) / (1 + exp((v + 84) / 3.2))
    return {"s": (1 / (1 + exp(-(v + 57) / 6.2)), None), "u": (1 / (1 + exp((v + 81) / 4.0)), tau_u)}


def connor_stevens_sodium(V):
    m = opening(0.38 * (V + 29.7) / (1 - exp(-0.1 * (V + 29.7))), 15.2 * exp(-0.0556 * (V + 54.7)))
    return {"m": m, "h": opening(0.266 * exp(-0.05 * (V + 48)), 3.8 / (1 + exp(-0.1 * (V + 18))))}


def connor_stevens_potassium(V):
    return {"n": opening(0.02 * (V + 45.7) / (1 - exp(-0.1 * (V + 45.7))), 0.25 * exp(-0.0125 * (V + 55.7)))}


def connor_stevens_a(V):
    a_inf = (0.0761 * exp(0.0314 * (V + 94.22)) / (1 + exp(0.0346 * (V + 1.17)))) ** (1 / 3)
    b_inf = (1 / (1 + exp(0.0688 * (V + 53.3)))) ** 4
    tau_a = 0.3632 + 1.158 / (1 + exp(0.0497 * (V + 55.96)))
    return {"a": (a_inf, tau_a), "b": (b_inf, 1.24 + 2.678 / (1 + exp(0.0624 * (V + 50))))}


def wang_buzsaki_sodium(V, phi=5.0):
    m = opening(-0.1 * (V + 35) / (exp(-0.1 * (V + 35)) - 1), 4 * exp(-(V + 60) / 18))
    h = opening(phi * 0.07 * exp(-(V + 58) / 20), phi / (exp(-0.1 * (V + 28)) + 1))
    return {"m": (m[0], None), "h": h}


def wang_buzsaki_potassium(V, phi=5.0):
    alpha = -0.01 * (V + 34) / (exp(-0.1 * (V + 34)) - 1)
    return {"n": opening(phi * alpha, phi * 0.125 * exp(-(V + 44) / 80))}


def mainen_sejnowski_sodium(V, V_shift=-5.0):
    v = V + V_shift
    m = opening(0.182 * (v + 35) / (1 - exp(-(v + 35) / 9)), -0.124 * (v + 35) / (1 - exp((v + 35) / 9)))
    sum_h = 0.024 * (v + 50) / (1 - exp(-(v + 50) / 5)) - 0.0091 * (v + 75) / (1 - exp((v + 75) / 5))
    return {"m": m, "h": (1 / (1 + exp((v + 65) / 6.2)), 1 / sum_h)}


def mainen_sejnowski_potassium(V):
    return {"n": opening(0.02 * (V - 25) / (1 - exp(-(V - 25) / 9)), -0.002 * (V - 25) / (1 - exp((V - 25) / 9)))}


def mainen_sejnowski_m(V):
    return {"n": opening(0.001 * (V + 30) / (1 - exp(-(V + 30) / 9)), -0.001 * (V + 30) / (1 - exp((V + 30) / 9)))}


def morris_lecar_calcium(V):
    return {"m": (0.5 * (1 + math.tanh((V + 1.2) / 18)), None)}


def morris_lecar_potassium(V):
    return {"w": (0.5 * (1 + math.tanh((V - 2) / 30)), 1 / (0.04 * math.cosh((V - 2) / (2 * 30))))}


def h_current(V):
    return {"m": opening(0.001 * 6.43 * (V + 154.9) / (exp((V + 154.9) / 11.9) - 1), 0.001 * 193 * exp(V / 33.1))}


def persistent_sodium(V):
    alpha_h = -2.88e-6 * (V + 17) / (1 - exp((V + 17) / 4.63))
    beta_h = 6.94e-6 * (V + 64.4) / (1 - exp(-(V + 64.4) / 2.63))
    m = (1 / (1 + exp(-(V + 52.6) / 4.6)), None)
    return {"m": m, "h": (1 / (1 + exp((V + 48.8) / 10)), 1 / (alpha_h + beta_h))}


def big_potassium(V, celsius=20.0):
    def k(k_0, d):
        return k_0 * exp(-2 * d * F * V * 1e-3 / (R * (273.15 + celsius)))

    return {"o": opening(0.48 / (1 + k(0.18, 0.84) / CA_I), 0.28 / (1 + CA_I / k(0.011, 1.0)))}


def small_potassium(V):
    return {"z": (1 / (1 + (0.00043 / CA_I) ** 4.8), 1.0)}


class Paper(NamedTuple):
    """Gates as (x_inf, tau [ms] or None if instantaneous) of V [mV]; powers; g_max [mS/cm^2] and E_rev [mV]; Q10 and
    the temperature [degC] of the kinetics, None where they have none."""

    gates: Callable
    powers: dict[str, int]
    g_max: float
    E_rev: float
    q10: float | None = None
    celsius: float | None = None


# conductances and reversal potentials of the cell models in which the papers, or those that use them, put the channels
PAPERS = {
    "HHSodium": Paper(squid_sodium, {"m": 3, "h": 1}, 120, 50, 3, 6.3),
    "HHPotassium": Paper(squid_potassium, {"n": 4}, 36, -77, 3, 6.3),
    "TraubMilesSodium": Paper(traub_miles_sodium, {"m": 3, "h": 1}, 100, 50, 3, 36),
    "TraubMilesPotassium": Paper(traub_miles_potassium, {"n": 4}, 30, -90, 3, 36),
    "MCurrent": Paper(m_current, {"p": 1}, 0.07, -100, 2.3, 36),
    "LTypeCalcium": Paper(l_calcium, {"q": 2, "r": 1}, 0.1, 120),
    "TTypeCalcium": Paper(t_calcium, {"s": 2, "u": 1}, 0.4, 120, 3, 24),
    "ConnorStevensSodium": Paper(connor_stevens_sodium, {"m": 3, "h": 1}, 120, 55, 3, 18),
    "ConnorStevensPotassium": Paper(connor_stevens_potassium, {"n": 4}, 20, -72, 3, 18),
    "ConnorStevensA": Paper(connor_stevens_a, {"a": 3, "b": 1}, 47.7, -75, 3, 18),
    "WangBuzsakiSodium": Paper(wang_buzsaki_sodium, {"m": 3, "h": 1}, 35, 55),
    "WangBuzsakiPotassium": Paper(wang_buzsaki_potassium, {"n": 4}, 9, -90),
    # 20, 200 and 0.1 pS/um^2, times their 2.3^1.4 = 3.2 at 37 degC
    "MainenSejnowskiSodium": Paper(mainen_sejnowski_sodium, {"m": 3, "h": 1}, 6.4, 60, 2.3, 23),
    "MainenSejnowskiPotassium": Paper(mainen_sejnowski_potassium, {"n": 1}, 64, -90, 2.3, 23),
    "MainenSejnowskiM": Paper(mainen_sejnowski_m, {"n": 1}, 0.032, -90, 2.3, 23),
    "MorrisLecarCalcium": Paper(morris_lecar_calcium, {"m": 1}, 4.4, 120),
    "MorrisLecarPotassium": Paper(morris_lecar_potassium, {"w": 1}, 8, -84),
    "HCurrent": Paper(h_current, {"m": 1}, 0.15, -45, 1, 34),
    "PersistentSodium": Paper(persistent_sodium, {"m": 1, "h": 1}, 0.1, 50, 2.3, 21),
    "BKChannel": Paper(big_potassium, {"o": 1}, 10, -90),
    "SKChannel": Paper(small_potassium, {"z": 1}, 0.1, -90),
}
IONS = {"ca_i": jnp.asarray(CA_I), "ca_o": jnp.asarray(CA_O)}


def test_every_gated_channel_has_its_paper_here():
    assert PAPERS.keys() == {name for name in CHANNELS if isinstance(CHANNELS[name](), AbstractKineticChannel)}


@pytest.mark.parametrize("name", PAPERS)
def test_channel_gates_are_those_of_the_paper(name):
    channel, paper = CHANNELS[name](), PAPERS[name]
    for V in VOLTAGES:
        x_inf, tau = channel.rates(jnp.asarray(V), IONS)
        wanted = paper.gates(V)
        assert x_inf.keys() == wanted.keys()
        for gate, (x_wanted, tau_wanted) in wanted.items():
            assert x_inf[gate] == pytest.approx(x_wanted, rel=RTOL), (gate, V)
            is_instantaneous = tau_wanted is None
            assert is_instantaneous == (gate in channel.instantaneous)
            assert is_instantaneous or tau[gate] == pytest.approx(tau_wanted, rel=RTOL), (gate, V)


@pytest.mark.parametrize("name", PAPERS)
def test_channel_gates_move_as_in_the_paper_at_10_degrees_more(name):
    """dx/dt = q10 (x_inf - x) / tau and A = -q10 / tau."""
    channel, paper = CHANNELS[name](), PAPERS[name]
    celsius = 20.0 if paper.celsius is None else paper.celsius + 10
    faster = 1.0 if paper.celsius is None else paper.q10
    for V in VOLTAGES:
        gates = {gate: (x, tau) for gate, (x, tau) in paper.gates(V).items() if tau is not None}
        x = {gate: 0.3 + 0.1 * k for k, gate in enumerate(gates)}
        state = {gate: jnp.asarray(value) for gate, value in x.items()}
        dx, A = channel.linearised(jnp.asarray(V), state, IONS | {"celsius": jnp.asarray(celsius)})
        assert dx.keys() == A.keys() == gates.keys()
        for gate, (x_inf, tau) in gates.items():
            assert A[gate] == pytest.approx(-faster / tau, rel=RTOL), (gate, V)
            # x_inf - x may cancel: relative to the rate itself
            assert dx[gate] == pytest.approx(faster * (x_inf - x[gate]) / tau, abs=RTOL * faster / tau), (gate, V)


@pytest.mark.parametrize("name", PAPERS)
def test_channel_current_is_conductance_times_gates_times_driving_force(name):
    channel, paper = CHANNELS[name](), PAPERS[name]
    assert dict(channel.powers) == paper.powers
    for V in VOLTAGES:
        state, open_fraction = {}, 1.0
        for k, (gate, (x_inf, tau)) in enumerate(paper.gates(V).items()):
            x = x_inf if tau is None else 0.3 + 0.2 * k
            open_fraction *= x ** paper.powers[gate]
            state |= {} if tau is None else {gate: jnp.asarray(x)}
        i = channel.current(jnp.asarray(V), state, IONS)
        assert i == pytest.approx(paper.g_max * open_fraction * (V - paper.E_rev), rel=RTOL), V
        if channel.ion:
            # a Nernst potential of the cell takes the place of E_rev
            moved = channel.current(jnp.asarray(V), state, IONS | {f"E_{channel.ion}": jnp.asarray(-20.0)})
            assert moved == pytest.approx(paper.g_max * open_fraction * (V + 20.0), rel=RTOL), V


@pytest.mark.parametrize("V", VOLTAGES)
def test_bk_channel_follows_the_temperature_through_the_thermal_voltage(V):
    x_inf, tau = BKChannel().rates(jnp.asarray(V), IONS | {"celsius": jnp.asarray(37.0)})
    wanted = big_potassium(V, 37.0)["o"]
    assert (x_inf["o"], tau["o"]) == pytest.approx(wanted, rel=RTOL)
    assert wanted != pytest.approx(big_potassium(V)["o"], rel=1e-3)


def test_connor_stevens_a_is_open_at_most_once():
    assert connor_stevens_a(60.0)["a"][0] == pytest.approx(1.01, abs=0.01)
    assert ConnorStevensA().rates(jnp.asarray(60.0), {})[0]["a"] == 1.0


@pytest.mark.parametrize("powers, as_written", [({"m": 4, "h": 1}, (4, 1)), ({"h": 2, "m": 3}, (3, 2))])
def test_channel_gate_powers_can_be_changed(powers, as_written):
    V, gates = jnp.asarray(-30.0), {"m": jnp.asarray(0.4), "h": jnp.asarray(0.3)}
    i = HHSodium(powers=powers).current(V, gates, {})
    assert i == pytest.approx(120 * 0.4 ** as_written[0] * 0.3 ** as_written[1] * -80, rel=1e-14)
    assert i != pytest.approx(float(HHSodium().current(V, gates, {})), rel=0.1)


BAD_POWERS = [{"m": 4}, {"m": 0, "h": 1}, {"m": 3, "h": 1.0}, {"m": True, "h": 1}, {"m": 3, "h": 1, "n": 2}, 3, None]


@pytest.mark.parametrize("powers", BAD_POWERS, ids=str)
def test_channel_gate_powers_are_positive_whole_numbers_of_its_gates(powers):
    with refused(r"`powers` must give a positive whole number for each of m, h, but is .*; write e.g. \{'m': 3, 'h'"):
        HHSodium(powers=powers)


@pytest.mark.parametrize("celsius", [20.0, 36.0])
def test_ghk_channel_carries_the_constant_field_current(celsius):
    channel = GHKChannel(TTypeCalcium(g_max=7.0, E_rev=-3.0), permeability=8e-5)  # neither g_max nor E_rev counts
    for V in VOLTAGES:
        z = 2 * F * V * 1e-3 / (R * (273.15 + celsius))
        # mmol/l = umol/cm^3, so that cm/s C/mol mM is uA/cm^2
        full = 8e-5 * 2 * F * (CA_I * -z / (exp(-z) - 1) - CA_O * z / (exp(z) - 1))
        wanted = full * t_calcium(V)["s"][0] ** 2 * 0.4
        i = channel.current(jnp.asarray(V), {"u": jnp.asarray(0.4)}, IONS | {"celsius": jnp.asarray(celsius)})
        assert i == pytest.approx(wanted, rel=RTOL), V
    assert channel.carried(i) == {"ca": i} and channel.ion == "ca"


@pytest.mark.parametrize("inside", [Leak(), SodiumPotassiumPump(), "TTypeCalcium"], ids=["mixture", "pump", "name"])
def test_ghk_channel_is_of_one_ion(inside):
    with refused("`channel` must be an ohmic channel of one ion, but is .*; use e.g. TTypeCalcium()"):
        GHKChannel(inside)


@pytest.mark.parametrize("na_i, k_o", [(10.0, 3.5), (25.0, 8.0), (10.0, 2.0)])
def test_sodium_potassium_pump_is_that_of_the_paper(na_i, k_o):
    pump, ions = SodiumPotassiumPump(), {"na_i": jnp.asarray(na_i), "k_o": jnp.asarray(k_o)}
    i = pump.current(jnp.asarray(-70.0), {}, ions)
    assert i == pytest.approx(13 / ((1 + 2 / k_o) ** 2 * (1 + 10 / na_i) ** 3), rel=1e-14)
    parts = pump.carried(i)
    assert parts.keys() == {"na", "k"}
    assert parts["na"] == 3 * i and parts["k"] == -2 * i
    assert parts["na"] + parts["k"] == pytest.approx(float(i), rel=1e-14)  # 3 charges out, 2 in
    # 3 sodium ions, uA/cm^2 / (C/mol) = umol / (s cm^2), leave for each ATP
    assert pump.atp_rate(i) == pytest.approx(float(parts["na"]) / 3 / F * 1e6, rel=1e-14)


def test_pumps_stop_without_their_ion_and_saturate():
    V, none, much = jnp.asarray(-70.0), jnp.asarray(0.0), jnp.asarray(1e9)
    for pump, names in ((SodiumPotassiumPump(), ("na_i", "k_o")), (CalciumPump(), ("ca_i",))):
        for name in names:
            ions = dict.fromkeys(names, much) | {name: none}
            assert pump.current(V, {}, ions) == 0.0
            assert all(jnp.isfinite(slope) for slope in jax.grad(lambda ions: pump.current(V, {}, ions))(ions).values())  # noqa: B023
        # K / x = 1e-8 is left, five times
        assert pump.current(V, {}, dict.fromkeys(names, much)) == pytest.approx(float(pump.i_max), rel=1e-7)


def test_calcium_pump_is_that_of_the_paper():
    pump = CalciumPump()
    i = pump.current(jnp.asarray(-70.0), {}, {"ca_i": jnp.asarray(3e-4)})
    assert i == pytest.approx(0.19 * 3e-4 / (3e-4 + 1e-4), rel=1e-14)
    assert pump.carried(i) == {"ca": i}
    # 1e-4 mM/ms = 1e-7 mol / (s cm^3), in 1e-5 cm, of 2 F, in uA: to the digits given
    assert pump.i_max == pytest.approx(1e-7 * 1e-5 * 2 * F * 1e6, rel=0.02)


def test_mechanically_gated_channel_is_in_boltzmann_equilibrium():
    channel, V = MechanicallyGated(), jnp.asarray(-50.0)
    for x in (-0.3, 0.0, 0.18, 0.5):
        wanted = 0.5 / (1 + exp(-(x - 0.18) / 0.104)) * -50.0
        assert channel.current(V, {}, {"displacement": jnp.asarray(x)}) == pytest.approx(wanted, rel=1e-14)
    # k_B T / 40 fN at 300 K, and 15 % open at rest: to the digits given
    assert channel.width == pytest.approx(1.380649e-23 * 300 / 40e-15 * 1e6, rel=0.01)
    assert channel.open_fraction(V, {}, {"displacement": jnp.asarray(0.0)}) == pytest.approx(0.15, abs=0.001)
    assert channel.carried(1.0) == {}


def test_leak_is_ohmic_and_carried_by_the_ion_that_is_named():
    V = jnp.asarray(-30.0)
    assert Leak().current(V, {}, {}) == pytest.approx(0.3 * 24.3, rel=1e-14)
    assert Leak().carried(2.0) == {} and Leak(ion="k").carried(2.0) == {"k": 2.0}
    assert Leak(0.1, ion="k").current(V, {}, {"E_k": jnp.asarray(-90.0)}) == pytest.approx(6.0, rel=1e-14)


def found_names(**criteria):
    return {channel.__name__ for channel in find_channel(**criteria)}


def test_find_channel_finds_by_ion_species_and_paper():
    wrappers = {"GHKChannel", "GatingScheme"}
    assert found_names() == {type(make()).__name__ for make in CHANNELS.values()} - wrappers
    assert found_names(species="squid") == {"HHSodium", "HHPotassium"}
    assert found_names(ion="K", species="squid") == {"HHPotassium"}
    assert found_names(ion="Ca", species="rat", paper="huguenard") == {"TTypeCalcium"}
    assert found_names(ion="mixed") >= {"HCurrent", "MechanicallyGated", "SodiumPotassiumPump", "Leak"}
    assert found_names(paper="no such paper") == set()
    for name in CHANNELS.keys() - wrappers:
        channel = type(CHANNELS[name]())
        assert channel in find_channel(species=channel.source.species, paper=channel.source.paper)


@pytest.mark.parametrize("spellings", [("Na", "na", "NA", "Na+"), ("ca", "Ca2+", "CA++"), ("mixed", "Mixed")], ids=str)
def test_find_channel_takes_ions_in_either_case_with_or_without_charge(spellings):
    first, *others = (find_channel(ion=spelling) for spelling in spellings)
    assert first and all(other == first for other in others)


def test_find_channel_refuses_what_no_channel_has():
    with refused("`species` must be that of a channel, but is 'Rats'; did you mean 'rat'.* Known are any, barnacle"):
        find_channel(species="Rats")
    with refused("`ion` must be that of a channel, but is 'unobtainium'; known are ca, k, mixed, na"):
        find_channel(ion="unobtainium")
    with refused("`ion` must be that of a channel, but is 'mixd'; did you mean 'mixed'"):
        find_channel(ion="mixd")
