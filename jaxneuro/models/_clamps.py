"""A cell in a clamp: models whose input is a command voltage or a conductance instead of a current."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.models._base import AbstractConductanceModel
from jaxneuro.models._membrane import AbstractMembrane, MembraneState
from jaxneuro.params import param

__all__ = ["DynamicClamp", "IdealClamp", "VoltageClamp"]


class AbstractClamp(AbstractConductanceModel):
    """A membrane whose input comes through a clamp; its state is the membrane's."""

    cell: eqx.AbstractVar[AbstractMembrane]

    def __check_init__(self):
        if not isinstance(self.cell, AbstractMembrane):
            raise TypeError(
                f"Argument `cell` must be a membrane, but is a {type(self.cell).__name__}; use HodgkinHuxley()."
            )

    def init_state(self) -> MembraneState:
        return self.cell.init_state()

    def voltage(self, y: MembraneState) -> Float[Array, "..."]:
        return y.V


class IdealClamp(AbstractClamp):
    """A membrane held at the command voltage without any delay: V = V_command.

    dx/dt = alpha_x(V_command) (1 - x) - beta_x(V_command) x        [1/ms]

    The input is the command [mV]. State: that of the membrane, whose gates and concentrations move; its V does not, as
    the voltage is the command. `jaxneuro.voltage_clamp` runs it and gives the currents.

    >>> IdealClamp(HodgkinHuxley())

    References: Hodgkin, Huxley & Katz (1952), J Physiol 116:424. doi:10.1113/jphysiol.1952.sp004716
    """

    cell: AbstractMembrane
    input_unit: ClassVar[str] = "mV"
    spike_threshold: float = eqx.field(static=True, default=float("inf"))

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        command = jnp.broadcast_to(i_app, y.V.shape)
        dy, A = self.cell.linearised(y._replace(V=command), jnp.zeros_like(y.V))
        still = jnp.zeros_like(y.V)
        return dy._replace(V=still), A._replace(V=still)


class VoltageClamp(AbstractClamp):
    """A membrane clamped through a series resistance, with the capacitive transient that this makes.

    C_m dV/dt = (V_command - V) / R_s - sum_c i_c(V, gates)        [uA/cm^2]

    The input is the command [mV]; the clamp's current is (V_command - V) / R_s. State: that of the membrane. V settles
    with R_s C_m, and stays off the command by R_s times the current.

    **Arguments:** `cell`, any membrane; `R_s`, series resistance times the cell's area [kOhm cm^2]: 10 MOhm on 1,000
    um^2 are 0.1 kOhm cm^2.

    >>> VoltageClamp(HodgkinHuxley(), R_s=0.1)

    References: Hodgkin, Huxley & Katz (1952), J Physiol 116:424. doi:10.1113/jphysiol.1952.sp004716
    """

    cell: AbstractMembrane
    R_s: Array = param(0.1, unit="kOhm cm^2", bounds=(0, None), is_open=True, doc="Series resistance times area.")
    input_unit: ClassVar[str] = "mV"
    spike_threshold: float = eqx.field(static=True, default=float("inf"))

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        dy, A = self.cell.linearised(y, (i_app - y.V) / self.R_s)
        return dy, A._replace(V=A.V - 1 / (self.R_s * self.cell.C_m))


class DynamicClamp(AbstractClamp):
    """A membrane into which a conductance is injected: i = g(t) (E_rev - V).

    C_m dV/dt = g (E_rev - V) - sum_c i_c(V, gates)        [uA/cm^2]

    The input is the conductance g [mS/cm^2], e.g. a recorded one as a `Sampled` stimulus. State: that of the membrane.

    **Arguments:** `cell`, any membrane; `E_rev`, reversal potential of the injected conductance [mV].

    >>> DynamicClamp(HodgkinHuxley(), E_rev=0.0)

    References: Sharp, O'Neil, Abbott & Marder (1993), J Neurophysiol 69:992. doi:10.1152/jn.1993.69.3.992
    """

    cell: AbstractMembrane
    E_rev: Array = param(0.0, unit="mV", doc="Reversal potential of the injected conductance.")
    input_unit: ClassVar[str] = "mS/cm^2"
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        dy, A = self.cell.linearised(y, i_app * (self.E_rev - y.V))
        return dy, A._replace(V=A.V - i_app / self.cell.C_m)
