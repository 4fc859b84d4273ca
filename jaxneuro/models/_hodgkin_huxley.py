"""The squid giant axon of Hodgkin & Huxley (1952)."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import AbstractChannel, HHPotassium, HHSodium, Leak
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["HodgkinHuxley"]


class HodgkinHuxley(AbstractMembrane):
    """Hodgkin-Huxley squid-axon membrane, at 6.3 degC unless a temperature is given.

    C_m dV/dt = i_app - g_Na m^3 h (V - E_Na) - g_K n^4 (V - E_K) - g_L (V - E_L)        [uA/cm^2]
    dx/dt     = 3^((T - 6.3)/10) (x_inf(V) - x) / tau_x(V),   x in {m, h, n}

    State: V [mV], shape (); gates m, h, n [1], same shape as V. Outward current is positive. Channels are named
    `na`, `k` and `leak`: `HodgkinHuxley().channels["na"].g_max`.

    **Arguments:** `channels`, to change or add some; `C_m` [uF/cm^2]; `V_init` [mV]; `celsius` [degC], None: 6.3;
    `pools`, ion -> pool, for concentrations that change.

    >>> HodgkinHuxley(celsius=18.5)

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    Constants are those of NEURON's `hh`: g 120 / 36 / 0.3 mS/cm^2, E 50 / -77 / -54.3 mV, C_m 1 uF/cm^2; the start at
    -65 mV is 0.03 mV below the resting potential.
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {"na": HHSodium(), "k": HHPotassium(), "leak": Leak()}
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage()
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
