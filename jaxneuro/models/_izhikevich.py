"""Izhikevich's simple model of spiking."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSpikingModel
from jaxneuro.models._integrate_and_fire import Preset, check_below, held_or_free
from jaxneuro.models._upstroke import Linear, QuadraticUpstroke, upstroke_flow
from jaxneuro.numerics import expm1
from jaxneuro.params import called, param

__all__ = ["Izhikevich", "IzhikevichState"]

# 0.04 V^2 + 5 V + 140 = 0.04 (V + 62.5)^2 - 16.25
_CURVATURE, _MIDDLE, _LOWEST = 0.04, -62.5, -16.25
_START = -42.5  # mV; of the upstroke: V' = 0 at u = I


class IzhikevichState(NamedTuple):
    """V [mV] and recovery u [mV/ms]."""

    V: Float[Array, "*c"]
    u: Float[Array, "*c"]


def _kind(a: float, b: float, c: float, d: float, i_app: float = 10.0) -> Preset:
    return Preset({"a": a, "b": b, "c": c, "d": d}, i_app)


class Izhikevich(AbstractSpikingModel):
    """Izhikevich's model, two equations that fire like most kinds of neuron.

    dV/dt = 0.04 V^2 + 5 V + 140 - u + i_app        [mV/ms]
    du/dt = a (b V - u)                             [mV/ms^2]
    V >= V_peak:  V -> c,  u -> u + d

    State: V [mV], u [mV/ms], shape () (or (n_cell,) inside a Network); from V_init with u = b V_init. The flow is one
    RK4 step, from -42.5 mV on in the variable 1 / (V + 62.5), in which the upstroke is a line. The published scheme
    takes Euler steps of 1 ms, which fire at other times and in other patterns than the equations.

    `Izhikevich.preset("RS")` gives a class of the paper: RS, IB and CH (excitatory cortical), FS and LTS (inhibitory),
    TC (thalamo-cortical), RZ (resonator); `Izhikevich.PRESETS` their currents.

    >>> Izhikevich(a=0.02, b=0.2, c=-50.0, d=2.0)

    References: Izhikevich (2003), IEEE Trans Neural Netw 14:1569. doi:10.1109/TNN.2003.820440
    """

    PRESETS: ClassVar[dict[str, Preset]] = {
        "RS": _kind(0.02, 0.2, -65.0, 8.0),
        "IB": _kind(0.02, 0.2, -55.0, 4.0),
        "CH": _kind(0.02, 0.2, -50.0, 2.0),
        "FS": _kind(0.1, 0.2, -65.0, 2.0),
        "LTS": _kind(0.02, 0.25, -65.0, 2.0),
        "TC": _kind(0.02, 0.25, -65.0, 0.05, 1.5),
        "RZ": _kind(0.1, 0.26, -65.0, 2.0),
    }
    input_unit: ClassVar[str] = "mV/ms"
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.05
    a: Array = param(0.02, unit="1/ms", doc="Rate of recovery.")
    b: Array = param(0.2, unit="1/ms", doc="Recovery per voltage.")
    c: Array = param(-65.0, unit="mV", doc="Voltage after a spike.")
    d: Array = param(8.0, unit="mV/ms", doc="Jump of the recovery at a spike.")
    V_peak: Array = param(30.0, unit="mV", doc="Voltage at which a spike is counted and reset.")
    V_init: Array = param(-65.0, unit="mV", doc="Voltage at the start.")
    t_ref: Array = param(0.0, unit="ms", bounds=(0, None), doc="Absolute refractory period, 0 in the paper.")
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        check_below("c", self.c, "V_peak", self.V_peak)

    @classmethod
    def preset(cls, name: str) -> "Izhikevich":
        """The neuron of a class; a current that shows it is `Izhikevich.PRESETS[name].i_app` [mV/ms].

        >>> Izhikevich.preset("CH")
        """
        return cls(**called("preset", name, cls.PRESETS).values)

    def init_state(self) -> IzhikevichState:
        return IzhikevichState(self.V_init, self.b * self.V_init)

    def dynamics(self, y: IzhikevichState, i_app: Float[Array, "*c"]) -> IzhikevichState:
        sharp = self._upstroke().sharp(y.V)
        return IzhikevichState(sharp + self._rest(i_app)(y.V, y.u), self._recovery()(y.V, y.u))

    def voltage(self, y: IzhikevichState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: IzhikevichState) -> Float[Array, "*c"]:
        return self._upstroke().gap(y.V)

    def reset(self, y: IzhikevichState, s: Float[Array, "*c"]) -> IzhikevichState:
        return IzhikevichState(y.V + s * (self.c - y.V), y.u + s * self.d)

    def flow(
        self, y: IzhikevichState, i_app: Float[Array, "*c"], h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> IzhikevichState:
        def held() -> IzhikevichState:
            u_inf = self.b * y.V
            return IzhikevichState(y.V, y.u - (u_inf - y.u) * expm1(-self.a * h))

        def free() -> IzhikevichState:
            moved = upstroke_flow(self._upstroke(), y.V, y.u, h, self._rest(i_app), self._recovery())
            return IzhikevichState(*moved)

        return held_or_free(is_held, held, free)

    def _upstroke(self) -> QuadraticUpstroke:
        k, start, middle = (jnp.full_like(self.c, x) for x in (_CURVATURE, _START, _MIDDLE))
        return QuadraticUpstroke(k, start, self.V_peak, middle)

    def _rest(self, i_app: Float[Array, "*c"]) -> Linear:
        one = jnp.ones_like(self.c)
        return Linear(_LOWEST + i_app, 0 * one, -one)

    def _recovery(self) -> Linear:
        return Linear(jnp.zeros_like(self.a), self.a * self.b, -self.a)
