"""Parameters: strong floats with metadata, found by path, replaced by value, checked once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from registry import all_subjects
from test_units import Quantity

from jaxneuro import LIF, FitzHughNagumo, HodgkinHuxley, Leak, Membrane, Step
from jaxneuro.params import AbstractParametrised, ParamInfo, get, names, param, params, replace, resolve

SUBJECTS = all_subjects()


class Spring(AbstractParametrised):
    tau: Array = param(unit="ms", bounds=(0, 5), is_open=True, doc="Damping time.")
    k: Array = param(2, unit="1", bounds=(0, None), doc="Stiffness.")
    n: int = 3


class Tree(AbstractParametrised):
    parts: dict[str, Spring]
    pair: tuple[Spring, Spring]
    mass: Array = param(1.0, unit="1", doc="Mass.")


def tree() -> Tree:
    return Tree({"a": Spring(1), "b": Spring(2)}, (Spring(3), Spring(4)))


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2), jnp.asarray(2), True])
def test_params_are_strong_arrays_of_the_default_float(value):
    stored = Spring(1.0, value).k
    assert isinstance(stored, jax.Array) and stored.dtype == jnp.float64 and not stored.weak_type


def test_params_keep_traced_values_and_their_gradient():
    assert jax.jit(jax.grad(lambda k: Spring(1.0, k).k ** 2))(3.0) == 6.0
    # what breaks the bounds is not known inside compiled code
    assert jax.jit(lambda k: Spring(1.0, k).k)(-3.0) == -3.0


@pytest.mark.parametrize("value", ["2", None])
def test_params_refuse_what_is_no_number(value):
    with pytest.raises(TypeError, match=rf"must be a number or an array in ms, but is {value!r}"):
        Spring(tau=value)


def test_params_convert_quantities_to_their_unit():
    assert LIF(R_m=Quantity(2e8, "ohm")).R_m == pytest.approx(200.0, rel=1e-15)
    with pytest.raises(ValueError, match="must be a quantity convertible to MOhm, but is 2.0 pA"):
        LIF(R_m=Quantity(2.0, "pA"))


@pytest.mark.parametrize("tau", [0.0, 5.0, -1.0, jnp.nan, jnp.inf, np.array([1.0, 6.0])])
def test_params_open_bounds_exclude_themselves(tau):
    with pytest.raises(ValueError, match=r"`tau` must be a number > 0 and < 5 \[ms\], but is .*; "):
        Spring(tau=tau)


def test_params_closed_bounds_include_themselves():
    assert Spring(1.0, 0.0).k == 0.0
    with pytest.raises(ValueError, match=r"Argument `k` must be a number >= 0, but is -0.1; "):
        Spring(1.0, -0.1)


def test_params_refuse_bad_model_constants():
    for build in (lambda: HodgkinHuxley(C_m=-1.0), lambda: HodgkinHuxley(C_m=0.0)):
        with pytest.raises(ValueError, match=r"Argument `C_m` must be a number > 0 \[uF/cm\^2\]"):
            build()
    with pytest.raises(ValueError, match=r"Argument `g_max` must be a number >= 0 \[mS/cm\^2\]"):
        Leak(g_max=-0.1)
    with pytest.raises(ValueError, match=r"`V_reset` must be below `V_th`, but is .*; lower V_reset"):
        LIF(V_reset=-40.0)
    with pytest.raises(TypeError, match="Argument `channels` must map names to channels, but 'na'"):
        Membrane(channels={"na": 120.0})


def test_params_carry_unit_bounds_and_meaning():
    assert params(tree())["parts.a.k"] == ParamInfo("1", (0, None), "Stiffness.", False)
    assert list(params(tree())) == [
        "parts.a.tau", "parts.a.k", "parts.b.tau", "parts.b.k",
        "pair.0.tau", "pair.0.k", "pair.1.tau", "pair.1.k", "mass",
    ]  # fmt: skip
    assert params(Step(1.0))["onset"].unit == "ms"


def test_params_are_named_by_their_shortest_unambiguous_path():
    assert names(tree()) == {
        **{f"{p}.{q}": f"parts.{p}.{q}" for p in "ab" for q in ("k", "tau")},
        **{f"{p}.{q}": f"pair.{p}.{q}" for p in "01" for q in ("k", "tau")},
        "mass": "mass",
    }
    assert names(HodgkinHuxley())["na.g_max"] == "channels.na.g_max"
    assert set(names(FitzHughNagumo())) == {"a", "b", "tau", "V_init", "w_init"}
    # a lone channel's conductance still shows whose it is
    assert "leak.g_max" in names(Membrane(channels={"leak": Leak()}))


@pytest.mark.parametrize("name", SUBJECTS)
def test_params_every_name_finds_its_own_parameter(name):
    thing = SUBJECTS[name]()
    for short, path in names(thing).items():
        assert resolve(thing, short) == path == resolve(thing, path)


def test_params_unknown_names_list_what_there_is():
    with pytest.raises(ValueError, match=r"'na\.gmax' must be one of HodgkinHuxley's.*did you mean 'na"):
        get(HodgkinHuxley(), "na.gmax")
    with pytest.raises(ValueError, match=r"it has C_m, V_init, k\.E_rev, .*na\.g_max, na\.q10\."):
        get(HodgkinHuxley(), "%%%%")


def test_params_ambiguous_names_list_the_candidates():
    with pytest.raises(ValueError, match=r"fits k\.g_max, leak\.g_max, na\.g_max; choose one"):
        get(HodgkinHuxley(), "g_max")


@pytest.mark.parametrize("name", SUBJECTS)
def test_params_replace_changes_one_parameter_and_nothing_else(name):
    thing = SUBJECTS[name]()
    for path in params(thing):
        changed = replace(thing, {path: get(thing, path) * 1.0})
        assert jax.tree.structure(changed) == jax.tree.structure(thing)
        for other in params(thing):
            np.testing.assert_array_equal(get(changed, other), get(thing, other))
    path, info = next(iter(params(thing).items()), (None, None))
    if path is not None:
        shifted = get(thing, path) + 0.125
        changed = replace(thing, {path: shifted})
        np.testing.assert_array_equal(get(changed, path), shifted)
        assert all(jnp.array_equal(get(changed, p), get(thing, p)) for p in params(thing) if p != path)


def test_params_replace_takes_short_names_numbers_and_tracers():
    model = replace(HodgkinHuxley(), {"na.g_max": 100, "C_m": 0.9})
    assert get(model, "na.g_max") == 100.0 and model.C_m == 0.9
    assert get(model, "na.g_max").dtype == jnp.float64
    assert replace(model, {}) is model
    slope = jax.grad(lambda g: get(replace(model, {"k.g_max": g}), "k.g_max") * 3.0)(1.0)
    assert slope == 3.0
    batch = jax.vmap(lambda g: replace(model, {"leak.g_max": g}))(jnp.array([0.1, 0.2]))
    np.testing.assert_array_equal(batch.channels["leak"].g_max, [0.1, 0.2])


def test_params_replace_checks_names_and_values():
    with pytest.raises(ValueError, match=r"Argument `k\.g_max` must be a number >= 0"):
        replace(HodgkinHuxley(), {"k.g_max": -1.0})
    with pytest.raises(ValueError, match="Parameter 'gk' must be one of HodgkinHuxley's"):
        replace(HodgkinHuxley(), {"gk": 1.0})
    with pytest.raises(TypeError, match="must be a number or an array"):
        replace(HodgkinHuxley(), {"C_m": "1"})
