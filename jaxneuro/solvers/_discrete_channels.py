"""Every channel counted: exact transitions of a finite number of channels while the voltage is held."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels import AbstractMarkovChannel
from jaxneuro.models import AbstractModel, AbstractNoisyMembrane
from jaxneuro.numerics import linear_update
from jaxneuro.results import RESULTS, first_failure
from jaxneuro.solvers._crossings import linear_crossing
from jaxneuro.solvers._fixed_step import check_dt
from jaxneuro.solvers._grid import SplitGrid, TimeGrid, split_grid
from jaxneuro.solvers._program import AbstractProgram, Edge, Span, is_finite
from jaxneuro.solvers._run import AbstractStepSolver
from jaxneuro.stimuli import AbstractStimulus

__all__ = ["DiscreteChannels"]

_START = 2**31 - 1  # instead of a step's number, in the key of the first draw
_WHOLE = 1e-3  # counts this close to whole numbers are counts


class DiscreteChannels(AbstractStepSolver):
    """A whole number of channels in every state; each moves by chance, as its Markov scheme says.

    In a step of `dt` [ms], with V held, every one of the n_i channels in state i ends in state j with the probability
    (e^{Q(V) dt})_{ji}: a multinomial draw, exact for a clamped voltage whatever dt is. V takes half an exponential step
    before and one after. The reference for Langevin noise; slower, and without derivatives.

    **Arguments:** `dt`, step [ms]: short against the time in which V changes, e.g. 0.01.

    >>> DiscreteChannels(0.01)

    References: Schneidman, Freedman & Segev (1998), Neural Comput 10:1679. doi:10.1162/089976698300017089
    """

    dt: float = eqx.field(static=True)
    memory: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_dt(self.dt)

    def check(self, model: AbstractModel, grid: TimeGrid) -> None:
        """Refuse anything but membranes whose noisy channels are Markov schemes, and saving times off the grid."""
        grid.save_indices(self.dt)
        if not isinstance(model, AbstractNoisyMembrane):
            raise ValueError(
                f"Argument `model` must be a NoisyMembrane for DiscreteChannels, but is {type(model).__name__}; use "
                "with_channel_noise(...)."
            )
        for name in model.noise:
            if not isinstance(model.cell.channels[name], AbstractMarkovChannel):
                raise ValueError(
                    f"Argument `model` must have Markov schemes for DiscreteChannels, but {name!r} is a "
                    f"{type(model.cell.channels[name]).__name__}; use with_channel_noise(..., kind='state')."
                )

    def program(self, model: AbstractModel, stimulus: AbstractStimulus, y0: Any, grid: TimeGrid) -> AbstractProgram:
        """One draw per grid interval."""
        split = split_grid(grid, self.dt, stimulus)
        return _DiscreteProgram(model, stimulus, y0, split, round(grid.t0 / self.dt))


class _Counted(NamedTuple):
    y: Any


class _DiscreteProgram(AbstractProgram):
    model: AbstractNoisyMembrane
    stimulus: AbstractStimulus
    y0: Any
    split: SplitGrid
    first: int = eqx.field(static=True)
    """Number of the first step, counted from time 0: a run that goes on from another does not repeat its draws."""

    def _key(self, *numbers: Any) -> Array:
        key = jax.random.key(self.model.seed.astype(jnp.int32))
        for number in numbers:
            key = jax.random.fold_in(key, number)
        return key

    def init(self) -> _Counted:
        """The start, with every channel in one state: drawn, unless it counts whole channels already."""
        gates = dict(self.y0.gates)
        for k, (name, noise) in enumerate(self.model.noise.items()):
            total = jnp.round(noise.n)
            p = gates[name]["p"]
            drawn = jax.random.multinomial(self._key(_START, self.first, k), total, _shares(p)) / total
            is_counted = jnp.all(jnp.abs(p * total - jnp.round(p * total)) < _WHOLE)
            gates[name] = {"p": jnp.where(is_counted, p, drawn.astype(p.dtype))}
        return _Counted(self.y0._replace(gates=gates))

    def step(self, carry: _Counted, edge: Edge) -> tuple[_Counted, Span]:
        h, within = edge.length, edge.input(self.stimulus)
        y = self._half_voltage(carry.y, within(0.25 * h), h)
        y = self._drawn(y, within(0.5 * h), h, self._key(self.first + edge.index, edge.is_regular))
        y = self._half_voltage(y, within(0.75 * h), h)
        has_spiked, offset = linear_crossing(self.model, h, carry.y, y)
        return _Counted(y), Span(edge.left, edge.right, carry.y, y, has_spiked, offset, edge.row)

    def outcome(self, carry: _Counted) -> RESULTS:
        return first_failure((~is_finite(carry.y), RESULTS.nonfinite))

    def _half_voltage(self, y: Any, i_app: Array, h: Array) -> Any:
        dy, A = self.model.cell.linearised(y, i_app)
        return y._replace(V=linear_update(y.V, dy.V, A.V, 0.5 * h))

    def _drawn(self, y: Any, i_app: Array, h: Array, key: Array) -> Any:
        """The gates after a time h at the voltage of y: drawn where channels are counted, exact elsewhere."""
        dy, A = self.model.cell.linearised(y, i_app)
        update = lambda x, dx, a: linear_update(x, dx, a, h)  # noqa: E731
        gates = jax.tree.map(update, y.gates, dy.gates, A.gates)
        for k, (name, noise) in enumerate(self.model.noise.items()):
            moved = _moved(jax.random.fold_in(key, k), y.gates[name]["p"], A.gates[name]["p"] * h, jnp.round(noise.n))
            gates = gates | {name: {"p": moved}}
        ions = jax.tree.map(update, y.ions, dy.ions, A.ions)
        return y._replace(gates=gates, ions=ions)


def _moved(key: Array, p: Float[Array, " n"], Qh: Float[Array, "n n"], total: Array) -> Float[Array, " n"]:
    """Shares p of `total` channels after transitions with the generator Qh."""
    counts, Qh = _without_derivative((jnp.round(p * total), Qh))
    ways = _shares(jax.scipy.linalg.expm(Qh).T)  # row i: where the channels in state i end
    return (jnp.sum(jax.random.multinomial(key, counts, ways), axis=0) / total).astype(p.dtype)


@jax.custom_jvp
def _without_derivative(x: Any) -> Any:
    return x


@_without_derivative.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise TypeError("DiscreteChannels must not be differentiated, since counts have no derivative; use EulerMaruyama.")


def _shares(p: Float[Array, "... n"]) -> Float[Array, "... n"]:
    p = jnp.clip(p, 0.0, None)
    return p / jnp.sum(p, axis=-1, keepdims=True)
