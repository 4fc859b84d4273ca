"""FitzHugh-Nagumo: the two-dimensional caricature of an excitable membrane."""

from typing import ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float

from jaxneuro.models._base import AbstractModel
from jaxneuro.params import param

__all__ = ["FitzHughNagumo", "FitzHughNagumoState"]


class FitzHughNagumoState(NamedTuple):
    """V: fast, voltage-like variable [1]; w: slow recovery [1]."""

    V: Float[Array, "*c"]
    w: Float[Array, "*c"]


class FitzHughNagumo(AbstractModel):
    """FitzHugh-Nagumo oscillator, dimensionless.

    dV/dt = V - V^3/3 - w + i_app
    dw/dt = (V + a - b w) / tau

    State: V, w [1], shape (). The start is the fixed point at i_app = 0 for the default parameters. A spike is an
    upward crossing of V = 1.

    >>> FitzHughNagumo(tau=10.0)

    References: FitzHugh (1961), Biophys J 1:445. doi:10.1016/S0006-3495(61)86902-6;
    Nagumo, Arimoto & Yoshizawa (1962), Proc IRE 50:2061. doi:10.1109/JRPROC.1962.288235
    FitzHugh's 1961 x, y, z, c^2 are -V, w, -i_app, tau here (a = 0.7, b = 0.8, tau = 12.5 as in the common form).
    """

    input_unit: ClassVar[str] = "1"
    a: Array = param(0.7, unit="1", doc="Offset of the recovery nullcline.")
    b: Array = param(0.8, unit="1", doc="Slope of the recovery nullcline, inverted.")
    tau: Array = param(12.5, unit="1", bounds=(0, None), is_open=True, doc="Ratio of the slow to the fast time scale.")
    V_init: Array = param(-1.1994080352440, unit="1", doc="V at the start.")
    w_init: Array = param(-0.6242600440550, unit="1", doc="w at the start.")
    spike_threshold: float = eqx.field(static=True, default=1.0)

    def init_state(self) -> FitzHughNagumoState:
        return FitzHughNagumoState(self.V_init, self.w_init)

    def dynamics(self, y: FitzHughNagumoState, i_app: Float[Array, "*c"]) -> FitzHughNagumoState:
        per_tau = 1 / self.tau  # the same in every step, and so divided once
        return FitzHughNagumoState(y.V - y.V**3 / 3 - y.w + i_app, (y.V + self.a - self.b * y.w) * per_tau)

    def voltage(self, y: FitzHughNagumoState) -> Float[Array, "..."]:
        return y.V
