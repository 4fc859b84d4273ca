"""Conversions against powers of ten written down independently, and what is refused."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxneuro import units

# In SI base units, written without looking at the table in `units`; densities are per m^2.
SI = {
    "voltage": {"mV": 1e-3, "V": 1, "uV": 1e-6},
    "time": {"ms": 1e-3, "s": 1, "us": 1e-6},
    "frequency": {"Hz": 1, "kHz": 1e3},
    "current": {"nA": 1e-9, "pA": 1e-12, "uA": 1e-6, "mA": 1e-3, "A": 1},
    "current density": {"uA/cm^2": 1e-2, "mA/cm^2": 1e1, "nA/cm^2": 1e-5},
    "conductance": {"uS": 1e-6, "nS": 1e-9, "pS": 1e-12, "mS": 1e-3, "S": 1},
    "conductance density": {"mS/cm^2": 1e1, "S/cm^2": 1e4},
    "capacitance": {"nF": 1e-9, "pF": 1e-12, "uF": 1e-6},
    "resistance": {"MOhm": 1e6, "GOhm": 1e9, "kOhm": 1e3, "Ohm": 1},
    "length": {"um": 1e-6, "cm": 1e-2},
    "concentration": {"mM": 1, "uM": 1e-3},
}
PAIRS = [pair for group in SI.values() for pair in itertools.permutations(group.items(), 2)]


@pytest.mark.parametrize("source, target", PAIRS, ids=lambda pair: pair[0])
def test_units_convert_by_the_power_of_ten(source, target):
    (from_unit, from_si), (to_unit, to_si) = source, target
    wanted = 3.7 * from_si / to_si
    # two roundings of the factor and one of the product
    assert units.convert(3.7, from_unit, to_unit) == pytest.approx(wanted, rel=1e-15)


def test_units_convert_arrays_and_leave_equal_units_alone():
    values = np.array([50.0, -100.0])
    np.testing.assert_allclose(units.convert(values, "pA", "nA"), [0.05, -0.1], rtol=1e-15)
    assert units.convert(values, "pA", "pA") is values
    assert jnp.result_type(units.convert(jnp.float32(1), "V", "mV")) == jnp.float32


def test_units_of_different_dimensions_are_told_apart():
    assert units.same_dimension("pA", "A")
    assert not units.same_dimension("nA", "uA/cm^2")
    with pytest.raises(ValueError, match="must be a unit of current such as 'nA', but is 'mV'"):
        units.convert(1.0, "mV", "nA")


@pytest.mark.parametrize(
    "unknown, hint", [("mv", "did you mean .*'mV'"), ("µA", "'uA'"), ("furlong%", "known are 1, .*mV")]
)
def test_units_unknown_ones_get_a_suggestion(unknown, hint):
    with pytest.raises(ValueError, match=rf"must be a known unit, but is '{unknown}'; .*{hint}"):
        units.convert(1.0, unknown, "mV")


class Quantity:
    """What jaxneuro expects of a quantity of pint (`m_as`)."""

    def __init__(self, value: float, unit: str):
        self.value, self.unit = value, unit

    def m_as(self, unit: str) -> float:
        factors = {("pA", "nA"): 1e-3, ("S/cm**2", "mS/cm**2"): 1e3, ("ohm", "Mohm"): 1e-6}
        if (self.unit, unit) not in factors:
            raise KeyError(f"cannot convert {self.unit} to {unit}")
        return self.value * factors[self.unit, unit]

    def __str__(self) -> str:
        return f"{self.value} {self.unit}"


def test_units_magnitude_converts_quantities_of_a_units_library():
    assert units.magnitude(Quantity(200.0, "pA"), "nA") == pytest.approx(0.2, rel=1e-15)
    assert units.magnitude(Quantity(0.12, "S/cm**2"), "mS/cm^2") == pytest.approx(120, rel=1e-15)
    assert units.magnitude(Quantity(2e8, "ohm"), "MOhm") == pytest.approx(200, rel=1e-15)


def test_units_magnitude_leaves_plain_numbers_alone():
    for value in (3, 2.5, np.arange(3.0), jnp.float32(1)):
        assert units.magnitude(value, "mV") is value


def test_units_magnitude_refuses_the_wrong_dimension_by_name():
    message = "Argument `C_m` must be a quantity convertible to uF/cm.2, but is 200.0 pA; "
    with pytest.raises(ValueError, match=message):
        units.magnitude(Quantity(200.0, "pA"), "uF/cm^2", name="C_m")
