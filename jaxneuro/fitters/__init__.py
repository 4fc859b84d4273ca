"""Fits to data: targets, losses, bounds, and the multi-start search.

`targets` is what a model is compared with, and the losses; `search` finds parameters; `_fit` and `_result` are what a
user calls and gets; `uncertainty` tells how sure it is.

The strategies of `fit`:

- "nudging", for voltage traces of a smooth model: a passive fit of its capacitance and the series resistance, where
  they are free, a convex one of its conductances at the best of several kinetics, then Levenberg-Marquardt steps on
  runs drawn to the data with 2, 0.5, 0.1, 0.02 and at last 0 /ms.
- "descent": the steps of an optimiser of gradients, then Levenberg-Marquardt ones. With a `VanRossumLoss` its tau
  shortens over four stages, from a quarter of the run to the loss' own.
- "newton": the latter alone, near the optimum or of likelihoods. They end when nothing is gained any more.
- "population": searches by 25 and 15 generations of 48 around each start (CMA-ES), before Levenberg-Marquardt steps
  each, where a model may fall silent.
- "auto": nudging for voltage traces, and where its best run has other spikes than the data, or has them elsewhere,
  populations and Levenberg-Marquardt steps on the features of the spikes (`FeatureLoss`), from the two starts nearest
  to these; population for step responses, newton for likelihoods, descent for all else.

References: Kingma & Ba (2015), ICLR, arXiv:1412.6980 (Adam); Marquardt (1963), J Soc Indust Appl Math 11:431.
doi:10.1137/0111030; Hansen & Ostermeier (2001), Evol Comput 9:159. doi:10.1162/106365601750190398 (CMA-ES); Liu &
Nocedal (1989), Math Program 45:503. doi:10.1007/BF01589116 (L-BFGS).
"""

from jaxneuro.fitters._fit import fit as fit
from jaxneuro.fitters._play import Played as Played
from jaxneuro.fitters._play import play as play
from jaxneuro.fitters._recording import fi_problem as fi_problem
from jaxneuro.fitters._recording import fit_fi_table as fit_fi_table
from jaxneuro.fitters._recording import fit_recording_fi as fit_recording_fi
from jaxneuro.fitters._recording import measured_lif as measured_lif
from jaxneuro.fitters._result import FitRecord as FitRecord
from jaxneuro.fitters._result import FitResult as FitResult
from jaxneuro.fitters._result import FittedParam as FittedParam
from jaxneuro.fitters._result import load as load
from jaxneuro.fitters._sensitivity import Sensitivity as Sensitivity
from jaxneuro.fitters._sweeps import responses_of as responses_of
from jaxneuro.fitters._sweeps import spikes_of as spikes_of
from jaxneuro.fitters._sweeps import stimulus_of as stimulus_of
from jaxneuro.fitters._sweeps import trace_of as trace_of
from jaxneuro.fitters.search._control import Progress as Progress
from jaxneuro.fitters.search._optimizers import polyak as polyak
from jaxneuro.fitters.search._priors import LogNormal as LogNormal
from jaxneuro.fitters.search._priors import Normal as Normal
from jaxneuro.fitters.search._stages import StageReport as StageReport
from jaxneuro.fitters.targets._electrode import Electrode as Electrode
from jaxneuro.fitters.targets._feature_loss import FeatureLoss as FeatureLoss
from jaxneuro.fitters.targets._joint import Joint as Joint
from jaxneuro.fitters.targets._joint import JointLoss as JointLoss
from jaxneuro.fitters.targets._losses import CurrentLoss as CurrentLoss
from jaxneuro.fitters.targets._losses import FILoss as FILoss
from jaxneuro.fitters.targets._losses import SpikeTimeLoss as SpikeTimeLoss
from jaxneuro.fitters.targets._losses import TraceLoss as TraceLoss
from jaxneuro.fitters.targets._nudging import Guide as Guide
from jaxneuro.fitters.targets._nudging import Nudged as Nudged
from jaxneuro.fitters.targets._shooting import MultipleShooting as MultipleShooting
from jaxneuro.fitters.targets._shooting import ShootingLoss as ShootingLoss
from jaxneuro.fitters.targets._spike_trains import SpikeLikelihood as SpikeLikelihood
from jaxneuro.fitters.targets._spike_trains import SpikeTrains as SpikeTrains
from jaxneuro.fitters.targets._step_response import StepResponse as StepResponse
from jaxneuro.fitters.targets._targets import AbstractTarget as AbstractTarget
from jaxneuro.fitters.targets._targets import ClampCurrent as ClampCurrent
from jaxneuro.fitters.targets._targets import FICurve as FICurve
from jaxneuro.fitters.targets._targets import SpikeTimes as SpikeTimes
from jaxneuro.fitters.targets._targets import VoltageTrace as VoltageTrace
from jaxneuro.fitters.targets._trace_losses import PhasePlaneLoss as PhasePlaneLoss
from jaxneuro.fitters.targets._trace_losses import SoftDTW as SoftDTW
from jaxneuro.fitters.targets._trace_losses import WindowLoss as WindowLoss
from jaxneuro.fitters.targets._van_rossum import VanRossumLoss as VanRossumLoss
from jaxneuro.fitters.uncertainty._bootstrap import Bootstrap as Bootstrap
from jaxneuro.fitters.uncertainty._bootstrap import bootstrap as bootstrap
from jaxneuro.fitters.uncertainty._gradient_health import GradientHealth as GradientHealth
from jaxneuro.fitters.uncertainty._gradient_health import gradient_health as gradient_health
from jaxneuro.fitters.uncertainty._posterior import Posterior as Posterior
from jaxneuro.fitters.uncertainty._posterior import posterior as posterior
from jaxneuro.fitters.uncertainty._profile import Profile as Profile
from jaxneuro.fitters.uncertainty._profile import profile as profile

__all__ = [
    "AbstractTarget",
    "Bootstrap",
    "ClampCurrent",
    "CurrentLoss",
    "Electrode",
    "FICurve",
    "FeatureLoss",
    "LogNormal",
    "Normal",
    "StepResponse",
    "FILoss",
    "FitRecord",
    "FitResult",
    "FittedParam",
    "GradientHealth",
    "Guide",
    "Joint",
    "JointLoss",
    "MultipleShooting",
    "Nudged",
    "PhasePlaneLoss",
    "Played",
    "Posterior",
    "Profile",
    "Progress",
    "Sensitivity",
    "ShootingLoss",
    "SoftDTW",
    "SpikeLikelihood",
    "SpikeTimeLoss",
    "SpikeTimes",
    "SpikeTrains",
    "StageReport",
    "TraceLoss",
    "VanRossumLoss",
    "VoltageTrace",
    "WindowLoss",
    "bootstrap",
    "fi_problem",
    "fit",
    "fit_fi_table",
    "fit_recording_fi",
    "gradient_health",
    "load",
    "measured_lif",
    "play",
    "polyak",
    "posterior",
    "profile",
    "responses_of",
    "spikes_of",
    "stimulus_of",
    "trace_of",
]
