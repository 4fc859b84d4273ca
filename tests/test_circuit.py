"""Resistance, capacitance and charge of a piece of membrane: laws of the circuit, in SI units."""

import doctest
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, eps
from refusals import refused

from jaxneuro import circuit, units
from jaxneuro.circuit import (
    cylinder_area,
    membrane_capacitance,
    membrane_resistance,
    sphere_area,
    stored_charge,
    time_constant,
    to_absolute,
    to_density,
    voltage_change,
)

DTYPES = (np.float64, np.float32)
AREAS = np.array([1.0, 314.0, 1e3, 2e4, 1e6])
# In SI base units, written without looking at the library's tables; densities are per m^2.
ABSOLUTE = {"nA": 1e-9, "pA": 1e-12, "uA": 1e-6, "mA": 1e-3, "A": 1, "uS": 1e-6, "nS": 1e-9, "pS": 1e-12}
ABSOLUTE |= {"mS": 1e-3, "S": 1, "nF": 1e-9, "pF": 1e-12, "uF": 1e-6}
DENSITY = {"uA/cm^2": 1e-2, "mA/cm^2": 1e1, "nA/cm^2": 1e-5, "mS/cm^2": 1e1, "S/cm^2": 1e4, "uF/cm^2": 1e-2}
QUANTITY = {"A": ("nA", "uA/cm^2"), "S": ("uS", "mS/cm^2"), "F": ("nF", "uF/cm^2")}


