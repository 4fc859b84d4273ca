"""What an amplifier reads in current clamp: the membrane potential, and what the electrode adds to it."""

from jaxtyping import Array, Float

from jaxneuro import circuit
from jaxneuro.params import AbstractParametrised, param

__all__ = ["Electrode"]


class Electrode(AbstractParametrised):
    """An electrode through which the current flows whose voltage is recorded.

    V_rec = V + R_s i_app + offset        [mV]

    R_s is what the bridge balance has left of the series resistance, `offset` what the junction potential and the
    drift have. `area` [um^2] makes a current of a membrane that takes a density; point neurons need none.

    >>> Electrode(R_s=15.0)
    """

    R_s: Array = param(0.0, unit="MOhm", bounds=(0, None), doc="Series resistance that is not balanced.")
    offset: Array = param(0.0, unit="mV", doc="What is read at the true potential of 0 mV without a current.")
    area: Array | None = param(None, unit="um^2", bounds=(0, None), is_open=True, doc="Area of the membrane.")

    def added(self, i_app: Float[Array, "*t"]) -> Float[Array, "*t"]:
        """What is read beyond the membrane potential [mV] at an input in nA, or in uA/cm^2 with an area."""
        current = i_app if self.area is None else circuit.to_absolute(i_app, self.area, "uA/cm^2")
        return self.R_s * current + self.offset
