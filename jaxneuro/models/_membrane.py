"""Conductance-based membranes: channels in parallel with a capacitance."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxneuro.channels import AbstractChannel
from jaxneuro.ions import AbstractIonPool
from jaxneuro.models._base import AbstractConductanceModel
from jaxneuro.params import param

__all__ = [
    "AbstractMembrane",
    "Membrane",
    "MembraneState",
    "capacitance",
    "start_voltage",
    "temperature",
]

Ions = dict[str, Float[Array, "*c"]]


class MembraneState(NamedTuple):
    """V [mV]; the gates by channel, {"na": {"m": ..., "h": ...}, ...}, channels without gates are absent; inside
    concentrations [mM] by ion, {"ca": {"inside": ...}}, ions that never change are absent."""

    V: Float[Array, "*c"]
    gates: dict[str, dict[str, Float[Array, "*c"]]]
    ions: dict[str, dict[str, Float[Array, "*c"]]] = {}  # noqa: RUF012, never changed


def capacitance(default: float = 1.0) -> Any:
    """Field of a membrane: its specific capacitance [uF/cm^2]."""
    return param(default, unit="uF/cm^2", bounds=(0, None), is_open=True, doc="Specific membrane capacitance.")


def start_voltage(default: float = -65.0) -> Any:
    """Field of a membrane: the voltage at the start [mV]."""
    return param(default, unit="mV", doc="Voltage at the start.")


def temperature(default: float | None = None) -> Any:
    """Field of a membrane: its temperature [degC]."""
    return param(default, unit="degC", bounds=(-273.15, None), doc="Temperature.")


class AbstractMembrane(AbstractConductanceModel):
    """C_m dV/dt = i_app - sum of the channels' currents [uA/cm^2]."""

    input_unit: ClassVar[str] = "uA/cm^2"
    channels: eqx.AbstractVar[dict[str, AbstractChannel]]
    C_m: eqx.AbstractVar[Float[Array, ""]]
    V_init: eqx.AbstractVar[Float[Array, ""]]
    celsius: eqx.AbstractVar[Float[Array, ""] | None]
    """Temperature [degC]; None: every channel at the temperature of its source."""
    pools: eqx.AbstractVar[dict[str, AbstractIonPool]]

    def __check_init__(self):
        _check_members("channels", self.channels, AbstractChannel, '{"leak": Leak()}')
        if not self.channels:
            raise ValueError("Argument `channels` must hold at least one channel, but is {}; add e.g. a Leak().")
        _check_members("pools", self.pools, AbstractIonPool, '{"ca": CalciumPool()}')
        for name, pool in self.pools.items():
            if name != pool.ion:
                raise ValueError(
                    f"Argument `pools` must name every pool by its ion, but {name!r} is the pool of {pool.ion!r}; "
                    f"write {{{pool.ion!r}: ...}}."
                )
            if pool.has_nernst and self.celsius is None:
                raise ValueError(
                    f"Argument `celsius` must be given where a Nernst potential follows, but is None with the pool of "
                    f"{name!r}; give the temperature [degC] or has_nernst=False."
                )
        known = self.environment({}) if not self.pools else jax.eval_shape(lambda: self.environment(self._at_rest()))
        for name, channel in self.channels.items():
            missing = [need for need in channel.needs if need not in known]
            if missing:
                raise ValueError(
                    f"Argument `pools` must give what channel {name!r} ({type(channel).__name__}) needs, but "
                    f"lacks {' and '.join(missing)}; {_remedy(missing)}."
                )

    def _at_rest(self) -> dict[str, dict[str, Array]]:
        start = {ion: pool.init() for ion, pool in self.pools.items()}
        return {ion: concentration for ion, concentration in start.items() if concentration}

    def environment(self, concentrations: Mapping[str, dict[str, Array]]) -> Ions:
        """What the channels share: temperature, concentrations and Nernst potentials."""
        shared = {} if self.celsius is None else {"celsius": self.celsius}
        for ion, pool in self.pools.items():
            shared |= pool.shared(concentrations.get(ion, {}), self.celsius)
        return shared

    def init_state(self) -> MembraneState:
        """V_init with every gate in its steady state there."""
        return self.state_at(self.V_init)

    def state_at(self, V: Float[Array, "*c"] | float) -> MembraneState:
        """State at voltage V [mV] with every gate in its steady state."""
        V = jnp.asarray(V, dtype=self.V_init.dtype)
        concentrations = jax.tree.map(lambda c: jnp.broadcast_to(c, V.shape), self._at_rest())
        ions = self.environment(concentrations)
        gates = {name: channel.init(V, ions) for name, channel in self.channels.items()}
        return MembraneState(V, {name: g for name, g in gates.items() if g}, concentrations)

    def voltage(self, y: MembraneState) -> Float[Array, "..."]:
        return y.V

    def currents(self, y: MembraneState) -> dict[str, Float[Array, "..."]]:
        """Current of every channel [uA/cm^2], outward positive; also of states with a time axis."""
        return self._currents(y, self.environment(y.ions))

    def _currents(self, y: MembraneState, ions: Ions) -> dict[str, Float[Array, "..."]]:
        return {name: channel.current(y.V, y.gates.get(name, {}), ions) for name, channel in self.channels.items()}

    def ion_current(self, y: MembraneState, ion: str) -> Float[Array, "..."]:
        """The part of all currents that one ion carries [uA/cm^2], outward positive; also over a time axis."""
        parts = (self.channels[name].carried(i).get(ion, 0.0) for name, i in self.currents(y).items())
        return sum(parts, jnp.zeros_like(y.V))

    def linearised(self, y: MembraneState, i_app: Float[Array, "*c"]) -> tuple[MembraneState, MembraneState]:
        ions = self.environment(y.ions)

        def total_current(V: Array) -> Array:
            return sum(self._currents(y._replace(V=V), ions).values())

        i_ion, g_total = jax.jvp(total_current, (y.V,), (jnp.ones_like(y.V),))
        dy_gates, A_gates = {}, {}
        for name, gates in y.gates.items():
            dy_gates[name], A_gates[name] = self.channels[name].linearised(y.V, gates, ions)
        dy_ions, A_ions = {}, {}
        for ion in y.ions:
            dy_ions[ion], A_ions[ion] = self._concentration_linearised(y, ion)
        per_C = 1 / self.C_m  # the same in every step, and a division costs as much as an exponential
        dy = MembraneState((i_app - i_ion) * per_C, dy_gates, dy_ions)
        return dy, MembraneState(-g_total * per_C, A_gates, A_ions)

    def _concentration_linearised(self, y: MembraneState, ion: str) -> tuple[Any, Any]:
        def rate(concentration: dict[str, Array]) -> dict[str, Array]:
            changed = y._replace(ions=y.ions | {ion: concentration})
            return self.pools[ion].dynamics(concentration, self.ion_current(changed, ion))

        return jax.jvp(rate, (y.ions[ion],), (jax.tree.map(jnp.ones_like, y.ions[ion]),))


