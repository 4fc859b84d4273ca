"""Minimal models of cortical and thalamic cell classes (Pospischil et al. 2008)."""

import equinox as eqx
from jaxtyping import Array

from jaxneuro.channels import (
    AbstractChannel,
    Leak,
    LTypeCalcium,
    MCurrent,
    TraubMilesPotassium,
    TraubMilesSodium,
    TTypeCalcium,
)
from jaxneuro.ions import AbstractIonPool, CalciumPool
from jaxneuro.models._membrane import AbstractMembrane, capacitance, start_voltage, temperature

__all__ = ["FastSpiking", "IntrinsicallyBursting", "LowThresholdSpiking", "RegularSpiking"]


class RegularSpiking(AbstractMembrane):
    """Regular-spiking pyramidal cell: its spike train adapts by an M current, at 36 degC.

    C_m dV/dt = i_app - i_na(V, m, h) - i_k(V, n) - i_m(V, p) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates [1] by channel. Channels are named `na`, `k`, `m` and `leak`. In the
    paper it is driven by 0.75 nA into 28,953 um^2, 2.59 uA/cm^2.

    >>> RegularSpiking()

    References: Pospischil, Toledo-Rodriguez, Monier, Piwkowska, Bal, Fregnac, Markram & Destexhe (2008), Biol Cybern
    99:427. doi:10.1007/s00422-008-0263-8 (parameters of the authors' programs, ModelDB 123623).
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": TraubMilesSodium(g_max=50.0, E_rev=50.0, V_T=-55.0),
            "k": TraubMilesPotassium(g_max=5.0, E_rev=-100.0, V_T=-55.0),
            "m": MCurrent(g_max=0.07),
            "leak": Leak(g_max=0.1, E_rev=-70.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-70.0)
    celsius: Array | None = temperature(36.0)
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)


class FastSpiking(AbstractMembrane):
    """Fast-spiking interneuron: it fires fast and does not adapt, at 36 degC.

    C_m dV/dt = i_app - i_na(V, m, h) - i_k(V, n) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates [1] by channel. Channels are named `na`, `k` and `leak`. In the paper it
    is driven by 0.5 nA into 14,103 um^2, 3.545 uA/cm^2.

    >>> FastSpiking()

    References: Pospischil, Toledo-Rodriguez, Monier, Piwkowska, Bal, Fregnac, Markram & Destexhe (2008), Biol Cybern
    99:427. doi:10.1007/s00422-008-0263-8 (parameters of the authors' programs, ModelDB 123623).
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": TraubMilesSodium(g_max=50.0, E_rev=50.0, V_T=-55.0),
            "k": TraubMilesPotassium(g_max=10.0, E_rev=-100.0, V_T=-55.0),
            "leak": Leak(g_max=0.15, E_rev=-70.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-70.0)
    celsius: Array | None = temperature(36.0)
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)


class IntrinsicallyBursting(AbstractMembrane):
    """Intrinsically bursting cell: a burst carried by L-type calcium, then single spikes, at 36 degC.

    C_m dV/dt = i_app - i_na(V, m, h) - i_k(V, n) - i_m(V, p) - i_ca(V, q, r) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates [1] by channel, inside calcium [mM]. Channels are named `na`, `k`, `m`, `ca`
    and `leak`. In the paper it is driven by 0.15 nA into 28,953 um^2, 0.518 uA/cm^2; g_max of `ca` = 0.22
    makes it burst again and again.

    >>> IntrinsicallyBursting()

    References: Pospischil, Toledo-Rodriguez, Monier, Piwkowska, Bal, Fregnac, Markram & Destexhe (2008), Biol Cybern
    99:427. doi:10.1007/s00422-008-0263-8 (parameters of the authors' programs, ModelDB 123623).
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": TraubMilesSodium(g_max=50.0, E_rev=50.0, V_T=-55.0),
            "k": TraubMilesPotassium(g_max=5.0, E_rev=-100.0, V_T=-55.0),
            "m": MCurrent(g_max=0.03),
            "ca": LTypeCalcium(g_max=0.17, E_rev=120.26),
            "leak": Leak(g_max=0.01, E_rev=-85.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-84.0)
    celsius: Array | None = temperature(36.0)
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=lambda: {"ca": CalciumPool(depth=1.0)})
    spike_threshold: float = eqx.field(static=True, default=0.0)


class LowThresholdSpiking(AbstractMembrane):
    """Low-threshold spiking cell: T-type calcium makes it burst from hyperpolarised rest, at 36 degC.

    C_m dV/dt = i_app - i_na(V, m, h) - i_k(V, n) - i_m(V, p) - i_ca(V, u) - g_L (V - E_L)        [uA/cm^2]

    State: V [mV], gates [1] by channel, inside calcium [mM], whose
    Nernst potential E_ca follows. Channels are named `na`, `k`, `m`, `ca` and `leak`. In the paper it is driven by
    0.15 nA into 28,953 um^2, 0.518 uA/cm^2.

    >>> LowThresholdSpiking()

    References: Pospischil, Toledo-Rodriguez, Monier, Piwkowska, Bal, Fregnac, Markram & Destexhe (2008), Biol Cybern
    99:427. doi:10.1007/s00422-008-0263-8 (parameters of the authors' programs, ModelDB 123623).
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {
            "na": TraubMilesSodium(g_max=50.0, E_rev=50.0, V_T=-55.0),
            "k": TraubMilesPotassium(g_max=5.0, E_rev=-100.0, V_T=-55.0),
            "m": MCurrent(g_max=0.03),
            "ca": TTypeCalcium(g_max=0.4),
            "leak": Leak(g_max=0.01, E_rev=-85.0),
        }
    )
    C_m: Array = capacitance()
    V_init: Array = start_voltage(-84.0)
    celsius: Array | None = temperature(36.0)
    pools: dict[str, AbstractIonPool] = eqx.field(
        default_factory=lambda: {"ca": CalciumPool(depth=1.0, has_nernst=True)}
    )
    spike_threshold: float = eqx.field(static=True, default=0.0)
