"""Fits: transforms, losses and the search, on models small enough to compile in a second."""

import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_derivatives_agree, compilations
from refusals import refused
from registry import LOSSES, TRANSFORMS

from jaxneuro import Adaptive, FixedStep, HodgkinHuxley, Leak, Membrane, Step, params, simulate
from jaxneuro.fitters import FitResult, SpikeTimeLoss, SpikeTimes, TraceLoss, VoltageTrace, fit, load
from jaxneuro.fitters.search import _stages as fit_module
from jaxneuro.fitters.search._transforms import Above, Below, Between, BetweenPositive, Unbounded, transform_for
from jaxneuro.results import RESULTS

TRUE = {"leak.g_max": 0.2, "C_m": 0.9}  # mS/cm^2, uF/cm^2
FREE = {"leak.g_max": (0.02, 2.0), "C_m": (0.3, 3.0)}


def cell(**values: float) -> Membrane:
    base = Membrane(channels={"leak": Leak(g_max=0.4, E_rev=-70.0)}, C_m=1.5, V_init=-70.0)
    return params.replace(base, values)


def charging(amplitude: float = 1.0, noise: float = 0.0) -> VoltageTrace:
    """A passive cell charged by a step: two parameters, one minimum."""
    stimulus = Step(amplitude, onset=2.0)
    V = simulate(cell(**TRUE), stimulus, t1=20.0, dt_save=0.1, solver=FixedStep(0.025)).voltage
    return VoltageTrace(0.1, V + noise * np.random.default_rng(0).normal(size=V.shape), stimulus)


def quick(target=None, **options) -> FitResult:
    """A fit of the passive cell, silent and short unless told otherwise."""
    options = {"free": FREE, "n_starts": 3, "steps": 30, "progress": False} | options
    return fit(cell(), charging() if target is None else target, **options)


@pytest.fixture(scope="module")
def result() -> FitResult:
    return quick()


