"""Equilibrium, constant-field and resting potentials against the laws that define them."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, assert_finite, cast, eps
from refusals import refused

from jaxneuro import electrochemistry
from jaxneuro.electrochemistry import (
    FARADAY,
    GAS_CONSTANT,
    ION_VALENCE,
    ghk_current,
    ghk_voltage,
    nernst,
    resting_potential,
    thermal_voltage,
    total_conductance,
)

DTYPES = (np.float64, np.float32)
P = {"k": 1.0, "na": 0.05, "cl": 0.45}
OUTSIDE = {"k": 5.0, "na": 150.0, "cl": 150.0}
INSIDE = {"k": 100.0, "na": 15.0, "cl": 13.0}


@pytest.mark.parametrize(
    "valence, outside, inside, at_20, at_37",
    [(1, 5, 100, -75.68, -80.07), (1, 150, 15, 58.17, 61.54), (-1, 150, 13, -61.78, -65.37)],
    ids=["k", "na", "cl"],
)
def test_nernst_equals_the_printed_values(valence, outside, inside, at_20, at_37):
    # of a textbook table, to its last digit
    assert nernst(valence, outside, inside, celsius=20.0) == pytest.approx(at_20, abs=0.005)
    assert nernst(valence, outside, inside) == pytest.approx(at_37, abs=0.005)


def test_constants_follow_from_those_that_the_si_fixes():
    charge, avogadro, boltzmann = 1.602176634e-19, 6.02214076e23, 1.380649e-23
    assert FARADAY == pytest.approx(charge * avogadro, rel=1e-15)
    assert GAS_CONSTANT == pytest.approx(boltzmann * avogadro, rel=1e-15)
    # a monovalent ion's k T / e, in mV
    assert thermal_voltage(25.0) == pytest.approx(1e3 * boltzmann * 298.15 / charge, rel=1e-14)


def test_nernst_changes_sign_with_the_valence_and_with_the_sides():
    E = nernst(1, 5.0, 100.0)
    # one rounding of the ratio, which the logarithm keeps
    np.testing.assert_allclose(nernst(-1, 5.0, 100.0), -E, rtol=4 * eps(E))
    np.testing.assert_allclose(nernst(1, 100.0, 5.0), -E, rtol=4 * eps(E))
    np.testing.assert_allclose(nernst(2, 5.0, 100.0), E / 2, rtol=4 * eps(E))
    assert nernst(1, 7.0, 7.0) == 0


@pytest.mark.parametrize("ion", ["k", "na", "cl"])
def test_ghk_voltage_of_one_permeant_ion_is_its_nernst_potential(ion):
    one = {name: 0.3 * (name == ion) for name in P}
    wanted = nernst(ION_VALENCE[ion], OUTSIDE[ion], INSIDE[ion], celsius=20.0)
    np.testing.assert_allclose(ghk_voltage(one, OUTSIDE, INSIDE, celsius=20.0), wanted, rtol=1e-14)
    np.testing.assert_allclose(ghk_voltage({ion: 2.0}, OUTSIDE, INSIDE, celsius=20.0), wanted, rtol=1e-14)


def test_ghk_voltage_depends_on_relative_permeabilities():
    scaled = {ion: 7.0 * value for ion, value in P.items()}
    np.testing.assert_allclose(ghk_voltage(scaled, OUTSIDE, INSIDE), ghk_voltage(P, OUTSIDE, INSIDE), rtol=1e-14)


@pytest.mark.parametrize("celsius", [6.3, 37.0])
def test_ghk_currents_sum_to_zero_at_the_ghk_voltage(celsius):
    V = ghk_voltage(P, OUTSIDE, INSIDE, celsius)
    currents = [
        ghk_current(P[ion], ION_VALENCE[ion], V, inside=INSIDE[ion], outside=OUTSIDE[ion], celsius=celsius) for ion in P
    ]
    # 20 roundings of the terms
    assert abs(sum(currents)) < 20 * eps(V) * max(map(abs, currents))
    assert min(map(abs, currents)) > 1e3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("valence, inside, outside", [(1, 100, 5), (1, 15, 150), (-1, 13, 150), (2, 1e-4, 2)])
def test_ghk_current_vanishes_at_the_nernst_potential(valence, inside, outside, dtype):
    inside, outside = dtype(inside), dtype(outside)
    E = nernst(valence, outside, inside)
    i = ghk_current(dtype(1.0), valence, E, inside=inside, outside=outside)
    one_way = ghk_current(dtype(1.0), valence, E + 1e3, inside=inside, outside=outside)
    assert i.dtype == dtype
    # E is known to eps, and u = z F E / (R T) <= 10 to 10 eps
    assert abs(i) < 30 * eps(dtype) * max(abs(one_way), FARADAY * max(inside, outside))
    assert (
        ghk_current(1.0, valence, E + 1, inside=inside, outside=outside)
        > 0
        > ghk_current(1.0, valence, E - 1, inside=inside, outside=outside)
    )


@pytest.mark.parametrize("valence", [1, -1, 2, -2])
def test_ghk_current_at_zero_voltage_is_diffusion(valence):
    # Fick's flux P (inside - outside) in mol / (s cm^2), with mM = 1e-6 mol/cm^3, times z F in uA per mol/s
    flux = 2e-6 * (100.0 - 5.0) * 1e-6
    i = ghk_current(2e-6, valence, 0.0, inside=100.0, outside=5.0)
    np.testing.assert_allclose(i, flux * valence * FARADAY * 1e6, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("valence", [1, -1, 2])
def test_ghk_current_equals_its_closed_form_away_from_zero(valence, dtype):
    inside, outside, celsius = 20.0, 30.0, 25.0
    for V in (-90.0, -10.0, 15.0, 60.0):
        u = valence * FARADAY * V * 1e-3 / (GAS_CONSTANT * 298.15)
        wanted = 1e-3 * valence * FARADAY * u * (inside - outside * np.exp(-u)) / (1 - np.exp(-u))
        i = ghk_current(dtype(1e-3), valence, dtype(V), inside=inside, outside=outside, celsius=celsius)
        # the two fluxes are up to 50 times their difference
        np.testing.assert_allclose(i, wanted, rtol=200 * eps(dtype))


def test_ghk_current_is_ohmic_at_equal_concentrations():
    V = jnp.linspace(-150.0, 150.0, 31)
    i = ghk_current(1e-5, 2, V, inside=3.0, outside=3.0, celsius=20.0)
    slope = 1e-5 * 4 * FARADAY * 3.0 / thermal_voltage(20.0)  # P z^2 F c / V_T
    np.testing.assert_allclose(i, slope * V, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("valence", [1, -1, 2])
def test_ghk_current_far_out_is_ohmic_with_the_side_that_ions_leave(valence):
    def current(V):
        return ghk_current(1e-5, valence, V, inside=100.0, outside=5.0)

    per_mM = 1e-5 * valence**2 * FARADAY / thermal_voltage(37.0)
    for V in (-1000.0, 1000.0):
        leaves_inside = valence * V > 0
        # V = 1000 mV is u = 37: what is missing is e^-37 u = 3e-15
        c = 100.0 if leaves_inside else 5.0
        np.testing.assert_allclose(jax.grad(current)(V), per_mM * c, rtol=1e-12)
        np.testing.assert_allclose(current(V), per_mM * c * V, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ghk_current_is_finite_with_two_derivatives(dtype):
    def i(V, z):
        return ghk_current(dtype(1e-5), z, V, inside=dtype(100), outside=dtype(5))

    @jax.jit
    @jax.vmap
    def tower(V, z):
        return i(V, z), jax.grad(i)(V, z), jax.grad(jax.grad(i))(V, z)

    V = jnp.asarray([-1e3, -30.0, -1e-3, -1e-30, 0.0, 1e-30, 1e-3, 30.0, 1e3], dtype)
    for z in (1.0, -1.0, 2.0):
        value, slope, curvature = found = tower(V, jnp.full_like(V, z))
        assert_finite(found)
        assert {x.dtype for x in found} == {np.dtype(dtype)}
        # the current grows with the voltage, its slope between those of the two asymptotes
        V_T = float(thermal_voltage(37.0))
        per_mM = 1e-5 * z**2 * FARADAY / V_T
        assert np.all(slope > 4.999 * per_mM) and np.all(slope < 100.001 * per_mM)
        # at 0: z^3 P F (inside - outside) / (6 V_T^2), of the series 1 - u/2 + u^2/12
        np.testing.assert_allclose(curvature[4], 1e-5 * z**3 * FARADAY * 95 / 6 / V_T**2, rtol=100 * eps(dtype))
        assert np.all(np.diff(value) >= 0)


def rest_of_conductances(x):
    return resting_potential(x["g"], x["E"])


def ghk_of(x):
    return ghk_voltage(x["P"], x["out"], x["in"], x["T"])


def nernst_of(x):
    return jnp.stack([nernst(z, x["out"], x["in"], x["T"]) for z in (1, -1, 2)])


def current_of(x):
    return jnp.stack(
        [ghk_current(x["P"], z, x["V"], inside=x["in"], outside=x["out"], celsius=x["T"]) for z in (1, -1, 2)]
    )


DIFFERENTIABLE = {
    "nernst": (nernst_of, {"out": 5.0, "in": 100.0, "T": 20.0}),
    "ghk_voltage": (ghk_of, {"P": P, "out": OUTSIDE, "in": INSIDE, "T": 20.0}),
    "ghk_current": (current_of, {"P": 0.2, "V": np.array([-30.0, 0.0]), "out": 5.0, "in": 100.0, "T": 20.0}),
    "resting_potential": (rest_of_conductances, {"g": {"k": 2.0, "na": 0.1}, "E": {"k": -80.0, "na": 62.0}}),
    "total_conductance": (total_conductance, {"k": 2.0, "na": 0.1}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_agree_with_finite_differences(name, dtype):
    f, x = DIFFERENTIABLE[name]
    assert_derivatives_agree(f, cast(x, dtype))


def test_resting_potential_equals_the_printed_value():
    V = resting_potential({"k": 20, "na": 1, "cl": 20}, {"cl": -65, "k": -80, "na": 62})
    assert V == pytest.approx(-69.2, abs=0.05)
    assert resting_potential([20, 1, 20], [-80, 62, -65]) == V
    assert resting_potential(jnp.array([20.0, 1, 20]), jnp.array([-80.0, 62, -65])) == V


def test_resting_potential_is_where_the_currents_balance():
    g, E = jnp.array([0.3, 120.0, 36.0]), jnp.array([-54.4, 50.0, -77.0])
    V = resting_potential(g, E)
    assert abs(jnp.sum(g * (V - E))) < 10 * eps(V) * jnp.sum(g * jnp.abs(E))
    # one channel, or several with one reversal potential, set the voltage alone
    assert resting_potential({"k": 3.0}, {"k": -80.0}) == -80
    np.testing.assert_allclose(resting_potential(g, jnp.full(3, -60.0)), -60, rtol=4 * eps(V))
    np.testing.assert_allclose(resting_potential(9 * g, E), V, rtol=4 * eps(V))


def test_total_conductance_is_that_of_parallel_channels():
    g = np.array([[1.0, 2.0, 3.5], [0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(total_conductance(g), [6.5, 1.0])
    np.testing.assert_array_equal(total_conductance({"a": g[:, 0], "b": g[:, 1], "c": g[:, 2]}), [6.5, 1.0])
    np.testing.assert_array_equal(total_conductance([g[:, 0], 2.0]), [3.0, 2.0])
    assert total_conductance({}) == 0


def test_arguments_broadcast_against_each_other():
    # with rank promotion forbidden, as it is in this suite
    V, z, inside = np.linspace(-90.0, 30.0, 4)[:, None, None], np.array([[1], [2], [-1]]), np.array([1.0, 10.0])
    i = jax.jit(ghk_current)(1e-6, z, V, inside=inside, outside=5.0)
    assert i.shape == (4, 3, 2)
    np.testing.assert_allclose(i[2, 1, 0], ghk_current(1e-6, 2, V[2, 0, 0], inside=1.0, outside=5.0), rtol=1e-13)

    def shape(f, *args):
        return jax.eval_shape(f, *args).shape

    assert shape(nernst, np.ones(3), 5.0, np.ones((2, 3))) == (2, 3)
    assert shape(ghk_voltage, {"k": 1, "na": np.ones(5)}, OUTSIDE, INSIDE, np.ones((2, 1))) == (2, 5)
    assert shape(resting_potential, np.ones((4, 2)), np.array([-80.0, 60.0])) == (4,)
    assert shape(resting_potential, {"k": np.ones(4), "na": 1.0}, {"k": -80, "na": np.zeros((2, 1))}) == (2, 4)


def test_vmap_equals_a_loop():
    inside, V = jnp.array([50.0, 100.0, 140.0]), jnp.array([-90.0, 0.0, 20.0])
    found = jax.vmap(lambda c, V: ghk_current(1e-6, 1, V, inside=c, outside=5.0))(inside, V)
    np.testing.assert_allclose(
        found, [ghk_current(1e-6, 1, v, inside=c, outside=5.0) for c, v in zip(inside, V, strict=True)]
    )
    batch = {ion: value * jnp.array([0.5, 1.0, 2.0]) for ion, value in INSIDE.items()}
    found = jax.jit(jax.vmap(ghk_voltage, in_axes=(None, None, 0)))(P, OUTSIDE, batch)
    loop = [ghk_voltage(P, OUTSIDE, {ion: values[n] for ion, values in batch.items()}) for n in range(3)]
    np.testing.assert_allclose(found, loop, rtol=1e-14)
    g = jnp.array([[1.0, 2.0], [3.0, 0.0]])
    found = jax.vmap(resting_potential, in_axes=(0, None))(g, jnp.array([-80.0, 60.0]))
    np.testing.assert_allclose(found, [(-80 + 120) / 3, -80], rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_numbers_take_the_precision_of_the_arrays(dtype):
    x = jnp.asarray(5.0, dtype)
    table = {"k": x, "na": 3}
    values = (
        thermal_voltage(x),
        nernst(1, x, 100),
        ghk_current(1, 2, x, inside=100, outside=5.0),
        ghk_voltage({"k": 1}, {"k": x}, {"k": 100}),
        resting_potential(table, {"k": -80, "na": 60}),
        resting_potential([x, 1], [-80, 60]),
        total_conductance(table),
    )
    assert [value.dtype for value in values] == [dtype] * 7
    assert thermal_voltage(37).dtype == np.float64


SPELLINGS = ["K", "k+", "K+", "Cl-", "CL", "Na+", "NA", "HCO3-", "hco3", "NH4+"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_ions_are_named_in_either_case_with_or_without_charge(spelling):
    ion = spelling.lower().rstrip("+-")
    V = ghk_voltage({spelling: 1.0}, {ion: 5.0, "Ca2+": 2.0, "mg++": 1.0}, {ion.upper(): 100.0})
    assert V == nernst(ION_VALENCE[ion], 5.0, 100.0)


def ghk_with(P={"k": 1.0}, out={"k": 5.0}, inside={"k": 100.0}):  # noqa: B006
    return ghk_voltage(P, out, inside)


UNPHYSICAL = {
    "outside": (lambda: nernst(1, -5.0, 100.0), "`outside` must be positive, but is outside=-5 mM; give .* in mM"),
    "inside": (lambda: nernst(1, 5.0, np.array([1.0, 0.0])), "`inside` must be positive, but is inside=0 mM"),
    "nan": (lambda: nernst(1, np.nan, 1.0), "`outside` must be positive, but is outside=nan mM"),
    "valence": (lambda: nernst(0, 5.0, 100.0), "`valence` must be non-zero, but is valence=0; give .* -1 for Cl-"),
    "valences": (
        lambda: ghk_current(1, np.array([1, 0]), 0, inside=1, outside=1),
        "`valence` must be non-zero, but is valence=0;",
    ),
    "celsius": (lambda: thermal_voltage(-300.0), r"`celsius` must be above absolute zero .*, but is celsius=-300 degC"),
    "nernst's": (lambda: nernst(1, 5.0, 100.0, celsius=-273.15), "`celsius` must be above absolute zero"),
    "P": (
        lambda: ghk_current(-1e-6, 1, 0, inside=1, outside=1),
        "`permeability` must be non-negative, but is .*=-1e-06 cm/s",
    ),
    "current's": (
        lambda: ghk_current(1e-6, 1, 0, inside=0.0, outside=1),
        "`inside` must be positive, but is inside=0 mM",
    ),
    "ghk outside": (
        lambda: ghk_with(out={"K+": -5}),
        r"`outside\['k'\]` must be positive, but is outside\['k'\]=-5 mM",
    ),
    "ghk P": (lambda: ghk_with(P={"k": -1.0}), r"`permeability\['k'\]` must be non-negative, but is .*=-1; use 0 for"),
    "no P": (lambda: ghk_with(P={"k": 0.0}), "`permeability` must have a positive entry, but has none; give"),
    "empty": (lambda: ghk_with(P={}), "`permeability` must have a positive entry, but has none; give"),
    "unknown": (
        lambda: ghk_with(P={"cll": 1.0}),
        "must name an ion, but has 'cll'; did you mean 'cl'.* Known are na",
    ),
    "charge": (lambda: ghk_with(P={"Cl+": 1.0}), "must name an ion, but has 'Cl\\+'; did you mean 'cl"),
    "far off": (lambda: ghk_with(P={"???": 1.0}), r"must name an ion, but has '\?\?\?'; known are na, k, cl"),
    "twice": (lambda: ghk_with(out={"K": 5, "k+": 5}), "`outside` must name each ion once, but has 'k' twice; leave"),
    "absent": (lambda: ghk_with(inside={"na": 5}), "`inside` must have all ions of .*, but lacks 'k'; give .* in mM"),
    "divalent": (
        lambda: ghk_with(P={"Ca2+": 1.0}),
        "must hold monovalent ions, but has 'ca' of valence 2; leave it out",
    ),
    "g": (lambda: total_conductance({"k": -1.0}), r"`conductances\['k'\]` must be non-negative, but is .*=-1; use 0"),
    "g of list": (lambda: total_conductance([1.0, -2.0]), r"`conductances\[1\]` must be non-negative, but is .*=-2;"),
    "g of array": (lambda: total_conductance(np.array([-2.0])), "`conductances` must be non-negative, but is .*=-2;"),
    "rest's g": (lambda: resting_potential([1, -1], [0, 0]), r"`conductances\[1\]` must be non-negative"),
    "scalar": (lambda: total_conductance(1.0), "`conductances` must have one entry per channel, but is a single num"),
    "all zero": (lambda: resting_potential([0, 0], [1, 2]), "`conductances` must have a positive entry, but has none"),
    "one zero": (lambda: resting_potential(np.eye(3, 2), np.ones(2)), "`conductances` must have a positive entry"),
    "keys": (
        lambda: resting_potential({"k": 1}, {"na": 1}),
        "must have the keys of .*, but only one of them has k, na;",
    ),
    "lengths": (lambda: resting_potential([1, 2], [1]), r"must have one entry per conductance \(2\), but has 1; give"),
}
MISTYPED = {
    "name": (lambda: nernst("k", 5, 100), r"`valence` must be a number, but is valence='k'; look it up, .*ION_VALENCE"),
    "number": (lambda: ghk_with(out=5.0), "`outside` must map ions to values, but is a float; write"),
    "mixed": (
        lambda: resting_potential({"k": 1}, [1]),
        "`reversals` must be a mapping if and only if .* list and a dict",
    ),
}


@pytest.mark.parametrize("case", UNPHYSICAL)
def test_unphysical_input_is_refused(case):
    call, match = UNPHYSICAL[case]
    with refused(match):
        call()


@pytest.mark.parametrize("case", MISTYPED)
def test_mistyped_input_is_refused(case):
    call, match = MISTYPED[case]
    with refused(match, TypeError):
        call()


def test_traced_values_are_not_checked_and_concrete_ones_beside_them_are():
    assert np.isnan(jax.jit(nernst)(1.0, -5.0, 100.0))
    assert np.isnan(jax.jit(resting_potential)({"k": 0.0}, {"k": -80.0}))
    # jax adds lines of its own to an error inside jit
    with pytest.raises(ValueError, match="`outside` must be positive, but is outside=-5 mM"):
        jax.jit(lambda inside: nernst(1, -5.0, inside))(100.0)


def test_examples_of_the_docstrings_hold():
    found = doctest.testmod(electrochemistry)
    assert found.failed == 0
    assert found.attempted >= 6
