"""A membrane without active channels."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import AbstractChannel, Leak
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["PassiveMembrane"]


class PassiveMembrane(AbstractMembrane):
    """Passive membrane, the RC circuit: a resistor with a battery beside a capacitance.

    C_m dV/dt = i_app - g_L (V - E_L),   tau = C_m / g_L,   r_m = 1 / g_L        [uA/cm^2], [ms], [kOhm cm^2]

    State: V [mV]. The channel is named `leak`; r_m of 20 kOhm cm^2 and tau of 20 ms are those of a typical pyramidal
    cell.

    >>> PassiveMembrane()

    References: Dayan & Abbott (2001), Theoretical Neuroscience, MIT Press, ch. 5.3
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "leak": Leak(g_max=0.05, E_rev=-70.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-70.0)
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
