"""Conductance-based membranes: channels in parallel with a capacitance."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels import AbstractChannel, HHPotassium, HHSodium, Leak
from jaxneuro.models._base import AbstractConductanceModel
from jaxneuro.params import param

__all__ = ["AbstractMembrane", "HodgkinHuxley", "Membrane", "MembraneState"]


class MembraneState(NamedTuple):
    """V [mV] and the gates by channel, {"na": {"m": ..., "h": ...}, ...}; channels without gates are absent."""

    V: Float[Array, "*c"]
    gates: dict[str, dict[str, Float[Array, "*c"]]]


class AbstractMembrane(AbstractConductanceModel):
    """C_m dV/dt = i_app - sum of the channels' currents [uA/cm^2]."""

    input_unit: ClassVar[str] = "uA/cm^2"
    channels: eqx.AbstractVar[dict[str, AbstractChannel]]
    C_m: eqx.AbstractVar[Float[Array, ""]]
    V_init: eqx.AbstractVar[Float[Array, ""]]

    def __check_init__(self):
        if not isinstance(self.channels, dict):
            raise TypeError(
                f"Argument `channels` must map names to channels, but is a {type(self.channels).__name__}; "
                'write e.g. {"leak": Leak()}.'
            )
        for name, channel in self.channels.items():
            if not (isinstance(name, str) and isinstance(channel, AbstractChannel)):
                raise TypeError(
                    f"Argument `channels` must map names to channels, but {name!r} is a {type(channel).__name__}; "
                    'write e.g. {"leak": Leak()}.'
                )

    def init_state(self) -> MembraneState:
        """V_init with every gate in its steady state there."""
        return self.state_at(self.V_init)

    def state_at(self, V: Float[Array, "*c"] | float) -> MembraneState:
        """State at voltage V [mV] with every gate in its steady state."""
        V = jnp.asarray(V, dtype=self.V_init.dtype)
        gates = {name: channel.init(V, {}) for name, channel in self.channels.items()}
        return MembraneState(V, {name: g for name, g in gates.items() if g})

    def voltage(self, y: MembraneState) -> Float[Array, "..."]:
        return y.V

    def currents(self, y: MembraneState) -> dict[str, Float[Array, "..."]]:
        """Current of every channel [uA/cm^2], outward positive; also of states with a time axis."""
        return {name: channel.current(y.V, y.gates.get(name, {}), {}) for name, channel in self.channels.items()}

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        def total_current(V):
            return sum(self.currents(MembraneState(V, y.gates)).values())

        i_ion, g_total = jax.jvp(total_current, (y.V,), (jnp.ones_like(y.V),))
        dy_gates, A_gates = {}, {}
        for name, gates in y.gates.items():
            alpha, beta = self.channels[name].transitions(y.V, {})
            A_gates[name] = {gate: -(alpha[gate] + beta[gate]) for gate in gates}
            dy_gates[name] = {gate: alpha[gate] + A_gates[name][gate] * x for gate, x in gates.items()}
        per_C = 1 / self.C_m  # the same in every step, and a division costs as much as an exponential
        dy = MembraneState((i_app - i_ion) * per_C, dy_gates)
        return dy, MembraneState(-g_total * per_C, A_gates)


class Membrane(AbstractMembrane):
    """A membrane patch with any channels.

    C_m dV/dt = i_app - sum_c i_c(V, gates)        [uA/cm^2]

    State: V [mV], gates [1] by channel. Outward current is positive, i_app > 0 depolarises.

    **Arguments:** `channels`, name -> channel; `C_m` [uF/cm^2]; `V_init` [mV], where a simulation starts with every
    gate in its steady state.

    >>> from jaxneuro.channels import Leak
    >>> Membrane(channels={"leak": Leak(g_max=0.1, E_rev=-70.0)}, C_m=1.0, V_init=-70.0)

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    """

    channels: dict[str, AbstractChannel]
    C_m: Array = param(1.0, unit="uF/cm^2", bounds=(0, None), is_open=True, doc="Specific membrane capacitance.")
    V_init: Array = param(-65.0, unit="mV", doc="Voltage at the start.")
    spike_threshold: float = eqx.field(static=True, default=0.0)


class HodgkinHuxley(AbstractMembrane):
    """Hodgkin-Huxley squid-axon membrane at 6.3 degC.

    C_m dV/dt = i_app - g_Na m^3 h (V - E_Na) - g_K n^4 (V - E_K) - g_L (V - E_L)        [uA/cm^2]
    dx/dt     = (x_inf(V) - x) / tau_x(V),   x in {m, h, n}

    State: V [mV], shape (); gates m, h, n [1], same shape as V. Outward current is positive. Channels are named
    `na`, `k` and `leak`: `HodgkinHuxley().channels["na"].g_max`.

    **Arguments:** `channels`, to change or add some; `C_m` [uF/cm^2]; `V_init` [mV].

    >>> HodgkinHuxley(C_m=0.9)

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    Constants are those of NEURON's `hh`: g 120 / 36 / 0.3 mS/cm^2, E 50 / -77 / -54.3 mV, C_m 1 uF/cm^2; the start at
    -65 mV is 0.03 mV below the resting potential. Valid at 6.3 degC only.
    """

    channels: dict[str, AbstractChannel] = eqx.field(
        default_factory=lambda: {"na": HHSodium(), "k": HHPotassium(), "leak": Leak()}
    )
    C_m: Array = param(1.0, unit="uF/cm^2", bounds=(0, None), is_open=True, doc="Specific membrane capacitance.")
    V_init: Array = param(-65.0, unit="mV", doc="Voltage at the start.")
    spike_threshold: float = eqx.field(static=True, default=0.0)
