"""Why a membrane has a voltage: equilibrium potentials, constant-field currents and the resting potential.

Concentrations are in mM, voltages in mV (inside minus outside), temperatures in degC; outward current is positive.
Arguments broadcast against each other. Concrete values are checked, traced ones are not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxneuro import units
from jaxneuro.numerics import as_floats, x_over_expm1
from jaxneuro.params import guess, is_concrete

__all__ = [
    "FARADAY",
    "GAS_CONSTANT",
    "ION_VALENCE",
    "as_ion",
    "ghk_current",
    "ghk_voltage",
    "nernst",
    "resting_potential",
    "thermal_voltage",
    "total_conductance",
]

# CODATA 2018 and 2022; both follow from constants that the SI fixes, so that later digits will not change.
FARADAY = 96485.33212331001  # C/mol
GAS_CONSTANT = 8.31446261815324  # J/(mol K)
_ABSOLUTE_ZERO = -273.15  # degC

ION_VALENCE: dict[str, int] = {
    "na": 1,
    "k": 1,
    "cl": -1,
    "ca": 2,
    "mg": 2,
    "li": 1,
    "rb": 1,
    "cs": 1,
    "nh4": 1,
    "h": 1,
    "ba": 2,
    "sr": 2,
    "f": -1,
    "br": -1,
    "i": -1,
    "hco3": -1,
    "no3": -1,
}


def _spellings(ion: str, valence: int) -> set[str]:
    sign, n = "+" if valence > 0 else "-", abs(valence)
    return {ion, ion + sign * n, f"{ion}{n}{sign}" if n > 1 else ion + sign}


# A table instead of stripping the charge, because the 3 of "hco3-" is no charge.
_ION_OF = {spelling: ion for ion, valence in ION_VALENCE.items() for spelling in _spellings(ion, valence)}

IonValues = Mapping[str, ArrayLike]
ManyValues = Mapping[str, ArrayLike] | Sequence[ArrayLike] | ArrayLike


def _check(name: str, value: Any, rule: str, is_good: Any, unit: str, fix: str) -> None:
    """Raise a ValueError that shows the first entry of a concrete `value` for which `is_good` is false."""
    if not is_concrete(value):
        return
    array = np.asarray(value)
    good = is_good(array)
    if not np.all(good):
        bad = f"{array[~good].flat[0]:g} {unit}".rstrip()
        raise ValueError(f"Argument `{name}` must be {rule}, but is {name}={bad}; {fix}.")


# `x > 0` and not `x <= 0` in what follows: a NaN is refused too.
def _check_concentration(name: str, value: Any) -> None:
    _check(name, value, "positive", lambda x: x > 0, "mM", "give the concentration in mM")


def _check_celsius(celsius: Any) -> None:
    rule = f"above absolute zero ({_ABSOLUTE_ZERO} degC)"
    _check("celsius", celsius, rule, lambda x: x > _ABSOLUTE_ZERO, "degC", "give the temperature in degC")


def _check_valence(valence: Any) -> None:
    if isinstance(valence, str):
        raise TypeError(
            f"Argument `valence` must be a number, but is valence={valence!r}; look it up, e.g. ION_VALENCE['k']."
        )
    _check("valence", valence, "non-zero", lambda x: (x > 0) | (x < 0), "", "give the ion's charge, e.g. -1 for Cl-")


def as_ion(ion: Any, name: str = "ion") -> str:
    """The ion as `ION_VALENCE` spells it: "k" for "K+"; a ValueError with a guess for an unknown one.

    >>> as_ion("Ca2+")
    'ca'
    """
    known = _ION_OF.get(str(ion).lower())
    if known is None:
        raise ValueError(
            f"Argument `{name}` must name an ion, but has {ion!r}; {guess(str(ion).lower(), ION_VALENCE)}."
        )
    return known


def _by_ion(name: str, values: IonValues) -> dict[str, ArrayLike]:
    """The mapping with its keys spelled as in `ION_VALENCE`."""
    if not isinstance(values, Mapping):
        raise TypeError(
            f"Argument `{name}` must map ions to values, but is a {type(values).__name__}; "
            f'write e.g. {name}={{"k": 5.0, "na": 150.0}}.'
        )
    found: dict[str, ArrayLike] = {}
    for key, value in values.items():
        ion = as_ion(key, name)
        if ion in found:
            raise ValueError(f"Argument `{name}` must name each ion once, but has {ion!r} twice; leave one out.")
        found[ion] = value
    return found


def thermal_voltage(celsius: ArrayLike = 37.0) -> Float[Array, "..."]:
    """Thermal voltage, the potential at which a monovalent ion has the energy of thermal motion.

    V_T = R T / F        [mV]

    **Arguments:** `celsius`, the temperature [degC].

    Raises a ValueError for a temperature that is not above absolute zero.

    >>> round(float(thermal_voltage(20.0)), 2)
    25.26

    References: Hille (2001), Ion Channels of Excitable Membranes, 3rd ed., chapter 1.
    """
    _check_celsius(celsius)
    (celsius,) = as_floats(celsius)
    return units.convert(GAS_CONSTANT / FARADAY * (celsius - _ABSOLUTE_ZERO), "V", "mV")


def nernst(valence: ArrayLike, outside: ArrayLike, inside: ArrayLike, celsius: ArrayLike = 37.0) -> Float[Array, "..."]:
    """Equilibrium potential of an ion, at which diffusion and electric field balance.

    E = R T / (z F) ln(outside / inside)        [mV]

    **Arguments:** `valence`, the charge z of the ion [1]; `outside`, `inside`, its concentrations [mM]; `celsius`,
    the temperature [degC].

    Raises a ValueError for a valence of zero, a concentration that is not positive, or a temperature that is not
    above absolute zero.

    >>> round(float(nernst(1, outside=5.0, inside=100.0, celsius=20.0)), 2)
    -75.68

    References: Hille (2001), Ion Channels of Excitable Membranes, 3rd ed., chapter 1.
    """
    _check_valence(valence)
    _check_concentration("outside", outside)
    _check_concentration("inside", inside)
    _check_celsius(celsius)
    valence, outside, inside, celsius = as_floats(valence, outside, inside, celsius)
    return thermal_voltage(celsius) / valence * jnp.log(outside / inside)


def ghk_voltage(
    permeability: IonValues, outside: IonValues, inside: IonValues, celsius: ArrayLike = 37.0
) -> Float[Array, "..."]:
    """Goldman-Hodgkin-Katz voltage, at which the constant-field currents of monovalent ions sum to zero.

    V = R T / F ln[(sum_+ P outside + sum_- P inside) / (sum_+ P inside + sum_- P outside)]        [mV]

    with sum_+ over the cations and sum_- over the anions.

    **Arguments:** `permeability`, ion -> permeability relative to any one of them [1]; `outside`, `inside`, ion ->
    concentration [mM]; `celsius`, the temperature [degC]. Ions are named as in `ION_VALENCE`, in upper or lower case,
    with or without their charge ("K", "k+"). Ions that have a concentration and no permeability do not contribute.

    Raises a ValueError for an unknown or divalent ion, for a permeant ion without concentration, for a negative
    permeability or none that is positive, for a concentration that is not positive, or a temperature that is not
    above absolute zero.

    >>> P = {"K+": 1.0, "Na+": 0.05, "Cl-": 0.45}
    >>> V = ghk_voltage(P, outside={"K+": 5, "Na+": 150, "Cl-": 150}, inside={"K+": 100, "Na+": 15, "Cl-": 13})
    >>> round(float(V), 1)
    -59.2

    References: Goldman (1943), J Gen Physiol 27:37. doi:10.1085/jgp.27.1.37
    Hodgkin & Katz (1949), J Physiol 108:37. doi:10.1113/jphysiol.1949.sp004310
    """
    permeability = _by_ion("permeability", permeability)
    outside, inside = _by_ion("outside", outside), _by_ion("inside", inside)
    _check_permeant_ions(permeability, outside=outside, inside=inside)
    _check_celsius(celsius)
    ions = list(permeability)
    values = [table[ion] for table in (permeability, outside, inside) for ion in ions]
    celsius, *values = as_floats(celsius, *values)
    n = len(ions)
    raising, lowering = 0.0, 0.0
    for ion, P, c_out, c_in in zip(ions, values[:n], values[n : 2 * n], values[2 * n :], strict=True):
        is_cation = ION_VALENCE[ion] > 0
        # an anion inside acts on the voltage as a cation outside does
        raising += P * (c_out if is_cation else c_in)
        lowering += P * (c_in if is_cation else c_out)
    return thermal_voltage(celsius) * jnp.log(raising / lowering)


def _check_permeant_ions(permeability: IonValues, **concentrations: IonValues) -> None:
    for ion, P in permeability.items():
        if abs(ION_VALENCE[ion]) != 1:
            raise ValueError(
                f"Argument `permeability` must hold monovalent ions, but has {ion!r} of valence {ION_VALENCE[ion]}; "
                "leave it out, or find the voltage where the `ghk_current`s sum to zero."
            )
        _check(f"permeability['{ion}']", P, "non-negative", lambda x: x >= 0, "", "use 0 for an impermeant ion")
        for name, table in concentrations.items():
            if ion not in table:
                raise ValueError(
                    f"Argument `{name}` must have all ions of `permeability`, but lacks {ion!r}; "
                    "give its concentration in mM."
                )
    for name, table in concentrations.items():
        for ion, value in table.items():
            _check_concentration(f"{name}['{ion}']", value)
    if not _has_positive(permeability):
        raise ValueError(
            "Argument `permeability` must have a positive entry, but has none; "
            "give the permeabilities relative to one ion's, e.g. 1 for K+."
        )


def _members(values: ManyValues) -> list[ArrayLike]:
    """The members of a mapping or sequence; of an array itself, whose members lie along its last axis."""
    if isinstance(values, Mapping):
        return list(values.values())
    return list(values) if isinstance(values, list | tuple) else [values]


def _has_positive(values: ManyValues) -> bool:
    """Whether one of the members is positive, at every place of a batch; true if any of them is traced."""
    members = _members(values)
    if not is_concrete(*members):
        return True
    is_positive = np.broadcast_arrays(*(np.asarray(member) > 0 for member in members))
    if isinstance(values, Mapping | list | tuple):
        return bool(is_positive) and bool(np.all(np.any(is_positive, axis=0)))
    return bool(np.all(np.any(is_positive[0], axis=-1)))


def ghk_current(
    permeability: ArrayLike,
    valence: ArrayLike,
    V: ArrayLike,
    *,
    inside: ArrayLike,
    outside: ArrayLike,
    celsius: ArrayLike = 37.0,
) -> Float[Array, "..."]:
    """Goldman-Hodgkin-Katz current density of one ion through a membrane with a constant field, outward positive.

    i = P z F u (inside - outside e^-u) / (1 - e^-u),   u = z F V / (R T)        [uA/cm^2]

    Smooth at V = 0, where i = P z F (inside - outside). Far from it i is ohmic with the concentration of the side
    that the ions come from, P z F u inside or P z F u outside.

    **Arguments:** `permeability` P [cm/s]; `valence`, the charge z of the ion [1]; `V`, the membrane voltage [mV];
    `inside`, `outside`, the ion's concentrations [mM]; `celsius`, the temperature [degC].

    Raises a ValueError for a negative permeability, a valence of zero, a concentration that is not positive, or a
    temperature that is not above absolute zero.

    >>> i = ghk_current(1e-6, 1, V=-60.0, inside=100.0, outside=5.0)
    >>> round(float(i), 3)
    1.355

    References: Goldman (1943), J Gen Physiol 27:37. doi:10.1085/jgp.27.1.37
    Hodgkin & Katz (1949), J Physiol 108:37. doi:10.1113/jphysiol.1949.sp004310
    """
    _check("permeability", permeability, "non-negative", lambda x: x >= 0, "cm/s", "give the permeability in cm/s")
    _check_valence(valence)
    _check_concentration("inside", inside)
    _check_concentration("outside", outside)
    _check_celsius(celsius)
    P, z, V, c_in, c_out, celsius = as_floats(permeability, valence, V, inside, outside, celsius)
    u = z * V / thermal_voltage(celsius)
    # cm/s C/mol mM = cm/s C/mol umol/cm^3 = uA/cm^2; the two one-way fluxes of x/(e^x - 1) neither overflow nor cancel
    return P * z * FARADAY * (c_in * x_over_expm1(-u) - c_out * x_over_expm1(u))


def _stacked(name: str, values: ManyValues, dtype: Any) -> Float[Array, "*b n"]:
    """The members along the last axis of one array."""
    arrays = jnp.broadcast_arrays(*(jnp.asarray(member, dtype) for member in _members(values)))
    if isinstance(values, Mapping | list | tuple):
        return jnp.stack(arrays, axis=-1) if arrays else jnp.zeros(0, dtype)
    if arrays[0].ndim == 0:
        raise ValueError(
            f"Argument `{name}` must have one entry per channel, but is a single number; "
            "put it into a list, an array or a mapping."
        )
    return arrays[0]


def _check_conductances(conductances: ManyValues) -> None:
    if isinstance(conductances, Mapping):
        named = {f"conductances[{name!r}]": g for name, g in conductances.items()}
    elif isinstance(conductances, list | tuple):
        named = {f"conductances[{k}]": g for k, g in enumerate(conductances)}
    else:
        named = {"conductances": conductances}
    for name, g in named.items():
        _check(name, g, "non-negative", lambda x: x >= 0, "", "use 0 for a closed channel")


def total_conductance(conductances: ManyValues) -> Float[Array, "..."]:
    """Conductance of several channels in parallel.

    g = sum_k g_k        [the unit of the conductances]

    **Arguments:** `conductances`, all in one unit, e.g. mS/cm^2: an array whose last axis is summed, or a mapping
    from names or a sequence, whose members are summed and broadcast.

    Raises a ValueError for a negative conductance.

    >>> round(float(total_conductance({"k": 0.4, "na": 0.02, "cl": 0.4})), 2)
    0.82

    References: Dayan & Abbott (2001), Theoretical Neuroscience, chapter 5.
    """
    _check_conductances(conductances)
    dtype = jnp.result_type(float, *_members(conductances))
    return jnp.sum(_stacked("conductances", conductances, dtype), axis=-1)


def resting_potential(conductances: ManyValues, reversals: ManyValues) -> Float[Array, "..."]:
    """Voltage at which the currents of parallel ohmic channels sum to zero: the conductance-weighted mean reversal.

    V = sum_k g_k E_k / sum_k g_k        [mV]

    **Arguments:** `conductances`, all in one unit or relative to one of them; `reversals`, the reversal potentials
    [mV]. Both are mappings with equal keys, or both are arrays (or sequences) whose last axis counts the channels.

    Raises a ValueError for a negative conductance, for conductances that are all zero, and for keys or numbers of
    channels that differ; a TypeError if only one of the two is a mapping.

    >>> V = resting_potential({"k": 20, "na": 1, "cl": 20}, {"k": -80, "na": 62, "cl": -65})
    >>> round(float(V), 1)
    -69.2

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    Dayan & Abbott (2001), Theoretical Neuroscience, chapter 5.
    """
    if isinstance(conductances, Mapping) or isinstance(reversals, Mapping):
        reversals = _in_order(conductances, reversals)
    _check_conductances(conductances)
    dtype = jnp.result_type(float, *_members(conductances), *_members(reversals))
    g, E = _stacked("conductances", conductances, dtype), _stacked("reversals", reversals, dtype)
    if g.shape[-1] != E.shape[-1]:
        raise ValueError(
            f"Argument `reversals` must have one entry per conductance ({g.shape[-1]}), but has {E.shape[-1]}; "
            "give one reversal potential in mV for each."
        )
    if not _has_positive(conductances):
        raise ValueError("Argument `conductances` must have a positive entry, but has none; open at least one channel.")
    g, E = as_floats(g, E)
    return jnp.sum(g * E, axis=-1) / jnp.sum(g, axis=-1)


def _in_order(conductances: ManyValues, reversals: ManyValues) -> dict[Any, ArrayLike]:
    """The reversals in the order of the conductances' keys."""
    if not (isinstance(conductances, Mapping) and isinstance(reversals, Mapping)):
        raise TypeError(
            f"Argument `reversals` must be a mapping if and only if `conductances` is one, but they are a "
            f"{type(reversals).__name__} and a {type(conductances).__name__}; give two mappings or two arrays."
        )
    if conductances.keys() != reversals.keys():
        odd = sorted(map(str, conductances.keys() ^ reversals.keys()))
        raise ValueError(
            f"Argument `reversals` must have the keys of `conductances`, but only one of them has {', '.join(odd)}; "
            "give a conductance and a reversal potential for each channel."
        )
    return {key: reversals[key] for key in conductances}
