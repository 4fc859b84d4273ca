"""Every public class, by name: a new one is one line here, and every law runs on it.

Values are functions without arguments, so that nothing is built at import. A case carries what the
laws need beside the object: a state away from rest, an input that makes the model fire, a window.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from cases import (
    ModelCase,
    NoisyCase,
    SpikingCase,
    StepperCase,
    StimulusCase,
    adex,
    between_spikes,
    conductance_lif,
    eif,
    escape_rate,
    fitzhugh_nagumo,
    glif,
    glif_sag,
    hair_cell,
    hodgkin_huxley,
    izhikevich,
    lif,
    mat,
    membrane,
    membrane_of_schemes,
    network,
    noisy,
    noisy_current,
    pumping_membrane,
    qif,
    rinzel,
    scheme_with_ligand,
    spike_detector,
    synaptic_lif,
    whole_cell,
)

import jaxneuro.channels
import jaxneuro.ions
import jaxneuro.models
import jaxneuro.solvers
import jaxneuro.stimuli
import jaxneuro.surrogates
import jaxneuro.synapses
from jaxneuro import fitters
from jaxneuro.channels import (
    AbstractChannel,
    AbstractChannelNoise,
    BKChannel,
    CalciumPump,
    ConnorStevensA,
    ConnorStevensPotassium,
    ConnorStevensSodium,
    GatingScheme,
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
    Rate,
    SKChannel,
    SodiumPotassiumPump,
    StateNoise,
    SubunitNoise,
    TraubMilesPotassium,
    TraubMilesSodium,
    TTypeCalcium,
    WangBuzsakiPotassium,
    WangBuzsakiSodium,
)
from jaxneuro.fitters.search._transforms import Above, AbstractTransform, Below, Between, BetweenPositive, Unbounded
from jaxneuro.fitters.targets._losses import AbstractLoss
from jaxneuro.ions import AbstractIonPool, CalciumPool, FixedConcentration, IonPool
from jaxneuro.models import (
    LIF,
    AbstractModel,
    ConnorStevens,
    DynamicClamp,
    FastSpiking,
    HodgkinHuxley,
    IdealClamp,
    IntrinsicallyBursting,
    LowThresholdSpiking,
    Membrane,
    MorrisLecar,
    Network,
    PassiveMembrane,
    RegularSpiking,
    SpikeCurrent,
    SpikeThreshold,
    TraubMiles,
    VoltageClamp,
    WangBuzsaki,
)
from jaxneuro.solvers import (
    RK4,
    AbstractSolver,
    Adaptive,
    DiscreteChannels,
    Euler,
    EulerMaruyama,
    ExactSpikes,
    ExponentialEuler,
    ExponentialStrang,
    FixedStep,
    Heun,
    Tsit5,
)
from jaxneuro.stimuli import (
    Chirp,
    Constant,
    Levels,
    OrnsteinUhlenbeck,
    Pulses,
    Ramp,
    Sampled,
    Sine,
    Step,
)
from jaxneuro.surrogates import (
    AbstractSurrogate,
    Arctan,
    CustomSurrogate,
    Gaussian,
    MultiGaussian,
    Sigmoid,
    StraightThrough,
    SuperSpike,
    Triangular,
)
from jaxneuro.synapses import AMPA, NMDA, AbstractSynapse

CHANNELS: dict[str, Callable[[], AbstractChannel]] = {
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
    "GatingScheme": lambda: GatingScheme(HHSodium()),
    "MarkovChannel": scheme_with_ligand,
}

# parts of channels
RATES: dict[str, Callable[[], Rate]] = {
    "Rate": lambda: Rate(0.5, per_mV=0.04),
    "Rate-ligand": lambda: Rate(2e3, ligand="ca_i"),
}

NOISES: dict[str, Callable[[], AbstractChannelNoise]] = {
    "StateNoise": lambda: StateNoise(600.0),
    "SubunitNoise": lambda: SubunitNoise(600.0),
}

SMOOTH_MODELS: dict[str, Callable[[], ModelCase]] = {
    "HodgkinHuxley": hodgkin_huxley,
    "Membrane": membrane,
    "Membrane-pumping": pumping_membrane,
    "Membrane-schemes": membrane_of_schemes,
    "PassiveMembrane": lambda: between_spikes(PassiveMembrane(), 2.0, 8.0),
    "ConnorStevens": lambda: between_spikes(ConnorStevens(), 40.0, 8.0),
    "WangBuzsaki": lambda: between_spikes(WangBuzsaki(), 5.0, 8.0),
    "TraubMiles": lambda: between_spikes(TraubMiles(), 5.0, 8.0),
    "MorrisLecar": lambda: between_spikes(MorrisLecar(), 120.0, 20.0),
    "RegularSpiking": lambda: between_spikes(RegularSpiking(), 5.0, 8.0),
    "FastSpiking": lambda: between_spikes(FastSpiking(), 20.0, 8.0),
    "IntrinsicallyBursting": lambda: between_spikes(IntrinsicallyBursting(), 20.0, 8.0),
    "LowThresholdSpiking": lambda: between_spikes(LowThresholdSpiking(), 5.0, 8.0),
    "HairCell": hair_cell,
    "WholeCell": whole_cell,
    "RinzelHodgkinHuxley": rinzel,
    "FitzHughNagumo": fitzhugh_nagumo,
}

# their input is a command voltage [mV] or a conductance [mS/cm^2]; in an ideal clamp V does not move
CLAMPS: dict[str, Callable[[], ModelCase]] = {
    "DynamicClamp": lambda: between_spikes(DynamicClamp(HodgkinHuxley()), 0.3, 8.0),
    "IdealClamp": lambda: between_spikes(IdealClamp(HodgkinHuxley()), -10.0, 8.0),
    "VoltageClamp": lambda: between_spikes(VoltageClamp(HodgkinHuxley()), -10.0, 8.0),
}

# only `EulerMaruyama` and `DiscreteChannels` drive them
NOISY_MODELS: dict[str, Callable[[], NoisyCase]] = {
    "NoisyMembrane": lambda: noisy("state"),
    "NoisyMembrane-subunit": lambda: noisy("subunit"),
    "NoisyMembrane-current": noisy_current,
}

POOLS: dict[str, Callable[[], AbstractIonPool]] = {
    "CalciumPool": CalciumPool,
    "FixedConcentration": lambda: FixedConcentration(100.0, 5.0, ion="k"),
    "IonPool": lambda: IonPool(15.0, 145.0, ion="na"),
}

SPIKING_MODELS: dict[str, Callable[[], SpikingCase]] = {
    "LIF": lif,
    "AdEx": adex,
    "ConductanceLIF": conductance_lif,
    "EIF": eif,
    "EscapeRate": escape_rate,
    "GLIF": glif,
    "GLIF-MAT": mat,
    "GLIF-sag": glif_sag,
    "Izhikevich": izhikevich,
    "QIF": qif,
    "SynapticLIF": synaptic_lif,
    "SpikeDetector": spike_detector,
}

# parts of models
SPIKE_EFFECTS: dict[str, Callable[[], eqx.Module]] = {
    "SpikeCurrent": lambda: SpikeCurrent(-0.05, 100.0),
    "SpikeThreshold": lambda: SpikeThreshold(10.0, 20.0),
}

NETWORKS: dict[str, Callable[[], Network]] = {
    "Network": network,
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
    "Levels": lambda: StimulusCase(Levels([-0.5, 1.5, 0.4], starts=[0.0, 1.3, 5.5]), (0.0, 10.0)),
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

SURROGATES: dict[str, Callable[[], AbstractSurrogate]] = {
    "SuperSpike": lambda: SuperSpike(0.7),
    "Sigmoid": lambda: Sigmoid(0.7, normalize="area"),
    "Arctan": lambda: Arctan(0.7),
    "Triangular": lambda: Triangular(0.3, normalize="area"),
    "Gaussian": lambda: Gaussian(0.7),
    "MultiGaussian": lambda: MultiGaussian(0.7, normalize="area"),
    "StraightThrough": StraightThrough,
    "CustomSurrogate": lambda: CustomSurrogate(lambda x: jnp.exp(-x * x), _gauss_integral, area=math.sqrt(math.pi)),
}


def _gauss_integral(x: Any) -> Any:
    return 0.5 * math.sqrt(math.pi) * jax.scipy.special.erf(x)


# for noisy models alone
NOISY_SOLVERS: dict[str, Callable[[], AbstractSolver]] = {
    "DiscreteChannels": lambda: DiscreteChannels(0.02),
    "EulerMaruyama": lambda: EulerMaruyama(0.01),
}

# package -> the dictionaries that hold its classes
COVERED = {
    jaxneuro.channels: (CHANNELS, RATES, NOISES),
    jaxneuro.ions: (POOLS,),
    jaxneuro.models: (SMOOTH_MODELS, CLAMPS, NOISY_MODELS, SPIKING_MODELS, SPIKE_EFFECTS, NETWORKS),
    jaxneuro.surrogates: (SURROGATES,),
    jaxneuro.solvers: (STEPPERS, SOLVERS, NOISY_SOLVERS),
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
    target = fitters.VoltageTrace(0.1, -65.0 + 2.0 * np.sin(np.arange(60)), Step(1.0, 1.0))
    return LossCase(loss, target, cell, FixedStep(0.1), {"leak.g_max": 0.2, "C_m": 1.1})


def _fi_case() -> LossCase:
    # one current without spikes in both, one in the data alone, one in the model alone, one in both
    current = [0.05, 0.19, 0.3, 0.45]
    target = fitters.FICurve(current, [0.0, 10.0, 0.0, 40.0], duration=100.0)
    return LossCase(fitters.FILoss(), target, LIF(), ExactSpikes(1.0), {"V_th": -50.2, "tau_m": 21.0})


def _spike_case(loss: AbstractLoss, n: int) -> LossCase:
    # the model fires three times in 80 ms: n = 2 leaves one too many, n = 4 one too few
    times = np.linspace(20.0, 70.0, n)
    target = fitters.SpikeTimes(times, Step(0.3, 5.0), t1=80.0, room=n + 4)
    return LossCase(loss, target, LIF(), ExactSpikes(0.5), {"V_th": -50.2, "tau_m": 21.0})


LOSSES: dict[str, Callable[[], LossCase]] = {
    "TraceLoss": lambda: _trace_case(fitters.TraceLoss()),
    "TraceLoss-huber": lambda: _trace_case(fitters.TraceLoss(huber=1.0)),
    "FILoss": _fi_case,
    "WindowLoss": lambda: _trace_case(fitters.WindowLoss(1.5)),
    "WindowLoss-listed": lambda: _trace_case(fitters.WindowLoss([(0.0, 1.0), (0.5, 4.0)])),
    "PhasePlaneLoss": lambda: _trace_case(fitters.PhasePlaneLoss()),
    "SoftDTW": lambda: _trace_case(fitters.SoftDTW(2.0, pool=0.3, stride=0.2, penalty=0.5)),
    "SpikeTimeLoss-surplus": lambda: _spike_case(fitters.SpikeTimeLoss(), 2),
    "SpikeTimeLoss-missing": lambda: _spike_case(fitters.SpikeTimeLoss(), 4),
    "VanRossumLoss-surplus": lambda: _spike_case(fitters.VanRossumLoss(), 2),
    "VanRossumLoss-missing": lambda: _spike_case(fitters.VanRossumLoss(), 4),
}

TRANSFORMS: dict[str, Callable[[], AbstractTransform]] = {
    "Between": lambda: Between(-3.0, 2.0),
    "BetweenPositive": lambda: BetweenPositive(0.1, 25.0),
    "Above": lambda: Above(-1.0, 4.0),
    "Below": lambda: Below(7.0, 0.5),
    "Unbounded": lambda: Unbounded(-65.0, 10.0),
}
