"""The equivalent circuit of a membrane: resistance, capacitance and charge of a piece of given area.

Specific quantities (kOhm cm^2, uF/cm^2, uA/cm^2, mS/cm^2) belong to a kind of membrane, absolute ones (MOhm, nF, nA,
uS) to a piece of it with an area in um^2. Arguments broadcast. Concrete values are checked, traced ones are not.
"""

import math
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxneuro import units
from jaxneuro.numerics import as_floats
from jaxneuro.params import is_concrete

__all__ = [
    "cylinder_area",
    "membrane_capacitance",
    "membrane_resistance",
    "sphere_area",
    "stored_charge",
    "time_constant",
    "to_absolute",
    "to_density",
    "voltage_change",
]

# (absolute, its density, the absolute unit that is density times cm^2)
_KINDS = (("nA", "uA/cm^2", "uA"), ("uS", "mS/cm^2", "mS"), ("nF", "uF/cm^2", "uF"))
_ABSOLUTE = ("nA", "pA", "uA", "mA", "A", "uS", "nS", "pS", "mS", "S", "nF", "pF", "uF")
_DENSITY = ("uA/cm^2", "mA/cm^2", "nA/cm^2", "mS/cm^2", "S/cm^2", "uF/cm^2")


def _check_positive(unit: str, **values: Any) -> None:
    for name, value in values.items():
        if not is_concrete(value):
            continue
        array = np.asarray(value)
        good = array > 0  # and not `array <= 0`: a NaN is refused too
        if not np.all(good):
            bad = array[~good].flat[0]
            raise ValueError(f"Argument `{name}` must be positive, but is {name}={bad:g} {unit}; give it in {unit}.")


def membrane_resistance(r_m: ArrayLike, area: ArrayLike) -> Float[Array, "..."]:
    """Resistance of a piece of membrane, whose channels are in parallel: the larger, the lower.

    R = r_m / A        [MOhm]

    **Arguments:** `r_m`, the specific membrane resistance [kOhm cm^2]; `area` A [um^2].

    Raises a ValueError for a resistance or an area that is not positive.

    >>> round(float(membrane_resistance(20.0, area=1000.0)))  # MOhm
    2000

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("kOhm cm^2", r_m=r_m)
    _check_positive("um^2", area=area)
    r_m, area = as_floats(r_m, area)
    return units.convert(r_m / units.convert(area, "um^2", "cm^2"), "kOhm", "MOhm")


def membrane_capacitance(c_m: ArrayLike, area: ArrayLike) -> Float[Array, "..."]:
    """Capacitance of a piece of membrane.

    C = c_m A        [nF]

    **Arguments:** `c_m`, the specific membrane capacitance [uF/cm^2]; `area` A [um^2].

    Raises a ValueError for a capacitance or an area that is not positive.

    >>> round(float(membrane_capacitance(1.0, area=1000.0)), 3)  # nF
    0.01

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("uF/cm^2", c_m=c_m)
    return to_absolute(c_m, area, "uF/cm^2")


def stored_charge(C: ArrayLike, V: ArrayLike) -> Float[Array, "..."]:
    """Charge that separates the two sides of a membrane at a voltage.

    Q = C V        [pC]

    **Arguments:** `C`, the capacitance [nF]; `V`, the voltage across it [mV].

    Raises a ValueError for a capacitance that is not positive.

    >>> round(float(stored_charge(0.01, V=-70.0)), 3)  # pC, 4.4 million monovalent ions
    -0.7

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("nF", C=C)
    C, V = as_floats(C, V)
    return C * V  # nF mV = pC


def voltage_change(i: ArrayLike, R: ArrayLike) -> Float[Array, "..."]:
    """Voltage across a resistance by Ohm's law: how far a steady current moves a passive membrane.

    V = i R        [mV]

    **Arguments:** `i`, the current [nA]; `R`, the resistance [MOhm].

    Raises a ValueError for a resistance that is not positive.

    >>> round(float(voltage_change(0.1, R=100.0)), 3)  # mV
    10.0

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("MOhm", R=R)
    i, R = as_floats(i, R)
    return i * R  # nA MOhm = mV


