"""What ends a fit early, which starts go on, optimisers by name, and scores on data that were held out."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from refusals import refused
from test_fitters_checkpoint import CELL, FREE, data

from jaxneuro import LIF, FixedStep, Step, simulate
from jaxneuro.fitters import Electrode, FICurve, Joint, SpikeTimes, VanRossumLoss, VoltageTrace, WindowLoss, fit, polyak
from jaxneuro.fitters.search._engine import losses_at
from jaxneuro.fitters.search._optimizers import chosen_optimizer


def fitted(target=None, **options):
    options = {"free": FREE, "n_starts": 3, "steps": 40, "progress": False} | options
    return fit(CELL, data() if target is None else target, **options)


# -- early ends --------------------------------------------------------------------------------------------------------


def test_callback_sees_the_progress_and_ends_the_fit():
    seen = []
    whole = fitted(callback=seen.append)
    assert not whole.ended and not whole.is_interrupted and whole.sensitivity is not None
    assert [p.n_steps for p in seen] == sorted({p.n_steps for p in seen}) and seen[-1].n_steps < len(whole.history)
    assert seen[0].stage == "nudged 2 /ms" and set(seen[0].values) == set(FREE)
    assert seen[0].loss == np.min(whole.history[:5])
    assert 0 < seen[0].seconds < seen[-1].seconds < whole.seconds + 1.0
    result = fitted(callback=lambda progress: progress.n_steps >= 10)
    assert result.ended == "callback" and len(result.history) == 10 and result.sensitivity is None
    assert "callback" in json.dumps(result.to_dict())


def test_fit_that_ends_while_it_is_drawn_to_the_data_has_the_loss_of_the_free_run():
    result = fitted(callback=lambda progress: True)
    free_run = losses_at(result.problem, result.u[None])[0]
    np.testing.assert_allclose(result.loss, free_run, rtol=1e-9)
    assert result.loss > 1e3 * np.nanmin(result.history)


def test_time_budget_ends_the_fit_after_a_chunk_and_keeps_what_was_reached():
    result = fitted(time_budget=1e-9, strategy="descent")
    assert result.ended == "time budget" and len(result.history) == 10 and np.isfinite(result.loss)


@pytest.mark.parametrize(("patience", "n_steps"), [(None, 200), (15, 20)])
def test_patience_ends_gradient_steps_that_gain_nothing(patience, n_steps):
    flat = lambda prediction, target: 1.0 + 1e-7 * jnp.mean((prediction.voltage - target.voltage) ** 2)  # noqa: E731
    result = fitted(loss=flat, steps=200, patience=patience, n_starts=2)
    assert len(result.history) == n_steps and not result.ended


# -- starts that are given up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["nudging", "descent", "newton"])
def test_only_the_best_starts_go_on(strategy):
    result = fitted(n_starts=4, kept=2, strategy=strategy)
    is_over = np.isnan(result.start_losses)
    assert is_over.sum() == 2 and np.isfinite(result.loss) and result.loss == np.nanmin(result.start_losses)
    n_first = next(stage.n_steps for stage in result.stages if stage.n_steps)
    assert np.isfinite(result.history[:n_first]).all() and np.isnan(result.history[n_first:, is_over]).all()
    assert np.isfinite(result.history[:, ~is_over]).all()
    np.testing.assert_array_equal(np.isnan(result.start_values["C_m"]), is_over)
    assert result.start_values["C_m"][np.nanargmin(result.start_losses)] == pytest.approx(result.values["C_m"])
    reached = np.nanmin(result.history[:n_first], axis=0)
    assert reached[~is_over].max() <= reached[is_over].min()
    assert result.values == pytest.approx({"leak.g_max": 0.2, "C_m": 0.9}, rel=1e-3)


# -- optimisers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "worst"),
    [("adam", 0.1), ("lbfgs", 1e-12), ("polyak", 0.1), (polyak(1.0), 0.5), (optax.adam(0.1), 0.1)],
)
def test_optimizers_reduce_the_loss(optimizer, worst):
    result = fitted(optimizer=optimizer, polish=False)
    assert result.loss < worst and result.loss < 0.2 * np.min(result.history[0])
    assert [stage.name for stage in result.stages] == ["gradient"]


def test_line_search_is_counted_in_simulations():
    """One evaluation for each step, and those of its search, 1 + P simulations each."""
    searched, plain = (fitted(optimizer=name, polish=False, steps=10, n_starts=1) for name in ("lbfgs", "adam"))
    assert plain.stages[-1].n_simulations == 10 * 3
    assert searched.stages[-1].n_simulations >= 2 * 10 * 3 and searched.stages[-1].n_simulations % 3 == 0


def test_line_search_goes_round_simulations_that_fail():
    def loss(prediction, target):
        errors = jnp.mean((prediction.voltage - target.voltage) ** 2)
        return jnp.where(prediction.model.C_m > 2.0, jnp.nan, errors)

    start = {"leak.g_max": 0.1, "C_m": 1.99}
    result = fitted(loss=loss, optimizer="lbfgs", start=start, n_starts=1)
    assert result.loss < 1e-10


def test_numbers_that_hang_together_have_no_standard_deviations():
    result = fitted(loss=WindowLoss(5.0), strategy="newton")
    assert result.loss < 1e-12 and result.sensitivity is None and result.params["C_m"].std is None


def test_polyak_steps_are_as_long_as_the_share_of_the_loss_that_is_left():
    optimizer = polyak(0.5)
    u, gradient = jnp.array([1.0, 2.0]), jnp.array([3e5, -4e5])
    state = optimizer.init(u)
    first, state = optimizer.update(gradient, state, u, value=jnp.asarray(80.0))
    np.testing.assert_allclose(first, [-0.3, 0.4])
    later, state = optimizer.update(1e-9 * gradient, state, u, value=jnp.asarray(20.0))
    np.testing.assert_allclose(later, [-0.075, 0.1])
    flat, _ = optimizer.update(0 * gradient, state, u, value=jnp.asarray(20.0))
    np.testing.assert_array_equal(flat, [0.0, 0.0])


def test_optimizers_of_the_same_name_are_one_object():
    """Another would compile again."""
    assert chosen_optimizer("lbfgs", 10) is chosen_optimizer("lbfgs", 20)
    assert chosen_optimizer("adam", 10) is chosen_optimizer(None, 10) is not chosen_optimizer("adam", 20)
    own = optax.sgd(0.1)
    assert chosen_optimizer(own, 10) is chosen_optimizer(own, 10)


# -- annealing ---------------------------------------------------------------------------------------------------------


def test_distance_of_spike_trains_compares_counts_first_and_times_last():
    """A short tau sees only spikes that nearly coincide, and leaves a start that has none where it is."""
    stimulus, free = Step(0.4, onset=5.0), {"tau_m": (5.0, 60.0), "V_th": (-65.0, -40.0), "b_w": (0.005, 0.5)}
    times = simulate(LIF(tau_m=15.0, V_th=-52.0, b_w=0.05, tau_w=100.0), stimulus, t1=200.0).spikes
    target, loss = SpikeTimes(times, stimulus, t1=200.0), VanRossumLoss(4.0)
    options = {"n_starts": 4, "steps": 80, "polish": False, "progress": False, "loss": loss}
    annealed = fit(LIF(tau_w=100.0), target, free=free, **options)
    names = [stage.name for stage in annealed.stages]
    assert names == ["gradient, tau 50 ms", "gradient, tau 21.5 ms", "gradient, tau 9.28 ms", "gradient, tau 4 ms"]
    assert sum(stage.n_steps for stage in annealed.stages) == 80
    direct = fit(LIF(tau_w=100.0), target, free=free, **options | {"loss": lambda run, data: loss(run, data)})
    assert annealed.loss < 0.3 * direct.loss
    assert annealed.loss == pytest.approx(float(loss(annealed.predict(), target)), rel=1e-6)


# -- held out data -----------------------------------------------------------------------------------------------------


def recorded(amplitude, seed=0, **options):
    """What an electrode with 20 MOhm of a cell of 1e4 um^2 reads, with 0.1 mV of noise."""
    electrode = Electrode(R_s=20.0, area=1e4)
    run = simulate(CELL, Step(amplitude, onset=2.0), t1=20.0, dt_save=0.1, solver=FixedStep(0.05))
    noise = 0.1 * jax.random.normal(jax.random.key(seed), run.ts.shape)
    voltage = run.voltage + electrode.added(run.i_app) + noise
    return VoltageTrace(0.1, voltage, Step(amplitude, onset=2.0), electrode=Electrode(area=1e4), **options)


def test_held_out_data_are_scored_with_the_fitted_electrode(tmp_path):
    train = Joint({"1": recorded(1.0), "2": recorded(2.0, seed=1)})
    held_out = Joint({"3": recorded(-3.0, seed=2), "4": recorded(4.0, seed=3)})
    free = FREE | {"*.electrode.R_s": (0.0, 100.0)}
    result = fitted(train, free=free, held_out=held_out, strategy="newton")
    assert float(result.held_out.terms["3"].electrode.R_s) == result.values["*.electrode.R_s"]
    assert set(result.scores) == {"1", "2"} and set(result.held_out_scores) == {"3", "4"}
    for of_term in (result.scores | result.held_out_scores).values():
        assert of_term["RMS error"][0] == pytest.approx(0.1, rel=0.15) and of_term["RMS error"][1] == "mV"
        assert 0.98 < of_term["explained variance"][0] < 1
    result.save(tmp_path / "fit.json")
    saved = json.loads((tmp_path / "fit.json").read_text())["scores"]
    assert set(saved["held_out"]) == {"3", "4"} and saved["fitted"]["1"]["RMS error"]["unit"] == "mV"
    result.report(tmp_path / "fit.html")
    page = (tmp_path / "fit.html").read_text()
    assert "<th>RMS error [mV]</th><th>explained variance</th>" in page and "<td>held out</td><td>4</td><td>" in page


def test_scores_of_spikes_and_rates_are_those_of_their_definitions():
    cell, stimulus = LIF(), Step(0.5, onset=5.0)
    times = np.asarray(simulate(cell, stimulus, t1=100.0).spikes)
    moved = SpikeTimes(np.append(times[:-1] + 1.0, 99.0), stimulus, t1=100.0)
    curve = FICurve([0.2, 0.5], [0.0, 20.0], duration=500.0)
    result = fit(
        cell,
        Joint({"spikes": moved, "rates": curve}),
        free={"tau_m": (19.999, 20.001)},
        start="model",
        n_starts=1,
        steps=1,
        progress=False,
    )
    scores = result.scores["spikes"]
    assert scores["spikes of data"][0] == scores["spikes of model"][0] == times.size
    assert scores["error of first"][0] == pytest.approx(-1.0, abs=0.01)
    assert 0.5 < scores["coincidence"][0] <= 1.0
    rate = result.predict().terms["rates"].rate
    assert result.scores["rates"]["RMS error"][0] == pytest.approx(np.sqrt(np.mean((rate - curve.rate) ** 2)))


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"callback": 3}, "`callback` must be a function of a Progress, but is 3"),
        ({"patience": 0}, "`patience` must be a whole number of steps of at least 1, but is 0"),
        ({"patience": 1.5}, "`patience` must be a whole number"),
        ({"time_budget": -1.0}, r"`time_budget` must be a positive number \[s\], but is -1.0"),
        ({"kept": 0}, "`kept` must be a whole number of at least 1, but is 0"),
        ({"optimizer": "sgd"}, "`optimizer` must be one of adam, lbfgs, polyak, or of optax, but is 'sgd'"),
        ({"held_out": [1.0]}, "`held_out` must be a VoltageTrace, .*, but is a list"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(options, match):
    with refused(match, TypeError if "callback" in options or "held_out" in options else ValueError):
        fitted(**options)


def test_held_out_target_must_suit_the_model():
    with refused("`unit` must suit the model"):
        fitted(held_out=FICurve([1.0, 2.0], [0.0, 3.0], unit="pA"))
