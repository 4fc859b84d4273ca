"""Small networks of spiking cells."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxneuro.models._base import AbstractModel, AbstractNetwork, AbstractSpikingModel, rk4_flow
from jaxneuro.models._spike_detector import SpikeDetector
from jaxneuro.params import is_concrete, param
from jaxneuro.synapses import AbstractSynapse

__all__ = ["Network", "NetworkState"]


class NetworkState(NamedTuple):
    """cells: the cells' states, every leaf (n_cell,); synapses: the synapses', every leaf (n_syn,)."""

    cells: Any
    synapses: Any


class Network(AbstractNetwork):
    """Cells coupled by conductance synapses with delays; itself a model, for `simulate`, `sweep` and `fit`.

    dy_i/dt = cell_i.dynamics(y_i, i_app_i - sum over synapses k onto i of current_k(s_k, V_i))

    A spike of cell `pre[k]` reaches synapse k after `delay[k]` and acts there with strength `weight[k]`. Membranes
    become spiking by a `SpikeDetector` at 0 mV. A scalar input goes to every cell; a stimulus whose amplitude has
    shape (n_cell,) gives each its own.

    State: cells' and synapses' states stacked, leaves (n_cell,) and (n_syn,). `voltage` has shape (n_time, n_cell),
    `spikes` (n_cell, n) padded with inf.

    **Arguments:** `cells`, a list of models of one class; `synapses`, one synapse or a list with one per connection;
    `pre`, `post`, indices of the cells it connects; `weight` [1], scales the synapse's g_max; `delay` [ms], at least
    the solver's dt; `max_delay` [ms], needed only where delays are traced.

    >>> Network([LIF(), LIF()], AMPA(), pre=[0], post=[1], delay=1.5)
    """

    cells: AbstractSpikingModel
    synapses: AbstractSynapse
    pre: Int[Array, " n_syn"]
    post: Int[Array, " n_syn"]
    weight: Array = param(unit="1", doc="Strength of each synapse, a factor of its g_max.")
    delay: Array = param(unit="ms", bounds=(0, None), doc="Delay of each synapse.")
    max_delay: float = eqx.field(static=True)
    spike_threshold: float = eqx.field(static=True, default=0.0)
    is_simple: ClassVar[bool] = False
    is_solved: ClassVar[bool] = False

    def __init__(
        self,
        cells: Sequence[AbstractModel] | AbstractModel,
        synapses: Sequence[AbstractSynapse] | AbstractSynapse,
        pre: Sequence[int],
        post: Sequence[int],
        *,
        weight: float | Sequence[float] = 1.0,
        delay: float | Sequence[float] = 1.0,
        max_delay: float | None = None,
    ):
        cells = _stacked("cells", cells)
        if not isinstance(cells, AbstractSpikingModel):
            cells = SpikeDetector(cells, jnp.zeros_like(cells.voltage(_init(cells))))
        n_cell = cells.gap(_init(cells)).shape[0]
        self.pre, self.post = _indices("pre", pre, n_cell), _indices("post", post, n_cell)
        n_syn = self.pre.size
        if self.post.size != n_syn:
            raise ValueError(
                f"Argument `post` must have one entry per synapse like `pre` ({n_syn}), but has {self.post.size}; "
                "give both lists the same length."
            )
        self.cells, self.synapses = cells, _per_synapse(synapses, n_syn)
        self.weight, self.delay = (_spread(name, x, n_syn) for name, x in (("weight", weight), ("delay", delay)))
        if max_delay is None and not is_concrete(self.delay):
            raise ValueError(
                "Argument `max_delay` must be given where delays are traced by jax, but is None; give the longest [ms]."
            )
        self.max_delay = float(np.max(self.delay, initial=0.0)) if max_delay is None else float(max_delay)

    @property
    def input_unit(self) -> str:
        return self.cells.input_unit

    @property
    def t_ref(self) -> Float[Array, " n_cell"]:
        return self.cells.t_ref

    @property
    def dt_default(self) -> float:
        shortest = float(self.delay.min()) if self.delay.size and is_concrete(self.delay) else np.inf
        return min(self.cells.dt_default, shortest) or self.cells.dt_default

    def init_state(self) -> NetworkState:
        return NetworkState(_init(self.cells), self.synapses.init())

    def dynamics(self, y: NetworkState, i_app: Float[Array, "*n_cell"]) -> NetworkState:
        V = self.voltage(y)
        i_syn = self.synapses.current(y.synapses, V[self.post])
        i_total = jnp.broadcast_to(i_app, V.shape) - jax.ops.segment_sum(i_syn, self.post, V.size)
        cells = jax.vmap(lambda cell, state, i: cell.dynamics(state, i))(self.cells, y.cells, i_total)
        return NetworkState(cells, self.synapses.dynamics(y.synapses, V[self.pre]))

    def voltage(self, y: NetworkState) -> Float[Array, "... n_cell"]:
        return self.cells.voltage(y.cells)

    def gap(self, y: NetworkState) -> Float[Array, " n_cell"]:
        return self.cells.gap(y.cells)

    def reset(self, y: NetworkState, s: Float[Array, " n_cell"]) -> NetworkState:
        return NetworkState(self.cells.reset(y.cells, s), y.synapses)

    def deliver(self, y: NetworkState, arrivals: Float[Array, " n_syn"]) -> NetworkState:
        return NetworkState(y.cells, self.synapses.on_spike(y.synapses, self.weight * arrivals))

    def flow(
        self,
        y: NetworkState,
        i_app: Float[Array, "*n_cell"],
        h: Float[Array, " n_cell"],
        *,
        is_held: Bool[Array, " n_cell"] | bool,
    ) -> NetworkState:
        """One RK4 step of every cell with the synapses onto it; each cell may have its own h, since between spikes
        no cell feels another."""

        def vector_field(state: NetworkState) -> NetworkState:
            d_cells, d_synapses = self.dynamics(state, i_app)
            return NetworkState(d_cells._replace(V=jnp.where(is_held, 0.0, d_cells.V)), d_synapses)

        h_synapses = h[self.post]
        steps = NetworkState(jax.tree.map(lambda _: h, y.cells), jax.tree.map(lambda _: h_synapses, y.synapses))
        return rk4_flow(vector_field, y, steps)


def _init(cells: AbstractModel) -> Any:
    return jax.vmap(lambda cell: cell.init_state())(cells)


def _stacked(name: str, modules: Any) -> Any:
    """One module whose leaves have a leading axis, from a list of modules of one class."""
    if not isinstance(modules, Sequence):
        return modules
    kinds = {jax.tree.structure(module) for module in modules}
    if len(kinds) != 1:
        raise ValueError(
            f"Argument `{name}` must be a list of models of one class, but has {len(kinds)} kinds; "
            "build them with the same class, channels and options."
        )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *modules)


def _per_synapse(synapses: Any, n_syn: int) -> AbstractSynapse:
    is_list = isinstance(synapses, Sequence)
    if is_list and len(synapses) != n_syn:
        raise ValueError(
            f"Argument `synapses` must be one synapse or one per connection ({n_syn}), but has {len(synapses)}; "
            "give a single one to share it."
        )
    synapses = _stacked("synapses", synapses)
    if not isinstance(synapses, AbstractSynapse):
        raise TypeError(f"Argument `synapses` must be a synapse such as AMPA(), but is {synapses!r}; build one.")
    return synapses if is_list else jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n_syn,)), synapses)


def _spread(name: str, value: Any, n_syn: int) -> Float[Array, " n_syn"]:
    array = jnp.asarray(value, jnp.result_type(float))
    if array.shape not in ((), (n_syn,)):
        raise ValueError(
            f"Argument `{name}` must be a number or have one entry per synapse ({n_syn}), but has shape {array.shape}; "
            "fix its length."
        )
    return jnp.broadcast_to(array, (n_syn,))


def _indices(name: str, values: Any, n_cell: int) -> Int[Array, " n_syn"]:
    array = np.asarray(values, dtype=int if len(values) == 0 else None)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or np.any((array < 0) | (array >= n_cell)):
        raise ValueError(
            f"Argument `{name}` must list cells by index from 0 to {n_cell - 1}, but is {values!r}; fix the indices."
        )
    return jnp.asarray(array)
