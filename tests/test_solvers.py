"""Order and exactness of every solver, what it saves, what it reports, and what it refuses."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest
from helpers import assert_close, finite_differences
from jax.flatten_util import ravel_pytree
from registry import SMOOTH_MODELS, SPIKING_MODELS, STEPPERS, StepperCase
from scipy.integrate import solve_ivp
from systems import PASSIVE, PASSIVE_INPUTS, fhn_linearised, passive_voltage

from jaxneuro import (
    LIF,
    RESULTS,
    RK4,
    Adaptive,
    Euler,
    ExactSpikes,
    ExponentialEuler,
    ExponentialStrang,
    FitzHughNagumo,
    FixedStep,
    Heun,
    HodgkinHuxley,
    Leak,
    Membrane,
    Sine,
    Step,
    Tsit5,
    simulate,
)
from jaxneuro.params import get, params, replace
from jaxneuro.solvers._one_step import ModelTerm

# smooth, so that only the solver's order shows
SWING = Sine(amplitude=4.0, frequency=60.0, offset=9.0, phase=0.4)

DIFFRAX = {
    "Tsit5": lambda: StepperCase(diffrax.Tsit5(), 5, (0.25, 0.125)),
    "Kvaerno3": lambda: StepperCase(diffrax.Kvaerno3(), 3, (0.25, 0.125)),
}


def observed_order(dts, errors):
    """Slope of log error over log dt."""
    return np.polyfit(np.log(dts), np.log(errors), 1)[0]


def reference(model, y0, stimulus, ts):
    """Voltage by scipy at a tolerance of 1e-12."""
    flat, unravel = ravel_pytree(y0)

    @jax.jit
    def slope(t, x):
        return ravel_pytree(model.vector_field(t, unravel(x), stimulus))[0]

    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}
    return solve_ivp(slope, (ts[0], ts[-1]), flat, t_eval=ts, **options).y[0]


@pytest.fixture(scope="module")
def spike():
    """A Hodgkin-Huxley spike from its approach to its end."""
    model, y0, *_ = SMOOTH_MODELS["HodgkinHuxley"]()
    V = reference(model, y0, SWING, np.linspace(0.0, 4.0, 21))
    assert V.min() < -45 and V.max() > 20
    return model, y0, V


def errors_by_step(case, model, y0, stimulus, V, t1):
    """Root mean square error of the voltage for every step of a case."""
    dt_save, errors = t1 / (len(V) - 1), []
    for dt in case.dts:
        solver = FixedStep(dt, solver=case.solver)
        run = simulate(model, stimulus, t1=t1, dt_save=dt_save, y0=y0, solver=solver)
        errors.append(float(np.sqrt(np.mean((run.voltage - V) ** 2))))
    return errors


@pytest.mark.parametrize("name", STEPPERS)
def test_stepper_converges_at_its_order_through_a_spike(name, spike):
    case, (model, y0, V) = STEPPERS[name](), spike
    errors = errors_by_step(case, model, y0, SWING, V, 4.0)
    # three steps, the largest not yet wholly asymptotic
    assert observed_order(case.dts, errors) == pytest.approx(case.order, abs=case.slack), errors


@pytest.mark.parametrize("name", DIFFRAX)
def test_diffrax_solver_converges_at_its_order_in_fixed_steps(name):
    case, model = DIFFRAX[name](), FitzHughNagumo()
    stimulus, y0 = Sine(0.3, 25.0, offset=0.6), model.init_state()
    V = reference(model, y0, stimulus, np.linspace(0.0, 20.0, 11))
    assert V.min() < -1 and V.max() > 1.5
    errors = errors_by_step(case, model, y0, stimulus, V, 20.0)
    # Tsit5's own term is small here, so that the next one shows
    assert case.order - 0.4 < observed_order(case.dts, errors) < case.order + 1.2, errors


@pytest.mark.parametrize("solver, order, kind", [(RK4(), 4, "ramp"), (ExponentialStrang(), 2, "sine")])
def test_stepper_converges_at_its_order_on_a_passive_membrane(solver, order, kind):
    """The ramp begins and ends between two grid points: an order of 1 would betray a jump stepped over."""
    stimulus, dts, errors = PASSIVE_INPUTS[kind], (0.25, 0.125), []
    for dt in dts:
        run = simulate(PASSIVE, stimulus, t1=10.0, dt_save=0.5, solver=FixedStep(dt, solver=solver))
        errors.append(np.abs(run.voltage - passive_voltage(PASSIVE, stimulus, run.ts)).max())
    assert observed_order(dts, errors) == pytest.approx(order, abs=0.3), errors


@pytest.mark.parametrize("stepper", [ExponentialStrang(), ExponentialEuler()])
def test_exponential_stepper_is_exact_on_a_passive_membrane_under_a_step(stepper):
    stimulus = PASSIVE_INPUTS["step"]
    run = simulate(PASSIVE, stimulus, t1=10.0, solver=FixedStep(0.5, solver=stepper))
    exact = passive_voltage(PASSIVE, stimulus, run.ts)
    np.testing.assert_allclose(run.voltage, exact, rtol=1e-13)  # 20 steps of rounding


def test_adaptive_reaches_its_tolerance_on_a_passive_membrane():
    stimulus = PASSIVE_INPUTS["sine"]
    run = simulate(PASSIVE, stimulus, t1=10.0, solver=Adaptive(rtol=1e-9, atol=1e-9))
    exact = passive_voltage(PASSIVE, stimulus, run.ts)
    # 1e-9 of 60 mV per step, over some 30 steps; dense output is one order less accurate
    np.testing.assert_allclose(run.voltage, exact, atol=2e-6)
    np.testing.assert_allclose(run.voltage[-1], exact[-1], atol=3e-7)


GRADIENT_SOLVERS = {
    "ExponentialStrang": (FixedStep(0.5), jax.jacrev, 1e-11),
    "ExponentialEuler": (FixedStep(0.5, solver=ExponentialEuler()), jax.jacfwd, 1e-11),
    "RK4": (FixedStep(0.05, solver=RK4()), jax.jacrev, 1e-8),  # (0.05 ms / 4.5 ms)^4
    "Kvaerno3": (FixedStep(0.1, solver=diffrax.Kvaerno3()), jax.jacfwd, 1e-5),
    "Adaptive": (Adaptive(rtol=1e-9, atol=1e-9), jax.jacfwd, 1e-6),
}


@pytest.mark.parametrize("name", GRADIENT_SOLVERS)
def test_solver_derivatives_equal_those_of_the_exact_solution(name):
    """In every parameter of membrane and step, times of onset and end included."""
    solver, derivative, rtol = GRADIENT_SOLVERS[name]
    stimulus = PASSIVE_INPUTS["step"]
    pairs = [(k, path) for k, tree in enumerate((PASSIVE, stimulus)) for path in params(tree)]
    point = jnp.stack([get((PASSIVE, stimulus)[k], path) for k, path in pairs])

    def with_values(x):
        chosen = [{path: x[n] for n, (k, path) in enumerate(pairs) if k == which} for which in (0, 1)]
        return replace(PASSIVE, chosen[0]), replace(stimulus, chosen[1])

    def simulated(x):
        return simulate(*with_values(x), t1=10.0, dt_save=2.5, solver=solver).voltage

    exact = jax.jacfwd(lambda x: passive_voltage(*with_values(x), jnp.linspace(0, 10, 5)))(point)
    error = np.abs(derivative(simulated)(point) - exact) / np.abs(exact).max(axis=0)
    assert error.max() < rtol


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
def test_adaptive_derivative_equals_the_exact_one_in_both_modes(derivative):
    stimulus = PASSIVE_INPUTS["step"]

    def V_end(g, onset):
        model = replace(PASSIVE, {"leak.g_max": g})
        step = replace(stimulus, {"onset": onset})
        return model, step

    def simulated(x):
        run = simulate(*V_end(*x), t1=5.0, dt_save=5.0, solver=Adaptive(rtol=1e-9, atol=1e-9))
        return run.voltage[-1]

    x = jnp.array([0.2, 2.03])
    exact = jax.grad(lambda x: passive_voltage(*V_end(*x), jnp.asarray(5.0)))(x)
    np.testing.assert_allclose(derivative(simulated)(x), exact, rtol=1e-6)


def test_solver_moves_along_the_linearised_flow_near_a_fixed_point():
    """FitzHugh-Nagumo near its fixed point at 0.5, displaced by 1e-7: the rest is its square."""
    model, V = FitzHughNagumo(), 0.5
    w = (V + 0.7) / 0.8
    i_app = w - V + V**3 / 3
    delta = np.array([1e-7, -2e-7])
    y0 = type(model.init_state())(jnp.asarray(V + delta[0]), jnp.asarray(w + delta[1]))
    y = simulate(model, i_app, t1=3.0, dt_save=3.0, y0=y0, solver=FixedStep(0.05)).ys
    wanted = fhn_linearised(model, i_app, V, delta, 3.0)
    np.testing.assert_allclose([y.V[-1] - V, y.w[-1] - w], wanted - [V, w], atol=2e-11)


FIRING = {
    "Adaptive": (SMOOTH_MODELS["FitzHughNagumo"], Adaptive()),
    "FixedStep": (SMOOTH_MODELS["FitzHughNagumo"], FixedStep(0.1)),
    "ExactSpikes": (SPIKING_MODELS["LIF"], ExactSpikes(0.1)),
}


@pytest.mark.parametrize("name", FIRING)
def test_solver_spikes_do_not_depend_on_the_saving_interval(name):
    make, solver = FIRING[name]
    case = make()
    model, i_app, t1 = case.model, case.i_app, case.t1
    runs = [simulate(model, i_app, t1=t1, dt_save=dt, solver=solver) for dt in (0.1, 0.5)]
    assert runs[0].spikes.size > 0
    np.testing.assert_allclose(runs[1].spikes, runs[0].spikes, rtol=1e-13)
    common = np.isin(np.round(runs[0].ts, 9), np.round(runs[1].ts, 9))
    np.testing.assert_allclose(runs[1].voltage, runs[0].voltage[common], rtol=1e-12)


@pytest.mark.parametrize("name", FIRING)
def test_solver_saves_start_end_and_every_interval(name):
    make, solver = FIRING[name]
    model = make().model
    run = simulate(model, 0.1, t0=2.0, t1=5.3, dt_save=0.5, solver=solver)
    np.testing.assert_allclose(run.ts, [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.3], rtol=1e-15)
    assert run.voltage.shape == run.i_app.shape == (8,)
    assert run.voltage[0] == model.init_state().V


@pytest.mark.parametrize("name", ["FixedStep", "ExactSpikes"])
def test_solver_depends_on_time_differences_alone(name):
    make, solver = FIRING[name]
    case = make()
    runs = [
        simulate(case.model, Step(case.i_app, start + 1.0), t0=start, t1=start + 6, solver=solver)
        for start in (0.0, 100.0)
    ]
    # at t = 100 ms a time is rounded by 1e-14 ms
    np.testing.assert_allclose(runs[1].voltage, runs[0].voltage, atol=1e-11)


def test_fixed_step_goes_on_from_a_saved_state():
    make, solver = FIRING["FixedStep"]
    model, _, i_app, _ = make()
    whole = simulate(model, i_app, t1=6.0, dt_save=1.0, solver=solver)
    y0 = jax.tree.map(lambda leaf: leaf[2], whole.ys)
    rest = simulate(model, i_app, t0=2.0, t1=6.0, dt_save=1.0, y0=y0, solver=solver)
    assert_close(rest.ys, jax.tree.map(lambda leaf: leaf[2:], whole.ys), atol=1e-13)


def test_fixed_step_end_need_not_be_a_multiple_of_dt():
    run = simulate(PASSIVE, PASSIVE_INPUTS["step"], t1=9.87, dt_save=3.0, solver=FixedStep(0.3))
    exact = passive_voltage(PASSIVE, PASSIVE_INPUTS["step"], run.ts)
    np.testing.assert_allclose(run.voltage, exact, rtol=1e-13)


def test_fixed_step_default_suits_the_model():
    for model, stepper in ((PASSIVE, ExponentialStrang()), (FitzHughNagumo(), RK4())):
        runs = [
            simulate(model, 0.5, t1=1.0, solver=solver) for solver in (FixedStep(0.1), FixedStep(0.1, solver=stepper))
        ]
        assert_close(runs[0].ys, runs[1].ys)


def test_fixed_step_keeps_the_root_finder_of_the_user():
    """A loose one of one iteration shows; the default agrees with explicit tight tolerances."""

    def V_end(solver):
        model, y, i_app, _ = SMOOTH_MODELS["FitzHughNagumo"]()
        return simulate(model, i_app, t1=4.0, y0=y, solver=FixedStep(0.5, solver=solver)).voltage[-1]

    tight = diffrax.ImplicitEuler(root_finder=optx.Newton(rtol=1e-12, atol=1e-12))
    loose = diffrax.ImplicitEuler(root_finder=optx.Chord(rtol=1e-1, atol=1e-1))
    assert V_end(diffrax.ImplicitEuler()) == pytest.approx(float(V_end(tight)), rel=1e-7)
    assert V_end(loose) != pytest.approx(float(V_end(tight)), rel=1e-7)


@pytest.mark.parametrize("solver", [Adaptive(), FixedStep(0.1)])
def test_solver_failure_of_a_lane_leaves_the_others_alone(solver):
    model = FitzHughNagumo()
    start = model.init_state()

    def run(V0):
        return simulate(model, 0.5, t1=2.0, y0=start._replace(V=V0), solver=solver)

    batch = jax.vmap(run)(jnp.array([-1.0, jnp.inf, 0.5]))
    np.testing.assert_array_equal(batch.result == RESULTS.successful, [True, False, True])
    good = jax.vmap(run)(jnp.array([-1.0, 0.2, 0.5]))
    np.testing.assert_array_equal(batch.voltage[0::2], good.voltage[0::2])
    with pytest.raises(RuntimeError, match=r"infinite or NaN|ran out of steps"):
        run(jnp.asarray(jnp.inf))


def test_fixed_step_reports_a_blow_up():
    """RK4 at ten times its stability limit."""
    solver = FixedStep(0.5, solver=RK4())
    run = simulate(HodgkinHuxley(), 10.0, t1=20.0, solver=solver, throw=False)
    assert run.result == RESULTS.nonfinite
    with pytest.raises(RuntimeError, match=r"became infinite or NaN; use a smaller dt"):
        simulate(HodgkinHuxley(), 10.0, t1=20.0, solver=solver)


@pytest.mark.parametrize("solver", [RK4(), Euler(), Heun(), Tsit5()])
def test_fixed_step_reports_a_step_near_the_limit_of_stability(solver):
    """A membrane whose rate times dt is below the limit runs; just above it the run is marked, before it blows up."""
    cell = Membrane(channels={"leak": Leak(g_max=10.0, E_rev=-65.0)})
    limit = 0.9 * solver.stability / 10.0  # ms
    below, above = (
        simulate(cell, 1.0, t1=20 * dt, dt_save=dt, solver=FixedStep(dt, solver=solver), throw=False)
        for dt in (0.99 * limit, 1.01 * limit)
    )
    assert below.result == RESULTS.successful and above.result == RESULTS.unstable_step
    assert np.isfinite(above.voltage).all()
    with pytest.raises(RuntimeError, match="near its limit of stability; use a smaller dt, or ExponentialStrang"):
        simulate(cell, 1.0, t1=20 * limit * 1.01, dt_save=limit * 1.01, solver=FixedStep(limit * 1.01, solver=solver))


@pytest.mark.parametrize("stepper", [RK4(), Tsit5(), Euler(), Heun()])
def test_explicit_stepper_is_stable_up_to_its_limit_and_not_beyond(stepper):
    """The amplification of dx/dt = -x over many steps at 0.99 and 1.03 of the stated interval."""
    cell = Membrane(channels={"leak": Leak(g_max=1.0, E_rev=0.0)}, V_init=1.0)
    for share, is_stable in ((0.98, True), (1.03, False)):
        dt = share * stepper.stability
        run = simulate(cell, 0.0, t1=400 * dt, dt_save=dt, solver=FixedStep(dt, solver=stepper), throw=False)
        assert (abs(run.voltage[-1]) < 1.0) == is_stable


def test_fixed_step_resets_on_the_grid():
    """Spikes at grid points, V held for t_ref, and first order towards the exact times."""
    model, errors = LIF(b_w=0.02, t_ref=2.0), []
    exact = simulate(model, 0.4, t1=60.0).spikes
    for dt in (0.1, 0.05, 0.025):
        run = simulate(model, 0.4, t1=60.0, dt_save=dt, solver=FixedStep(dt))
        np.testing.assert_allclose(run.spikes / dt, np.round(run.spikes / dt), atol=1e-6)
        held = (run.ts > run.spikes[0]) & (run.ts < run.spikes[0] + 1.99)
        assert np.all(run.voltage[held] == model.V_reset)
        n = min(run.spikes.size, exact.size)
        errors.append(np.abs(run.spikes[:n] - exact[:n]).max())
    assert errors[0] < 0.1 * exact.size and errors[2] < 0.6 * errors[0]


def test_adaptive_takes_other_diffrax_solvers_with_derivatives():
    stimulus = PASSIVE_INPUTS["step"]

    def V_end(g, is_simulated):
        model = replace(PASSIVE, {"leak.g_max": g})
        if is_simulated:
            solver = Adaptive(rtol=1e-8, atol=1e-8, solver=diffrax.Kvaerno5())
            return simulate(model, stimulus, t1=5.0, dt_save=5.0, solver=solver).voltage[-1]
        return passive_voltage(model, stimulus, jnp.asarray(5.0))

    g = jnp.asarray(0.2)
    for derivative in (jax.grad, jax.jacfwd):
        found, exact = derivative(lambda g: V_end(g, True))(g), jax.grad(lambda g: V_end(g, False))(g)
        assert found == pytest.approx(float(exact), rel=1e-5)


def test_adaptive_reports_too_few_steps():
    solver = Adaptive(max_steps=10)
    assert simulate(PASSIVE, 1.0, t1=50.0, solver=solver, throw=False).result == RESULTS.max_steps_reached
    with pytest.raises(RuntimeError, match=r"ran out of steps before t1; raise `max_steps`"):
        simulate(PASSIVE, 1.0, t1=50.0, solver=solver)


def test_adaptive_counts_its_steps():
    run = simulate(PASSIVE, 1.0, t1=50.0)
    assert 100 <= run.stats["n_steps"] < 130  # dtmax is 0.5 ms


@pytest.mark.parametrize("name", STEPPERS)
def test_stepper_order_is_what_it_says(name):
    solver, order, *_ = STEPPERS[name]()
    assert solver.order(None) == order


def test_stepper_runs_inside_diffeqsolve():
    """A stepper is a diffrax solver: both loops take the same steps."""
    y0, stimulus, stepper = PASSIVE.init_state(), PASSIVE_INPUTS["sine"], ExponentialStrang()
    ours = simulate(PASSIVE, stimulus, t1=5.0, dt_save=5.0, solver=FixedStep(0.25, solver=stepper))
    theirs = diffrax.diffeqsolve(ModelTerm(PASSIVE), stepper, 0.0, 5.0, 0.25, y0, args=stimulus)
    assert ours.voltage[-1] == pytest.approx(float(theirs.ys.V[-1]), rel=1e-12)


def test_solver_second_derivative_in_both_orders():
    """Forward over reverse through a fixed-step run, against differences of the gradient."""

    def V_end(x):
        model = replace(PASSIVE, {"leak.g_max": x[0], "C_m": x[1]})
        return simulate(model, PASSIVE_INPUTS["sine"], t1=2.0, dt_save=2.0, solver=FixedStep(0.1)).voltage[-1]

    x = np.array([0.2, 0.9])
    gradient = jax.jit(jax.grad(V_end))
    hessian = jax.jit(jax.jacfwd(jax.grad(V_end)))(x)
    np.testing.assert_allclose(hessian, finite_differences(gradient, x), rtol=1e-6)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-10)
