"""A passive cell as a voltage-clamp amplifier sees it: series resistance, membrane, lag and filter."""

import math
from typing import ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float

from jaxneuro.filters import BESSEL_PAIRS
from jaxneuro.models._base import AbstractModel
from jaxneuro.params import param

__all__ = ["WholeCell", "WholeCellState"]


class WholeCellState(NamedTuple):
    """V of the cell [mV], V_p of the pipette [mV], and the four variables of the filter [pA]: after each pair of poles
    a current and its rate."""

    V: Float[Array, "*c"]
    V_p: Float[Array, "*c"]
    first: Float[Array, "*c"]
    first_rate: Float[Array, "*c"]
    i: Float[Array, "*c"]
    i_rate: Float[Array, "*c"]


class WholeCell(AbstractModel):
    """A passive cell in whole-cell voltage clamp, from the command to the recorded current.

    lag dV_p/dt = V_command - V_p                                   [mV]
    C dV/dt = (V_p - V) / R_s - (V - E) / R_m                       [nA]
    i = four-pole Bessel low-pass of (V_p - V) / R_s, -3 dB at `corner`     [pA]

    The input is the command [mV]; State: V, V_p, and the filter, whose output `i` is what the amplifier records. A run
    begins in the steady state at the holding command `V_init`. `lag` is that of the command on its way to the pipette.

    >>> WholeCell(C=33.0, R_m=500.0, R_s=10.0, corner=2.0)

    References: Thomson (1949), Proc IEE 96:487. doi:10.1049/pi-3.1949.0101 (the filter); Sakmann & Neher (2009),
    Single-Channel Recording, 2nd ed., Springer, ch. 7 (series resistance).
    """

    C: Array = param(30.0, unit="pF", bounds=(0, None), is_open=True, doc="Capacitance of the cell.")
    R_m: Array = param(500.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Membrane resistance.")
    R_s: Array = param(10.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Series resistance.")
    E: Array = param(-70.0, unit="mV", doc="Voltage at which no current flows.")
    corner: Array = param(2.0, unit="kHz", bounds=(0, None), is_open=True, doc="Corner of the amplifier's filter.")
    lag: Array = param(0.01, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of the command's lag.")
    V_init: Array = param(-70.0, unit="mV", doc="Holding command before the run.")
    input_unit: ClassVar[str] = "mV"
    spike_threshold: float = eqx.field(static=True, default=float("inf"))

    def init_state(self) -> WholeCellState:
        i = 1e3 * (self.V_init - self.E) / (self.R_s + self.R_m)
        V = self.V_init - 1e-3 * self.R_s * i
        return WholeCellState(V, self.V_init + 0 * i, i, 0 * i, i, 0 * i)

    def dynamics(self, y: WholeCellState, i_app: Float[Array, "*c"]) -> WholeCellState:
        current = 1e3 * (y.V_p - y.V) / self.R_s
        w = 2 * math.pi * self.corner
        (damping, stiffness), (later_damping, later_stiffness) = BESSEL_PAIRS
        return WholeCellState(
            V=(current - 1e3 * (y.V - self.E) / self.R_m) / self.C,
            V_p=(i_app - y.V_p) / self.lag,
            first=w * y.first_rate,
            first_rate=w * (stiffness * (current - y.first) - damping * y.first_rate),
            i=w * y.i_rate,
            i_rate=w * (later_stiffness * (y.first - y.i) - later_damping * y.i_rate),
        )

    def voltage(self, y: WholeCellState) -> Float[Array, "..."]:
        return y.V

    def recorded(self, y: WholeCellState) -> Float[Array, "..."]:
        """Current that the amplifier records [pA]."""
        return y.i
