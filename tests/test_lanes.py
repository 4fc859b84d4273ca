"""Lanes: many runs in chunks are the same runs, in every size, precision and nesting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxneuro as jn
from jaxneuro import lanes

HH_FREE = {"na.g_max": (100.0, 140.0), "k.g_max": (30.0, 40.0), "C_m": (0.9, 1.1)}


def voltage(values):
    model = jn.params.replace(jn.HodgkinHuxley(), values)
    return jn.simulate(model, jn.Step(12.0, 0.5), t1=3.0, dt_save=0.5, solver=jn.FixedStep(0.05), throw=False).voltage


def loss(values):
    return jnp.mean((voltage(values) + 50.0) ** 2)


def drawn(n):
    return jn.latin_hypercube(HH_FREE, n, seed=1).columns


@pytest.mark.parametrize("n", [1, 2, 63, 64, 129, 400])
def test_map_lanes_equals_vmap(n):
    values = drawn(n)
    together = jn.map_lanes(voltage, values)
    assert isinstance(together, np.ndarray) and together.shape == (n, 7)
    few = {name: jnp.asarray(column[-2:]) for name, column in values.items()}
    np.testing.assert_allclose(together[-2:], jax.vmap(voltage)(few), rtol=1e-12)


@pytest.mark.parametrize("sizes", [(3, 2), (2, 70), (70, 2), (5, 3, 20)], ids=str)
def test_chunked_function_under_several_vmaps_equals_the_loop(sizes):
    """Of arguments that any of them maps, or none; the result has the axes of all."""

    def function(a, b, c, d):
        return {"sum": a * b + jnp.sum(c) * d, "b": b}

    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=sizes), rng.normal(size=sizes[-1:]), rng.normal(size=(*sizes[:1], 4))
    nested, last = lanes.chunked(function), len(sizes) - 1
    for level in reversed(range(len(sizes))):
        axes = (0, 0 if level == last else None, 0 if level == 0 else None, None)
        nested = jax.vmap(nested, in_axes=axes)
    found = nested(*map(jnp.asarray, (a, b, c)), 2.0)
    assert found["sum"].shape == found["b"].shape == sizes
    for index in np.ndindex(*sizes):
        wanted = function(a[index], b[index[-1]], c[index[0]], 2.0)
        np.testing.assert_allclose(found["sum"][index], wanted["sum"], rtol=1e-14)
        assert found["b"][index] == wanted["b"]


def test_chunks_of_nested_vmaps_hold_lanes_of_all(monkeypatch):
    """5 lanes in each of 64 are 320 in 3 chunks, and not 64 chunks of 5 and 59 copies."""
    monkeypatch.setattr(lanes, "_is_cpu", lambda: True)
    nested = jax.vmap(jax.vmap(lanes.chunked(lambda x: jnp.sin(x))))
    text = str(jax.make_jaxpr(lambda x: nested(x) + 0.0)(jnp.zeros((64, 5))))
    assert "length=3" in text and f"[{lanes.chunk_width(320)}] = sin" in text.replace("f64", "")


def test_map_lanes_gives_gradients_of_every_lane():
    values = drawn(70)
    losses, slopes = jn.map_lanes(jax.value_and_grad(loss), values)
    forward = jn.map_lanes(jax.jacfwd(loss), values)
    for name in HH_FREE:
        np.testing.assert_allclose(slopes[name], forward[name], rtol=1e-9)
        shifted = {k: v + 1e-5 * (k == name) for k, v in values.items()}
        lowered = {k: v - 1e-5 * (k == name) for k, v in values.items()}
        differences = (jn.map_lanes(loss, shifted) - jn.map_lanes(loss, lowered)) / 2e-5
        np.testing.assert_allclose(slopes[name], differences, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(losses, jn.map_lanes(loss, values), rtol=1e-12)


@pytest.mark.parametrize("names", [["C_m"], ["C_m", "na.g_max"], ["C_m", "na.g_max", "k.g_max", "leak.g_max"]])
def test_map_lanes_derivative_goes_the_cheaper_way_and_agrees(names):
    """Forwards for few values, backwards for many: both are jax.grad's. Jacobians of arrays too."""
    values = {name: np.linspace(0.95, 1.05, 70) * float(jn.params.get(jn.HodgkinHuxley(), name)) for name in names}
    found, slopes = jn.map_lanes(loss, values, with_derivative=True)
    wanted, gradients = jn.map_lanes(jax.value_and_grad(loss), values)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    for name in names:
        np.testing.assert_allclose(slopes[name], gradients[name], rtol=1e-8, atol=1e-12)
    _, rows = jn.map_lanes(voltage, values, with_derivative=True)
    columns = jax.vmap(jax.jacfwd(voltage))({name: jnp.asarray(column[:2]) for name, column in values.items()})
    for name in names:
        assert rows[name].shape == (70, 7)
        np.testing.assert_allclose(rows[name][:2], columns[name], rtol=1e-8, atol=1e-10)
    with pytest.raises(ValueError, match="must hold one number per lane for derivatives"):
        jn.map_lanes(loss, {"C_m": np.ones((4, 2))}, with_derivative=True)


def test_map_lanes_does_not_depend_on_the_number_of_cores():
    values = drawn(300)
    np.testing.assert_array_equal(jn.map_lanes(loss, values, cores=1), jn.map_lanes(loss, values, cores=3))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({}, "one common leading axis"),
        ({"a": np.ones(3), "b": np.ones(4)}, r"but has shapes \[\(3,\), \(4,\)\]; stack"),
        (np.float64(1.0), "one common leading axis"),
        (np.ones(0), "one common leading axis"),
    ],
)
def test_map_lanes_refuses_values_without_a_common_axis(values, match):
    with pytest.raises(ValueError, match=match):
        jn.map_lanes(lambda x: x, values)


