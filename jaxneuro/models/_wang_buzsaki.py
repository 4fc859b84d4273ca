"""The hippocampal interneuron of Wang & Buzsaki (1996)."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import AbstractChannel, Leak, WangBuzsakiPotassium, WangBuzsakiSodium
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["WangBuzsaki"]


class WangBuzsaki(AbstractMembrane):
    """Wang-Buzsaki fast-spiking interneuron.

    C_m dV/dt = i_app - g_Na m_inf^3 h (V - E_Na) - g_K n^4 (V - E_K) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates h, n [1]. Channels are named `na`, `k` and `leak`.

    >>> WangBuzsaki()

    References: Wang & Buzsaki (1996), J Neurosci 16:6402. doi:10.1523/JNEUROSCI.16-20-06402.1996
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": WangBuzsakiSodium(),
            "k": WangBuzsakiPotassium(),
            "leak": Leak(g_max=0.1, E_rev=-65.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-64.017565)
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
