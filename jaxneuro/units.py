"""Physical units: which ones jaxneuro knows, and the only place that converts between them.

Inside the library every number is a plain array in the unit that its field declares (mV, ms, uA/cm^2, mS/cm^2,
uF/cm^2 for membranes; nA, uS, MOhm, nF for point neurons). Conversions happen at the border: when a model is
built from a quantity of a units library, when a recording is read, when the command line parses a number.
"""

import difflib
from typing import Any

__all__ = ["convert", "magnitude", "same_dimension"]

# unit -> (dimension, factor to the dimension's first-listed unit)
_UNITS: dict[str, tuple[str, float]] = {
    "1": ("number", 1.0),
    "input": ("model input", 1.0),  # of a stimulus: what the model that receives it calls its input_unit
    "mV": ("voltage", 1.0),
    "V": ("voltage", 1e3),
    "uV": ("voltage", 1e-3),
    "ms": ("time", 1.0),
    "s": ("time", 1e3),
    "us": ("time", 1e-3),
    "Hz": ("frequency", 1.0),
    "kHz": ("frequency", 1e3),
    "nA": ("current", 1.0),
    "pA": ("current", 1e-3),
    "uA": ("current", 1e3),
    "mA": ("current", 1e6),
    "A": ("current", 1e9),
    "uA/cm^2": ("current density", 1.0),
    "uA/cm^2 sqrt(ms)": ("current noise density", 1.0),
    "mA/cm^2": ("current density", 1e3),
    "nA/cm^2": ("current density", 1e-3),
    "uS": ("conductance", 1.0),
    "nS": ("conductance", 1e-3),
    "pS": ("conductance", 1e-6),
    "mS": ("conductance", 1e3),
    "S": ("conductance", 1e6),
    "mS/cm^2": ("conductance density", 1.0),
    "S/cm^2": ("conductance density", 1e3),
    "uF/cm^2": ("specific capacitance", 1.0),
    "nF": ("capacitance", 1.0),
    "pF": ("capacitance", 1e-3),
    "uF": ("capacitance", 1e3),
    "MOhm": ("resistance", 1.0),
    "GOhm": ("resistance", 1e3),
    "kOhm": ("resistance", 1e-3),
    "Ohm": ("resistance", 1e-6),
    "Ohm cm": ("resistivity", 1.0),
    "kOhm cm^2": ("specific resistance", 1.0),
    "Ohm cm^2": ("specific resistance", 1e-3),
    "pC": ("charge", 1.0),
    "nC": ("charge", 1e3),
    "um": ("length", 1.0),
    "cm": ("length", 1e4),
    "um^2": ("area", 1.0),
    "cm^2": ("area", 1e8),
    "cm/s": ("permeability", 1.0),
    "mM": ("concentration", 1.0),
    "uM": ("concentration", 1e-3),
    "degC": ("temperature", 1.0),
    "mV/ms": ("voltage rate", 1.0),
    "1/mV": ("inverse voltage", 1.0),
    "1/ms": ("rate", 1.0),
}


def _lookup(unit: str) -> tuple[str, float]:
    if unit in _UNITS:
        return _UNITS[unit]
    alike = [known for known in _UNITS if known.lower() == unit.lower()]  # "pa" is meant for "pA"
    close = alike or difflib.get_close_matches(unit, _UNITS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"known are {', '.join(_UNITS)}."
    raise ValueError(f"Argument `unit` must be a known unit, but is {unit!r}; {hint}")


def same_dimension(a: str, b: str) -> bool:
    """Whether units `a` and `b` measure the same physical quantity."""
    return _lookup(a)[0] == _lookup(b)[0]


def convert(value: Any, from_unit: str, to_unit: str) -> Any:
    """Convert `value` (number or array) from one unit to another of the same dimension.

    Raises a ValueError for an unknown unit or for two units of different dimension.

    >>> convert(200.0, "pA", "nA")
    0.2
    """
    from_dimension, from_factor = _lookup(from_unit)
    to_dimension, to_factor = _lookup(to_unit)
    if from_dimension != to_dimension:
        raise ValueError(
            f"Argument `from_unit` must be a unit of {to_dimension} such as {to_unit!r}, but is {from_unit!r}, "
            f"a unit of {from_dimension}; give the value in {to_unit}."
        )
    return value if from_unit == to_unit else value * (from_factor / to_factor)


def magnitude(value: Any, unit: str, name: str = "value") -> Any:
    """Plain number of `value` in `unit`; quantities of pint, astropy, unxt or saiunit-like libraries are converted.

    A plain number or array is taken to be in `unit` already. A quantity of the wrong dimension is a ValueError that
    names the argument.
    """
    converter = getattr(value, "to_value", None) or getattr(value, "m_as", None)
    if converter is None:
        return value
    try:
        return converter(unit.replace("^", "**").replace("Ohm", "ohm"))
    except Exception as error:  # each units library has its own exception type for wrong dimensions
        raise ValueError(
            f"Argument `{name}` must be a quantity convertible to {unit}, but is {value}; give it in {unit}."
        ) from error
