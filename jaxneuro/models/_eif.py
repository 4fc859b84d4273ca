"""Exponential integrate-and-fire neuron."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSolvableModel
from jaxneuro.models._integrate_and_fire import check_below, held_or_free
from jaxneuro.models._upstroke import ExponentialUpstroke, Linear, upstroke_flow, upstroke_time
from jaxneuro.params import param

__all__ = ["EIF", "EIFState"]


class EIFState(NamedTuple):
    """V [mV]."""

    V: Float[Array, "*c"]


class EIF(AbstractSolvableModel):
    """Exponential integrate-and-fire neuron.

    tau_m dV/dt = -(V - E_L) + Delta_T exp((V - V_T) / Delta_T) + R_m i_app        [mV]
    V >= V_peak:  V -> V_reset, held for t_ref

    State: V [mV], shape () (or (n_cell,) inside a Network). The flow is that of `AdEx` without adaptation.

    >>> EIF(Delta_T=3.48, V_T=-59.9, V_reset=-68.0, E_L=-65.0, tau_m=10.0)

    References: Fourcaud-Trocme, Hansel, van Vreeswijk & Brunel (2003), J Neurosci 23:11628.
    doi:10.1523/JNEUROSCI.23-37-11628.2003
    """

    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.05
    tau_m: Array = param(10.0, unit="ms", bounds=(0, None), is_open=True, doc="Membrane time constant.")
    R_m: Array = param(100.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Input resistance.")
    E_L: Array = param(-65.0, unit="mV", doc="Resting potential.")
    V_T: Array = param(-59.9, unit="mV", doc="Threshold of the exponential.")
    Delta_T: Array = param(3.48, unit="mV", bounds=(0, None), is_open=True, doc="Sharpness of the upstroke.")
    V_peak: Array = param(20.0, unit="mV", doc="Voltage at which a spike is counted and reset.")
    V_reset: Array = param(-68.0, unit="mV", doc="Voltage after a spike.")
    t_ref: Array = param(1.7, unit="ms", bounds=(0, None), doc="Absolute refractory period.")
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        check_below("V_reset", self.V_reset, "V_peak", self.V_peak)
        check_below("V_T", self.V_T, "V_peak", self.V_peak)

    def init_state(self) -> EIFState:
        return EIFState(self.E_L)

    def dynamics(self, y: EIFState, i_app: Float[Array, "*c"]) -> EIFState:
        return EIFState(self._upstroke().sharp(y.V) + self._rest(i_app)(y.V, jnp.zeros_like(y.V)))

    def voltage(self, y: EIFState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: EIFState) -> Float[Array, "*c"]:
        return self._upstroke().gap(y.V)

    def reset(self, y: EIFState, s: Float[Array, "*c"]) -> EIFState:
        return EIFState(y.V + s * (self.V_reset - y.V))

    def flow(
        self, y: EIFState, i_app: Float[Array, "*c"], h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> EIFState:
        def free() -> EIFState:
            still = jnp.zeros_like(y.V)
            V, _ = upstroke_flow(self._upstroke(), y.V, still, h, self._rest(i_app), Linear(still, still, still))
            return EIFState(V)

        return held_or_free(is_held, lambda: y, free)

    @property
    def rheobase(self) -> Float[Array, ""]:
        """Current above which it fires for ever [nA]: (V_T - E_L - Delta_T) / R_m."""
        return (self.V_T - self.E_L - self.Delta_T) / self.R_m

    def rate(self, i_app: Float[Array, "*c"] | float) -> Float[Array, "*c"]:
        """Firing rate [Hz] at a constant current [nA], 1000 / (t_ref + integral of dV / V' from V_reset to V_peak).

        By quadrature, to 1e-9 from 0.1 % above rheobase on.
        """
        i_app = jnp.asarray(i_app, self.R_m.dtype)
        is_firing = i_app > self.rheobase
        drive = jnp.where(is_firing, i_app, self.rheobase + jnp.abs(self.rheobase) + 1.0)
        return jnp.where(is_firing, 1e3 / (self.t_ref + jnp.vectorize(self._rise)(drive)), 0.0)

    def _rise(self, i_app: Float[Array, ""]) -> Float[Array, ""]:
        """Time from V_reset to V_peak [ms]."""
        rest = self._rest(i_app)
        return upstroke_time(self._upstroke(), self.V_reset, lambda V: rest(V, jnp.zeros_like(V)))

    def _upstroke(self) -> ExponentialUpstroke:
        return ExponentialUpstroke(1 / self.tau_m, self.V_T, self.V_peak, self.Delta_T)

    def _rest(self, i_app: Float[Array, "*c"]) -> Linear:
        return Linear((self.E_L + self.R_m * i_app) / self.tau_m, -1 / self.tau_m, jnp.zeros_like(self.tau_m))
