"""Ion pools: what currents do to concentrations, what concentrations do to currents, and what is conserved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree
from refusals import refused
from registry import SMOOTH_MODELS

from jaxneuro import Adaptive, FixedStep, HHPotassium, HHSodium, Leak, Membrane, Pulses, simulate
from jaxneuro.channels import GHKChannel, LTypeCalcium, MechanicallyGated, SKChannel, SodiumPotassiumPump, TTypeCalcium
from jaxneuro.electrochemistry import FARADAY, nernst
from jaxneuro.ions import CalciumPool, FixedConcentration, IonPool

CELSIUS, V_REST = 6.3, -65.0
NA, K = (15.0, 145.0), (100.0, 4.0)  # inside, outside [mM]
DEPTH = 0.05  # um, so thin that one spike moves 2 mM
PULSES = Pulses(amplitude=20.0, onset=10.0, duration=1.0, interval=20.0, count=3)
INJECTED = 3 * 20.0  # uA ms/cm^2
CHARGE_PER_MM = FARADAY * DEPTH / 10  # uA ms/cm^2 in 1 mM: C/mol, um = 1e-4 cm, mM = 1e-6 mol/cm^3, nC = uA ms


def living_cell(i_max=None):
    """A squid axon whose leaks and pump balance, ion by ion, at V_REST; all of its current is sodium or potassium."""
    sodium, potassium, V = HHSodium(), HHPotassium(), jnp.asarray(V_REST)
    E_na, E_k = (float(nernst(1, outside, inside, CELSIUS)) for inside, outside in (NA, K))
    g_na, g_k = (float(c.conductance(V, c.init(V, {}), {})) for c in (sodium, potassium))
    g_leak_k = 0.05
    pumped = 0.5 * (g_k + g_leak_k) * (V_REST - E_k)  # 2 K+ in for what leaks out
    g_leak_na = 3 * pumped / (E_na - V_REST) - g_na  # 3 Na+ out for what leaks in
    saturation = (K[1] / (K[1] + 2)) ** 2 * (NA[0] / (NA[0] + 10)) ** 3
    channels = {
        "na": sodium,
        "k": potassium,
        "leak_na": Leak(g_leak_na, ion="na"),
        "leak_k": Leak(g_leak_k, ion="k"),
        "pump": SodiumPotassiumPump(i_max=pumped / saturation if i_max is None else i_max),
    }
    pools = {
        "na": IonPool(*NA, depth=DEPTH, volume_ratio=0.1, ion="na"),
        "k": IonPool(*K, depth=DEPTH, volume_ratio=0.1, ion="k"),
    }
    return Membrane(channels, celsius=CELSIUS, V_init=V_REST, pools=pools)


@pytest.fixture(scope="module")
def train():
    """Three spikes, at the accuracy of the reference."""
    return simulate(living_cell(), PULSES, t1=60.0, dt_save=0.01, solver=Adaptive(rtol=1e-10, atol=1e-10))


@pytest.fixture(scope="module")
def long_runs():
    """(with the pump, without it): three spikes and 8 s of rest."""
    cells = living_cell(), living_cell(i_max=0.0)
    return [simulate(cell, PULSES, t1=8000.0, dt_save=1.0, solver=FixedStep(0.025)) for cell in cells]


def inside(solution, ion):
    return np.asarray(solution.ys.ions[ion]["inside"])


@pytest.mark.parametrize("solver", [FixedStep(0.5), Adaptive(rtol=1e-9, atol=1e-12)], ids=["strang", "adaptive"])
def test_calcium_pool_relaxes_exponentially_without_current(solver):
    cell = Membrane({"leak": Leak()}, pools={"ca": CalciumPool(tau=5.0)})
    y0 = cell.init_state()._replace(ions={"ca": {"inside": jnp.asarray(3e-3)}})
    solution = simulate(cell, t1=20.0, dt_save=0.5, y0=y0, solver=solver)
    wanted = 2.4e-4 + (3e-3 - 2.4e-4) * np.exp(-solution.ts / 5.0)
    # Strang steps are exact here: 80 roundings; the adaptive solver holds its atol
    rtol = 1e-13 if isinstance(solver, FixedStep) else 1e-8
    np.testing.assert_allclose(inside(solution, "ca"), wanted, rtol=rtol)


def test_calcium_pool_under_a_steady_current_settles_where_removal_balances_influx():
    pool, i = CalciumPool(tau=7.0, depth=0.3), jnp.asarray(-1.5)
    influx = 1.5e-6 / (2 * FARADAY) / (0.3e-4) * 1e6 * 1e-3  # A/cm^2 / (C/mol) / cm = mol/(s cm^3), in mM/ms
    settled = {"inside": jnp.asarray(2.4e-4 + influx * 7.0)}
    assert abs(pool.dynamics(settled, i)["inside"]) < 1e-14 * influx
    start = pool.init()
    assert pool.dynamics(start, i)["inside"] == pytest.approx(influx, rel=1e-14)


@pytest.mark.parametrize("ion, valence", [("na", 1), ("k", 1), ("cl", -1), ("ca", 2)])
def test_ion_pool_turns_current_into_moles_per_volume(ion, valence):
    """An outward current of cations empties the cell, one of anions (their influx) fills it."""
    pool = IonPool(10.0, 100.0, depth=2.0, ion=ion)
    amperes_per_cm2, depth_cm = 3.0e-6, 2.0e-4
    mol_per_s_cm3 = -amperes_per_cm2 / (valence * FARADAY) / depth_cm
    mM_per_ms = mol_per_s_cm3 * 1e6 / 1e3  # 1 mol/cm^3 is 1e6 mM
    assert pool.dynamics(pool.init(), jnp.asarray(3.0))["inside"] == pytest.approx(mM_per_ms, rel=1e-14)


def test_living_cell_is_at_rest_ion_by_ion():
    cell = living_cell()
    rates = cell.dynamics(cell.init_state(), jnp.asarray(0.0))
    # currents of 10 uA/cm^2 cancel to rounding
    assert all(abs(rate) < 1e-13 for rate in jax.tree.leaves(rates))


def test_ion_pool_loses_no_ion_over_a_spike_train(train):
    assert train.spikes.size == 3
    shared = train.model.environment(train.ys.ions)
    for ion, (c_i, c_o) in (("na", NA), ("k", K)):
        total = shared[f"{ion}_i"] + shared[f"{ion}_o"] / 0.1
        np.testing.assert_allclose(total, c_i + c_o / 0.1, rtol=1e-14)  # a rounding of each term
        assert np.ptp(shared[f"{ion}_o"]) > 0.1  # mM: there is something to conserve


@pytest.mark.parametrize("ion", ["na", "k"])
def test_ion_pool_changes_by_the_charge_that_its_ion_carries(ion, train):
    carried = jax.vmap(lambda y: train.model.ion_current(y, ion))(train.ys)
    np.testing.assert_allclose(train.model.ion_current(train.ys, ion), carried, rtol=1e-14)
    i, dt = np.asarray(carried), 0.01
    charge = np.concatenate([[0.0], np.cumsum(0.5 * (i[1:] + i[:-1]) * dt)])
    gained = CHARGE_PER_MM * (inside(train, ion) - inside(train, ion)[0])
    # the trapezoid rule costs dt^2 / 12 times the change of slope, 2000 uA/cm^2/ms in the upstroke
    np.testing.assert_allclose(gained, -charge, atol=dt**2 / 12 * 2.5e3)
    assert np.max(np.abs(gained)) > 1e3


def test_membrane_charge_is_what_ions_and_electrode_bring(train):
    """C_m V - F depth (na + k) - injected charge never changes: all current is sodium or potassium."""
    brought = CHARGE_PER_MM * (inside(train, "na") + inside(train, "k"))
    injected = np.interp(train.ts, [10, 11, 30, 31, 50, 51], INJECTED / 3 * np.array([0, 1, 1, 2, 2, 3]))
    kept = np.asarray(train.ys.V) - brought - injected
    # Runge-Kutta methods keep linear invariants: rounding of 6e4 uA ms/cm^2 over 1e4 steps is left
    np.testing.assert_allclose(kept, kept[0], atol=1e-8)


@pytest.mark.parametrize("dt, share", [(0.025, 1.5e-3), (0.0125, 4e-4)])
def test_strang_steps_lose_little_charge(dt, share):
    """Splitting keeps it to second order: 0.1 % of what sodium brings is lost at 0.025 ms, a quarter of it at half."""
    solution = simulate(living_cell(), PULSES, t1=60.0, dt_save=10.0, solver=FixedStep(dt))
    sodium, potassium = (CHARGE_PER_MM * inside(solution, ion) for ion in ("na", "k"))
    kept = np.asarray(solution.ys.V) - sodium - potassium
    assert abs(kept[-1] - kept[0] - INJECTED) < share * np.ptp(sodium)


def test_nernst_potentials_follow_the_concentrations(train):
    shared = train.model.environment(train.ys.ions)
    for ion in ("na", "k"):
        wanted = nernst(1, shared[f"{ion}_o"], shared[f"{ion}_i"], CELSIUS)
        np.testing.assert_allclose(shared[f"E_{ion}"], wanted, rtol=1e-15)
        assert np.ptp(wanted) > 1.0
    y, last = train.model.init_state(), jax.tree.map(lambda x: x[-1], train.ys)
    channel = train.model.channels["leak_k"]
    i = train.model.currents(last)["leak_k"]
    assert i == pytest.approx(float(channel.g_max * (last.V - shared["E_k"][-1])), rel=1e-14)
    assert train.model.environment(y.ions)["E_k"] == pytest.approx(float(nernst(1, K[1], K[0], CELSIUS)), rel=1e-14)


def test_pump_restores_the_gradients_after_a_spike_train(long_runs):
    pumped, _ = long_runs
    assert pumped.spikes.size == 3
    for ion, (start, _) in (("na", NA), ("k", K)):
        moved = np.abs(inside(pumped, ion) - start)
        assert moved.max() > 5.0
        # e^-9 of it, and the electrode's charge, which no pump takes back: 60 / CHARGE_PER_MM = 0.12 mM
        assert moved[-1] < 0.01 * moved.max() + INJECTED / CHARGE_PER_MM
    assert pumped.ys.V[-1] == pytest.approx(V_REST, abs=0.1)


def test_without_a_pump_the_gradients_run_down(long_runs):
    _, unpumped = long_runs
    sodium, potassium = inside(unpumped, "na"), inside(unpumped, "k")
    assert np.all(np.diff(sodium[200:]) > -1e-9) and np.all(np.diff(potassium[200:]) < 1e-9)
    assert sodium[-1] > 6 * NA[0] and potassium[-1] < 0.15 * K[0]
    assert unpumped.ys.V[-1] > -10.0
    shared = unpumped.model.environment(unpumped.ys.ions)
    assert shared["E_na"][-1] - shared["E_k"][-1] < 0.05 * (shared["E_na"][0] - shared["E_k"][0])


def test_exponential_strang_is_second_order_with_pools():
    """In the voltage and in every concentration of a membrane with pumps, a GHK current and calcium-gated channels."""
    model, y0, i_app, t1 = SMOOTH_MODELS["Membrane-pumping"]()

    def run(solver):
        ys = simulate(model, i_app, t1=t1, dt_save=0.5, y0=y0, solver=solver).ys
        return {"V": ys.V, **{ion: c["inside"] for ion, c in ys.ions.items()}}

    exact = run(Adaptive(rtol=1e-10, atol=1e-10))
    dts = (0.02, 0.01, 0.005)
    runs = [run(FixedStep(dt)) for dt in dts]
    assert exact.keys() == {"V", "na", "k", "ca"}
    for name in exact:
        errors = [np.max(np.abs(found[name] - exact[name])) for found in runs]
        order = np.polyfit(np.log(dts), np.log(errors), 1)[0]
        # the next term of the error is half a percent of it at these steps
        assert order == pytest.approx(2.0, abs=0.1), (name, errors)


def test_final_concentrations_have_a_gradient_in_the_depth():
    def final(depth):
        pools = {
            "ca": CalciumPool(depth=depth["ca"], has_nernst=True),
            "k": IonPool(*K, depth=depth["k"], volume_ratio=0.1, ion="k"),
        }
        channels = {"na": HHSodium(), "k": HHPotassium(), "ca": LTypeCalcium(), "sk": SKChannel(), "leak": Leak()}
        cell = Membrane(channels, celsius=CELSIUS, pools=pools)
        solution = simulate(cell, 15.0, t1=8.0, dt_save=8.0, solver=FixedStep(0.05), max_spikes=4)
        # in units of 1e-4 and 1 mM
        return jnp.stack([1e4 * solution.ys.ions["ca"]["inside"][-1], solution.ys.ions["k"]["inside"][-1]])

    assert_derivatives_agree(final, {"ca": 0.1, "k": 0.05}, modes=("reverse",))


def test_fixed_concentrations_set_the_reversal_potential_and_the_temperature_moves_it():
    for celsius in (6.3, 36.0):
        cell = Membrane({"k": HHPotassium()}, celsius=celsius, pools={"k": FixedConcentration(100.0, 5.0, ion="k")})
        E_k = cell.environment({})["E_k"]
        assert E_k == pytest.approx(float(nernst(1, 5.0, 100.0, celsius)), rel=1e-14)
        assert cell.currents(cell.state_at(E_k))["k"] == 0.0
        assert cell.init_state().ions == {}
    held = FixedConcentration(100.0, 5.0, ion="k", has_nernst=False)
    ohmic = Membrane({"k": HHPotassium()}, pools={"k": held})
    assert set(ohmic.environment({})) == {"k_i", "k_o"}
    assert ohmic.currents(ohmic.state_at(-77.0))["k"] == 0.0


def membrane(*channels, **given):
    return Membrane({f"c{k}": channel for k, channel in enumerate(channels)}, **given)


CA = {"ca": CalciumPool()}
REFUSED = {
    "key": (
        lambda: membrane(Leak(), pools={"k": CalciumPool()}),
        r"`pools` must name every pool by its ion, but 'k' is the pool of 'ca'; write \{'ca': ...\}",
    ),
    "no pool": (
        lambda: membrane(SKChannel()),
        r"must give what channel 'c0' \(SKChannel\) needs, but lacks ca_i; write pools=\{'ca': ...\}",
    ),
    "pump": (
        lambda: membrane(SodiumPotassiumPump()),
        r"channel 'c0' \(SodiumPotassiumPump\) needs, but lacks na_i and k_o; write pools=\{'na': ..., 'k': ...\}",
    ),
    "other pool": (
        lambda: membrane(SodiumPotassiumPump(), celsius=20.0, pools={"na": IonPool(*NA, ion="na")}),
        r"but lacks k_o; write pools=\{'k': ...\}",
    ),
    "ghk's celsius": (
        lambda: membrane(GHKChannel(TTypeCalcium()), pools=CA),
        "but lacks celsius; give the cell a",
    ),
    "displacement": (
        lambda: membrane(MechanicallyGated()),
        "but lacks displacement; use a model that provides displacement",
    ),
    "nernst's celsius": (
        lambda: membrane(Leak(), pools={"ca": CalciumPool(has_nernst=True)}),
        r"`celsius` must be given where a Nernst potential follows, but is None with the pool of 'ca'; give the temp",
    ),
    "ghk of a mixture": (lambda: GHKChannel(Leak()), "`channel` must be an ohmic channel of one ion, but is Leak"),
    "depth": (lambda: CalciumPool(depth=0.0), r"`depth` must be a number > 0 \[um\], but is 0"),
    "inside": (lambda: IonPool(-1.0, 5.0, ion="k"), r"`inside` must be a number > 0 \[mM\], but is -1"),
    "ratio": (lambda: IonPool(1.0, 5.0, ion="k", volume_ratio=-1.0), "`volume_ratio` must be a number >= 0, but is -1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_pools_are_refused(case):
    call, match = REFUSED[case]
    with refused(match):
        call()


def test_pools_of_another_kind_are_refused():
    with refused("`pools` must map names to pools, but 'ca' is no pool, a Leak; write e.g.", TypeError):
        membrane(Leak(), pools={"ca": Leak()})
    with refused("`pools` must map names to pools, but is a CalciumPool; write e.g.", TypeError):
        membrane(Leak(), pools=CalciumPool())


@pytest.mark.parametrize(
    "make",
    [lambda ion: Leak(ion=ion), lambda ion: IonPool(1.0, 2.0, ion=ion), lambda ion: FixedConcentration(1, 2, ion=ion)],
)
def test_ions_are_spelled_as_usual_and_unknown_ones_refused(make):
    assert make("Na+").ion == "na"
    with refused("Argument `ion` must name an ion, but has 'sodum'; "):
        make("sodum")