# transforms


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform_inverse_is_exact(name):
    transform = TRANSFORMS[name]()
    u = jnp.linspace(-8.0, 8.0, 33)
    # near a bound a value holds its distance to it, e^-8 of the interval, to eps e^8 = 7e-13
    np.testing.assert_allclose(transform.inverse(transform.forward(u)), u, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform_is_monotonic_and_keeps_its_bounds(name):
    transform = TRANSFORMS[name]()
    values = transform.forward(jnp.linspace(-30.0, 30.0, 101))
    assert jnp.all(jnp.diff(values) > 0)
    extreme = transform.forward(jnp.array([-1e4, 1e4]))
    assert jnp.all(jnp.isfinite(extreme))
    bounds = vars(transform)
    # rounding may cross a bound of 25 by 4e-15; `fit` clips its result
    assert extreme[0] >= bounds.get("low", -jnp.inf) - 1e-14
    assert extreme[1] <= bounds.get("high", jnp.inf) + 1e-14


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform_derivatives_agree(name):
    transform = TRANSFORMS[name]()
    u = jnp.array([-5.0, -0.3, 0.0, 2.0, 6.0])
    assert_derivatives_agree(transform.forward, u)
    assert_derivatives_agree(transform.inverse, transform.forward(u[1:4]))


def test_transform_for_follows_the_bounds():
    kinds = {
        (0.5, 2.0): BetweenPositive,
        (0.0, 2.0): Between,
        (-80.0, -40.0): Between,
        (0.0, None): Above,
        (None, 3.0): Below,
        (None, None): Unbounded,
    }
    for (low, high), kind in kinds.items():
        assert type(transform_for(low, high, 1.5)) is kind
    # the model's own value sets the scale of an open end: it lies at u = 0
    for low, high in ((0.0, None), (None, 3.0), (None, None)):
        assert transform_for(low, high, 1.5).forward(0.0) == pytest.approx(1.5)


# losses


@pytest.mark.parametrize("name", LOSSES)
def test_loss_derivatives_agree(name):
    case = LOSSES[name]()

    def residuals(values):
        model = params.replace(case.model, values)
        return case.loss(case.target.predict(model, case.solver), case.target)

    # forward mode alone, as in a fit; a residual may be flat where both are silent
    assert_derivatives_agree(residuals, case.values, modes=("forward",), atol=1e-9)


def test_trace_loss_huber_is_square_within_and_linear_beyond():
    target = VoltageTrace(1.0, np.zeros(3), None)
    run = simulate(cell(), None, t1=2.0, dt_save=1.0, solver=FixedStep(0.5))
    error = np.asarray(run.voltage)  # -70 mV
    squares = TraceLoss(huber=1e6)(run, target) ** 2
    np.testing.assert_allclose(squares, error**2, rtol=1e-8)  # (70 / 1e6)^2 / 4 is left
    beyond = TraceLoss(huber=0.01)(run, target) ** 2
    np.testing.assert_allclose(beyond, 2 * 0.01 * np.abs(error), rtol=3e-4)  # huber / 70


def spike_loss(times: list[float], n_kept: int, data: list[float], t1: float) -> float:
    class Run:
        spike_times = jnp.asarray(times + [jnp.inf] * (n_kept - len(times)))
        # flat at the threshold, so that a missing spike is one at t1
        model = HodgkinHuxley()
        voltage = jnp.zeros(3) - 1e-12
        ts = jnp.array([0.0, t1 / 2, t1])

    target = SpikeTimes(data, None, t1=t1, room=n_kept)
    return float(jnp.mean(SpikeTimeLoss()(Run(), target) ** 2))


def test_spike_time_loss_is_the_mean_square_per_data_spike():
    assert spike_loss([11.0, 22.0], 6, [10.0, 20.0], 50.0) == pytest.approx((1 + 4) / 2)
    assert spike_loss([10.0, 20.0, 47.0], 6, [10.0, 20.0], 50.0) == pytest.approx(9 / 2)


def test_spike_time_loss_is_continuous_where_a_spike_crosses_t1():
    for data in ([10.0], [10.0, 20.0]):
        inside = spike_loss([10.0, 50.0 - 1e-9], 4, data, 50.0)
        assert inside == pytest.approx(spike_loss([10.0], 4, data, 50.0), abs=1e-6)


# the search


def test_fit_recovers_exact_data(result):
    assert result.loss < 1e-20
    for name, fitted in result.params.items():
        assert fitted.value == pytest.approx(TRUE[name], rel=1e-9)
        assert float(params.get(result.model, name)) == fitted.value
        assert FREE[name][0] <= fitted.start <= FREE[name][1]
    assert result.params["C_m"].unit == "uF/cm^2"
    np.testing.assert_array_equal(result.history.shape[1], 3)
    assert result.start_losses.shape == (3,) and result.loss == result.start_losses.min()
    assert np.all(np.min(result.history, axis=0) == result.start_losses)
    np.testing.assert_array_equal(result.n_failed, 0)
    assert not result.is_interrupted


def test_fit_of_noisy_data_ends_at_the_noise():
    noisy = quick(charging(noise=0.5))
    assert noisy.loss == pytest.approx(0.25, rel=0.2)  # 201 samples: 10 % is one standard deviation
    assert noisy.params["leak.g_max"].value == pytest.approx(0.2, rel=0.06)  # 3 s.d. of 2 %


@pytest.mark.parametrize("free", [{"leak.g_max": (0.0, None)}, {"leak.E_rev": (None, None)}])
def test_fit_with_open_bounds(free):
    start = params.replace(cell(**TRUE), {"leak.g_max": 0.3} if "leak.g_max" in free else {"leak.E_rev": -62.0})
    fitted = fit(start, charging(), free=free, n_starts=2, steps=30, progress=False).params
    expected = {"leak.g_max": 0.2, "leak.E_rev": -70.0}
    assert all(fitted[name].value == pytest.approx(expected[name], rel=1e-8) for name in free)
    if "leak.g_max" in free:
        assert fitted["leak.g_max"].low == 0.0 and fitted["leak.g_max"].high is None


def test_fit_minimises_a_loss_of_the_user():
    def mean_absolute(solution, target):
        return jnp.mean(jnp.abs(solution.voltage - target.voltage))

    by_number = quick(loss=mean_absolute, steps=150)
    assert len(by_number.history) == 150 and by_number.loss_unit == ""  # nothing to polish
    assert by_number.params["leak.g_max"].value == pytest.approx(0.2, rel=0.05)
    by_residuals = quick(loss=lambda solution, target: (solution.voltage - target.voltage)[::10])
    assert by_residuals.loss < 1e-20 and len(by_residuals.history) > 10


def test_fit_takes_any_optimiser_and_solver():
    plain = quick(optimizer=optax.sgd(1e-3), polish=False, solver=Adaptive(), steps=10)
    assert len(plain.history) == 10
    assert np.all(np.diff(plain.history, axis=0) <= 0)  # small steps downhill


def test_fit_is_reproducible_and_seeds_differ(result):
    assert quick().params == result.params
    other = quick(seed=1)
    assert other.params["C_m"].start != result.params["C_m"].start
    by_key = quick(key=jax.random.key(3))
    assert by_key.params == quick(key=jax.random.key(3)).params


def test_fit_starts_where_told():
    single = quick(start={"C_m": 1.0}, n_starts=1, steps=1, polish=False)
    assert single.params["C_m"].start == pytest.approx(1.0)
    own = quick(start="model", n_starts=1, steps=1, polish=False)
    assert own.params["C_m"].start == pytest.approx(1.5)
    values = np.array([0.3, 1.0, 3.0])  # both bounds among them
    many = quick(start={"C_m": values}, steps=1, polish=False)
    assert np.min(np.abs(values / many.params["C_m"].start - 1)) < 1e-5
    assert np.all(np.isfinite(many.history))


def test_fit_drops_and_counts_what_is_not_finite():
    def broken(solution, target):
        g = solution.model.channels["leak"].g_max
        return jnp.where(g > 0.5, jnp.nan, 1.0) * (solution.voltage - target.voltage)

    starts = {"leak.g_max": np.array([1.5, 0.3, 0.1])}
    result = quick(loss=broken, start=starts)
    assert result.n_failed[0] == len(result.history) and np.isinf(result.start_losses[0])
    assert np.all(np.isnan(result.history[:, 0]))
    assert result.loss < 1e-20 and result.params["leak.g_max"].value == pytest.approx(0.2)
    assert json.dumps(result.to_dict(), allow_nan=False)
    with refused(r"none of 1 starts has one \(.*\); narrow", RuntimeError):
        quick(loss=broken, start={"leak.g_max": 1.5}, n_starts=1)


def test_fit_counts_a_failed_simulation():
    run = simulate(cell(), None, t1=2.0, dt_save=1.0, solver=FixedStep(0.5))
    assert run.result == RESULTS.successful
    # forward Euler is unstable beyond g dt / C = 2: V overflows after some hundred steps
    from diffrax import Euler

    target = VoltageTrace(1.0, np.full(1001, -70.0), Step(1.0))
    starts = {"leak.g_max": np.array([30.0, 0.3])}
    free = {"leak.g_max": (0.1, 40.0)}
    options = {"n_starts": 2, "steps": 3, "polish": False, "progress": False}
    fitted = fit(cell(), target, free=free, start=starts, solver=FixedStep(1.0, solver=Euler()), **options)
    np.testing.assert_array_equal(fitted.n_failed, [3, 0])


def test_fit_second_call_does_not_compile(result):
    shifted = {name: (1.1 * low, 0.9 * high) for name, (low, high) in FREE.items()}
    with compilations() as messages:
        again = fit(
            cell(C_m=1.2, **{"leak.E_rev": -70.0}),
            charging(amplitude=0.7, noise=0.1),
            free=shifted,
            n_starts=3,
            steps=30,
            progress=False,
            start={"C_m": 1.1},
        )
    assert not [m for m in messages if "advance" in m], messages
    assert again.loss < 0.02


def test_fit_returns_what_is_done_on_ctrl_c(monkeypatch):
    calls = []

    def interrupted(problem, *args):
        calls.extend([args] * ("leak.E_rev" not in problem.names))  # which the passive fit has free
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_module_advance(problem, *args)

    fit_module_advance = fit_module.advance
    monkeypatch.setattr(fit_module, "advance", interrupted)
    result = quick(steps=50)
    assert (
        result.is_interrupted
        and len(result.history) == 5
        and result.params["C_m"].std is None
        and np.isfinite(result.loss)
    )
    with pytest.raises(KeyboardInterrupt):
        calls[:] = [None]
        quick(steps=50)  # nothing is done yet


def test_fit_shows_progress(capsys):
    quick(progress=True)
    assert "loss=" in capsys.readouterr().err


def test_fit_warns_once_in_single_precision(run_python):
    code = """
        import warnings
        import numpy as np
        from jaxneuro import Leak, Membrane, Step, VoltageTrace, fit
        t = 0.5 * np.arange(20)
        target = VoltageTrace(0.5, -70 + 1 - np.exp(-t / 2.5), Step(0.4))
        cell = Membrane(channels={"leak": Leak(g_max=0.4, E_rev=-70.0)}, V_init=-70.0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for seed in range(2):
                result = fit(cell, target, free={"C_m": (0.1, 10.0)}, n_starts=2, progress=False)
        ours = [w for w in caught if 'jax.config.update("jax_enable_x64", True)' in str(w.message)]
        print(len(ours), result.loss < 1e-8, result.history.dtype)
    """
    assert run_python(code).split() == ["1", "True", "float32"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick()


# the result


def test_result_table_has_units_and_errors(result):
    text = result.table(TRUE)
    lines = text.splitlines()
    assert lines[0].split() == ["parameter", "fitted", "+-", "unit", "start", "bounds", "true", "error"]
    row = next(line for line in lines if line.startswith("leak.g_max")).split()
    assert row[1] == "0.2" and row[3] == "mS/cm^2"
    assert row[-3] == "0.2" and row[-2] in ("-0.00", "+0.00") and row[-1] == "%"
    assert "true" not in result.table()


def test_result_saves_and_loads(result, tmp_path):
    path = tmp_path / "fit.json"
    result.compare(TRUE).save(path)
    record = load(path)
    assert record.params == result.compare(TRUE).params and record.loss == result.loss
    data = json.loads(path.read_text())
    assert data["params"]["C_m"]["value"] == result.values["C_m"]
    assert data["params"]["C_m"]["unit"] == "uF/cm^2"
    assert data["jax"] == jax.__version__ and data["fixed"]["leak.E_rev"]["value"] == -70.0
    rebuilt = record.apply(cell(V_init=-50.0))
    for name in params.params(result.model):
        assert params.get(rebuilt, name) == params.get(result.model, name)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


def test_result_save_leaves_the_old_file_when_it_fails(result, tmp_path, monkeypatch):
    path = tmp_path / "fit.json"
    path.write_text("old")

    def full(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        result.save(path)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_result_predicts_the_data_and_other_stimuli(result):
    np.testing.assert_allclose(result.predict().voltage, result.target.voltage, atol=1e-8)
    other = result.predict(Step(2.0, onset=1.0), t1=5.0)
    assert other.ts[-1] == 5.0
    with refused(r"`t1` must be given with a stimulus, but is None; "):
        result.predict(Step(2.0))


def test_result_compare_unknown_name_is_refused(result):
    with refused(r"`true` must name fitted parameters, but has 'tau_m'; choose from leak\.g_max, C_m\."):
        result.table({"tau_m": 20.0})
