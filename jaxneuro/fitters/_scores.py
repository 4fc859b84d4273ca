"""How well a fitted model does on data, its own or held out ones, in the numbers that papers report."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxneuro import params
from jaxneuro.analysis.spike_trains import coincidence_factor
from jaxneuro.fitters.search._engine import Problem
from jaxneuro.fitters.targets._features import spikes_of_both
from jaxneuro.fitters.targets._joint import Joint, loss_of, terms_of
from jaxneuro.fitters.targets._spike_trains import SpikeTrains
from jaxneuro.fitters.targets._step_response import StepResponse
from jaxneuro.fitters.targets._targets import (
    AbstractTarget,
    AbstractTrace,
    ClampCurrent,
    FICurve,
    SpikeTimes,
    VoltageTrace,
)
from jaxneuro.models import AbstractSpikingModel

__all__ = ["Scores", "scores_of", "transferred"]

Scores = dict[str, tuple[float, str]]
"""Name of a score -> its value and unit."""

_PRECISION = 4.0  # ms, of coincidences: Jolivet et al. (2008), J Neurosci Methods 169:417


def scores_of(target: AbstractTarget, prediction: Any) -> dict[str, Scores]:
    """Term of a target -> scores of a model's answer to it; a target that is no `Joint` has one term, called "all".

    Of a trace its RMS error and the share of the variance that is explained, where data and model are compared, and
    what is told of spike times if it is compared as a whole; of an f-I curve the RMS error of the counted rates; of
    spike times the numbers of spikes, the error of the first one's and the coincidence factor (4 ms); of a step
    response the largest errors of peaks and troughs too; of spike trains the negative logarithm of the likelihood.
    """
    return {name: _scores(*term) for name, term in terms_of(target, prediction).items()}


def _scores(target: AbstractTarget, prediction: Any) -> Scores:
    return _KINDS.get(type(target), _of_loss)(target, prediction)


def _of_loss(target: AbstractTarget, prediction: Any) -> Scores:
    loss = loss_of(target)
    return {"loss": (float(loss.value(loss(prediction, target), target)), loss.unit)}


def _of_trace(target: AbstractTrace, prediction: Any) -> Scores:
    data, model = (np.asarray(values)[target.is_compared] for values in (target.data, target.recorded(prediction)))
    squares, spread = np.mean((model - data) ** 2), np.var(data)
    explained = 1 - squares / spread if spread > 0 else np.nan
    found = {"RMS error": (float(np.sqrt(squares)), target.unit), "explained variance": (float(explained), "1")}
    return found | (_of_its_spikes(target, prediction) if isinstance(target, VoltageTrace) else {})


def _of_its_spikes(target: VoltageTrace, prediction: Any) -> Scores:
    if target.mask is not None or isinstance(prediction.model, AbstractSpikingModel):
        return {}
    data, model = spikes_of_both(target, prediction)
    return _of_times(data, model, target.t1 - target.t0) if data.size or model.size else {}


def _of_curve(target: FICurve, prediction: Any) -> Scores:
    error = np.asarray(prediction.rate) - np.asarray(target.rate)
    return {"RMS error": (float(np.sqrt(np.mean(error**2))), "Hz")}


def _of_spikes(target: SpikeTimes, prediction: Any) -> Scores:
    data, model = (np.asarray(times)[np.isfinite(times)] for times in (target.times, prediction.spike_times))
    return _of_times(data, model[model <= target.t1], target.t1)


def _of_times(data: np.ndarray, model: np.ndarray, duration: float) -> Scores:
    scores = {"spikes of data": (float(data.size), "1"), "spikes of model": (float(model.size), "1")}
    if data.size and model.size:
        scores["error of first"] = (float(model[0] - data[0]), "ms")
    if data.size:
        gamma = coincidence_factor(data, model, duration=duration, precision=_PRECISION) if model.size else 0.0
        scores["coincidence"] = (float(gamma), "1")
    return scores


def _of_step(target: StepResponse, prediction: Any) -> Scores:
    data, model = target.features, target.model_features(target.recorded(prediction))
    is_inside = np.asarray(model.has_spike & (model.time < target.end))
    times = np.asarray(data.time)[np.asarray(data.has_spike)], np.asarray(model.time)[is_inside]
    scores = _of_times(*times, target.end)
    both = np.asarray(data.is_over & model.is_over)
    for name, (of_data, of_model) in {
        "error of peaks": (data.peak, model.peak),
        "error of troughs": (data.trough, model.trough),
    }.items():
        if both.any():
            scores[name] = (float(np.max(np.abs(np.asarray(of_model - of_data)[both]))), "mV")
    return scores


def _of_trains(target: SpikeTrains, prediction: Any) -> Scores:
    return {"-ln likelihood": _of_loss(target, prediction)["loss"]}


_KINDS = {
    VoltageTrace: _of_trace,
    ClampCurrent: _of_trace,
    FICurve: _of_curve,
    SpikeTimes: _of_spikes,
    StepResponse: _of_step,
    SpikeTrains: _of_trains,
}


def transferred(problem: Problem, values: Mapping[str, float], target: AbstractTarget) -> AbstractTarget:
    """Another target with the fitted values of the first one's parameters, such as the electrode's, where it has the
    same. Of a `Joint` those that all its terms share are handed on, and those of single ones stay with them."""
    moved: dict[str, Any] = {}
    for name, paths in zip(problem.names, problem.paths, strict=True):
        own = [path.removeprefix("target.") for path in paths if path.startswith("target.")]
        if own and isinstance(problem.target, Joint):
            ends = (name[1:],) if name.startswith("*.") else ()
        else:
            ends = tuple(f".{path}" for path in own)
        for path in params.params(target):
            if path in own or f".{path}".endswith(ends):
                moved[path] = jnp.asarray(values[name])
    return params.replace(target, moved)