def test_simulate_under_vmap_runs_in_chunks_with_the_same_result():
    values = {name: jnp.asarray(column) for name, column in drawn(300).items()}
    batched = jax.jit(jax.vmap(voltage))
    text = batched.lower(values).as_text()
    assert "300x" in text and f"x{lanes.chunk_width(300)}x" in text  # of all lanes, and of a chunk
    alone = [voltage({name: column[k] for name, column in values.items()}) for k in (0, 150, 299)]
    np.testing.assert_allclose(batched(values)[jnp.array([0, 150, 299])], jnp.stack(alone), rtol=1e-12)


def test_simulate_under_nested_transformations_agrees_with_a_loop():
    """vmap in vmap, vmap of grad, grad of vmap, jvp of vmap."""
    values = {name: jnp.asarray(column[:6].reshape(2, 3)) for name, column in drawn(6).items()}
    flat = {name: column.ravel() for name, column in values.items()}
    nested = jax.vmap(jax.vmap(loss))(values)
    alone = jnp.stack([loss({name: column[k] for name, column in flat.items()}) for k in range(6)])
    np.testing.assert_allclose(nested.ravel(), alone, rtol=1e-12)
    each = jax.vmap(jax.grad(loss))(flat)
    summed = jax.grad(lambda v: jnp.sum(jax.vmap(loss)(v)))(flat)
    ones = jax.tree.map(jnp.ones_like, flat)
    pushed = jax.jvp(jax.vmap(loss), (flat,), (ones,))[1]
    for name in HH_FREE:
        np.testing.assert_allclose(summed[name], each[name], rtol=1e-9)
    np.testing.assert_allclose(pushed, sum(each.values()), rtol=1e-9)


@pytest.mark.parametrize("stimulus", [jn.Constant(10.0), jn.Step(10.0, 0.513, 1.2), jn.Pulses(20.0, 0.3, 0.2, 0.7, 4)])
def test_gradient_in_blocks_equals_that_in_steps(stimulus):
    """A memory of nothing stores blocks; jumps shift the saved states by as many steps, in no lane of a block alike."""

    def run(C_m, onset_shift, memory):
        moved = jn.params.replace(stimulus, {"onset": stimulus.onset + onset_shift}) if shifts else stimulus
        solver = jn.FixedStep(0.05, memory=memory)
        return jn.simulate(jn.HodgkinHuxley(C_m=C_m), moved, t1=3.03, dt_save=0.2, solver=solver, throw=False)

    shifts = stimulus.jump_ts.size > 0
    point = (jnp.asarray(1.0), jnp.asarray(0.0))
    in_steps, in_blocks = (
        jax.jacrev(lambda *x, m=memory: run(*x, m).voltage, argnums=(0, 1))(*point) for memory in (None, 1e-9)
    )
    for a, b in zip(in_steps, in_blocks, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)
    onsets = jnp.array([0.0, 0.03, 0.2])
    together = jax.vmap(jax.jacrev(lambda s: run(1.0, s, 1e-9).voltage))(onsets)
    for shift, column in zip(onsets, together, strict=True):
        np.testing.assert_allclose(column, jax.jacrev(lambda s: run(1.0, s, None).voltage)(shift), rtol=1e-9, atol=1e-9)


def test_adaptive_lanes_equal_their_own_runs_with_derivatives():
    """Every lane has its own steps; a lane whose state is infinite ends at once and is marked."""
    amplitudes = jnp.array([0.0, 7.0, 15.0, jnp.inf])

    def V_end(i):
        run = jn.simulate(jn.HodgkinHuxley(), i, t1=8.0, dt_save=8.0, solver=jn.Adaptive(1e-6, 1e-6), throw=False)
        return run.voltage[-1], run.result._value

    V, codes = jax.vmap(V_end)(amplitudes)
    slopes = jax.vmap(jax.grad(lambda i: V_end(i)[0]))(amplitudes[:3])
    for k in range(3):
        alone, code = V_end(amplitudes[k])
        assert code == codes[k] == 0
        assert V[k] == pytest.approx(float(alone), rel=1e-12)
        assert slopes[k] == pytest.approx(float(jax.jacfwd(lambda i: V_end(i)[0])(amplitudes[k])), rel=1e-9)
    assert codes[3] != 0


def test_any_lane_is_one_value_for_all():
    seen = jax.vmap(lambda x: (lanes.any_lane(x > 1), x > 1))(jnp.arange(3.0))
    assert seen[0].tolist() == [True] * 3 and seen[1].tolist() == [False, False, True]
    assert not jax.vmap(lambda x: lanes.any_lane(x > 5))(jnp.arange(3.0)).any()


@pytest.mark.parametrize("cores", [1, 2, 3, 16])
def test_cores_end_together(cores):
    for n_lane in (128 * np.array([1, 3, 8, 31, 40, 400, 4001])).tolist():
        cut = lanes.plan(n_lane, cores)
        batches = [min(cut.size, n_lane - start) for start in range(0, n_lane, cut.size)]
        loads = np.zeros(cores)
        for batch in batches:
            loads[loads.argmin()] += batch
        assert loads.max() <= 1.1 * n_lane / cores or cut.per_batch == 1


def test_lanes_plan_fills_vectors_and_cores():
    assert lanes.plan(3, cores=2).width == 3
    for n in (5, 100, 1000, 10**6):
        cut = lanes.plan(n, cores=2)
        assert cut.width % 16 == 0 and 64 <= cut.width <= 128  # float64
        assert cut.per_batch & (cut.per_batch - 1) == 0
    with pytest.raises(ValueError, match="`cores` must be a whole number of at least 1, but is 0"):
        lanes.plan(5, cores=0)