def _check_members(argument: str, given: Any, kind: type, example: str) -> None:
    noun = argument.rstrip("s")
    if not isinstance(given, dict):
        raise TypeError(
            f"Argument `{argument}` must map names to {argument}, but is a {type(given).__name__}; "
            f"write e.g. {example}."
        )
    for name, member in given.items():
        if isinstance(name, str) and "." in name:
            raise ValueError(
                f"Argument `{argument}` must have names without dots, which divide the names of parameters, but has "
                f"{name!r}; write {name.replace('.', '_')!r}."
            )
        if not (isinstance(name, str) and isinstance(member, kind)):
            raise TypeError(
                f"Argument `{argument}` must map names to {argument}, but {name!r} is no {noun}, a "
                f"{type(member).__name__}; write e.g. {example}."
            )


def _remedy(missing: list[str]) -> str:
    if missing[0] == "celsius":
        return "give the cell a temperature, celsius=37.0"
    if "_" not in missing[0]:
        return f"use a model that provides {missing[0]}"
    ions = dict.fromkeys(need.split("_")[0] for need in missing)
    return f"write pools={{{', '.join(f'{ion!r}: ...' for ion in ions)}}}"


class Membrane(AbstractMembrane):
    """A membrane patch with any channels.

    C_m dV/dt = i_app - sum_c i_c(V, gates)        [uA/cm^2]

    State: V [mV], gates [1] by channel, inside concentrations [mM] by ion. Outward current is positive, i_app > 0
    depolarises.

    **Arguments:** `channels`, name -> channel; `C_m` [uF/cm^2]; `V_init` [mV], where a simulation starts with every
    gate in its steady state; `celsius` [degC], None: every channel at the temperature of its paper; `pools`, ion ->
    pool of the concentrations that change or set a Nernst potential.

    >>> from jaxneuro.channels import Leak
    >>> Membrane(channels={"leak": Leak(g_max=0.1, E_rev=-70.0)}, C_m=1.0, V_init=-70.0)

    References: Hodgkin & Huxley (1952), J Physiol 117:500. doi:10.1113/jphysiol.1952.sp004764
    """

    channels: dict[str, AbstractChannel]
    C_m: Array = capacitance()
    V_init: Array = start_voltage()
    celsius: Array | None = temperature()
    pools: dict[str, AbstractIonPool] = eqx.field(default_factory=dict)
    spike_threshold: float = eqx.field(static=True, default=0.0)
