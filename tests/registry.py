"""Every public class, by name: a new one is one line here, and every law runs on it.

Values are functions without arguments, so that nothing is built at import. A case carries what the
laws need beside the object: a state away from rest, an input that makes the model fire, a window.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np

import jaxneuro.channels
import jaxneuro.ions
import jaxneuro.models
import jaxneuro.solvers
import jaxneuro.stimuli
import jaxneuro.synapses
from jaxneuro.channels import (
    AbstractOhmicChannel,
    BKChannel,
    CalciumPump,
    ConnorStevensA,
    ConnorStevensPotassium,
    ConnorStevensSodium,
    GHKChannel,
    HCurrent,
    HHPotassium,
    HHSodium,
    Leak,
    LTypeCalcium,
    MainenSejnowskiM,
    MainenSejnowskiPotassium,
    MainenSejnowskiSodium,
    MCurrent,
    MechanicallyGated,
    MorrisLecarCalcium,
    MorrisLecarPotassium,
    PersistentSodium,
    SKChannel,
    SodiumPotassiumPump,
    TraubMilesPotassium,
    TraubMilesSodium,
    TTypeCalcium,
    WangBuzsakiPotassium,
    WangBuzsakiSodium,
)
from jaxneuro.fitters import FICurve, FILoss, SpikeTimeLoss, SpikeTimes, TraceLoss, VoltageTrace
from jaxneuro.fitters._losses import AbstractLoss
from jaxneuro.fitters._transforms import Above, AbstractTransform, Below, Between, BetweenPositive, Unbounded
from jaxneuro.ions import AbstractIonPool, CalciumPool, FixedConcentration, IonPool
from jaxneuro.models import (
    LIF,
    AbstractModel,
    AbstractSpikingModel,
    ConnorStevens,
    FastSpiking,
    FitzHughNagumo,
    HairCell,
    HodgkinHuxley,
    IntrinsicallyBursting,
    LowThresholdSpiking,
    Membrane,
    MorrisLecar,
    Network,
    PassiveMembrane,
    RegularSpiking,
    RinzelHodgkinHuxley,
    SpikeDetector,
    TraubMiles,
    WangBuzsaki,
)
from jaxneuro.solvers import (
    RK4,
    AbstractSolver,
    Adaptive,
    Euler,
    ExactSpikes,
    ExponentialEuler,
    ExponentialStrang,
    FixedStep,
    Heun,
    Tsit5,
)
from jaxneuro.stimuli import (
    AbstractStimulus,
    Chirp,
    Constant,
    OrnsteinUhlenbeck,
    Pulses,
    Ramp,
    Sampled,
    Sine,
    Step,
)
from jaxneuro.synapses import AMPA, NMDA, AbstractSynapse


class ModelCase(NamedTuple):
    """A model, a state away from rest, an input [its unit] and a time [ms] in which it fires."""

    model: AbstractModel
    y: Any
    i_app: float
    t1: float


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


def _hodgkin_huxley() -> ModelCase:
    model = HodgkinHuxley()
    # between two spikes: no gate is in its steady state at this voltage
    y = model.state_at(-60.0)._replace(V=jnp.asarray(-47.3))
    return ModelCase(model, y, i_app=12.0, t1=8.0)


def _membrane() -> ModelCase:
    channels = {"fast": HHSodium(g_max=90.0), "slow": HHPotassium(), "leak": Leak()}
    model = Membrane(channels=channels, C_m=0.8, V_init=-62.0)
    return ModelCase(model, model.state_at(-70.0)._replace(V=jnp.asarray(-51.7)), 15.0, 8.0)


def _cell(model: Any, i_app: float, t1: float) -> ModelCase:
    """A membrane between two spikes: no gate is in its steady state at this voltage."""
    return ModelCase(model, model.state_at(-60.0)._replace(V=jnp.asarray(-47.3)), i_app, t1)


def _pumping_membrane() -> ModelCase:
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
    return _cell(Membrane(channels, celsius=6.3, pools=pools), 15.0, 8.0)


def _hair_cell() -> ModelCase:
    model = HairCell()
    return ModelCase(model, model.init_state()._replace(V=jnp.asarray(-41.0)), 0.3, 8.0)


def _rinzel() -> ModelCase:
    model = RinzelHodgkinHuxley()
    return ModelCase(model, model.init_state()._replace(V=jnp.asarray(-47.3)), 12.0, 8.0)


def _fitzhugh_nagumo() -> ModelCase:
    model = FitzHughNagumo()
    return ModelCase(model, _state(model, 0.4, -0.3), i_app=0.5, t1=40.0)


def _lif() -> SpikingCase:
    model = LIF(b_w=0.03, tau_w=60.0)
    return SpikingCase(model, _state(model, -56.0, 0.02), i_app=0.35, t1=40.0, flow_rtol=0.0)


def _spike_detector() -> SpikingCase:
    cell = _hodgkin_huxley()
    # local error of one RK4 step, (0.02 ms / 0.3 ms)^5 / 5!
    return SpikingCase(SpikeDetector(cell.model), cell.y, cell.i_app, cell.t1, flow_rtol=1e-7)


def _network() -> Network:
    cells = [LIF(R_m=90.0 + 10 * k) for k in range(3)]
    return Network(cells, AMPA(), pre=[0, 1, 0], post=[1, 2, 2], weight=0.4, delay=[1.5, 0.7, 2.0])


CHANNELS: dict[str, Callable[[], AbstractOhmicChannel]] = {
    "HHSodium": HHSodium,
    "HHPotassium": HHPotassium,
    "Leak": Leak,
    "HCurrent": HCurrent,
    "BKChannel": BKChannel,
    "SKChannel": SKChannel,
    "PersistentSodium": PersistentSodium,
    "MechanicallyGated": MechanicallyGated,
    "CalciumPump": CalciumPump,
    "SodiumPotassiumPump": SodiumPotassiumPump,
    "GHKChannel": lambda: GHKChannel(TTypeCalcium()),
    "ConnorStevensA": ConnorStevensA,
    "ConnorStevensPotassium": ConnorStevensPotassium,
    "ConnorStevensSodium": ConnorStevensSodium,
    "TTypeCalcium": TTypeCalcium,
    "MainenSejnowskiM": MainenSejnowskiM,
    "MainenSejnowskiPotassium": MainenSejnowskiPotassium,
    "MainenSejnowskiSodium": MainenSejnowskiSodium,
    "MorrisLecarCalcium": MorrisLecarCalcium,
    "MorrisLecarPotassium": MorrisLecarPotassium,
    "LTypeCalcium": LTypeCalcium,
    "TraubMilesPotassium": TraubMilesPotassium,
    "TraubMilesSodium": TraubMilesSodium,
    "WangBuzsakiPotassium": WangBuzsakiPotassium,
    "WangBuzsakiSodium": WangBuzsakiSodium,
    "MCurrent": MCurrent,
}

SMOOTH_MODELS: dict[str, Callable[[], ModelCase]] = {
    "HodgkinHuxley": _hodgkin_huxley,
    "Membrane": _membrane,
    "Membrane-pumping": _pumping_membrane,
    "PassiveMembrane": lambda: _cell(PassiveMembrane(), 2.0, 8.0),
    "ConnorStevens": lambda: _cell(ConnorStevens(), 15.0, 8.0),
    "WangBuzsaki": lambda: _cell(WangBuzsaki(), 5.0, 8.0),
    "TraubMiles": lambda: _cell(TraubMiles(), 5.0, 8.0),
    "MorrisLecar": lambda: _cell(MorrisLecar(), 120.0, 20.0),
    "RegularSpiking": lambda: _cell(RegularSpiking(), 5.0, 8.0),
    "FastSpiking": lambda: _cell(FastSpiking(), 5.0, 8.0),
    "IntrinsicallyBursting": lambda: _cell(IntrinsicallyBursting(), 5.0, 8.0),
    "LowThresholdSpiking": lambda: _cell(LowThresholdSpiking(), 5.0, 8.0),
    "HairCell": _hair_cell,
    "RinzelHodgkinHuxley": _rinzel,
    "FitzHughNagumo": _fitzhugh_nagumo,
}

POOLS: dict[str, Callable[[], AbstractIonPool]] = {
    "CalciumPool": CalciumPool,
    "FixedConcentration": lambda: FixedConcentration(100.0, 5.0, ion="k"),
    "IonPool": lambda: IonPool(15.0, 145.0, ion="na"),
}

SPIKING_MODELS: dict[str, Callable[[], SpikingCase]] = {
    "LIF": _lif,
    "SpikeDetector": _spike_detector,
}

NETWORKS: dict[str, Callable[[], Network]] = {
    "Network": _network,
}

SYNAPSES: dict[str, Callable[[], AbstractSynapse]] = {
    "AMPA": AMPA,
    "NMDA": NMDA,
}

_SAMPLES = np.array([0.0, 0.4, -0.3, 1.2, 0.9, 0.9, -0.1])

STIMULI: dict[str, Callable[[], StimulusCase]] = {
    "Constant": lambda: StimulusCase(Constant(1.5), (0.0, 10.0)),
    "Step": lambda: StimulusCase(Step(2.0, onset=1.3, duration=4.2), (0.0, 10.0)),
    "Step-for-ever": lambda: StimulusCase(Step(2.0, onset=1.3), (0.0, 10.0)),
    "Pulses": lambda: StimulusCase(Pulses(1.1, 0.7, 0.9, 2.3, count=3), (0.0, 10.0)),
    "Ramp": lambda: StimulusCase(Ramp(-0.5, 1.5, onset=1.1, duration=6.3), (0.0, 10.0)),
    "Sine": lambda: StimulusCase(Sine(1.2, 80.0, 0.3, 0.4, 1.7, 6.6), (0.0, 10.0)),
    "Chirp": lambda: StimulusCase(Chirp(1.2, 10.0, 200.0, 0.9, 8.3), (0.0, 10.0)),
    "Sampled": lambda: StimulusCase(Sampled(_SAMPLES, dt=1.5, onset=0.5), (0.5, 9.5)),
    "OrnsteinUhlenbeck": lambda: StimulusCase(OrnsteinUhlenbeck(0.3, 0.8, tau=2.0, t1=10.0, dt=0.1), (0.0, 10.0)),
    "Sum": lambda: StimulusCase(Step(2.0, 1.3, 4.2) + Sine(0.5, 50.0, onset=2.2), (0.0, 10.0)),
}

# Steps small enough for the order to show, large enough for it to stand above rounding.
STEPPERS: dict[str, Callable[[], StepperCase]] = {
    "RK4": lambda: StepperCase(RK4(), 4, (0.02, 0.01, 0.005)),
    "Tsit5": lambda: StepperCase(Tsit5(), 5, (0.02, 0.01, 0.005), slack=0.8),
    "Heun": lambda: StepperCase(Heun(), 2, (0.01, 0.005, 0.0025)),
    "Euler": lambda: StepperCase(Euler(), 1, (0.005, 0.0025, 0.00125)),
    "ExponentialStrang": lambda: StepperCase(ExponentialStrang(), 2, (0.02, 0.01, 0.005)),
    "ExponentialEuler": lambda: StepperCase(ExponentialEuler(), 1, (0.005, 0.0025, 0.00125)),
}

SOLVERS: dict[str, Callable[[], AbstractSolver]] = {
    "Adaptive": lambda: Adaptive(rtol=1e-9, atol=1e-9),
    "FixedStep": lambda: FixedStep(0.025),
    "FixedStep-RK4": lambda: FixedStep(0.025, solver=RK4()),
    "FixedStep-ExponentialEuler": lambda: FixedStep(0.025, solver=ExponentialEuler()),
    "ExactSpikes": lambda: ExactSpikes(0.1),
}

# package -> the dictionaries that hold its classes
COVERED = {
    jaxneuro.channels: (CHANNELS,),
    jaxneuro.ions: (POOLS,),
    jaxneuro.models: (SMOOTH_MODELS, SPIKING_MODELS, NETWORKS),
    jaxneuro.solvers: (STEPPERS, SOLVERS),
    jaxneuro.stimuli: (STIMULI,),
    jaxneuro.synapses: (SYNAPSES,),
}


def subject(made: Any) -> eqx.Module:
    """The registered object itself: the first field of a case, or what the factory returned."""
    return made[0] if isinstance(made, tuple) else made


def all_subjects() -> dict[str, Callable[[], eqx.Module]]:
    """Name -> function that builds the object, over all dictionaries."""
    return {
        name: lambda make=make: subject(make())
        for groups in COVERED.values()
        for group in groups
        for name, make in group.items()
    }


class LossCase(NamedTuple):
    """A loss, its target, and a model that misses it, with parameters that move the loss."""

    loss: AbstractLoss
    target: Any
    model: AbstractModel
    solver: AbstractSolver
    values: dict[str, float]


def _trace_case(loss: AbstractLoss) -> LossCase:
    cell = Membrane(channels={"leak": Leak(g_max=0.2, E_rev=-65.0)})
    target = VoltageTrace(0.1, -65.0 + 2.0 * np.sin(np.arange(60)), Step(1.0, 1.0))
    return LossCase(loss, target, cell, FixedStep(0.1), {"leak.g_max": 0.2, "C_m": 1.1})


def _fi_case() -> LossCase:
    # one current without spikes in both, one in the data alone, one in the model alone, one in both
    current = [0.05, 0.19, 0.3, 0.45]
    target = FICurve(current, [0.0, 10.0, 0.0, 40.0], duration=100.0)
    return LossCase(FILoss(), target, LIF(), ExactSpikes(1.0), {"V_th": -50.2, "tau_m": 21.0})


def _spike_case(n: int) -> LossCase:
    # the model fires three times in 80 ms: n = 2 leaves one too many, n = 4 one too few
    times = np.linspace(20.0, 70.0, n)
    target = SpikeTimes(times, Step(0.3, 5.0), t1=80.0, surplus=4)
    return LossCase(SpikeTimeLoss(), target, LIF(), ExactSpikes(0.5), {"V_th": -50.2, "tau_m": 21.0})


LOSSES: dict[str, Callable[[], LossCase]] = {
    "TraceLoss": lambda: _trace_case(TraceLoss()),
    "TraceLoss-huber": lambda: _trace_case(TraceLoss(huber=1.0)),
    "FILoss": _fi_case,
    "SpikeTimeLoss-surplus": lambda: _spike_case(2),
    "SpikeTimeLoss-missing": lambda: _spike_case(4),
}

TRANSFORMS: dict[str, Callable[[], AbstractTransform]] = {
    "Between": lambda: Between(-3.0, 2.0),
    "BetweenPositive": lambda: BetweenPositive(0.1, 25.0),
    "Above": lambda: Above(-1.0, 4.0),
    "Below": lambda: Below(7.0, 0.5),
    "Unbounded": lambda: Unbounded(-65.0, 10.0),
}
