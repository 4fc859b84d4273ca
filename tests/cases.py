"""What the registry builds beside the objects themselves: a state away from rest, an input that makes it fire."""

from typing import Any, NamedTuple

import diffrax
import jax.numpy as jnp

from jaxneuro.channels import (
    CalciumPump,
    GatingScheme,
    GHKChannel,
    HHPotassium,
    HHSodium,
    Leak,
    MarkovChannel,
    Rate,
    SKChannel,
    SodiumPotassiumPump,
    TTypeCalcium,
)
from jaxneuro.ions import CalciumPool, FixedConcentration, IonPool
from jaxneuro.models import (
    EIF,
    GLIF,
    LIF,
    QIF,
    AbstractMembrane,
    AbstractModel,
    AbstractSpikingModel,
    AdEx,
    ConductanceLIF,
    EscapeRate,
    FitzHughNagumo,
    HairCell,
    HodgkinHuxley,
    Izhikevich,
    Membrane,
    Network,
    NoisyMembrane,
    RinzelHodgkinHuxley,
    SpikeCurrent,
    SpikeDetector,
    SpikeThreshold,
    SynapticLIF,
    WholeCell,
    with_channel_noise,
)
from jaxneuro.stimuli import (
    AbstractStimulus,
)
from jaxneuro.synapses import AMPA


class ModelCase(NamedTuple):
    """A model, a state away from rest, an input [its unit] and a time [ms] in which it fires."""

    model: AbstractModel
    y: Any
    i_app: float
    t1: float


class NoisyCase(NamedTuple):
    """A noisy model, a state away from rest and an input [its unit]."""

    model: NoisyMembrane
    y: Any
    i_app: float


class SpikingCase(NamedTuple):
    """The same for models with a reset; `flow_rtol`: error of `flow` over 0.02 ms (0: exact)."""

    model: AbstractSpikingModel
    y: Any
    i_app: float
    t1: float
    flow_rtol: float


class StimulusCase(NamedTuple):
    """A stimulus, and a window [ms] inside its domain that holds all its jumps."""

    stimulus: AbstractStimulus
    window: tuple[float, float]


class StepperCase(NamedTuple):
    """A one-step method and the order at which its error falls; `slack`: how far the observed order may be off, more
    for Tsit5, whose leading term is so small that the next one shows."""

    solver: diffrax.AbstractSolver
    order: int
    dts: tuple[float, ...]
    slack: float = 0.3


def _state(model: AbstractModel, *values: float) -> Any:
    return type(model.init_state())(*map(jnp.asarray, values))


def hodgkin_huxley() -> ModelCase:
    model = HodgkinHuxley()
    # between two spikes: no gate is in its steady state at this voltage
    y = model.state_at(-60.0)._replace(V=jnp.asarray(-47.3))
    return ModelCase(model, y, i_app=12.0, t1=8.0)


def membrane() -> ModelCase:
    channels = {"fast": HHSodium(g_max=90.0), "slow": HHPotassium(), "leak": Leak()}
    model = Membrane(channels=channels, C_m=0.8, V_init=-62.0)
    return ModelCase(model, model.state_at(-70.0)._replace(V=jnp.asarray(-51.7)), 15.0, 8.0)


def between_spikes(model: Any, i_app: float, t1: float) -> ModelCase:
    """A membrane, alone or in a clamp, between two spikes: no gate is in its steady state at this voltage."""
    membrane = model if isinstance(model, AbstractMembrane) else model.cell
    return ModelCase(model, membrane.state_at(-60.0)._replace(V=jnp.asarray(-47.3)), i_app, t1)


def pumping_membrane() -> ModelCase:
    """A membrane with everything that moves ions: pools, pumps, a GHK current."""
    channels = {
        "na": HHSodium(),
        "k": HHPotassium(),
        "ca": GHKChannel(TTypeCalcium(), permeability=1e-4),
        "sk": SKChannel(),
        "pump": SodiumPotassiumPump(),
        "ca_pump": CalciumPump(),
        "leak": Leak(),
    }
    pools = {
        "na": IonPool(12.0, 145.0, depth=0.5, volume_ratio=0.01, ion="na"),
        "k": IonPool(140.0, 4.0, depth=0.5, volume_ratio=0.01, ion="k"),
        "ca": CalciumPool(has_nernst=True),
        "cl": FixedConcentration(13.0, 150.0, ion="cl"),
    }
    return between_spikes(Membrane(channels, celsius=6.3, pools=pools), 15.0, 8.0)


def scheme_with_ligand() -> MarkovChannel:
    """A calcium-dependent potassium channel: calcium binds to C1, and the bound C2 opens with the voltage."""
    transitions = {
        "C1->C2": Rate(2e3, ligand="ca_i"),
        "C2->C1": Rate(0.3),
        "C2->O": Rate(0.8, per_mV=0.02),
        "O->C2": Rate(0.4, per_mV=-0.01),
    }
    return MarkovChannel(transitions, open_states=("O",), g_max=0.5, E_rev=-77.0, ion="k")


def membrane_of_schemes() -> ModelCase:
    channels = {
        "na": GatingScheme(HHSodium()),
        "k": GatingScheme(HHPotassium()),
        "kca": scheme_with_ligand(),
        "leak": Leak(),
    }
    return between_spikes(Membrane(channels, pools={"ca": CalciumPool()}), 15.0, 8.0)


