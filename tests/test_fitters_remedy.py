"""What `strategy="auto"` does where no run fires as its data do: a population fits the features of the spikes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxneuro import Euler, FitzHughNagumo, FixedStep, Step, params, simulate
from jaxneuro.fitters import FeatureLoss, Joint, TraceLoss, VoltageTrace, fit
from jaxneuro.fitters.search import _stages, _strategy
from jaxneuro.fitters.search._experiment import Experiment
from jaxneuro.fitters.search._firing import fires_alike, has_spikes
from jaxneuro.models import RegularSpiking
from jaxneuro.plot import plot_fit

DT = 0.05
STIMULUS = Step(4.0, 5.0)
FREE = {"na.g_max": (10.0, 200.0), "k.g_max": (1.0, 30.0), "leak.g_max": (0.02, 0.3), "m.g_max": (0.01, 0.3)}
OPTIONS = {"free": FREE, "n_starts": 2, "steps": 20, "progress": False, "seed": 1}
CELL = params.replace(RegularSpiking(), {"na.g_max": 50.0})
# whose threshold is another one, and may not be fitted: no run meets the spikes' shape
WRONG = params.replace(RegularSpiking(), {"na.V_T": -50.0})


@pytest.fixture(scope="module")
def trace():
    """50 ms with three spikes."""
    return VoltageTrace(DT, simulate(CELL, STIMULUS, t1=50.0, dt_save=DT).voltage, STIMULUS)


@pytest.fixture(scope="module")
def remedied(trace):
    return fit(WRONG, trace, **OPTIONS)


def test_wrong_model_fires_as_the_data_do(trace, remedied):
    """Squares alone have it silent, or fire at other times."""
    by_squares = fit(WRONG, trace, strategy="nudging", **OPTIONS).scores["all"]
    assert by_squares["spikes of data"][0] == 3 and by_squares["coincidence"][0] < 0.9
    scores = remedied.scores["all"]
    assert scores["spikes of model"][0] == 3 and scores["coincidence"][0] > 0.99
    assert abs(scores["error of first"][0]) < 2.0


def test_remedy_is_told(remedied):
    names = [stage.name for stage in remedied.stages]
    begin = names.index("features")
    assert names[begin - 1] == "free run"
    assert names[begin + 1 :] == ["features, population", "features, Levenberg-Marquardt"] * 2
    losses = [stage.loss for stage in remedied.stages[begin:]]
    assert np.all(np.diff(losses) <= 1e-12) and remedied.loss == losses[-1]
    assert remedied.loss_unit == "tolerances^2" and remedied.sensitivity is None
    assert "does not fire as the data do, so that features of spikes were fitted" in remedied.table()
    assert remedied.errors["all"] == (pytest.approx(remedied.loss**0.5), "tolerances")
    labels = {text.get_text() for text in plot_fit(remedied)[1].texts}
    assert {"free run", "features"} <= labels


def test_right_model_has_no_need_of_it(trace):
    found, plain = (fit(CELL, trace, strategy=strategy, **OPTIONS) for strategy in ("auto", "nudging"))
    assert found.stages[-1][:3] == ("features", 0, 1)
    assert found.loss == plain.loss and found.values == plain.values and found.sensitivity is not None


def test_loss_that_was_asked_for_is_kept(trace):
    joint = Joint({"a": trace}, losses={"a": TraceLoss(huber=10.0)})
    for target, options in ((trace, {"loss": TraceLoss()}), (joint, {})):
        found = fit(WRONG, target, **OPTIONS | {"steps": 1} | options)
        assert found.stages[-1].name == "free run" and "tolerances" not in found.loss_unit


def test_fit_that_is_ended_while_it_looks_is_of_squares(trace, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_stages, "fires_alike", interrupt)
    joint = Joint({"a": trace})
    ended, plain = (fit(WRONG, joint, strategy=strategy, **OPTIONS) for strategy in ("auto", "nudging"))
    assert ended.ended == "Ctrl-C" and ended.errors["a"] == (pytest.approx(plain.errors["a"][0]), "mV")
    assert ended.values == plain.values and ended.loss == pytest.approx(plain.loss)


def test_no_remedy_is_sought_where_no_run_works(trace):
    """Steps of the solver that no run survives, wherever it begins."""
    with pytest.raises(RuntimeError, match="none of 2 starts has one"):
        fit(WRONG, trace, solver=FixedStep(0.05, solver=Euler()), **OPTIONS | {"free": {"C_m": (1e-4, 2e-4)}})


def test_terms_of_a_joint_are_compared_by_features_each(trace, monkeypatch):
    monkeypatch.setattr(_strategy, "_WIDE", (0.4, 2))
    monkeypatch.setattr(_strategy, "_NARROW", (0.1, 1))
    quiet = VoltageTrace(DT, simulate(CELL, Step(0.2, 5.0), t1=50.0, dt_save=DT).voltage, Step(0.2, 5.0))
    joint = Joint({"b": trace, "a": quiet}, weights={"a": 2.0})
    found = fit(WRONG, joint, **OPTIONS)
    assert found.target.names == ("b", "a") and isinstance(found.target.losses["a"], FeatureLoss)
    assert float(found.target.weights["a"]) == 2.0
    assert found.scores["b"]["spikes of data"][0] == 3 and "spikes of data" not in found.scores["a"]
    assert found.errors["b"][1] == "tolerances"


def test_remedy_goes_on_from_its_checkpoint(trace, remedied, tmp_path):
    """Ended in the middle of a population, and in the Newton steps after it."""
    options = OPTIONS | {"checkpoint": tmp_path / "fit.npz", "checkpoint_every": 0.0}
    for stage in ("features, population", "features, Levenberg-Marquardt"):
        seen = []

        def is_there(progress, stage=stage, seen=seen):
            seen.append(progress.stage)
            return progress.stage == stage and seen.count(stage) == 1

        ended = fit(WRONG, trace, callback=is_there, **options)
        assert ended.ended == "callback" and np.isfinite(ended.loss) and ended.loss_unit == "tolerances^2"
    whole = fit(WRONG, trace, **options)
    assert whole.values == remedied.values and whole.loss == remedied.loss
    np.testing.assert_array_equal(whole.history, remedied.history)
    again = fit(WRONG, trace, **options)  # of a checkpoint at its end
    assert again.values == remedied.values and again.loss_unit == "tolerances^2"


def test_has_spikes_is_of_whole_traces_in_mV(trace):
    quiet = VoltageTrace(DT, jnp.minimum(trace.voltage, -40.0), STIMULUS)
    masked = VoltageTrace(DT, trace.voltage, STIMULUS, mask=np.asarray(trace.voltage) < -40.0)
    assert has_spikes([trace]) and has_spikes([quiet, trace])
    assert not has_spikes([quiet]) and not has_spikes([masked]) and not has_spikes([trace, masked])
    waves = simulate(FitzHughNagumo(), Step(0.5), t1=100.0, dt_save=DT)
    assert np.ptp(waves.voltage) > 1 and not has_spikes([VoltageTrace(DT, waves.voltage, Step(0.5))])


@pytest.mark.parametrize(("shift", "is_alike"), [(0, True), (15, True), (25, False)])
def test_fires_alike_within_a_spikes_width(trace, shift, is_alike):
    """Shifts of 0.75 and 1.25 ms."""
    V = np.asarray(trace.voltage)
    moved = VoltageTrace(DT, np.append(V[shift:], np.repeat(V[-1], shift)), STIMULUS)

    class Held:
        def __init__(self):
            self.solver, self.values = trace.solver_for(CELL), lambda u: {}

        def holding(self, values):
            return Experiment(CELL, moved)

    assert fires_alike(Held(), jnp.zeros(1)) == is_alike
