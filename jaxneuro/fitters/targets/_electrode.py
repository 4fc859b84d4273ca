"""What an amplifier reads in current clamp: the membrane potential, and what electrode and filter make of it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxneuro import circuit
from jaxneuro._arguments import check_kind
from jaxneuro.filters import bessel_delay, bessel_low_pass
from jaxneuro.models import AbstractModel
from jaxneuro.numerics import interpolated
from jaxneuro.params import AbstractParametrised, is_concrete, param, params

__all__ = ["Electrode", "checked_electrode"]

# Beyond what amplifiers are made for, and in which unit such a number would be one.
_LARGEST = {"R_s": (1e4, "Ohm"), "corner": (500.0, "Hz")}


class Electrode(AbstractParametrised):
    """An electrode through which the current flows whose voltage is recorded, and the amplifier's filter.

    V_rec = four-pole Bessel low-pass of V + R_s i_app + offset, -3 dB at `corner`        [mV]

    R_s is what the bridge balance has left of the series resistance, `offset` what the junction potential and the
    drift have. `corner` None is no filter, and so is one far above the sampling rate. `area` [um^2] makes a current of
    a membrane that takes a density; point neurons need none.

    >>> Electrode(R_s=15.0, corner=2.0)

    References: Thomson (1949), Proc IEE 96:487. doi:10.1049/pi-3.1949.0101 (the filter)
    """

    R_s: Array = param(0.0, unit="MOhm", bounds=(0, None), doc="Series resistance that is not balanced.")
    offset: Array = param(0.0, unit="mV", doc="What is read at the true potential of 0 mV without a current.")
    area: Array | None = param(None, unit="um^2", bounds=(0, None), is_open=True, doc="Area of the membrane.")
    corner: Array | None = param(None, unit="kHz", bounds=(0, None), is_open=True, doc="Corner of the low-pass filter.")

    def check_area(self, model: AbstractModel, *, is_free: bool = False) -> None:
        """Raise a ValueError where R_s counts, or `is_free` and will, but the current through it is not known."""
        is_density = model.input_unit == "uA/cm^2"
        counts = is_free or (is_concrete(self.R_s) and np.any(np.asarray(self.R_s) != 0))
        if is_density and counts and self.area is None:
            raise ValueError(
                "Argument `electrode` must have the membrane's area, which makes a current through R_s of the model's "
                "input [uA/cm^2], but has none; give e.g. Electrode(R_s=15.0, area=1e4)."
            )
        if not is_density and self.area is not None:
            raise ValueError(
                f"Argument `electrode` must have no area for a model whose input is in {model.input_unit}, but has "
                "one; leave it out."
            )

    def added(self, i_app: Float[Array, "*t"]) -> Float[Array, "*t"]:
        """What there is beyond the membrane potential [mV] at an input in nA, or in uA/cm^2 with an area."""
        current = i_app if self.area is None else circuit.to_absolute(i_app, self.area, "uA/cm^2")
        return self.R_s * current + self.offset

    def read(self, voltage: Float[Array, " n"], i_app: Float[Array, " n"], dt: float) -> Float[Array, " n"]:
        """What is read [mV] of a membrane potential [mV], sampled every `dt` [ms], at rest before the first sample."""
        before = voltage + self.added(i_app)
        return before if self.corner is None else bessel_low_pass(before, dt, self.corner)

    def undone(self, recorded: Float[Array, " n"], i_app: Float[Array, " n"], dt: float) -> Float[Array, " n"]:
        """The membrane potential [mV] of what is read: without what is added to it, and earlier by the filter's delay.

        What the filter has smoothed stays smooth; of the last samples, which it still holds back, the last is repeated.
        """
        added = self.added(i_app)
        if self.corner is None:
            return recorded - added
        seen = recorded - bessel_low_pass(added, dt, self.corner)
        return interpolated(dt * jnp.arange(seen.size) + bessel_delay(self.corner), seen, dt, 0.0)


def checked_electrode(electrode: Any) -> Electrode:
    """The same; a TypeError for what is none, a ValueError for values that no electrode has."""
    check_kind("electrode", electrode, Electrode, "an Electrode", "give e.g. Electrode(R_s=15.0)")
    for name, info in params(electrode).items():
        value = getattr(electrode, name)
        if is_concrete(value) and not (np.ndim(value) == 0 and np.isfinite(value)):
            shown = f"{float(value):g}" if np.ndim(value) == 0 else f"an array of shape {np.shape(value)}"
            raise ValueError(
                f"Argument `electrode` must have a single finite {name} [{info.unit}], but has {shown}; give a number."
            )
        largest, other = _LARGEST.get(name, (np.inf, ""))
        if is_concrete(value) and value > largest:
            raise ValueError(
                f"Argument `electrode` must have {name} in {info.unit}, at most {largest:g}, but has {float(value):g}, "
                f"which looks like {other}; convert it."
            )
    return electrode
