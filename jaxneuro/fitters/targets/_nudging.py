"""Nudging: a model that is drawn to the recorded voltage while it runs."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.models import AbstractModel, AbstractNoisyModel, AbstractSpikingModel
from jaxneuro.params import param
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["Guide", "Nudged", "can_be_nudged"]


def can_be_nudged(model: AbstractModel) -> bool:
    """Whether a model is smooth, so that a force on V is all that it takes."""
    return not isinstance(model, AbstractSpikingModel | AbstractNoisyModel)


class Nudged(AbstractModel):
    """Any smooth model whose voltage is drawn to a recorded one, V_data.

    dV/dt = (dV/dt of the model) + k (V_data - V),   all else as in the model

    The input is the pair (i_app, V_data) that a `Guide` gives; the state is the model's. With k large against the
    model's own rates no parameter can make a spike that the data lack, so that the error of V has few local minima;
    with k = 0 it is the model. Data with noise of standard deviation s move V by at most as much.

    **Arguments:** `cell`, a smooth model of one neuron; `k`, strength [1/ms].

    >>> simulate(Nudged(HodgkinHuxley(), k=1.0), Guide(Step(10.0, 5.0), Sampled(V_data, dt=0.05)), t1=50.0)

    References: Abarbanel, Creveling, Farsian & Kostuk (2009), SIAM J Appl Dyn Syst 8:1341. doi:10.1137/090749761;
    Burghi, Schoukens & Sepulchre (2021), Automatica 133:109830. doi:10.1016/j.automatica.2021.109830
    """

    cell: AbstractModel
    k: Array = param(1.0, unit="1/ms", bounds=(0, None), doc="Strength with which V is drawn to the data.")
    input_unit: ClassVar[str] = "(i_app, mV)"
    spike_threshold: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not isinstance(self.cell, AbstractModel) or not can_be_nudged(self.cell):
            raise TypeError(
                f"Argument `cell` must be a smooth model, but is a {type(self.cell).__name__}; use e.g. "
                "HodgkinHuxley(), and spike times or rates for models that reset."
            )

    def init_state(self) -> Any:
        return self.cell.init_state()

    def dynamics(self, y: Any, i_app: tuple[Float[Array, "*c"], Float[Array, "*c"]]) -> Any:
        current, V_data = i_app
        dy = self.cell.dynamics(y, current)
        return dy._replace(V=dy.V + self.k * (V_data - y.V))

    def voltage(self, y: Any) -> Float[Array, "..."]:
        return y.V


class Guide(AbstractStimulus):
    """The input of a `Nudged` model: a current and the recorded voltage [mV].

    >>> Guide(Step(amplitude=10.0, onset=5.0), Sampled(V_data, dt=0.05))
    """

    current: AbstractStimulus
    voltage: AbstractStimulus
    is_piecewise_constant: ClassVar[bool] = False

    def __call__(self, t: Float[Array, "*t"] | float) -> tuple[Float[Array, "*t"], Float[Array, "*t"]]:
        return self.current(t), self.voltage(t)

    @property
    def jump_ts(self) -> Float[Array, " n_jump"]:
        return jnp.sort(jnp.concatenate([self.current.jump_ts, self.voltage.jump_ts]))

    @property
    def domain(self) -> tuple[Any, Any]:
        (start, end), (first, last) = self.current.domain, self.voltage.domain
        return jnp.maximum(start, first), jnp.minimum(end, last)