def noisy(kind: str) -> NoisyCase:
    model = with_channel_noise(HodgkinHuxley(), area=20.0, kind=kind, seed=3)
    y = model.cell.state_at(-60.0)._replace(V=jnp.asarray(-47.3))
    return NoisyCase(model, y, 12.0)


def noisy_current() -> NoisyCase:
    cell = hodgkin_huxley()
    return NoisyCase(NoisyMembrane(cell.model, sigma=2.0, seed=3), cell.y, cell.i_app)


def hair_cell() -> ModelCase:
    model = HairCell()
    return ModelCase(model, model.init_state()._replace(V=jnp.asarray(-41.0)), 0.3, 8.0)


def rinzel() -> ModelCase:
    model = RinzelHodgkinHuxley()
    return ModelCase(model, model.init_state()._replace(V=jnp.asarray(-47.3)), 12.0, 8.0)


def whole_cell() -> ModelCase:
    model = WholeCell()
    return ModelCase(model, model.init_state()._replace(V=jnp.asarray(-61.3)), -80.0, 2.0)


def fitzhugh_nagumo() -> ModelCase:
    model = FitzHughNagumo()
    return ModelCase(model, _state(model, 0.4, -0.3), i_app=0.5, t1=40.0)


def lif() -> SpikingCase:
    model = LIF(b_w=0.03, tau_w=60.0)
    return SpikingCase(model, _state(model, -56.0, 0.02), i_app=0.35, t1=40.0, flow_rtol=0.0)


def adex() -> SpikingCase:
    model = AdEx(a=0.004, b=0.04, t_ref=1.3, V_reset=-60.0)
    # local error of one RK4 step on a time scale of 1 ms
    return SpikingCase(model, _state(model, -56.0, 0.02), i_app=0.9, t1=140.0, flow_rtol=1e-10)


def eif() -> SpikingCase:
    model = EIF()
    return SpikingCase(model, _state(model, -62.0), i_app=0.15, t1=90.0, flow_rtol=1e-10)


def qif() -> SpikingCase:
    model = QIF()
    return SpikingCase(model, _state(model, -61.0), i_app=0.5, t1=140.0, flow_rtol=0.0)


def izhikevich() -> SpikingCase:
    model = Izhikevich(a=0.1, d=2.0, t_ref=0.7)
    return SpikingCase(model, _state(model, -57.0, -12.0), i_app=10.0, t1=60.0, flow_rtol=1e-10)


def conductance_lif() -> SpikingCase:
    model = ConductanceLIF(t_ref=0.7)
    return SpikingCase(model, _state(model, -57.0, 0.3, 0.8), i_app=3.0, t1=70.0, flow_rtol=1e-10)


def synaptic_lif() -> SpikingCase:
    model = SynapticLIF(b_w=0.02)
    return SpikingCase(model, _state(model, -57.0, 0.03, 0.2), i_app=0.5, t1=100.0, flow_rtol=0.0)


def glif() -> SpikingCase:
    """Everything that a GLIF may have."""
    model = GLIF(
        currents={"slow": SpikeCurrent(-0.03, 100.0), "fast": SpikeCurrent(-0.1, 8.0, keep=0.8)},
        thresholds={"spike": SpikeThreshold(3.0, 20.0)},
        reset_gain=0.3,
        reset_drop=2.0,
        a_V=0.01,
        b_V=0.06,
    )
    y = model.init_state()._replace(V=jnp.asarray(-57.0), theta_V=jnp.asarray(0.7))
    y = y._replace(currents={"slow": jnp.asarray(-0.04), "fast": jnp.asarray(0.02)})
    return SpikingCase(model, y._replace(thresholds={"spike": jnp.asarray(1.5)}), 0.6, 110.0, flow_rtol=0.0)


def mat() -> SpikingCase:
    model = GLIF.preset("MAT-RS")
    y = model.init_state()._replace(V=jnp.asarray(7.0))
    y = y._replace(thresholds={"fast": jnp.asarray(20.0), "slow": jnp.asarray(3.0)})
    return SpikingCase(model, y, i_app=0.6, t1=120.0, flow_rtol=0.0)


def glif_sag() -> SpikingCase:
    model = GLIF(a_w=0.02, tau_w=60.0, reset_drop=2.0, a_V=-0.01, b_V=0.05)
    y = model.init_state()._replace(V=jnp.asarray(-57.0), theta_V=jnp.asarray(-0.7), w=jnp.asarray(0.1))
    # local error of one RK4 step on a time scale of 10 ms
    return SpikingCase(model, y, i_app=0.8, t1=90.0, flow_rtol=1e-10)


def escape_rate() -> SpikingCase:
    model = EscapeRate(LIF(b_w=0.03), seed=3)
    y = model.init_state()
    return SpikingCase(model, y._replace(cell=lif().y, hazard=0.3 * y.limit), 0.4, 130.0, flow_rtol=1e-10)


def spike_detector() -> SpikingCase:
    cell = hodgkin_huxley()
    # local error of one RK4 step, (0.02 ms / 0.3 ms)^5 / 5!
    return SpikingCase(SpikeDetector(cell.model), cell.y, cell.i_app, cell.t1, flow_rtol=1e-7)


def network() -> Network:
    cells = [LIF(R_m=90.0 + 10 * k) for k in range(3)]
    return Network(cells, AMPA(), pre=[0, 1, 0], post=[1, 2, 2], weight=0.4, delay=[1.5, 0.7, 2.0])
