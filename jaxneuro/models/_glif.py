"""Generalised leaky integrate-and-fire neurons: spike-triggered currents and moving thresholds."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxneuro.models._base import AbstractSpikingModel, rk4_flow
from jaxneuro.models._integrate_and_fire import Preset, check_below, held_or_free, leaky_response
from jaxneuro.numerics import exp, exp_difference, exp_second_difference, expm1
from jaxneuro.params import AbstractParametrised, called, is_concrete, param

__all__ = ["GLIF", "GLIFState", "SpikeCurrent", "SpikeThreshold"]


class SpikeCurrent(AbstractParametrised):
    """A current that every spike moves: di/dt = -i / tau; at a spike i -> keep i + jump. Positive depolarises.

    >>> SpikeCurrent(jump=-0.05, tau=100.0)
    """

    jump: Array = param(unit="nA", doc="What a spike adds.")
    tau: Array = param(unit="ms", bounds=(0, None), is_open=True, doc="Time constant of its decay.")
    keep: Array = param(1.0, unit="1", bounds=(0, None), doc="Share of it that survives a spike.")


class SpikeThreshold(AbstractParametrised):
    """A part of the threshold that every spike raises: dtheta/dt = -theta / tau; at a spike theta -> theta + jump.

    >>> SpikeThreshold(jump=10.0, tau=20.0)
    """

    jump: Array = param(unit="mV", doc="What a spike adds.")
    tau: Array = param(unit="ms", bounds=(0, None), is_open=True, doc="Time constant of its decay.")


class GLIFState(NamedTuple):
    """V [mV]; spike-triggered currents [nA] and parts of the threshold [mV] by name; the threshold's part that follows
    the voltage [mV]; the current that does [nA], None of a model without it."""

    V: Float[Array, "*c"]
    currents: dict[str, Float[Array, "*c"]]
    thresholds: dict[str, Float[Array, "*c"]]
    theta_V: Float[Array, "*c"]
    w: Float[Array, "*c"] | None = None


def _mat(fast: float, slow: float, resting: float) -> Preset:
    """A cell of Kobayashi et al. (2009), fig. 3: alpha_1, alpha_2, omega [mV]; rest at 0 mV."""
    # plain numbers: an array made at import would have the precision that JAX has then
    thresholds = {"fast": (fast, 10.0), "slow": (slow, 200.0)}
    values = {"tau_m": 5.0, "R_m": 50.0, "E_L": 0.0, "V_th": resting, "t_ref": 2.0, "thresholds": thresholds}
    return Preset(values | {"reset_gain": 1.0, "reset_drop": 0.0, "holds_voltage": False}, 0.6)


class GLIF(AbstractSpikingModel):
    """Generalised leaky integrate-and-fire neuron: linear, with spike-triggered currents and a moving threshold.

    tau_m dV/dt = -(V - E_L) + R_m (i_app + sum of currents - w)    [mV]
    dtheta_V/dt = a_V (V - E_L) - b_V theta_V                       [mV/ms]
    tau_w dw/dt = a_w (V - E_L) - w                                 [nA], only if `a_w` is given
    V >= V_th + sum of thresholds + theta_V:
        V -> E_L + reset_gain (V - E_L) - reset_drop, held for t_ref like theta_V; currents and thresholds jump

    The GLIF models of Teeter et al. (2018): GLIF1 has nothing more than V, GLIF2 a `SpikeThreshold` and the reset rule,
    GLIF3 `SpikeCurrent`s, GLIF4 all of these, GLIF5 also a_V and b_V; `jaxneuro.io.read_glif` reads their files. With
    several of either it is the deterministic GIF model, and stochastic in an `EscapeRate`. With reset_gain = 1 and
    holds_voltage = False nothing is reset, and it is the MAT model: `GLIF.preset("MAT-RS")`.

    With a_w the voltage sags and rebounds, as that of cells with an h current; a_V < 0 is a threshold that slow
    depolarisation lowers.

    State: V [mV], currents [nA] and thresholds [mV] by name, theta_V [mV], w [nA] or None, shape () (or (n_cell,)
    inside a Network). The flow is the closed form, so spike times do not depend on the step; with a_w it is one RK4
    step, right to 1e-9 mV at 0.1 ms.

    >>> GLIF(currents={"slow": SpikeCurrent(-0.05, 100.0)}, thresholds={"fast": SpikeThreshold(8.0, 15.0)})

    References: Teeter et al. (2018), Nat Commun 9:709. doi:10.1038/s41467-017-02717-4;
    Mihalas & Niebur (2009), Neural Comput 21:704. doi:10.1162/neco.2008.12-07-680;
    Kobayashi, Tsubo & Shinomoto (2009), Front Comput Neurosci 3:9 (MAT). doi:10.3389/neuro.10.009.2009
    """

    PRESETS: ClassVar[dict[str, Preset]] = {
        "MAT-RS": _mat(37.0, 2.0, 19.0),
        "MAT-IB": _mat(1.7, 2.0, 26.0),
        "MAT-FS": _mat(10.0, 0.002, 11.0),
        "MAT-CH": _mat(-0.5, 0.4, 26.0),
    }
    input_unit: ClassVar[str] = "nA"
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False
    dt_default: ClassVar[float] = 0.1
    currents: dict[str, SpikeCurrent] = eqx.field(default_factory=dict)
    thresholds: dict[str, SpikeThreshold] = eqx.field(default_factory=dict)
    tau_m: Array = param(20.0, unit="ms", bounds=(0, None), is_open=True, doc="Membrane time constant.")
    R_m: Array = param(100.0, unit="MOhm", bounds=(0, None), is_open=True, doc="Input resistance.")
    E_L: Array = param(-70.0, unit="mV", doc="Resting potential.")
    V_th: Array = param(-50.0, unit="mV", doc="Threshold at rest.")
    t_ref: Array = param(2.0, unit="ms", bounds=(0, None), doc="Absolute refractory period.")
    reset_gain: Array = param(0.0, unit="1", doc="Share of the voltage over rest that survives a spike.")
    reset_drop: Array = param(0.0, unit="mV", doc="How far below that a spike puts the voltage.")
    a_V: Array = param(0.0, unit="1/ms", doc="How fast the threshold follows the voltage.")
    b_V: Array = param(0.1, unit="1/ms", doc="Rate at which it forgets.")
    a_w: Array | None = param(None, unit="uS", doc="Conductance of the current that follows the voltage.")
    tau_w: Array = param(150.0, unit="ms", bounds=(0, None), is_open=True, doc="Time constant with which it follows.")
    holds_voltage: bool = eqx.field(static=True, default=True)
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        for name, kind in (("currents", SpikeCurrent), ("thresholds", SpikeThreshold)):
            parts = getattr(self, name)
            if not isinstance(parts, dict) or not all(isinstance(part, kind) for part in parts.values()):
                raise TypeError(
                    f"Argument `{name}` must be a dict of {kind.__name__}s by name, but is {parts!r}; give e.g. "
                    f'{{"slow": {kind.__name__}(jump, tau)}}.'
                )
        if is_concrete(self.reset_gain) and not np.any(np.asarray(self.reset_gain)):
            raised = self.V_th + sum(part.jump for part in self.thresholds.values())
            check_below("E_L - reset_drop", self.E_L - self.reset_drop, "V_th + jumps", raised)

    @classmethod
    def preset(cls, name: str) -> "GLIF":
        """A published neuron; a current that shows it is `GLIF.PRESETS[name].i_app` [nA].

        >>> GLIF.preset("MAT-RS")
        """
        values = dict(called("preset", name, cls.PRESETS).values)
        thresholds = {part: SpikeThreshold(*numbers) for part, numbers in values.pop("thresholds").items()}
        return cls(thresholds=thresholds, **values)

    def init_state(self) -> GLIFState:
        none = jnp.zeros_like(self.E_L)
        currents, thresholds = (dict.fromkeys(parts, none) for parts in (self.currents, self.thresholds))
        return GLIFState(self.E_L, currents, thresholds, none, None if self.a_w is None else none)

    def dynamics(self, y: GLIFState, i_app: Float[Array, "*c"]) -> GLIFState:
        follows = y.w is not None
        i = i_app + sum(y.currents.values()) - (y.w if follows else 0.0)
        dV = (self.E_L - y.V + self.R_m * i) / self.tau_m
        dw = (self.a_w * (y.V - self.E_L) - y.w) / self.tau_w if follows else None
        currents = {name: -y.currents[name] / part.tau for name, part in self.currents.items()}
        thresholds = {name: -y.thresholds[name] / part.tau for name, part in self.thresholds.items()}
        return GLIFState(dV, currents, thresholds, self.a_V * (y.V - self.E_L) - self.b_V * y.theta_V, dw)

    def voltage(self, y: GLIFState) -> Float[Array, "..."]:
        return y.V

    def gap(self, y: GLIFState) -> Float[Array, "*c"]:
        return y.V - self.V_th - y.theta_V - sum(y.thresholds.values())

    def reset(self, y: GLIFState, s: Float[Array, "*c"]) -> GLIFState:
        V_reset = self.E_L + self.reset_gain * (y.V - self.E_L) - self.reset_drop
        currents = {
            name: y.currents[name] + s * ((part.keep - 1) * y.currents[name] + part.jump)
            for name, part in self.currents.items()
        }
        thresholds = {name: y.thresholds[name] + s * part.jump for name, part in self.thresholds.items()}
        return GLIFState(y.V + s * (V_reset - y.V), currents, thresholds, y.theta_V, y.w)

    def flow(
        self, y: GLIFState, i_app: Float[Array, "*c"], h: Float[Array, "*c"], *, is_held: Bool[Array, "*c"] | bool
    ) -> GLIFState:
        decayed = y._replace(
            currents={name: y.currents[name] * exp(-h / part.tau) for name, part in self.currents.items()},
            thresholds={name: y.thresholds[name] * exp(-h / part.tau) for name, part in self.thresholds.items()},
        )
        follows = y.w is not None

        def held() -> GLIFState:
            if not follows:
                return decayed
            w_inf = self.a_w * (y.V - self.E_L)
            return decayed._replace(w=y.w - (w_inf - y.w) * expm1(-h / self.tau_w))

        def free() -> GLIFState:
            if follows:
                moved = rk4_flow(lambda y: self.dynamics(y, i_app), y, jax.tree.map(lambda _: h, y))
                return decayed._replace(V=moved.V, theta_V=moved.theta_V, w=moved.w)
            forgotten, nothing = y.theta_V * exp(-self.b_V * h), jnp.zeros_like(self.b_V)
            rate, V_inf = 1 / self.tau_m, self.E_L + self.R_m * i_app
            drives = [(self.R_m * rate * y.currents[name], 1 / part.tau) for name, part in self.currents.items()]
            V = leaky_response(y.V, V_inf, rate, drives, h)
            followed = (V_inf - self.E_L) * exp_difference(nothing, self.b_V, h)
            followed = followed + (y.V - V_inf) * exp_difference(rate, self.b_V, h)
            for drive, decay in drives:
                followed = followed + drive * exp_second_difference(decay, rate, self.b_V, h)
            return decayed._replace(V=V, theta_V=forgotten + self.a_V * followed)

        return held_or_free(is_held, held if self.holds_voltage else free, free)
