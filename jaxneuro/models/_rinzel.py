"""Hodgkin-Huxley in two dimensions (Rinzel 1985)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels import AbstractChannel, HHPotassium, HHSodium, Leak
from jaxneuro.models._base import AbstractConductanceModel
from jaxneuro.models._membrane import MembraneState, capacitance, start_voltage
from jaxneuro.params import param

__all__ = ["RinzelHodgkinHuxley"]


class RinzelHodgkinHuxley(AbstractConductanceModel):
    """The Hodgkin-Huxley membrane with m always in its steady state and h tied to n.

    C_m dV/dt = i_app - g_Na m_inf(V)^3 (h_0 - h_1 n) (V - E_Na) - g_K n^4 (V - E_K) - g_L (V - E_L)    [uA/cm^2]
    dn/dt     = (n_inf(V) - n) / tau_n(V)

    State: V [mV], gate n [1] as {"k": {"n": ...}}. Two dimensions: draw it with `phase_plane`. How far its spikes and
    rates are from the full model's is measured in the tests and in the notebook on the squid axon.

    **Arguments:** `na`, `k`, `leak`, the channels; `h_0`, `h_1` [1], h = h_0 - h_1 n: 0.8 and 1 as in the paper, or
    the line through h and n of the full model; `C_m` [uF/cm^2]; `V_init` [mV].

    >>> RinzelHodgkinHuxley()

    References: Rinzel (1985), Fed Proc 44:2944; with h = 0.8 - n as in FitzHugh (1961), Biophys J 1:445.
    doi:10.1016/S0006-3495(61)86902-6
    """

    na: HHSodium = eqx.field(default_factory=HHSodium)
    k: HHPotassium = eqx.field(default_factory=HHPotassium)
    leak: Leak = eqx.field(default_factory=Leak)
    h_0: Array = param(0.8, unit="1", doc="h where n is 0.")
    h_1: Array = param(1.0, unit="1", doc="How much h falls as n rises.")
    C_m: Array = capacitance()
    V_init: Array = start_voltage()
    input_unit: ClassVar[str] = "uA/cm^2"
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def init_state(self) -> MembraneState:
        return MembraneState(self.V_init, {"k": self.k.init(self.V_init, {})})

    def voltage(self, y: MembraneState) -> Float[Array, "..."]:
        return y.V

    def currents(self, y: MembraneState) -> dict[str, Float[Array, "..."]]:
        """Current of every channel [uA/cm^2], outward positive; also of states with a time axis."""
        m_inf = self.na.rates(y.V, {})[0]["m"]
        h = self.h_0 - self.h_1 * y.gates["k"]["n"]
        gates: dict[str, dict] = {"na": {"m": m_inf, "h": h}, "k": y.gates["k"], "leak": {}}
        channels: dict[str, AbstractChannel] = {"na": self.na, "k": self.k, "leak": self.leak}
        return {name: channel.current(y.V, gates[name], {}) for name, channel in channels.items()}

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        def total_current(V: Array) -> Array:
            return sum(self.currents(y._replace(V=V)).values())

        i_ion, g_total = jax.jvp(total_current, (y.V,), (jnp.ones_like(y.V),))
        dn, A_n = self.k.linearised(y.V, y.gates["k"], {})
        per_C = 1 / self.C_m
        return MembraneState((i_app - i_ion) * per_C, {"k": dn}), MembraneState(-g_total * per_C, {"k": A_n})
