"""Leaky integrate-and-fire neuron that is driven through a synapse."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSpikingModel
from jaxneuro.models._integrate_and_fire import check_below, held_or_free, leaky_response
from jaxneuro.numerics import exp, expm1
from jaxneuro.params import param

__all__ = ["SynapticLIF", "SynapticLIFState"]


class SynapticLIFState(NamedTuple):
    """V [mV], adaptation current w and synaptic current i_syn [nA]."""

    V: Float[Array, "*c"]
    w: Float[Array, "*c"]
    i_syn: Float[Array, "*c"]


class SynapticLIF(AbstractSpikingModel):
    """Leaky integrate-and-fire neuron whose input passes a current-based synapse with exponential decay ("CUBA").

    tau_s di_syn/dt = -i_syn + i_app                              [nA]
    tau_m dV/dt = -(V - E_L) + R_m (i_syn - w)                    [mV]
    tau_w dw/dt = -w                                              [nA]
    V >= V_th:  V -> V_reset, held for t_ref;  w -> w + b_w;  i_syn and w run on

    A presynaptic spike is a pulse of charge q [pC], e.g. q / dt over one step: i_syn jumps by q / tau_s. State: V [mV],
    w, i_syn [nA], shape () (or (n_cell,) inside a Network). The flow is the closed form, at tau_s = tau_m too.

    >>> SynapticLIF(tau_s=5.0)

    References: Gerstner et al. (2014), Neuronal Dynamics, ch. 3.1; Rotter & Diesmann (1999), Biol Cybern 81:381 (exact
    integration). doi:10.1007/s004220050570
    """

    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = True
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.1
    tau_s: Array = param(5.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of the synaptic current.")
    tau_m: Array = param(20.0, unit="ms", bounds=(0, None), is_open=True, doc="Membrane time constant.")
    R_m: Array = param(100.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Input resistance.")
    E_L: Array = param(-70.0, unit="mV", doc="Resting potential.")
    V_th: Array = param(-50.0, unit="mV", doc="Threshold.")
    V_reset: Array = param(-65.0, unit="mV", doc="Voltage after a spike.")
    t_ref: Array = param(2.0, unit="ms", bounds=(0, None), doc="Absolute refractory period.")
    b_w: Array = param(0.0, unit="nA", doc="Jump of the adaptation current at a spike.")
    tau_w: Array = param(100.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of adaptation.")
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        check_below("V_reset", self.V_reset, "V_th", self.V_th)

    def init_state(self) -> SynapticLIFState:
        none = jnp.zeros_like(self.E_L)
        return SynapticLIFState(self.E_L, none, none)

    def dynamics(self, y: SynapticLIFState, i_app: Float[Array, "*c"]) -> SynapticLIFState:
        dV = (self.E_L - y.V + self.R_m * (y.i_syn - y.w)) / self.tau_m
        return SynapticLIFState(dV, -y.w / self.tau_w, (i_app - y.i_syn) / self.tau_s)

    def voltage(self, y: SynapticLIFState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: SynapticLIFState) -> Float[Array, "*c"]:
        return y.V - self.V_th

    def reset(self, y: SynapticLIFState, s: Float[Array, "*c"]) -> SynapticLIFState:
        return SynapticLIFState(y.V + s * (self.V_reset - y.V), y.w + s * self.b_w, y.i_syn)

    def flow(
        self,
        y: SynapticLIFState,
        i_app: Float[Array, "*c"],
        h: Float[Array, "*c"],
        *,
        is_held: Bool[Array, "*c"] | bool,
    ) -> SynapticLIFState:
        w = y.w * exp(-h / self.tau_w)
        i_syn = y.i_syn - (i_app - y.i_syn) * expm1(-h / self.tau_s)

        def free() -> SynapticLIFState:
            gain = self.R_m / self.tau_m
            drives = [(-gain * y.w, 1 / self.tau_w), (gain * (y.i_syn - i_app), 1 / self.tau_s)]
            V = leaky_response(y.V, self.E_L + self.R_m * i_app, 1 / self.tau_m, drives, h)
            return SynapticLIFState(V, w, i_syn)

        return held_or_free(is_held, lambda: SynapticLIFState(y.V, w, i_syn), free)