def time_constant(R: ArrayLike, C: ArrayLike) -> Float[Array, "..."]:
    """Time in which a passive membrane covers all but 1/e of the way to its new steady voltage.

    tau = R C = r_m c_m, whatever the area        [ms]

    **Arguments:** `R`, the resistance [MOhm]; `C`, the capacitance [nF]. (kOhm cm^2 and uF/cm^2 give ms as well.)

    Raises a ValueError for a resistance or a capacitance that is not positive.

    >>> round(float(time_constant(R=2000.0, C=0.01)), 3)  # ms
    20.0

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("MOhm", R=R)
    _check_positive("nF", C=C)
    R, C = as_floats(R, C)
    return R * C  # MOhm nF = ms


def sphere_area(diameter: ArrayLike) -> Float[Array, "..."]:
    """Surface of a sphere, e.g. of a soma.

    A = pi d^2        [um^2]

    **Arguments:** `diameter` d [um].

    Raises a ValueError for a diameter that is not positive.

    >>> round(float(sphere_area(20.0)))  # um^2
    1257

    References: Rall (1977), Core conductor theory, Handbook of Physiology 1:39. doi:10.1002/cphy.cp010103
    """
    _check_positive("um", diameter=diameter)
    (diameter,) = as_floats(diameter)
    return math.pi * diameter**2


def cylinder_area(diameter: ArrayLike, length: ArrayLike) -> Float[Array, "..."]:
    """Lateral surface of a cylinder, e.g. of a piece of dendrite; the two ends are not membrane and do not count.

    A = pi d l        [um^2]

    **Arguments:** `diameter` d [um]; `length` l [um].

    Raises a ValueError for a diameter or a length that is not positive.

    >>> round(float(cylinder_area(2.0, length=100.0)))  # um^2
    628

    References: Rall (1977), Core conductor theory, Handbook of Physiology 1:39. doi:10.1002/cphy.cp010103
    """
    _check_positive("um", diameter=diameter, length=length)
    diameter, length = as_floats(diameter, length)
    return math.pi * diameter * length


def _kind(unit: str, allowed: tuple[str, ...], what: str, other: str) -> tuple[str, str, str]:
    """The row of `_KINDS` that `unit`, one of `allowed`, belongs to."""
    if unit not in allowed:
        raise ValueError(
            f"Argument `unit` must be the unit of {what}, one of {', '.join(allowed)}, but is unit={unit!r}; "
            f"convert the value to one of them, or use `{other}` for the other direction."
        )
    return next(row for row in _KINDS if any(units.same_dimension(unit, known) for known in row))


def to_density(value: ArrayLike, area: ArrayLike, unit: str) -> Float[Array, "..."]:
    """Current, conductance or capacitance per area of membrane.

    density = value / A        [uA/cm^2, mS/cm^2 or uF/cm^2]

    **Arguments:** `value`, in `unit`; `area` A [um^2]; `unit`, that of `value`: nA, uS, nF or another one of current,
    conductance or capacitance. The result is in uA/cm^2, mS/cm^2 or uF/cm^2 accordingly.

    Raises a ValueError for an area that is not positive, and for any other unit.

    >>> round(float(to_density(0.1, area=1000.0, unit="nA")), 3)  # uA/cm^2
    10.0

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("um^2", area=area)
    _, _, per_density = _kind(unit, _ABSOLUTE, "a current, conductance or capacitance", "to_absolute")
    value, area = as_floats(value, area)
    return units.convert(value, unit, per_density) / units.convert(area, "um^2", "cm^2")


def to_absolute(value: ArrayLike, area: ArrayLike, unit: str) -> Float[Array, "..."]:
    """Current, conductance or capacitance of a piece of membrane; the inverse of `to_density`.

    value = density A        [nA, uS or nF]

    **Arguments:** `value`, the density in `unit`; `area` A [um^2]; `unit`, that of `value`: uA/cm^2, mS/cm^2,
    uF/cm^2 or another one of such a density. The result is in nA, uS or nF accordingly.

    Raises a ValueError for an area that is not positive, and for any other unit.

    >>> round(float(to_absolute(10.0, area=1000.0, unit="uA/cm^2")), 3)  # nA
    0.1

    References: Dayan & Abbott (2001), Theoretical Neuroscience, section 5.2.
    """
    _check_positive("um^2", area=area)
    absolute, density, per_density = _kind(unit, _DENSITY, "a density", "to_density")
    value, area = as_floats(value, area)
    total = units.convert(value, unit, density) * units.convert(area, "um^2", "cm^2")
    return units.convert(total, per_density, absolute)
