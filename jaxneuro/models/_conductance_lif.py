"""Leaky integrate-and-fire neuron with spike-triggered potassium conductances."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSpikingModel, rk4_flow
from jaxneuro.models._integrate_and_fire import check_below, held_or_free
from jaxneuro.numerics import exp
from jaxneuro.params import param

__all__ = ["ConductanceLIF", "ConductanceLIFState"]


class ConductanceLIFState(NamedTuple):
    """V [mV]; conductances of adaptation and of the relative refractory period, as factors of the leak [1]."""

    V: Float[Array, "*c"]
    g_sra: Float[Array, "*c"]
    g_ref: Float[Array, "*c"]


class ConductanceLIF(AbstractSpikingModel):
    """Leaky integrate-and-fire neuron whose spikes open two potassium conductances: spike-rate adaptation and a
    relative refractory period.

    tau_m dV/dt = -(V - E_L) - (g_sra + g_ref) (V - E_K) + R_m i_app        [mV]
    tau_sra dg_sra/dt = -g_sra,   tau_rel dg_ref/dt = -g_ref                [1], conductances over that of the leak
    V >= V_th:  V -> V_reset, held for t_ref;  g_sra -> g_sra + d_sra,  g_ref -> g_ref + d_ref

    State: V [mV], g_sra, g_ref [1], shape () (or (n_cell,) inside a Network). A conductance, unlike the adaptation
    current of `LIF`, also shortens the time constant and cannot push V below E_K. The conductances move exactly, V by
    one RK4 step.

    >>> ConductanceLIF(d_sra=0.06, d_ref=0.0)

    References: Dayan & Abbott (2001), Theoretical Neuroscience, sec. 5.4, eqs. 5.13-5.14 and fig. 5.6.
    """

    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.05
    tau_m: Array = param(10.0, unit="ms", bounds=(0, None), is_open=True, doc="Membrane time constant.")
    R_m: Array = param(10.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Input resistance.")
    E_L: Array = param(-65.0, unit="mV", doc="Resting potential.")
    E_K: Array = param(-70.0, unit="mV", doc="Reversal potential of potassium.")
    V_th: Array = param(-50.0, unit="mV", doc="Threshold.")
    V_reset: Array = param(-65.0, unit="mV", doc="Voltage after a spike.")
    t_ref: Array = param(0.0, unit="ms", bounds=(0, None), doc="Absolute refractory period.")
    d_sra: Array = param(0.06, unit="1", bounds=(0, None), doc="Jump of the adaptation at a spike, over the leak.")
    tau_sra: Array = param(100.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of adaptation.")
    d_ref: Array = param(
        1.0, unit="1", bounds=(0, None), doc="Jump of the refractory conductance at a spike, over the leak."
    )
    tau_rel: Array = param(
        2.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of the relative refractory period."
    )
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        check_below("V_reset", self.V_reset, "V_th", self.V_th)

    def init_state(self) -> ConductanceLIFState:
        closed = jnp.zeros_like(self.E_L)
        return ConductanceLIFState(self.E_L, closed, closed)

    def dynamics(self, y: ConductanceLIFState, i_app: Float[Array, "*c"]) -> ConductanceLIFState:
        potassium = (y.g_sra + y.g_ref) * (y.V - self.E_K)
        dV = (self.E_L - y.V - potassium + self.R_m * i_app) / self.tau_m
        return ConductanceLIFState(dV, -y.g_sra / self.tau_sra, -y.g_ref / self.tau_rel)

    def voltage(self, y: ConductanceLIFState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: ConductanceLIFState) -> Float[Array, "*c"]:
        return y.V - self.V_th

    def reset(self, y: ConductanceLIFState, s: Float[Array, "*c"]) -> ConductanceLIFState:
        V = y.V + s * (self.V_reset - y.V)
        return ConductanceLIFState(V, y.g_sra + s * self.d_sra, y.g_ref + s * self.d_ref)

    def flow(
        self,
        y: ConductanceLIFState,
        i_app: Float[Array, "*c"],
        h: Float[Array, "*c"],
        *,
        is_held: Bool[Array, "*c"] | bool,
    ) -> ConductanceLIFState:
        decayed = y._replace(g_sra=y.g_sra * exp(-h / self.tau_sra), g_ref=y.g_ref * exp(-h / self.tau_rel))

        def free() -> ConductanceLIFState:
            moved = rk4_flow(lambda y: self.dynamics(y, i_app), y, ConductanceLIFState(h, h, h))
            return decayed._replace(V=moved.V)

        return held_or_free(is_held, lambda: decayed, free)
