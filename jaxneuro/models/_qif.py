"""Quadratic integrate-and-fire neuron."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSolvableModel
from jaxneuro.models._integrate_and_fire import check_below, held_or_free
from jaxneuro.models._upstroke import QuadraticUpstroke
from jaxneuro.numerics import cos_sqrt, sinc_sqrt
from jaxneuro.params import param

__all__ = ["QIF", "QIFState"]


class QIFState(NamedTuple):
    """V [mV]."""

    V: Float[Array, "*c"]


class QIF(AbstractSolvableModel):
    """Quadratic integrate-and-fire neuron, with the time constant and the resistance of its rest.

    tau_m dV/dt = (V - E_L) (V - V_c) / (V_c - E_L) + R_m i_app        [mV]
    V >= V_peak:  V -> V_reset, held for t_ref

    E_L is the rest without input and V_c the voltage beyond which it fires by itself. State: V [mV], shape () (or
    (n_cell,) inside a Network). The flow is the closed form, so spike times do not depend on the step.

    >>> QIF(tau_m=20.0, V_c=-50.0, V_peak=30.0)

    References: Ermentrout & Kopell (1986), SIAM J Appl Math 46:233. doi:10.1137/0146017;
    Latham, Richmond, Nelson & Nirenberg (2000), J Neurophysiol 83:808 (this form). doi:10.1152/jn.2000.83.2.808
    """

    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = True
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.1
    tau_m: Array = param(20.0, unit="ms", bounds=(0, None), is_open=True, doc="Membrane time constant at rest.")
    R_m: Array = param(100.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Input resistance at rest.")
    E_L: Array = param(-70.0, unit="mV", doc="Resting potential.")
    V_c: Array = param(-50.0, unit="mV", doc="Critical voltage.")
    V_peak: Array = param(30.0, unit="mV", doc="Voltage at which a spike is counted and reset.")
    V_reset: Array = param(-65.0, unit="mV", doc="Voltage after a spike.")
    t_ref: Array = param(2.0, unit="ms", bounds=(0, None), doc="Absolute refractory period.")
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        check_below("E_L", self.E_L, "V_c", self.V_c)
        check_below("V_c", self.V_c, "V_peak", self.V_peak)
        check_below("V_reset", self.V_reset, "V_peak", self.V_peak)

    def init_state(self) -> QIFState:
        return QIFState(self.E_L)

    def dynamics(self, y: QIFState, i_app: Float[Array, "*c"]) -> QIFState:
        return QIFState(self._upstroke().sharp(y.V) + self._drive(i_app))

    def voltage(self, y: QIFState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: QIFState) -> Float[Array, "*c"]:
        return self._upstroke().gap(y.V)

    def reset(self, y: QIFState, s: Float[Array, "*c"]) -> QIFState:
        return QIFState(y.V + s * (self.V_reset - y.V))

    def flow(
        self, y: QIFState, i_app: Float[Array, "*c"], h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> QIFState:
        def free() -> QIFState:
            up, c = self._upstroke(), self._drive(i_app)
            u = y.V - up.V_mid
            angle = up.k * c * h * h
            cosine, sine = cos_sqrt(angle), h * sinc_sqrt(angle)
            top, bottom = u * cosine + c * sine, cosine - up.k * u * sine
            # near the peak and a little beyond it 1 / u = bottom / top is regular, elsewhere u = top / bottom
            reach = up.start - up.V_mid
            is_long = angle >= jnp.pi**2  # in which it passes the peak from wherever it starts
            is_up = (top > jnp.abs(bottom) * reach) & ~is_long
            is_beyond = is_long | (bottom <= 0)
            high = up.voltage(jnp.where(is_up, bottom / jnp.where(is_up, top, 1.0), -1 / reach))
            low = up.V_mid + top / jnp.where(is_up | is_beyond, 1.0, bottom)
            return QIFState(jnp.where(is_up | is_beyond, high, low))

        return held_or_free(is_held, lambda: y, free)

    @property
    def rheobase(self) -> Float[Array, ""]:
        """Current above which it fires for ever [nA]: (V_c - E_L) / (4 R_m)."""
        return (self.V_c - self.E_L) / (4 * self.R_m)

    def rate(self, i_app: Float[Array, "*c"] | float) -> Float[Array, "*c"]:
        """Firing rate [Hz] at a constant current [nA], in closed form: with u = V - (E_L + V_c) / 2 and
        u' = k u^2 + c, 1000 / (t_ref + [atan(u_peak sqrt(k / c)) - atan(u_reset sqrt(k / c))] / sqrt(k c)); 0 up to
        the rheobase."""
        up, c = self._upstroke(), self._drive(i_app)
        is_firing = c > 0
        c = jnp.where(is_firing, c, 1.0)
        width = jnp.sqrt(up.k / c)
        ends = [jnp.arctan((V - up.V_mid) * width) for V in (self.V_reset, self.V_peak)]
        return jnp.where(is_firing, 1e3 / (self.t_ref + (ends[1] - ends[0]) / jnp.sqrt(up.k * c)), 0.0)

    def _upstroke(self) -> QuadraticUpstroke:
        return QuadraticUpstroke(1 / (self.tau_m * (self.V_c - self.E_L)), self.V_c, self.V_peak, self._middle)

    @property
    def _middle(self) -> Float[Array, ""]:
        return 0.5 * (self.E_L + self.V_c)

    def _drive(self, i_app: Float[Array, "*c"]) -> Float[Array, "*c"]:
        """V' at the middle of E_L and V_c [mV/ms]."""
        return (self.R_m * i_app - 0.25 * (self.V_c - self.E_L)) / self.tau_m