def quantity_of(unit):
    """The library's (absolute, density) units of the quantity that `unit` measures."""
    return QUANTITY[unit.removesuffix("/cm^2")[-1]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_time_constant_is_independent_of_the_area(dtype):
    r_m, c_m = dtype(20.0), dtype(0.9)
    tau = time_constant(membrane_resistance(r_m, AREAS.astype(dtype)), membrane_capacitance(c_m, AREAS.astype(dtype)))
    assert tau.dtype == dtype
    # kOhm cm^2 uF/cm^2 = ms; a dozen roundings of units and of the product
    np.testing.assert_allclose(tau, r_m * c_m, rtol=12 * eps(dtype))


def test_circuit_agrees_with_si_units():
    r_m, c_m, area = 20.0, 0.9, 700.0
    R = r_m * 1e3 * 1e-4 / (area * 1e-12)  # Ohm m^2 / m^2
    C = c_m * 1e-6 / 1e-4 * area * 1e-12  # F/m^2 m^2
    assert membrane_resistance(r_m, area) == pytest.approx(R * 1e-6, rel=1e-14)
    assert membrane_capacitance(c_m, area) == pytest.approx(C * 1e9, rel=1e-14)
    assert time_constant(R * 1e-6, C * 1e9) == pytest.approx(R * C * 1e3, rel=1e-14)
    assert voltage_change(0.2, R * 1e-6) == pytest.approx(0.2e-9 * R * 1e3, rel=1e-14)
    assert stored_charge(C * 1e9, -70.0) == pytest.approx(C * -70e-3 * 1e12, rel=1e-14)


def test_charge_that_a_current_brings_is_the_charge_stored():
    # i t = C dV: 0.1 nA for 5 ms bring 0.5 pC
    C = membrane_capacitance(1.0, 2000.0)
    dV = 0.1 * 5.0 / C
    np.testing.assert_allclose(stored_charge(C, dV), 0.5, rtol=1e-14)
    np.testing.assert_allclose(stored_charge(C, -dV), -0.5, rtol=1e-14)


def test_pieces_of_membrane_are_in_parallel():
    first, second = 300.0, 1700.0
    R = 1 / (1 / membrane_resistance(5.0, first) + 1 / membrane_resistance(5.0, second))
    np.testing.assert_allclose(membrane_resistance(5.0, first + second), R, rtol=1e-14)
    C = membrane_capacitance(2.0, first) + membrane_capacitance(2.0, second)
    np.testing.assert_allclose(membrane_capacitance(2.0, first + second), C, rtol=1e-14)


def test_ohm_holds_for_the_piece_and_for_the_density():
    # the same voltage from nA through MOhm and from uA/cm^2 through kOhm cm^2
    area, r_m, i = 800.0, 12.0, 0.3
    density = to_density(i, area, "nA")
    np.testing.assert_allclose(voltage_change(i, membrane_resistance(r_m, area)), density * r_m, rtol=1e-14)


def test_steady_state_of_the_circuit_is_the_voltage_change():
    # C dV/dt = i - V / R, integrated exactly over 40 time constants: e^-40 is below rounding
    i, R, C = 0.1, 100.0, 0.2
    V = voltage_change(i, R) * -jnp.expm1(-40 * time_constant(R, C) / (R * C))
    np.testing.assert_allclose(V, i * R, rtol=1e-14)


@pytest.mark.parametrize("unit", ABSOLUTE)
def test_to_density_agrees_with_si_units(unit):
    _, density = quantity_of(unit)
    wanted = 0.37 * ABSOLUTE[unit] / (AREAS * 1e-12) / DENSITY[density]
    np.testing.assert_allclose(to_density(0.37, AREAS, unit), wanted, rtol=1e-14)


@pytest.mark.parametrize("unit", DENSITY)
def test_to_absolute_agrees_with_si_units(unit):
    absolute, _ = quantity_of(unit)
    wanted = 0.37 * DENSITY[unit] * (AREAS * 1e-12) / ABSOLUTE[absolute]
    np.testing.assert_allclose(to_absolute(0.37, AREAS, unit), wanted, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("absolute, density", QUANTITY.values())
def test_density_and_absolute_value_are_inverse(absolute, density, dtype):
    value, areas = dtype(-0.37), AREAS.astype(dtype)
    there = to_density(value, areas, absolute)
    back = to_absolute(there, areas, density)
    assert there.dtype == back.dtype == dtype
    np.testing.assert_allclose(back, value, rtol=12 * eps(dtype))


def test_areas_are_those_of_solids():
    d = np.array([0.5, 2.0, 20.0])
    np.testing.assert_allclose(sphere_area(d), 4 * math.pi * (d / 2) ** 2, rtol=1e-15)
    # Archimedes: a sphere has the lateral area of the cylinder around it
    np.testing.assert_allclose(cylinder_area(d, d), sphere_area(d), rtol=1e-15)
    np.testing.assert_allclose(cylinder_area(d, 7.0) + cylinder_area(d, 3.0), cylinder_area(d, 10.0), rtol=1e-15)
    # the area is the rate at which the volume pi d^3 / 6 grows with the radius
    growth = jax.vmap(jax.grad(lambda r: math.pi * (2 * r) ** 3 / 6))(d / 2)
    np.testing.assert_allclose(sphere_area(d), growth, rtol=1e-14)


def circuit_of(x):
    area = sphere_area(x["d"]) + cylinder_area(x["d"], x["l"])
    R, C = membrane_resistance(x["r_m"], area), membrane_capacitance(x["c_m"], area)
    current = to_absolute(x["i"], area, "uA/cm^2")
    conductance = to_density(1 / R, area, "uS")
    return jnp.stack(
        [area, R, C, time_constant(R, C), voltage_change(current, R), stored_charge(C, x["V"]), conductance]
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives_agree_with_finite_differences(dtype):
    x = {"d": 3.0, "l": 20.0, "r_m": 10.0, "c_m": 1.5, "i": 2.0, "V": -70.0}
    assert_derivatives_agree(circuit_of, {name: jnp.asarray(value, dtype) for name, value in x.items()})


def test_vmap_equals_a_loop_and_arguments_broadcast():
    # with rank promotion forbidden, as it is in this suite
    R = membrane_resistance(np.array([[5.0], [20.0]]), AREAS)
    assert R.shape == (2, 5)
    np.testing.assert_array_equal(jax.vmap(membrane_resistance, in_axes=(None, 0))(20.0, AREAS), R[1])
    assert voltage_change(AREAS, R).shape == (2, 5)
    assert to_density(AREAS[:, None, None], R, "pA").shape == (5, 2, 5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_numbers_take_the_precision_of_the_arrays(dtype):
    x = jnp.asarray(3.0, dtype)
    values = (
        membrane_resistance(1, x),
        membrane_capacitance(x, 1),
        stored_charge(x, 1),
        voltage_change(1, x),
        time_constant(x, 1),
        sphere_area(x),
        cylinder_area(1, x),
        to_density(x, 1, "pA"),
        to_absolute(1, x, "mA/cm^2"),
    )
    assert [value.dtype for value in values] == [dtype] * 9
    assert stored_charge(1, 2).dtype == np.float64


BAD = {
    "r_m": (lambda: membrane_resistance(0.0, 1.0), r"`r_m` must be positive, but is r_m=0 kOhm cm\^2; give it in kOhm"),
    "area": (
        lambda: membrane_resistance(1.0, -2.0),
        r"`area` must be positive, but is area=-2 um\^2; give it in um\^2",
    ),
    "c_m": (lambda: membrane_capacitance(-1, 1.0), r"`c_m` must be positive, but is c_m=-1 uF/cm\^2"),
    "its area": (lambda: membrane_capacitance(1.0, 0), r"`area` must be positive, but is area=0 um\^2"),
    "C": (lambda: stored_charge(0.0, -70.0), "`C` must be positive, but is C=0 nF; give it in nF"),
    "R": (lambda: voltage_change(1.0, np.array([1.0, -3.0])), "`R` must be positive, but is R=-3 MOhm"),
    "tau's R": (lambda: time_constant(np.nan, 1.0), "`R` must be positive, but is R=nan MOhm"),
    "tau's C": (lambda: time_constant(1.0, -1.0), "`C` must be positive, but is C=-1 nF"),
    "sphere": (lambda: sphere_area(-1.0), "`diameter` must be positive, but is diameter=-1 um"),
    "diameter": (lambda: cylinder_area(0.0, 1.0), "`diameter` must be positive, but is diameter=0 um"),
    "length": (lambda: cylinder_area(1.0, 0.0), "`length` must be positive, but is length=0 um"),
    "density's area": (lambda: to_density(1.0, 0.0, "nA"), r"`area` must be positive, but is area=0 um\^2"),
    "absolute's area": (lambda: to_absolute(1.0, -1.0, "mS/cm^2"), r"`area` must be positive, but is area=-1 um\^2"),
    "other way": (lambda: to_density(1, 1, "uA/cm^2"), r"nA, pA, .*, nF, pF, uF, but is .*; .* use `to_absolute`"),
    "and back": (lambda: to_absolute(1, 1, "nA"), r"one of uA/cm\^2, .*, uF/cm\^2, but is unit='nA'; .* `to_density`"),
    "not per area": (lambda: to_density(1, 1, "mV"), "`unit` must be the unit of a current, .*, but is unit='mV'"),
    "unknown": (lambda: to_density(1, 1, "na"), "one of nA, pA, .*, but is unit='na'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    call, match = BAD[case]
    with refused(match):
        call()


def test_traced_values_are_not_checked():
    assert jax.jit(membrane_resistance)(1.0, -1.0) < 0
    # jax adds lines of its own to an error inside jit
    with pytest.raises(ValueError, match="`area` must be positive, but is area=-1"):
        jax.jit(lambda r_m: membrane_resistance(r_m, -1.0))(1.0)


@pytest.mark.parametrize(
    "from_unit, to_unit, factor",
    [("cm^2", "um^2", 1e8), ("Ohm cm^2", "kOhm cm^2", 1e-3), ("nC", "pC", 1e3), ("um^2", "cm^2", 1e-8)],
)
def test_units_of_the_circuit_convert_by_the_power_of_ten(from_unit, to_unit, factor):
    assert units.convert(3.7, from_unit, to_unit) == pytest.approx(3.7 * factor, rel=1e-15)


def test_examples_of_the_docstrings_hold():
    found = doctest.testmod(circuit)
    assert found.failed == 0
    assert found.attempted >= 9
