"""The crab axon with an A current of Connor, Walter & McKown (1977)."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import AbstractChannel, ConnorStevensA, ConnorStevensPotassium, ConnorStevensSodium, Leak
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["ConnorStevens"]


class ConnorStevens(AbstractMembrane):
    """Connor-Stevens membrane: sodium, delayed rectifier and A current of crab axons.

    C_m dV/dt = i_app - i_na(V, m, h) - i_k(V, n) - i_a(V, a, b) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates [1] by channel. Channels are named `na`, `k`, `a` and `leak`. The A current makes it fire at
    any low rate (type I): set its g_max to 0 for type II.

    >>> ConnorStevens()

    References: Connor, Walter & McKown (1977), Biophys J 18:81. doi:10.1016/S0006-3495(77)85598-7; in the form of
    Dayan & Abbott (2001), Theoretical Neuroscience, MIT Press, ch. 6.6
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": ConnorStevensSodium(),
            "k": ConnorStevensPotassium(),
            "a": ConnorStevensA(),
            "leak": Leak(g_max=0.3, E_rev=-17.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-67.978117)
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
