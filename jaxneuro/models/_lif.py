"""Leaky integrate-and-fire neuron with an optional adaptation current."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSolvableModel
from jaxneuro.models._integrate_and_fire import check_below, held_or_free, leaky_response
from jaxneuro.numerics import exp
from jaxneuro.params import param

__all__ = ["LIF", "LIFState"]


class LIFState(NamedTuple):
    """V [mV] and adaptation current w [nA]."""

    V: Float[Array, "*c"]
    w: Float[Array, "*c"]


class LIF(AbstractSolvableModel):
    """Leaky integrate-and-fire neuron with a spike-triggered adaptation current.

    tau_m dV/dt = -(V - E_L) + R_m (i_app - w)        [mV]
    tau_w dw/dt = -w                                  [nA]
    V >= V_th:  V -> V_reset, held for t_ref;  w -> w + b_w and runs on

    State: V [mV], w [nA], shape () (or (n_cell,) inside a Network). The flow between spikes is the closed form, so
    spike times do not depend on the step. b_w = 0 switches adaptation off.

    >>> LIF(tau_m=20.0, R_m=100.0, V_th=-50.0, t_ref=2.0)

    References: Lapicque (1907), J Physiol Pathol Gen 9:620; Gerstner et al. (2014), Neuronal Dynamics, ch. 1.3 and 6.
    """

    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = True
    is_solved: ClassVar[bool] = True
    dt_default: ClassVar[float] = 0.1
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

    def init_state(self) -> LIFState:
        return LIFState(self.E_L, jnp.zeros_like(self.E_L))

    def dynamics(self, y: LIFState, i_app: Float[Array, "*c"]) -> LIFState:
        per_tau_m, per_tau_w = 1 / self.tau_m, 1 / self.tau_w  # the same in every step, and so divided once
        return LIFState((self.E_L - y.V + self.R_m * (i_app - y.w)) * per_tau_m, -y.w * per_tau_w)

    def voltage(self, y: LIFState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: LIFState) -> Float[Array, "*c"]:
        return y.V - self.V_th

    def reset(self, y: LIFState, s: Float[Array, "*c"]) -> LIFState:
        return LIFState(y.V + s * (self.V_reset - y.V), y.w + s * self.b_w)

    def flow(
        self, y: LIFState, i_app: Float[Array, "*c"], h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> LIFState:
        w = y.w * exp(-h / self.tau_w)

        def free() -> LIFState:
            drives = [(-self.R_m / self.tau_m * y.w, 1 / self.tau_w)]
            return LIFState(leaky_response(y.V, self.E_L + self.R_m * i_app, 1 / self.tau_m, drives, h), w)

        return held_or_free(is_held, lambda: LIFState(y.V, w), free)

    @property
    def rheobase(self) -> Float[Array, ""]:
        """Current above which it fires for ever [nA]: (V_th - E_L) / R_m."""
        return (self.V_th - self.E_L) / self.R_m

    def rate(self, i_app: Float[Array, "*c"] | float) -> Float[Array, "*c"]:
        """Firing rate [Hz] at a constant current [nA] without adaptation, in closed form.

        1000 / (t_ref + tau_m ln((mu - V_reset) / (mu - V_th))),   mu = E_L + R_m i_app;  0 for mu <= V_th
        """
        mu = self.E_L + self.R_m * i_app
        is_firing = mu > self.V_th
        drive = jnp.where(is_firing, mu, self.V_th + 1.0)
        period = self.t_ref + self.tau_m * jnp.log((drive - self.V_reset) / (drive - self.V_th))
        return jnp.where(is_firing, 1e3 / period, 0.0)
