"""The pyramidal cell of Traub & Miles (1991) with one compartment."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import AbstractChannel, Leak, TraubMilesPotassium, TraubMilesSodium
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["TraubMiles"]


class TraubMiles(AbstractMembrane):
    """Traub-Miles pyramidal cell, one compartment, as in the network benchmark COBAHH.

    C_m dV/dt = i_app - g_Na m^3 h (V - E_Na) - g_K n^4 (V - E_K) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates m, h, n [1]. Channels are named `na`, `k` and `leak`.

    >>> TraubMiles()

    References: Traub & Miles (1991), Neuronal Networks of the Hippocampus, Cambridge University Press; Brette et al.
    (2007), J Comput Neurosci 23:349. doi:10.1007/s10827-007-0038-6 (E_L = -65 mV as in
    their NEURON version; with the -60 mV of their Brian version it fires without input).
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": TraubMilesSodium(),
            "k": TraubMilesPotassium(),
            "leak": Leak(g_max=0.05, E_rev=-65.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage()
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
