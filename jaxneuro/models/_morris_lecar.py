"""The barnacle muscle fibre of Morris & Lecar (1981)."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import AbstractChannel, Leak, MorrisLecarCalcium, MorrisLecarPotassium
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["MorrisLecar"]


class MorrisLecar(AbstractMembrane):
    """Morris-Lecar oscillator: an instantaneous calcium and a slow potassium current.

    C_m dV/dt = i_app - g_Ca m_inf(V) (V - E_Ca) - g_K w (V - E_K) - g_L (V - E_L)        [uA/cm^2]
    dw/dt     = phi cosh((V - V_3) / (2 V_4)) (w_inf(V) - w)

    State: V [mV], gate w [1]. Channels are named `ca`, `k` and `leak`. The defaults start to fire by a Hopf
    bifurcation (type II); g_Ca = 4, V_3 = 12, V_4 = 17.4 mV and phi = 0.067 /ms by a saddle-node on a circle (type I).

    >>> MorrisLecar()

    References: Morris & Lecar (1981), Biophys J 35:193. doi:10.1016/S0006-3495(81)84782-0; parameters of Rinzel &
    Ermentrout (1989), in Koch & Segev (eds), Methods in Neuronal Modeling, MIT Press.
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "ca": MorrisLecarCalcium(),
            "k": MorrisLecarPotassium(),
            "leak": Leak(g_max=2.0, E_rev=-60.0),
        }
    )
    C_m: Array = capacitance(20.0)
    V_init: Array = start_voltage(-60.855382)
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
