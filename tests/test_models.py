"""Laws of every model's right-hand side, state and parameters; flows and resets of spiking ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_derivatives_agree, assert_finite, cast, eps, in_factors
from jax.flatten_util import ravel_pytree
from registry import CLAMPS, SMOOTH_MODELS, SPIKING_MODELS

from jaxneuro import LIF, FitzHughNagumo, HodgkinHuxley, Leak, Membrane, Sine, units
from jaxneuro.channels import HHPotassium
from jaxneuro.models import AbstractConductanceModel, AbstractMembrane
from jaxneuro.params import get, names, replace

DTYPES = (np.float64, np.float32)
MODELS = SMOOTH_MODELS | CLAMPS | SPIKING_MODELS
# of a model with a Markov scheme A holds a matrix: tests/test_markov.py
CONDUCTANCE = [n for n in MODELS if isinstance(MODELS[n]().model, AbstractConductanceModel) and n != "Membrane-schemes"]
MEMBRANES = [n for n in MODELS if isinstance(MODELS[n]().model, AbstractMembrane)]
# models with an instantaneous gate or a Nernst potential that follows its concentration
CURVED = {"WangBuzsaki", "MorrisLecar", "RinzelHodgkinHuxley", "LowThresholdSpiking", "Membrane-pumping"}


@jax.jit
def dynamics(model, y, i_app):
    return model.dynamics(y, i_app)


@jax.jit
def flow(model, y, i_app, h, is_held=False):
    return model.flow(y, i_app, h, is_held=is_held)


def stacked(tree, n=3):
    """n slightly different copies of a tree, with a leading axis."""
    return jax.tree.map(lambda x: jnp.stack([x * (1 + 0.01 * k) for k in range(n)]), tree)


def pick(tree, k):
    return jax.tree.map(lambda leaf: leaf[k], tree)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_model_keeps_structure_shape_and_precision_of_the_state(name, dtype):
    model, y, i_app, *_ = cast(MODELS[name](), dtype)
    for state in (model.init_state(), dynamics(model, y, i_app)):
        assert jax.tree.structure(state) == jax.tree.structure(y)
        for leaf, like in zip(jax.tree.leaves(state), jax.tree.leaves(y), strict=True):
            assert leaf.shape == like.shape and leaf.dtype == dtype
        assert_finite(state)
    assert model.voltage(y) is (y.cell.V if name == "EscapeRate" else y.V)


@pytest.mark.parametrize("name", MODELS)
def test_model_jit_equals_eager(name):
    model, y, i_app, *_ = MODELS[name]()
    # the flows into and out of a state of a scheme may cancel to rounding
    assert_close(dynamics(model, y, i_app), model.dynamics(y, jnp.asarray(i_app)), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("name", MODELS)
def test_model_vmap_equals_a_loop_over_parameters_and_states(name):
    model, y, i_app, *_ = MODELS[name]()
    batch = (stacked(model), stacked(y), stacked(jnp.asarray(i_app)))
    together = jax.vmap(dynamics)(*batch)
    for k in range(3):
        assert_close(pick(together, k), dynamics(*(pick(part, k) for part in batch)), rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_model_derivatives_agree(name, dtype):
    """In the state, the input and every parameter; float32 differences lose digits in the total current."""
    model, y, i_app, *_ = MODELS[name]()
    chosen = {path: get(model, path) for path in names(model).values()}
    inputs = cast((chosen, y, jnp.asarray(i_app)), dtype)

    def f(inputs):
        parameters, y, i_app = inputs
        dy = replace(model, parameters).dynamics(y, i_app)
        return dy.gates if name == "IdealClamp" else dy  # its V does not move at all

    assert_derivatives_agree(*in_factors(f, inputs), rtol=100 * eps(dtype) ** (2 / 3) + 1e-6, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_model_vector_field_is_the_dynamics_at_the_input_of_that_time(name):
    model, y, *_ = MODELS[name]()
    stimulus, t = Sine(3.0, 40.0), jnp.asarray(7.3)
    assert_close(model.vector_field(t, y, stimulus), model.dynamics(y, stimulus(t)))


@pytest.mark.parametrize("name", MODELS)
def test_model_voltage_takes_states_with_leading_axes(name):
    model, y, *_ = MODELS[name]()
    assert model.voltage(stacked(stacked(y), 4)).shape == (4, 3)


@pytest.mark.parametrize("name", MODELS)
def test_model_input_unit_is_known(name):
    model = MODELS[name]().model
    assert units.same_dimension(model.input_unit, model.input_unit)
    assert model.spike_threshold in ((np.inf,) if name in ("IdealClamp", "VoltageClamp", "WholeCell") else (0.0, 1.0))


@pytest.mark.parametrize("name", MEMBRANES)
def test_conductance_model_balances_its_currents(name):
    model, y, i_app, _ = MODELS[name]()
    total = sum(model.currents(y).values())
    assert model.C_m * dynamics(model, y, i_app).V == pytest.approx(float(i_app - total), rel=1e-13)


@pytest.mark.parametrize("name", CONDUCTANCE)
def test_conductance_model_is_linear_in_each_variable(name):
    """A is the diagonal of the Jacobian, and dy - A y does not contain the variable itself, unless a gate or a
    Nernst potential follows it at once."""
    model, y, i_app, _ = MODELS[name]()
    flat, unravel = ravel_pytree(y)

    @jax.jit
    def f(x):
        return ravel_pytree(model.dynamics(unravel(x), jnp.asarray(i_app)))[0]

    dy, A = (ravel_pytree(c)[0] for c in model.linearised(y, jnp.asarray(i_app)))
    np.testing.assert_allclose(dy, f(flat), rtol=1e-13)
    np.testing.assert_allclose(A, np.diag(jax.jit(jax.jacfwd(f))(flat)), rtol=1e-12)
    for k in range(flat.size if name not in CURVED else 0):
        without = f(flat.at[k].set(0.0))[k]
        assert without == pytest.approx(float(dy[k] - A[k] * flat[k]), rel=1e-12)


@pytest.mark.parametrize("name", MEMBRANES)
def test_conductance_model_starts_with_steady_gates(name):
    model = MODELS[name]().model
    y = model.init_state()
    assert y.V == model.V_init
    for rate in jax.tree.leaves(dynamics(model, y, 0.0).gates):
        # per ms, of gates between 0 and 1; in a scheme several flows cancel, of up to 3 per ms
        assert np.all(abs(rate) < (1e-14 if name == "Membrane-schemes" else 1e-15))


def test_hodgkin_huxley_rests_just_above_its_start():
    """The residual current at -65 mV belongs to a resting potential of -64.97 mV."""
    model, low, high = HodgkinHuxley(), -66.0, -64.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        rises = dynamics(model, model.state_at(middle), 0.0).V > 0
        low, high = (middle, high) if rises else (low, middle)
    assert low == pytest.approx(-64.97, abs=0.01)


def test_membrane_adds_its_channels():
    both = Membrane(channels={"k": HHPotassium(), "leak": Leak()})
    y = both.state_at(-50.0)
    blocked = replace(both, {"k.g_max": 0.0})
    alone = Membrane(channels={"leak": Leak()})
    assert dynamics(blocked, y, 3.0).V == dynamics(alone, alone.state_at(-50.0), 3.0).V
    assert alone.init_state().gates == {}
    sign = dynamics(both, y, 3.0).V - dynamics(blocked, y, 3.0).V
    assert sign < 0  # potassium flows out


def test_membrane_state_at_a_voltage_is_steady_on_a_cable():
    model, V = HodgkinHuxley(), jnp.array([-80.0, -40.0, 10.0])
    y = model.state_at(V)
    for k in range(3):
        assert_close(pick(y, k), model.state_at(V[k]), rtol=1e-15)


def test_fitzhugh_nagumo_starts_at_its_fixed_point():
    model = FitzHughNagumo()
    assert all(abs(rate) < 1e-12 for rate in dynamics(model, model.init_state(), 0.0))


@pytest.mark.parametrize("name", SPIKING_MODELS)
def test_spiking_model_reset_is_affine_in_its_strength(name):
    model, y, *_ = SPIKING_MODELS[name]()
    none, half, full = (model.reset(y, jnp.asarray(s)) for s in (0.0, 0.5, 1.0))
    assert_close(none, y, rtol=1e-15)
    assert_close(half, jax.tree.map(lambda a, b: 0.5 * (a + b), none, full), rtol=1e-14)


@pytest.mark.parametrize("name", SPIKING_MODELS)
def test_spiking_model_gap_is_the_distance_to_threshold(name):
    model, y, *_ = SPIKING_MODELS[name]()
    if name == "EscapeRate":  # what its hazard lacks
        assert model.gap(y) == y.hazard - y.limit
        return
    if hasattr(model, "V_peak"):  # counted in a coordinate of the upstroke: 0 at the peak, rising, without a kink
        V = np.linspace(-80.0, float(model.V_peak), 200)
        gap, slope = jax.vmap(jax.value_and_grad(lambda V: model.gap(y._replace(V=V))))(V)
        assert abs(gap[-1]) < 1e-13 and np.all(np.diff(gap) > 0) and np.all(slope > 0)
        assert np.all(np.abs(np.diff(slope)) < 0.5)
        return
    at_threshold = y._replace(V=y.V - model.gap(y))
    assert abs(model.gap(at_threshold)) < 1e-13 and model.gap(y) < 0
    above = at_threshold._replace(V=at_threshold.V + 0.25)
    assert model.gap(above) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("name", SPIKING_MODELS)
def test_spiking_model_flow_over_no_time_is_the_identity(name, is_held):
    model, y, i_app, *_ = SPIKING_MODELS[name]()
    assert_close(flow(model, y, i_app, 0.0, is_held), y)


@pytest.mark.parametrize("name", SPIKING_MODELS)
def test_spiking_model_flow_is_a_semigroup(name):
    model, y, i_app, _, error = SPIKING_MODELS[name]()
    twice = flow(model, flow(model, y, i_app, 0.007), i_app, 0.013)
    assert_close(flow(model, y, i_app, 0.02), twice, rtol=1e-13 + error)


@pytest.mark.parametrize("name", SPIKING_MODELS)
def test_spiking_model_flow_solves_the_dynamics(name):
    """Against 1000 RK4 steps, and in its derivative in h."""
    model, y, i_app, _, error = SPIKING_MODELS[name]()
    fine, h = y, 0.02 / 1000

    def shifted(y, k, scale):
        return jax.tree.map(lambda x, dx: x + scale * dx, y, k)

    @jax.jit
    def rk4(y):
        k1 = model.dynamics(y, i_app)
        k2 = model.dynamics(shifted(y, k1, h / 2), i_app)
        k3 = model.dynamics(shifted(y, k2, h / 2), i_app)
        k4 = model.dynamics(shifted(y, k3, h), i_app)
        return jax.tree.map(lambda x, a, b, c, d: x + h / 6 * (a + 2 * b + 2 * c + d), y, k1, k2, k3, k4)

    i_app = jnp.asarray(i_app)
    fine = jax.lax.fori_loop(0, 1000, lambda _, state: rk4(state), y)
    end, slope = jax.jvp(lambda s: flow(model, y, i_app, s), (0.02,), (1.0,))
    assert_close(end, fine, rtol=1e-12 + error)
    assert_close(slope, dynamics(model, end, i_app), rtol=1e-12 + 1e3 * error)


def test_lif_flow_holds_the_voltage_and_lets_adaptation_run():
    model, y, i_app, *_ = SPIKING_MODELS["LIF"]()
    held, free = (flow(model, y, i_app, 1.7, is_held) for is_held in (True, False))
    assert held.V == y.V and held.w == free.w == pytest.approx(0.02 * np.exp(-1.7 / 60), rel=1e-15)
    assert free.V != y.V


def test_lif_reset_jumps_both_variables():
    model, y, *_ = SPIKING_MODELS["LIF"]()
    after = model.reset(y, jnp.asarray(1.0))
    assert after.V == model.V_reset and after.w == pytest.approx(0.05, rel=1e-15)


def test_lif_flow_is_smooth_where_both_time_constants_are_equal():
    """At tau_w = tau_m: the limit, and the mean of the derivatives on both sides."""
    y = SPIKING_MODELS["LIF"]().y

    def V_end(tau_w):
        return LIF(tau_w=tau_w).flow(y, jnp.asarray(0.3), jnp.asarray(5.0), is_held=False).V

    second = jax.jit(jax.grad(jax.grad(V_end)))
    first = jax.jit(jax.grad(V_end))
    for f in (V_end, first, second):
        below, at, above = (f(20.0 + d) for d in (-1e-4, 0.0, 1e-4))
        assert np.isfinite(at) and below != above
        # what is left is the second derivative times 1e-8 / 2
        assert at == pytest.approx(float(0.5 * (below + above)), rel=1e-9)
    coupling = 100 * 0.02 / 20 * 5 * np.exp(-5 / 20)
    wanted = -40 + (-56.0 + 40) * np.exp(-5 / 20) - coupling
    assert V_end(20.0) == pytest.approx(wanted, rel=1e-14)


def test_lif_rate_is_0_below_rheobase_with_finite_derivatives():
    model = LIF()
    for i_app in (-1.0, 0.0, 0.2, 0.2 - 1e-12):
        assert model.rate(i_app) == 0.0
        assert jax.grad(model.rate)(i_app) == 0.0
    assert model.rate(0.2 + 1e-9) > 0 and np.isfinite(jax.grad(model.rate)(0.2 + 1e-9))
    np.testing.assert_array_equal(model.rate(jnp.array([0.1, 0.3]))[0], 0.0)
