"""Multiple shooting, and the initial state of a trace as parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree
from refusals import refused

from jaxneuro import LIF, AdEx, FitzHughNagumo, FixedStep, HodgkinHuxley, Sampled, Step, params, simulate
from jaxneuro.fitters import Electrode, MultipleShooting, ShootingLoss, VoltageTrace, fit
from jaxneuro.fitters.targets._initial_state import state_from, state_params
from jaxneuro.fitters.targets._shooting import Later
from jaxneuro.solvers import RK4

CELL, STIMULUS, SOLVER = HodgkinHuxley(), Step(10.0, onset=3.0), FixedStep(0.05, solver=RK4())


@functools.cache
def run():
    return simulate(CELL, STIMULUS, t1=60.0, dt_save=0.05, solver=SOLVER)


def trace(noise=0.0, **options):
    return VoltageTrace(
        0.05, run().voltage + noise * jax.random.normal(jax.random.key(0), run().ts.shape), STIMULUS, **options
    )


# -- multiple shooting -------------------------------------------------------------------------------------------------


def test_windows_of_the_data_of_the_model_itself_have_no_error():
    target = MultipleShooting(trace(), window=7.0)
    prediction = target.predict(CELL, SOLVER)
    assert prediction.voltage.shape == (8, 140) == target.in_windows(run().ts).shape
    # data that are straight between samples move V by 0.1 mV where it bends most
    np.testing.assert_allclose(prediction.voltage, target.in_windows(run().voltage), atol=0.2)
    electrode = Electrode(R_s=3.0, area=1e4, offset=2.0)
    voltage = run().voltage + electrode.added(run().i_app)
    shown = MultipleShooting(VoltageTrace(0.05, voltage, STIMULUS, electrode=electrode), window=7.0)
    np.testing.assert_allclose(shown.predict(CELL, SOLVER).voltage, shown.in_windows(voltage), atol=0.2)


def local_minima(values):
    middle = values[1:-1]
    return int(np.sum((middle < values[:-2]) & (middle < values[2:])))


def test_short_windows_have_fewer_local_minima_than_the_whole_trace():
    grid = jnp.linspace(0.4, 1.8, 71) * CELL.channels["k"].g_max

    def losses(target):
        def loss(g):
            prediction = target.predict(params.replace(CELL, {"k.g_max": g}), SOLVER)
            found = prediction.voltage.ravel()
            data = target.voltage if isinstance(target, VoltageTrace) else target.in_windows(run().voltage).ravel()
            return jnp.mean((found - data) ** 2)

        return np.asarray(jax.jit(jax.vmap(loss))(grid))

    whole, windows = losses(trace()), losses(MultipleShooting(trace(), window=5.0))
    assert local_minima(windows) == 1 < local_minima(whole)
    assert abs(float(grid[np.argmin(windows)]) / 36.0 - 1) < 0.02


def test_multiple_shooting_finds_conductances_from_far_off():
    free = {"na.g_max": (40.0, 360.0), "k.g_max": (12.0, 108.0)}
    result = fit(
        CELL,
        MultipleShooting(trace(0.3), window=10.0),
        free=free,
        start={"na.g_max": 60.0, "k.g_max": 70.0},
        n_starts=1,
        steps=20,
        strategy="newton",
        progress=False,
    )
    assert result.values == pytest.approx({"na.g_max": 120.0, "k.g_max": 36.0}, rel=0.03)
    assert result.errors["all"][0] == pytest.approx(0.3, rel=0.5) and result.errors["all"][1] == "mV"


def test_masked_samples_do_not_count():
    mask = np.ones(run().ts.size, bool)
    mask[290:400] = False
    target, whole = (MultipleShooting(trace(0.3, mask=m), window=5.0) for m in (mask, None))
    prediction = whole.predict(CELL, SOLVER)
    all_of_them, residuals = ShootingLoss()(prediction, whole), ShootingLoss()(prediction, target)
    kept = target.in_windows(mask).ravel()
    np.testing.assert_allclose(jnp.mean(residuals**2), jnp.mean(all_of_them[kept] ** 2))


def test_later_stimuli_begin_earlier():
    by, ts = jnp.asarray(4.0), np.linspace(0.0, 5.0, 11)
    stimulus = Sampled(np.arange(100.0), dt=0.1) + Step(1.0, onset=6.0, duration=1.0)
    np.testing.assert_allclose(Later(stimulus, by)(ts), stimulus(ts + 4.0))
    np.testing.assert_allclose(Later(stimulus, by).jump_ts, stimulus.jump_ts - 4.0)
    assert Later(stimulus, by).domain[1] == pytest.approx(5.9)


@pytest.mark.parametrize(
    ("make", "match", "error"),
    [
        (lambda: MultipleShooting(trace(), window=0.05), "`window` must lie between two samples, 0.1 ms", ValueError),
        (lambda: MultipleShooting(trace(), window=70.0), "the length of the trace, 60 ms, but is 70", ValueError),
        (lambda: MultipleShooting(3.0, window=7.0), "`trace` must be a VoltageTrace, but is a float", TypeError),
        (
            lambda: MultipleShooting(trace(electrode=Electrode(corner=2.0)), window=7.0),
            "`trace` must have an electrode without a filter, but has one of 2 kHz",
            ValueError,
        ),
        (
            lambda: MultipleShooting(trace(), window=7.0).check(LIF(), SOLVER),
            "`model` must be smooth for multiple shooting, but is a LIF",
            ValueError,
        ),
    ],
)
def test_bad_shooting_is_refused(make, match, error):
    with refused(match, error):
        make()


# -- initial state -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [HodgkinHuxley(), FitzHughNagumo(), LIF(), AdEx()], ids=lambda m: type(m).__name__)
def test_states_survive_as_parameters(model):
    y0 = model.init_state()
    again = state_from(state_params(y0), y0)
    assert jax.tree.structure(again) == jax.tree.structure(y0)
    for leaf, other in zip(jax.tree.leaves(again), jax.tree.leaves(y0), strict=True):
        np.testing.assert_array_equal(leaf, other)
    infos = params.params(state_params(y0))
    assert len(infos) == len(jax.tree.leaves(y0)) and infos["V"].unit == "mV"


def test_trace_begins_in_its_state_and_is_differentiable_in_it():
    k = 500
    y0 = jax.tree.map(lambda leaf: leaf[k], run().ys)
    target = VoltageTrace(0.05, run().voltage[k:], 10.0, y0=y0)
    np.testing.assert_allclose(target.predict(CELL, SOLVER).voltage, run().voltage[k:], atol=1e-9)
    short = VoltageTrace(0.05, run().voltage[k : k + 40], 10.0, y0=y0)

    def last(values):
        return params.replace(short, values).predict(CELL, SOLVER).voltage[-1]

    assert_derivatives_agree(last, {"y0.V": y0.V, "k.n": y0.gates["k"]["n"]})


def test_initial_state_is_fitted_by_name():
    k = 460
    y0 = jax.tree.map(lambda leaf: leaf[k], run().ys)
    noise = 0.1 * jax.random.normal(jax.random.key(1), (400,))
    target = VoltageTrace(0.05, run().voltage[k : k + 400] + noise, 10.0, y0=CELL.init_state())
    free = {"y0.V": (-90.0, -30.0), "na.h": (0.01, 0.99), "y0.gates.k.n": (0.01, 0.99), "na.m": (0.01, 0.99)}
    result = fit(CELL, target, free=free, n_starts=4, progress=False)
    true = {"y0.V": y0.V, "na.h": y0.gates["na"]["h"], "y0.gates.k.n": y0.gates["k"]["n"], "na.m": y0.gates["na"]["m"]}
    for name, value in true.items():
        assert abs(result.params[name].value - float(value)) < 4 * result.params[name].std, name
    assert result.params["y0.V"].unit == "mV" and result.params["na.h"].unit == "1"


def test_bad_initial_states_are_refused():
    with refused("`y0` must be a state with names, but is a float", TypeError):
        trace(y0=-65.0)
    with refused("`y0` must be a state of the model, with V, w, but has V, gates, ions"):
        fit(
            FitzHughNagumo(),
            VoltageTrace(0.1, np.zeros(30), 0.5, y0=CELL.init_state()),
            free={"a": (0.5, 0.9)},
            progress=False,
        )
    with refused("`free` must keep 'na.h' a number >= 0 and <= 1"):
        fit(CELL, trace(y0=CELL.init_state()), free={"na.h": (0.1, 1.5)}, progress=False)
