"""Surrogate derivatives: bumps and their integrals, an unchanged forward run, and gradients through resets."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, assert_finite, eps, finite_differences
from jax import lax
from jax.flatten_util import ravel_pytree
from registry import SURROGATES

from jaxneuro import LIF, Constant, FixedStep, HodgkinHuxley, Step, simulate
from jaxneuro.params import replace
from jaxneuro.surrogates import (
    AbstractSurrogate,
    Arctan,
    MultiGaussian,
    StraightThrough,
    SuperSpike,
    Triangular,
    find_surrogate,
)

ALL = {name: make() for name, make in SURROGATES.items()}
GAPS = np.array([-1e6, -1e3, -88.0, -30.0, -4.1, -1.7, -1.0, -0.2, -1e-3, 0.0, 1e-9, 0.4, 1.3, 3.3, 25.0, 88.0, 1e6])
DTYPES = (np.float64, np.float32)


def normal(x, s):
    return jnp.exp(-x * x / (2 * s * s)) / (s * math.sqrt(2 * math.pi))


def multi_gaussian(x):
    return 1.15 * normal(x, 1.0) - 0.15 * (normal(x - 1, 6.0) + normal(x + 1, 6.0))


# the slopes of the registry's surrogates as functions of the distance to threshold, written anew
BUMPS = {
    "SuperSpike": lambda x: (1 + 0.7 * jnp.abs(x)) ** -2,
    "Sigmoid": lambda x: 0.7 / 4 / jnp.cosh(0.35 * x) ** 2,
    "Arctan": lambda x: 1 / (1 + 0.49 * x**2),
    "Triangular": lambda x: 0.3 * jax.nn.relu(1 - jnp.abs(0.3 * x)),
    "Gaussian": lambda x: jnp.exp(-0.245 * x**2),
    "MultiGaussian": lambda x: 0.7 / 0.85 * multi_gaussian(0.7 * x),
    "StraightThrough": jnp.ones_like,
    "CustomSurrogate": lambda x: jnp.exp(-(x**2)),
}


class Chosen(AbstractSurrogate):
    """One of several surrogates, by a traced index, so that one program serves all of them; with `is_smooth` the value
    of its primitive instead of the step, but the derivative that it has as a step."""

    which: jax.Array
    options: tuple[AbstractSurrogate, ...]
    is_smooth: bool = eqx.field(static=True, default=False)
    beta: float = eqx.field(static=True, default=1.0)
    normalize: str = eqx.field(static=True, default="peak")
    area: float = eqx.field(static=True, default=1.0)

    def h(self, x):
        raise NotImplementedError

    def primitive(self, x):
        raise NotImplementedError

    def __call__(self, gap):
        def spike(surrogate):
            def value(gap):
                step = surrogate(gap)
                return step + lax.stop_gradient(surrogate.smooth(gap) - step) if self.is_smooth else step

            return value

        return lax.switch(self.which, [spike(surrogate) for surrogate in self.options], gap)


def test_surrogate_slope_is_the_published_one():
    """At the widths of the papers, six digits of the formulas in Zenke & Ganguli, Bellec et al., Fang et al. and Yin et
    al., the last divided by its peak."""
    x = jnp.array([0.0, 0.25, 0.5, 1.0, 2.0])
    table = {
        SuperSpike(1.0): [1, 0.64, 0.444444, 0.25, 0.111111],
        SuperSpike(10.0): [1, 0.081633, 0.027778, 0.008264, 0.002268],
        Triangular(1.0): [1, 0.75, 0.5, 0, 0],
        Arctan(math.pi): [1, 0.618486, 0.288400, 0.092000, 0.024705],
        MultiGaussian(2.0): np.array([0.878223, 0.770539, 0.517716, 0.086904, -0.031391]) / 0.878223,
    }
    for surrogate, values in table.items():
        np.testing.assert_allclose(surrogate.slope(x), values, atol=1.5e-6)
        np.testing.assert_allclose(surrogate.slope(-x), values, atol=1.5e-6)


def integral(f):
    """Over all x = u / (1 - |u|), which makes a tail of 1 / x^2 a constant; panels end at the kinks at 0 and 1."""
    u, weight = np.polynomial.legendre.leggauss(200)
    u = np.concatenate([0.25 * (u + 1) + start for start in (-1.0, -0.5, 0.0, 0.5)])
    return float(np.tile(0.25 * weight, 4) @ (f(u / (1 - abs(u))) / (1 - abs(u)) ** 2))


@pytest.mark.parametrize("name", ALL)
def test_surrogate_has_the_peak_and_the_area_that_it_names(name):
    surrogate, betas = ALL[name], (0.3, 4.0)
    assert surrogate.h(jnp.asarray(0.0)) == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_allclose(surrogate.slope(GAPS), BUMPS[name](GAPS), rtol=1e-12)
    if math.isinf(surrogate.area):
        return
    assert integral(jax.jit(surrogate.h)) == pytest.approx(surrogate.area, rel=1e-9)
    peaks, areas = ([dataclasses.replace(surrogate, beta=b, normalize=n) for b in betas] for n in ("peak", "area"))
    slopes = jax.jit(lambda x: [s.slope(x / b) / b for s, b in zip(areas, betas, strict=True)])
    for k, (peak, area) in enumerate(zip(peaks, areas, strict=True)):
        assert peak.slope(jnp.asarray(0.0)) == pytest.approx(1.0, abs=1e-15)
        assert integral(lambda x, k=k: slopes(x)[k]) == pytest.approx(1.0, rel=1e-9)
        # a tail of 1 / x leaves as much at 1e12 mV
        np.testing.assert_allclose(area.smooth(np.array([-1e12, 0.0, 1e12])), [0, 0.5, 1], atol=1e-11)


def of_lanes(surrogate, gaps):
    """Value, slope and derivatives of the step and of the smooth one, in every mode and order."""
    derivatives = {
        "step": [jax.vmap(d(surrogate))(gaps) for d in MODES.values()],
        "smooth": [jax.vmap(d(surrogate.smooth))(gaps) for d in MODES.values()],
        "alone": [d(surrogate)(gaps[4]) for d in MODES.values()],
        "second": [jax.vmap(jax.jacfwd(d(surrogate)))(gaps) for d in MODES.values()],
    }
    return {"value": jax.vmap(surrogate)(gaps), "slope": surrogate.slope(gaps), **derivatives}


@pytest.fixture(scope="module", params=DTYPES)
def lanes(request):
    gaps = jnp.asarray(GAPS, request.param)
    return gaps, jax.jit(lambda x: {name: of_lanes(s, x) for name, s in ALL.items()})(gaps)


@pytest.mark.parametrize("name", ALL)
def test_surrogate_is_a_step_with_the_derivative_of_its_primitive(name, lanes):
    """In both modes, compiled, alone and over lanes, up to 1e6 mV; and no derivative beyond the first."""
    gaps, found = lanes[0], lanes[1][name]
    assert {leaf.dtype for leaf in jax.tree.leaves((found, ALL[name](gaps)))} == {gaps.dtype}
    assert_finite(found)
    for options in ({"beta": 0.05}, {"beta": 30.0, "normalize": "area" if math.isfinite(ALL[name].area) else "peak"}):
        np.testing.assert_array_equal(dataclasses.replace(ALL[name], **options)(gaps), GAPS >= 0)
    np.testing.assert_array_equal(found["value"], GAPS >= 0)
    slope, ulp = found["slope"], eps(gaps)
    for step, smooth, alone in zip(found["step"], found["smooth"], found["alone"], strict=True):
        np.testing.assert_allclose(step, slope, rtol=4 * ulp, atol=ulp)
        np.testing.assert_allclose(alone, slope[4], rtol=4 * ulp, atol=ulp)
        np.testing.assert_allclose(smooth, slope, rtol=20 * ulp, atol=10 * ulp)  # where it is flat, two terms cancel
    assert not any(map(np.any, found["second"]))


def adapting(attach, surrogate=None, *, model=None, i=0.6, onset=2.03, **options):
    """A run that spikes at a step and adapts, the last saving interval shorter than the others."""
    model = LIF(b_w=0.03, tau_w=60.0, t_ref=0.7) if model is None else model
    solver = FixedStep(0.2, surrogate=surrogate, attach_reset=attach)
    return simulate(model, Step(i, onset), solver=solver, **{"t1": 40.5, "dt_save": 0.6, **options})


@pytest.mark.parametrize("attach", [False, True])
def test_surrogate_leaves_the_run_as_it_is(attach):
    """To rounding, for another program multiplies and adds in another order, and spike by spike, with every surrogate;
    also one that fires at a gap of 0: at E_L = V_th V rests there without rounding."""
    surrogates = [SuperSpike(), *(Chosen(jnp.asarray(k), tuple(ALL.values())) for k in range(len(ALL)))]
    for case in ({}, {"model": LIF(E_L=-50.0, V_th=-50.0, b_w=0.03), "i": 0.0}):
        plain, *runs = (adapting(attach, surrogate, **case) for surrogate in (None, *surrogates))
        assert plain.spikes.size > 3 if not case else plain.spikes == pytest.approx([0.2])
        for run in runs:
            np.testing.assert_array_equal(run.spike_times, plain.spike_times)
            np.testing.assert_allclose(run.voltage, plain.voltage, rtol=1e-14)
            np.testing.assert_allclose(run.ys.w, plain.ys.w, rtol=1e-14)
            np.testing.assert_array_equal(run.spike_train, runs[0].spike_train)


def test_spike_train_counts_the_spikes_of_each_saving_interval():
    """Those after one saving time up to the next: saved at every step or many, at times that do not divide the run."""
    sizes = set()
    for options in ({"dt_save": 0.2}, {"dt_save": 0.6}, {"dt_save": 9.4, "t0": -7.3, "t1": 61.0}):
        run = adapting(False, SuperSpike(), i=1.0, **options)
        train, (ts, spikes) = np.asarray(run.spike_train), map(np.asarray, (run.ts, run.spikes))
        assert train.shape == ts.shape and train.sum() == spikes.size > 4
        # spikes lie on the grid up to rounding
        np.testing.assert_array_equal(train, np.bincount(np.searchsorted(ts + 1e-9, spikes), minlength=ts.size))
        sizes |= set(train)
    assert sizes >= {0.0, 1.0, 2.0}


# The smooth step acts below threshold too. Steps of 0.5 ms are so long that V comes over it nevertheless, and within
# half a mV around it bumps of half a mV act between no reset and a full one.
POINT = {"E_L": -50.47, "R_m": 100.0, "V_reset": -50.7, "V_th": -50.0, "b_w": 0.02, "t_ref": 1.4, "tau_m": 10.0}
POINT["tau_w"] = 7.0
x0, as_point = ravel_pytree(POINT | {"i_app": jnp.asarray(0.15), "onset": jnp.asarray(1.13)})
NAMES = sorted([*POINT, "i_app", "onset"])
NARROW = tuple(dataclasses.replace(s, beta=2.0) for s in ALL.values())


def of_point(x, surrogate, attach, *, dt_save=1.0, of_current=lambda p: Step(p["i_app"], p["onset"])):
    """Spike train and voltage of a run of 12 ms in which all of these matter."""
    point = as_point(x)
    model = replace(LIF(), {name: point[name] for name in POINT})
    solver = FixedStep(0.5, surrogate=surrogate, attach_reset=attach)
    run = simulate(model, of_current(point), t1=12.0, dt_save=dt_save, solver=solver, max_spikes=16)
    return jnp.stack([run.spike_train, run.voltage])


smooth = jax.jit(lambda x, k: of_point(x, Chosen(k, NARROW, is_smooth=True), True, dt_save=0.5))
smooth_jacobians = {mode: jax.jit(derivative(smooth)) for mode, derivative in MODES.items()}


@pytest.mark.parametrize("number, name", list(enumerate(ALL)))
def test_surrogate_derivative_is_that_of_the_run_with_its_primitive(number, name):
    """The primitive law: with the smooth step in the run, the derivatives that h gives are those of finite differences;
    of spike train and voltage, through refractory times, adaptation and the attached reset."""
    train, V = np.asarray(smooth(x0, number))
    assert np.sum(V >= -50.0) < np.sum(np.diff(V) == 0) > 2, "nothing is held"
    expected = finite_differences(lambda x: smooth(x, number), np.asarray(x0))
    scale = np.abs(expected).max(axis=(0, 1))
    assert [name for name, size in zip(NAMES, scale, strict=True) if not size] == ["t_ref"]  # whole steps
    for mode, jacobian in smooth_jacobians.items():
        # differences of step 1e-5 on bumps of half a mV, some with kinks
        np.testing.assert_allclose(jacobian(x0, number), expected, rtol=1e-6, atol=1e-6, err_msg=mode)


def by_hand(x, h, attach):
    """The same run with a constant current, by steps of 0.5 ms: every rule written again."""
    p = as_point(x)
    decay, decay_w = jnp.exp(-0.5 / p["tau_m"]), jnp.exp(-0.5 / p["tau_w"])
    V_inf, pull = (
        p["E_L"] + p["R_m"] * p["i_app"],
        p["R_m"] / p["tau_m"] * (decay_w - decay) / (1 / p["tau_m"] - 1 / p["tau_w"]),
    )

    def step(state, _):
        V, w, n_held = state
        V = jnp.where(n_held > 0, V, V_inf + (V - V_inf) * decay - w * pull)
        gap, fixed = V - p["V_th"], lax.stop_gradient(V - p["V_th"])
        spike = jnp.where(n_held > 0, 0.0, (fixed >= 0) + h(fixed) * (gap - fixed))
        strength = spike if attach else lax.stop_gradient(spike)
        V, w = V + strength * (p["V_reset"] - V), w * decay_w + strength * p["b_w"]
        return (V, w, jnp.where(spike > 0, 3, jnp.maximum(n_held - 1, 0))), (spike, V)  # 1.4 ms are 3 steps

    spikes, V = lax.scan(step, (p["E_L"], jnp.zeros(()), 0), length=24)[1]
    return jnp.stack([spikes[::2] + spikes[1::2], V[1::2]])  # two steps to a saving time


def constant(point):
    return Constant(point["i_app"])


# a current that needs several steps to threshold
x_hard, _ = ravel_pytree(as_point(x0) | {"i_app": jnp.asarray(0.08)})
HARD = {
    "library": lambda x, k, attach: of_point(x, Chosen(k, tuple(ALL.values())), attach, of_current=constant)[:, 1:],
    "by hand": lambda x, k, attach: by_hand(x, lambda gap: lax.switch(k, list(BUMPS.values()), gap), attach),
}


@pytest.mark.parametrize("attach", [False, True])
def test_surrogate_derivative_is_that_of_a_run_by_hand(attach):
    """Of the hard step; without `attach_reset` no surrogate reaches the voltage, so that all have one derivative."""
    assert list(BUMPS) == list(ALL)
    programs = [jax.jit(jax.jacfwd(f), static_argnums=2) for f in HARD.values()]
    found, expected = (np.stack([f(x_hard, k, attach) for k in range(len(ALL))]) for f in programs)
    # 24 resets, the attached ones of slopes up to 1 per mV and steps of up to 1 mV
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    of_train, of_voltage = found[:, 0], found[:, 1]
    for k in range(1, len(ALL)):
        assert np.array_equal(of_voltage[k], of_voltage[0]) != attach and not np.array_equal(of_train[k], of_train[0])


def test_surrogate_derivative_does_not_feel_a_jump_that_changes_nothing():
    """An empty step, where the stimulus jumps on the grid or outside the run, is no second chance to spike."""

    def in_parts(point):
        return Step(point["i_app"], -3.0, 7.0) + Step(point["i_app"], 4.0, 100.0)

    expected, found = (
        jax.jit(jax.jacfwd(lambda x, c=current: of_point(x, SuperSpike(), True, of_current=c)))(x_hard)
        for current in (constant, in_parts)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_fixed_step_spikes_do_not_feel_a_jump_outside_the_run():
    """At threshold from the start: the spike comes at the end of the first step, not of an empty one before it."""
    model = LIF(E_L=-50.0, V_th=-50.0, b_w=0.03)
    inside, outside = (adapting(False, SuperSpike(), model=model, i=0.0, onset=onset) for onset in (2.03, -1.0))
    np.testing.assert_allclose(inside.spikes, [0.2])
    np.testing.assert_array_equal(outside.spikes, inside.spikes)
    np.testing.assert_array_equal(outside.spike_train, inside.spike_train)


def test_surrogate_reset_is_detached_by_default():
    """After a spike V begins at V_reset, whatever the current: dV/di = R_m (1 - e^{-t / tau_m}) from there on."""

    def V(i):
        run = simulate(LIF(t_ref=0.0), i, t1=20.0, solver=FixedStep(0.1, surrogate=SuperSpike()))
        return run.voltage, run.voltage

    slope, voltage = jax.jit(jax.jacfwd(V, has_aux=True))(0.4)
    (at,) = np.flatnonzero(np.asarray(voltage) == -65.0)
    t = 0.1 * np.arange(201)
    since = np.where(np.arange(201) < at, t, t - t[at])
    np.testing.assert_allclose(slope, 100 * (1 - np.exp(-since / 20)), rtol=1e-11, atol=1e-11)


# so wide that the attached reset, 15 mV times the slope in every step near threshold, does not let gradients explode
WIDE = Arctan(0.05, normalize="area")


def gradient(i, onset, memory=None):
    """Loss and spike train of a run with adaptation, and the derivatives of the loss."""

    def loss(i, onset):
        solver = FixedStep(0.1, surrogate=WIDE, attach_reset=True, memory=memory)
        run = simulate(LIF(b_w=0.02), Step(i, onset), t1=40.0, dt_save=0.4, solver=solver)
        return jnp.sum(run.spike_train * jnp.cos(run.ts)), run.spike_train

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(i, onset)


def test_surrogate_gradient_over_lanes_equals_a_loop_in_next_to_no_memory():
    """There the states of blocks of steps alone are stored, and spikes counted through the blocks."""
    currents, onsets = jnp.array([0.1, 0.35, 0.6]), jnp.array([1.0, 2.03, 3.3])
    lanes = jax.jit(jax.vmap(gradient))(currents, onsets)
    in_blocks = jax.jit(lambda i, onset: gradient(i, onset, 1e-9))
    for k, n_spikes in enumerate((0, 2, 4)):
        (value, train), slopes = in_blocks(currents[k], onsets[k])
        assert train.sum() == n_spikes and np.all(np.abs(np.array(slopes)) > 1e-3)
        np.testing.assert_array_equal(lanes[0][1][k], train)
        np.testing.assert_allclose([leaf[k] for leaf in (lanes[0][0], *lanes[1])], [value, *slopes], rtol=1e-12)


def test_surrogate_gradient_of_a_spike_count_has_its_sign_and_size():
    """Against the closed form of the rate, d(count)/di over 200 ms. With the attached reset the narrow bumps come near
    it; without, every step near threshold adds to it, and wide bumps of unit peak overrate it a thousandfold."""
    exact = 0.2 * float(jax.grad(LIF().rate)(0.35))
    options = (SuperSpike(1.0), SuperSpike(3.0), SuperSpike(10.0), SuperSpike(0.02, normalize="area"))

    def count(i, k, attach):
        solver = FixedStep(0.1, surrogate=Chosen(k, options), attach_reset=attach)
        return simulate(LIF(), i, t1=200.0, solver=solver).spike_train.sum()

    slope = jax.jit(jax.grad(count), static_argnums=2)
    attached, detached = ([float(slope(0.35, k, attach)) / exact for k in range(4)] for attach in (True, False))
    assert np.all(np.array(attached) > 0.5) and np.all(np.array(attached) < 3), attached
    assert 1e3 > detached[0] > detached[1] > detached[2] > 1 and 1 < detached[3] < 10, detached


def test_find_surrogate_knows_them_by_name():
    for name, kind in (("superspike", SuperSpike), ("fast_sigmoid", SuperSpike), ("triangular", Triangular)):
        assert find_surrogate(name) == kind()
    assert find_surrogate("arctan", beta=0.5, normalize="area") == Arctan(0.5, "area")
    with pytest.raises(ValueError, match=r"`name` must be a surrogate, but is 'arctg'; .*'arctan'"):
        find_surrogate("arctg")
    with pytest.raises(ValueError, match=r"but is 'x'; known are superspike, .*gaussian, .*straight_through\.$"):
        find_surrogate("x")


@pytest.mark.parametrize("beta", [0, -1.0, math.inf, math.nan, True, "1"])
def test_surrogate_refuses_a_bad_width(beta):
    with pytest.raises(ValueError, match=rf"`beta` must be a positive number \[1/mV\], but is {beta!r}; "):
        SuperSpike(beta)


def test_surrogate_refuses_a_bad_normalisation():
    with pytest.raises(ValueError, match=r"`normalize` must be one of 'peak', 'area', but is 'unit'; "):
        Arctan(normalize="unit")
    with pytest.raises(ValueError, match="`normalize` must be 'peak' for StraightThrough, which has no area"):
        StraightThrough(normalize="area")


def test_solver_refuses_a_surrogate_where_it_has_no_use():
    with pytest.raises(TypeError, match=r"`surrogate` must be a surrogate, but is 'superspike'; .*find_surrogate"):
        FixedStep(0.1, surrogate="superspike")
    with pytest.raises(TypeError, match="`surrogate` must be a surrogate, but is <class"):
        FixedStep(0.1, surrogate=SuperSpike)
    with pytest.raises(ValueError, match="`surrogate` must be None for a model without a reset, .*HodgkinHuxley; "):
        simulate(HodgkinHuxley(), 10.0, t1=1.0, solver=FixedStep(0.1, surrogate=SuperSpike()))
    with pytest.raises(ValueError, match="`solver` must have a surrogate for a spike train, but has none; "):
        _ = simulate(LIF(), 0.4, t1=1.0, solver=FixedStep(0.1)).spike_train
