"""Membranes with a finite number of channels."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels import (
    AbstractChannel,
    AbstractChannelNoise,
    AbstractKineticChannel,
    GatingScheme,
    StateNoise,
    SubunitNoise,
)
from jaxneuro.models._base import AbstractNoisyModel
from jaxneuro.models._membrane import AbstractMembrane, MembraneState
from jaxneuro.params import guess, param

__all__ = ["AbstractNoisyMembrane", "NoisyMembrane", "with_channel_noise"]


class AbstractNoisyMembrane(AbstractNoisyModel):
    """A noisy model of one membrane: its deterministic cell, and the noise of some of its channels by name."""

    cell: eqx.AbstractVar[AbstractMembrane]
    noise: eqx.AbstractVar[dict[str, AbstractChannelNoise]]


class NoisyMembrane(AbstractNoisyMembrane):
    """A membrane whose channels are few enough to fluctuate, or that a noisy current reaches.

    C_m dV = (i_app - sum_c i_c) dt + sigma dW,   dp = Q(V) p dt + S(V, p) dW        [uA/cm^2 ms], [1]

    State: that of the membrane, V [mV]. Simulate it with `EulerMaruyama` (Langevin) or `DiscreteChannels` (every
    channel counted). The noise is differentiable in all parameters but `seed`.

    **Arguments:** `cell`, any membrane; `noise`, channel name -> StateNoise or SubunitNoise; `sigma`, white current
    noise [uA/cm^2 sqrt(ms)]; `seed`, a whole number that names the path: sweep over it for trials. `with_channel_noise`
    makes one of a deterministic cell and its area.

    >>> NoisyMembrane(HodgkinHuxley(), sigma=0.5, seed=1)

    References: Goldwyn & Shea-Brown (2011), PLoS Comput Biol 7:e1002247. doi:10.1371/journal.pcbi.1002247
    """

    cell: AbstractMembrane
    noise: dict[str, AbstractChannelNoise] = eqx.field(default_factory=dict)
    sigma: Array = param(0.0, unit="uA/cm^2 sqrt(ms)", bounds=(0, None), doc="White current noise.")
    seed: Array = param(0.0, unit="1", bounds=(0, 2**24), is_whole=True, doc="Name of the path of the noise.")
    input_unit: ClassVar[str] = "uA/cm^2"

    def __check_init__(self):
        if not isinstance(self.cell, AbstractMembrane):
            raise TypeError(f"Argument `cell` must be a membrane, but is a {type(self.cell).__name__}; use one.")
        for name, noise in self.noise.items():
            if name not in self.cell.channels:
                raise ValueError(
                    f"Argument `noise` must name channels of the cell, but has {name!r}; "
                    f"{guess(name, self.cell.channels)}."
                )
            noise.check(name, self.cell.channels[name])

    @property
    def spike_threshold(self) -> float:
        """Threshold of the cell [mV]."""
        return self.cell.spike_threshold

    @property
    def n_motions(self) -> int:
        """One for the current, and those of every noisy channel."""
        return 1 + sum(noise.n_motions(self.cell.channels[name]) for name, noise in self.noise.items())

    def init_state(self) -> MembraneState:
        return self.cell.init_state()

    def voltage(self, y: MembraneState) -> Float[Array, "..."]:
        return y.V

    def dynamics(self, y: MembraneState, i_app: Float[Array, ""]) -> MembraneState:
        return self.cell.dynamics(y, i_app)

    def diffuse(self, y: MembraneState, dW: Float[Array, " n_motions"]) -> MembraneState:
        ions, used = self.cell.environment(y.ions), 1
        gates = jax.tree.map(jnp.zeros_like, y.gates)
        for name, noise in sorted(self.noise.items()):  # the order of a dict is not kept inside compiled code
            channel = self.cell.channels[name]
            n = noise.n_motions(channel)
            gates = gates | {name: noise.diffuse(channel, y.V, y.gates[name], ions, dW[used : used + n])}
            used += n
        return MembraneState(self.sigma * dW[0] / self.cell.C_m, gates, jax.tree.map(jnp.zeros_like, y.ions))


def with_channel_noise(
    cell: AbstractMembrane,
    area: float,
    *,
    density: Mapping[str, float] | None = None,
    kind: str = "state",
    seed: int = 0,
) -> NoisyMembrane:
    """The same cell with as many channels as its membrane has.

    **Arguments:** `cell`, a membrane; `area` [um^2]; `density`, channel name -> channels per um^2, for the squid axon
    60 sodium and 18 potassium if None; `kind`, "state" for noise on the Markov schemes, or "subunit" for the usual
    approximation with its wrong variance; `seed`, a whole number.

    The gates of a noisy channel are then inside its scheme: "na.channel.g_max" is the name of the sodium conductance.

    **Raises:** ValueError for an area or a density that is not positive, an unknown channel or kind.

    >>> with_channel_noise(HodgkinHuxley(), area=100.0).noise["na"].n
    Array(6000., dtype=float32)
    """
    if not isinstance(cell, AbstractMembrane):
        raise TypeError(
            f"Argument `cell` must be a membrane, but is a {type(cell).__name__}; use e.g. HodgkinHuxley()."
        )
    density = _checked_density(density)
    if kind not in ("state", "subunit"):
        raise ValueError(f"Argument `kind` must be 'state' or 'subunit', but is {kind!r}; choose one.")
    if isinstance(area, str) or not area > 0:
        raise ValueError(f"Argument `area` must be positive, but is area={area} um^2; give the cell's surface.")
    unknown = [name for name in density if name not in cell.channels]
    if unknown:
        raise ValueError(
            f"Argument `density` must name channels of the cell, but has {unknown[0]!r}; "
            f"{guess(unknown[0], cell.channels)}."
        )
    if any(not d > 0 for d in density.values()):
        raise ValueError(f"Argument `density` must be positive, but is {density}; give channels per um^2.")
    few = [name for name, d in density.items() if d * area < 0.5]
    if few:
        raise ValueError(
            f"Argument `area` must hold channels, but {area:g} um^2 with {density[few[0]]:g} per um^2 holds none of "
            f"{few[0]!r}; take a larger one."
        )
    if kind == "subunit":
        noise = {name: SubunitNoise(d * area) for name, d in density.items()}
        return NoisyMembrane(cell, noise, seed=seed)
    schemes = {name: _scheme(cell.channels[name]) for name in density}
    cell = dataclasses.replace(cell, channels=cell.channels | schemes)
    return NoisyMembrane(cell, {name: StateNoise(d * area) for name, d in density.items()}, seed=seed)


def _checked_density(density: Mapping[str, float] | None) -> dict[str, float]:
    if density is None:
        return {"na": 60.0, "k": 18.0}
    if not isinstance(density, Mapping) or any(isinstance(d, str) for d in density.values()):
        raise TypeError(
            f'Argument `density` must map channels to numbers per um^2, but is {density!r}; write e.g. {{"na": 60.0}}.'
        )
    return dict(density)


def _scheme(channel: AbstractChannel) -> AbstractChannel:
    return GatingScheme(channel) if isinstance(channel, AbstractKineticChannel) else channel
