"""Adaptive exponential integrate-and-fire neuron."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSpikingModel
from jaxneuro.models._integrate_and_fire import Preset, check_below, held_or_free
from jaxneuro.models._upstroke import ExponentialUpstroke, Linear, upstroke_flow
from jaxneuro.numerics import expm1
from jaxneuro.params import called, param

__all__ = ["AdEx", "AdExState"]


class AdExState(NamedTuple):
    """V [mV] and adaptation current w [nA]."""

    V: Float[Array, "*c"]
    w: Float[Array, "*c"]


def _naud(C_m: float, g_L: float, E_L: float, a: float, tau_w: float, b: float, V_reset: float, i_app: float) -> Preset:
    """A row of Table 1 of Naud et al. (2008), in its units: pF, nS, mV, ms, pA."""
    values = {"C_m": 1e-3 * C_m, "g_L": 1e-3 * g_L, "E_L": E_L, "V_T": -50.0, "Delta_T": 2.0, "V_reset": V_reset}
    adaptation = {"a": 1e-3 * a, "tau_w": tau_w, "b": 1e-3 * b}
    return Preset(values | adaptation | {"V_peak": 0.0}, 1e-3 * i_app)


class AdEx(AbstractSpikingModel):
    """Adaptive exponential integrate-and-fire neuron.

    C_m dV/dt = -g_L (V - E_L) + g_L Delta_T exp((V - V_T) / Delta_T) - w + i_app        [nA]
    tau_w dw/dt = a (V - E_L) - w                                                        [nA]
    V >= V_peak:  V -> V_reset, held for t_ref;  w -> w + b and runs on

    State: V [mV], w [nA], shape () (or (n_cell,) inside a Network). The flow is one RK4 step, above V_T in the
    variable exp(-(V - V_T) / Delta_T), in which the upstroke is a line: it neither overflows nor loses order, and spike
    times at dt = 0.05 ms are right to some 1e-6 ms.

    `AdEx.preset("tonic")` gives the firing classes of Naud et al. (2008), `AdEx.PRESETS` their currents.

    >>> AdEx(a=0.004, b=0.08, V_reset=-58.0)

    References: Brette & Gerstner (2005), J Neurophysiol 94:3637 (defaults). doi:10.1152/jn.00686.2005;
    Naud, Marcille, Clopath & Gerstner (2008), Biol Cybern 99:335 (presets). doi:10.1007/s00422-008-0264-7
    """

    PRESETS: ClassVar[dict[str, Preset]] = {
        "tonic": _naud(200, 10, -70, 2, 30, 0, -58, 500),
        "adapting": _naud(200, 12, -70, 2, 300, 60, -58, 500),
        "initial_burst": _naud(130, 18, -58, 4, 150, 120, -50, 400),
        "bursting": _naud(200, 10, -58, 2, 120, 100, -46, 210),
        "delayed_accelerating": _naud(200, 12, -70, -10, 300, 0, -58, 300),
        "delayed_bursting": _naud(100, 10, -65, -10, 90, 30, -47, 110),
        "transient": _naud(100, 10, -65, 10, 90, 100, -47, 180),
        "irregular": _naud(100, 12, -60, -11, 130, 30, -48, 160),
    }
    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.05
    C_m: Array = param(0.281, unit="nF", bounds=(0, None), is_open=True, doc="Membrane capacitance.")
    g_L: Array = param(0.03, unit="uS", bounds=(0, None), is_open=True, doc="Leak conductance.")
    E_L: Array = param(-70.6, unit="mV", doc="Resting potential.")
    V_T: Array = param(-50.4, unit="mV", doc="Threshold of the exponential.")
    Delta_T: Array = param(2.0, unit="mV", bounds=(0, None), is_open=True, doc="Sharpness of the upstroke.")
    V_peak: Array = param(20.0, unit="mV", doc="Voltage at which a spike is counted and reset.")
    V_reset: Array = param(-70.6, unit="mV", doc="Voltage after a spike.")
    t_ref: Array = param(0.0, unit="ms", bounds=(0, None), doc="Absolute refractory period.")
    a: Array = param(0.004, unit="uS", doc="Subthreshold adaptation.")
    b: Array = param(0.0805, unit="nA", doc="Jump of the adaptation current at a spike.")
    tau_w: Array = param(144.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant of adaptation.")
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        check_below("V_reset", self.V_reset, "V_peak", self.V_peak)
        check_below("V_T", self.V_T, "V_peak", self.V_peak)

    @classmethod
    def preset(cls, name: str) -> "AdEx":
        """The neuron of a firing class; the current of the figure is `AdEx.PRESETS[name].i_app` [nA].

        >>> AdEx.preset("bursting")
        """
        return cls(**called("preset", name, cls.PRESETS).values)

    def init_state(self) -> AdExState:
        return AdExState(self.E_L, jnp.zeros_like(self.E_L))

    def dynamics(self, y: AdExState, i_app: Float[Array, "*c"]) -> AdExState:
        sharp = self._upstroke().sharp(y.V)
        return AdExState(sharp + self._rest(i_app)(y.V, y.w), self._recovery()(y.V, y.w))

    def voltage(self, y: AdExState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: AdExState) -> Float[Array, "*c"]:
        return self._upstroke().gap(y.V)

    def reset(self, y: AdExState, s: Float[Array, "*c"]) -> AdExState:
        return AdExState(y.V + s * (self.V_reset - y.V), y.w + s * self.b)

    def flow(
        self, y: AdExState, i_app: Float[Array, "*c"], h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> AdExState:
        def held() -> AdExState:
            w_inf = self.a * (y.V - self.E_L)
            return AdExState(y.V, y.w - (w_inf - y.w) * expm1(-h / self.tau_w))

        def free() -> AdExState:
            return AdExState(*upstroke_flow(self._upstroke(), y.V, y.w, h, self._rest(i_app), self._recovery()))

        return held_or_free(is_held, held, free)

    @property
    def rheobase(self) -> Float[Array, ""]:
        """Current above which there is no stable rest [nA]: a saddle-node where a / g_L < tau_m / tau_w, else a Hopf
        bifurcation (Touboul & Brette 2008, Biol Cybern 99:319, doi:10.1007/s00422-008-0267-4)."""
        slope, ratio = self.a / self.g_L, self.C_m / (self.g_L * self.tau_w)
        lowest = jnp.minimum(slope, ratio)  # of -dI/dV at rest, where the fixed point loses its stability
        depth = self.V_T - self.E_L - self.Delta_T + self.Delta_T * jnp.log1p(lowest)
        return (self.g_L + self.a) * depth + self.Delta_T * self.g_L * (slope - lowest)

    def _upstroke(self) -> ExponentialUpstroke:
        return ExponentialUpstroke(self.g_L / self.C_m, self.V_T, self.V_peak, self.Delta_T)

    def _rest(self, i_app: Float[Array, "*c"]) -> Linear:
        return Linear((i_app + self.g_L * self.E_L) / self.C_m, -self.g_L / self.C_m, -1 / self.C_m)

    def _recovery(self) -> Linear:
        return Linear(-self.a * self.E_L / self.tau_w, self.a / self.tau_w, -1 / self.tau_w)
