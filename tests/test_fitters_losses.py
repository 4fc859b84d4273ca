"""Losses that put up with spikes at other times: moments, phase-plane density, soft-DTW and van Rossum's distance."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, assert_finite, compilations, quick_jit
from refusals import refused

from jaxneuro.analysis.spike_trains import van_rossum_distance
from jaxneuro.fitters import PhasePlaneLoss, SoftDTW, SpikeTimes, TraceLoss, VanRossumLoss, VoltageTrace, WindowLoss
from jaxneuro.fitters.targets._trace_losses import _divergence, _soft_dtw
from jaxneuro.models import HodgkinHuxley

DT = 0.1  # ms
PERIOD = 125  # samples


class Trace(NamedTuple):
    """As much of a solution as a loss of voltages reads."""

    voltage: jax.Array


def spiking(n_time: int = 501, shift: float = 0.0, height: float = 95.0) -> np.ndarray:
    """Spikes every 12.5 ms and a dip after each [mV], `shift` samples late."""
    ts = DT * (np.arange(n_time) - shift)
    after = (ts - 4.0 + 6.25) % 12.5 - 6.25
    return -65.0 + height * np.exp(-((after / 0.5) ** 2)) - 9.0 * np.exp(-(((after - 2.5) / 1.2) ** 2))


@eqx.filter_jit
def _value(loss: Any, voltage: jax.Array, target: VoltageTrace) -> jax.Array:
    return loss.value(loss(Trace(voltage), target), target)


def value(loss: Any, voltage: Any, target: VoltageTrace) -> float:
    return float(_value(loss, jnp.asarray(voltage), target))


ON_TRACES = {
    "window": WindowLoss(10.0),
    "windows": WindowLoss([(0.0, 8.0), (5.0, 30.0)], mean=2.0, std=1.0),
    "phase": PhasePlaneLoss(),
    "phase-wide": PhasePlaneLoss(8.0, 50.0, n_grid=25),
    "dtw": SoftDTW(),
    "dtw-fine": SoftDTW(0.5, pool=0.5, stride=0.5, penalty=0.3),
}
MASK = np.arange(501) % 90 > 40  # leaves samples out, and whole windows


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("name", ON_TRACES)
def test_trace_losses_are_zero_at_the_data_alone_and_leave_out_what_is_masked(name, mask):
    data = spiking()
    target = VoltageTrace(DT, data, None, mask=mask)
    loss = ON_TRACES[name]
    assert abs(value(loss, data, target)) < 1e-12
    off = spiking(height=80.0, shift=3.0)
    far = value(loss, off, target)
    assert far > 1e-3
    if mask is not None:
        assert value(loss, np.where(mask, off, 500.0), target) == pytest.approx(far, rel=1e-12)


SMALL = {
    "window": WindowLoss(2.0),
    "windows": WindowLoss([(0.0, 3.0), (2.0, 6.0)], mean=2.0, std=1.0),
    "phase": PhasePlaneLoss(n_grid=12),
    "phase-wide": PhasePlaneLoss(20.0, 100.0, n_grid=10),
    "dtw": SoftDTW(),
    "dtw-fine": SoftDTW(0.5, pool=0.5, stride=0.5, penalty=0.3),
}


@pytest.mark.parametrize("name", SMALL)
def test_trace_losses_derivatives_are_those_of_differences(name):
    """In both modes, and where the standard deviation is 0."""
    n = 61
    target = VoltageTrace(DT, spiking(n), None, mask=np.arange(n) % 20 > 3)
    flat = VoltageTrace(DT, np.full(n, -65.0), None)
    loss = SMALL[name]
    shape = np.stack([np.ones(n), np.sin(0.3 * np.arange(n)), spiking(n, 2.5) / 50])

    def f(x):
        return loss(Trace(jnp.asarray(spiking(n, 1.0)) + x @ jnp.asarray(shape)), target)

    # coarse steps: the loss of a trace of 100 mV is rounded at 1e-14, and parts of the grid are empty
    assert_derivatives_agree(f, np.array([0.7, 1.3, -0.4]), atol=1e-7, step=1e-4)

    def slopes(V):
        on = [lambda V, target=target: loss(Trace(V), target) for target in (target, flat)]
        return [mode(g)(V) for mode in (jax.jacfwd, jax.jacrev) for g in on]

    voltages = jnp.stack([flat.voltage, jnp.zeros(n), target.voltage])
    assert_finite(quick_jit(jax.vmap(slopes))(voltages))


def test_trace_losses_forgive_a_shift_that_the_squared_error_does_not():
    """A shifted train is far better than silence; to the squared error it is worse."""
    target = VoltageTrace(DT, spiking(), None)
    silent = np.full(501, -65.0)
    losses = {"trace": TraceLoss(), "window": WindowLoss(12.5), "phase": PhasePlaneLoss(), "dtw": SoftDTW()}
    ratio = {
        name: max(value(loss, spiking(shift=k), target) for k in (10, 20, 30)) / value(loss, silent, target)
        for name, loss in losses.items()
    }
    assert ratio["trace"] > 1.5
    assert ratio["window"] < 1e-3 and ratio["phase"] < 1e-3
    assert ratio["dtw"] < 0.1  # what is cut off at the ends


# -- moments -----------------------------------------------------------------------------------------------------------


def test_window_loss_of_a_sine_is_known():
    """Mean and root mean square of whole periods, A / sqrt(2), are exact for even samples."""
    wave = np.sin(2 * np.pi * np.arange(400) / 100)
    target = VoltageTrace(DT, -70.0 + 5.0 * wave, None)
    found = WindowLoss(10.0, mean=2.0, std=0.5)(Trace(jnp.asarray(-67.0 + 8.0 * wave)), target)
    np.testing.assert_allclose(found, [1.5] * 4 + [3 / np.sqrt(2) / 0.5] * 4, rtol=1e-12)


def test_window_loss_tiles_the_trace_and_leaves_out_empty_windows():
    model, data = spiking(101), spiking(101, 30.0, 80.0)
    mask = np.ones(101, bool)
    mask[25:50], mask[60:70] = False, False
    found = WindowLoss(2.5)(Trace(jnp.asarray(model)), VoltageTrace(DT, data, None, mask=mask))
    windows = [slice(0, 25), None, slice(50, 75), slice(75, 101)]  # the last sample belongs to the last window
    expected = []
    for moment, tolerance in ((np.mean, 8.0), (np.std, 4.0)):
        for window in windows:
            both = [V[window][mask[window]] for V in (model, data)] if window else [np.zeros(1)] * 2
            expected.append((moment(both[0]) - moment(both[1])) / tolerance * np.sqrt(4 / 3))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    late = VoltageTrace(7.0 + DT * np.arange(101), data, None)
    listed = WindowLoss([(7.0, 9.5), (9.5, 17.1)])(Trace(jnp.asarray(model)), late)
    expected = np.mean(model[:25]) - np.mean(data[:25]), np.mean(model[25:]) - np.mean(data[25:])
    np.testing.assert_allclose(listed[:2] * 8.0, expected, rtol=1e-12)


# -- the phase plane ---------------------------------------------------------------------------------------------------


def trajectory(voltage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V and dV/dt halfway between samples, and linear in between: 4 points to a sample."""
    at, halfway = (np.arange(4 * (voltage.size - 2)) + 0.5) / 4, np.arange(voltage.size - 1)
    return tuple(np.interp(at, halfway, x) for x in ((voltage[1:] + voltage[:-1]) / 2, np.diff(voltage) / DT))


def test_phase_plane_loss_is_the_integral_over_the_plane():
    """A product of two normal densities integrates to one of their distance, of the double variance."""
    data, model = spiking(2 * PERIOD + 1), spiking(2 * PERIOD + 1, 4.3, 85.0)
    h, g = 6.0, 30.0

    def product(a, b):
        (V, W), (v, w) = trajectory(a), trajectory(b)
        exponent = ((V[:, None] - v[None]) / h) ** 2 + ((W[:, None] - w[None]) / g) ** 2
        return np.mean(np.exp(-exponent / 4))

    expected = 1 + (product(model, model) - 2 * product(model, data)) / product(data, data)
    target = VoltageTrace(DT, data, None)
    # the grid ends 3 bandwidths beyond the data, and sums are as good as integrals at this spacing
    assert value(PhasePlaneLoss(h, g), model, target) == pytest.approx(expected, rel=1e-5)
    assert value(PhasePlaneLoss(h, g, n_grid=64), model, target) == pytest.approx(expected, rel=1e-5)
    assert value(PhasePlaneLoss(h, g), data + 400.0, target) == pytest.approx(1.0, abs=1e-12)


def test_phase_plane_loss_does_not_see_a_shift_in_time():
    n = 3 * PERIOD + 2  # points between whole periods
    target = VoltageTrace(DT, spiking(n), None)
    for shift in (1, 40, PERIOD // 2):
        assert value(PhasePlaneLoss(), spiking(n, shift), target) < 1e-20
    # in the squares of densities the rest, where the trace stays long, outweighs the spikes
    assert value(PhasePlaneLoss(), spiking(n, height=60.0), target) > 1e-3


def test_phase_plane_loss_widens_kernels_that_the_grid_would_miss():
    data, model = spiking(), spiking(height=60.0)
    target = VoltageTrace(DT, data, None)
    # 40 points: 33 spacings between the ends of the data, and 3 beyond either
    widths = [np.ptp(x) / 33 for x in trajectory(data)]
    found, expected = (value(PhasePlaneLoss(*pair), model, target) for pair in ((1e-3, 1e-3), widths))
    assert found == pytest.approx(expected, rel=1e-10) and found > 1e-3


# -- soft-DTW ----------------------------------------------------------------------------------------------------------


def by_loop(x, y, cost, softmin):
    """The least of sums along alignments, pair by pair."""
    R = np.full((len(x) + 1, len(y) + 1), np.inf)
    R[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            R[i + 1, j + 1] = cost(x[i], y[j], i - j) + softmin(np.array([R[i, j], R[i, j + 1], R[i + 1, j]]))
    return R[-1, -1]


def soft(x, y, gamma, penalty):
    def cost(a, b, steps):
        k = np.exp(-(np.hypot(gamma, a - b) - gamma + penalty * abs(steps)) / gamma)
        return -gamma * np.log(k / (2 - k))

    def softmin(r):
        return r.min() - gamma * np.log(np.sum(np.exp(-(r - r.min()) / gamma)))

    return by_loop(x, y, cost, softmin)


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_soft_dtw_is_that_of_a_loop_over_pairs(n):
    rng = np.random.default_rng(n)
    x, y = 5 * rng.normal(size=(2, n))
    for gamma, penalty in ((0.3, 0.0), (4.0, 0.7)):
        numbers = jnp.array(gamma), jnp.array(penalty)
        np.testing.assert_allclose(_soft_dtw(x, y, *numbers), soft(x, y, gamma, penalty), rtol=1e-10, atol=1e-12)
        expected = soft(x, y, gamma, penalty) - (soft(x, x, gamma, penalty) + soft(y, y, gamma, penalty)) / 2
        np.testing.assert_allclose(_divergence(x, y, *numbers), expected, rtol=1e-9, atol=1e-12)
    hard = by_loop(x, y, lambda a, b, _: abs(a - b), np.min)
    # 2 n pairs at most, each of which gamma and ln 3 may move
    np.testing.assert_allclose(_soft_dtw(x, y, jnp.array(1e-4), jnp.array(0.0)), hard, atol=2e-4 * 2 * n)


@pytest.mark.parametrize("gamma", [0.01, 1.0, 30.0, 1000.0])
def test_soft_dtw_divergence_is_positive_and_zero_for_equal_traces(gamma):
    rng = np.random.default_rng(3)
    x = np.cumsum(rng.normal(size=(200, 12)), axis=1)
    y = x + 10.0 ** rng.uniform(-2, 1, size=(200, 1)) * rng.normal(size=(200, 12))
    both = jax.jit(jax.vmap(_divergence, (0, 0, None, None)))
    for penalty in (0.0, 0.5):
        numbers = jnp.array(gamma), jnp.array(penalty)
        assert np.all(np.asarray(both(x, y, *numbers)) > 0)
        np.testing.assert_allclose(both(x, x, *numbers), 0.0, atol=1e-12 * gamma)


@pytest.mark.parametrize("n", [1, 6])
def test_soft_dtw_derivatives_are_those_of_differences(n):
    """In the traces, gamma and the penalty, and the second ones of the loss at equal traces."""
    rng = np.random.default_rng(n)
    x, y = 5 * rng.normal(size=(2, n))
    start = {"x": x, "y": y, "gamma": np.array(2.0), "penalty": np.array(0.4)}
    assert_derivatives_agree(lambda z: _divergence(z["x"], z["y"], z["gamma"], z["penalty"]), start, atol=1e-9)
    numbers = jnp.array(2.0), jnp.array(0.4)
    slope, hessian = quick_jit(lambda x: [mode(_divergence)(x, y, *numbers) for mode in (jax.jacfwd, jax.hessian)])(y)
    np.testing.assert_allclose(slope, 0.0, atol=1e-12)
    assert np.all(np.linalg.eigvalsh(hessian) > 0)


def test_soft_dtw_sees_a_spike_of_one_sample_wherever_it_is():
    """The mean of its maxima is a triangle, whose values a stride apart add up to its height."""
    target = VoltageTrace(DT, np.zeros(98), None)
    loss = SoftDTW(1e-3, pool=1.0, stride=1.0)
    for k in (0, 9, 10, 44, 55, 97):
        voltage = np.zeros(98)
        voltage[k] = 60.0
        found = value(loss, voltage, target)
        assert found > 1.0 if k in (0, 97) else found == pytest.approx(60.0 / 10, rel=1e-3)
    # the penalty prices a shift: of two neighbours in time each pair costs 2 mV, at most 4 of 10 pairs
    x, y = np.zeros(98), np.zeros(98)
    x[45], y[55] = 60.0, 60.0
    shifted = VoltageTrace(DT, y, None)
    assert value(loss, x, shifted) < 1e-2
    priced = value(eqx.tree_at(lambda s: s.penalty, loss, jnp.array(2.0)), x, shifted)
    assert 0.2 < priced < 0.81


# -- van Rossum --------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """As much of a solution as a loss of spike times reads; the voltage stays `below` its threshold."""

    spike_times: jax.Array
    ts: jax.Array
    below: Any = 0.0
    model: Any = HodgkinHuxley()

    @property
    def voltage(self):
        return self.model.spike_threshold - self.below + 1e-9 * (self.ts - self.ts[-1])


def spikes_loss(times, data, t1=200.0, below=0.0, **options):
    with jax.ensure_compile_time_eval():  # of the data, also where the model's spikes are traced
        target = SpikeTimes(data, t1=t1, room=8)
    padded = jnp.concatenate([jnp.asarray(times, float), jnp.full(8 - len(times), jnp.inf)])
    return VanRossumLoss(**options)(Run(padded, jnp.linspace(0.0, t1, 5), below), target)


def test_van_rossum_loss_of_single_spikes_is_known():
    assert spikes_loss([50.0, 90.0], [50.0, 90.0], tau=5.0) == pytest.approx(0.0, abs=1e-12)
    for d in (-3.0, 0.5, 7.0):
        shifted = spikes_loss([50.0 + d], [50.0], tau=5.0)
        assert shifted == pytest.approx(2 - 2 * np.exp(-abs(d) / 5.0), rel=1e-9)
    # a spike of 2 too few, one too many; the voltage stays some 1e-9 mV below the threshold
    assert spikes_loss([50.0], [50.0, 120.0], tau=2.0) == pytest.approx(0.5, rel=1e-7)
    assert spikes_loss([50.0, 120.0, 150.0], [50.0, 120.0], tau=2.0) == pytest.approx(0.5, rel=1e-7)


def test_van_rossum_loss_is_the_distance_within_the_run():
    model, data = [31.0, 55.0, 57.0, 101.0], [30.0, 56.0, 120.0]
    distance = van_rossum_distance(model, data, 6.0, is_squared=True)
    assert spikes_loss(model, data, t1=250.0, tau=6.0) == pytest.approx(float(distance) / 3, rel=1e-12)
    # near the end: the integral itself, by the midpoint rule
    t1, tau = 124.0, 15.0
    width = 1e-3
    t = np.arange(width / 2, t1, width)
    f, g = (sum(np.where(t > s, np.exp(-np.maximum(t - s, 0) / tau), 0.0) for s in train) for train in (model, data))
    expected = 2 / tau * width * np.sum((f - g) ** 2) / 3
    assert spikes_loss(model, data, t1=t1, tau=tau) == pytest.approx(expected, rel=1e-4)  # jumps within a step


def test_van_rossum_loss_derivatives_are_those_of_differences():
    def f(z):
        return spikes_loss(z["times"], [30.0, 56.0, 120.0], t1=124.0, tau=z["tau"], below=z["below"])

    for times in ([31.0, 55.0, 57.0, 101.0], []):
        assert_derivatives_agree(f, {"times": np.array(times), "tau": np.array(7.0), "below": np.array(4.0)}, atol=1e-9)
    equal = {"times": np.array([30.0, 56.0, 56.0]), "tau": np.array(7.0), "below": np.array(0.0)}
    assert_finite(quick_jit(lambda z: [jax.jacfwd(f)(z), jax.jacrev(f)(z)])(equal))
    # where two spikes coincide the slope is the mean of those to either side
    at_rest = jax.grad(lambda t: spikes_loss(t, [50.0], tau=5.0))(jnp.array([50.0]))
    np.testing.assert_allclose(at_rest, 0.0, atol=1e-12)


def test_van_rossum_loss_is_continuous_where_a_spike_crosses_t1():
    for data in ([10.0], [10.0, 45.0], [10.0, 30.0, 48.0]):
        inside = spikes_loss([10.0, 50.0 - 1e-9], data, t1=50.0, tau=8.0, below=0.0)
        assert inside == pytest.approx(float(spikes_loss([10.0], data, t1=50.0, tau=8.0)), abs=1e-6)
        # the others, which the model lacks too, do not begin to count anew
        after = spikes_loss([10.0, 50.0 - 1e-9], data, t1=50.0, tau=8.0, below=15.0)
        assert after == pytest.approx(float(inside), abs=1e-6)


def test_van_rossum_loss_draws_a_missing_spike_nearer():
    for times, n_missing in (([50.0], 2), ([50.0, 60.0], 1), ([50.0, 60.0, 70.0], 0), ([50.0, 60.0, 70.0, 80.0], 0)):
        f = lambda below, times=times: spikes_loss(times, [50.0, 60.0, 70.0], tau=5.0, below=below, per_mV=0.2)  # noqa: E731
        slopes = jax.vmap(jax.grad(f))(jnp.array([3.0, 30.0]))
        np.testing.assert_allclose(slopes, 0.2 * n_missing / 3, rtol=1e-6)


def test_van_rossum_loss_with_another_tau_does_not_compile():
    target = SpikeTimes([30.0, 56.0], t1=100.0)
    run = Run(target.times + 1.0, jnp.linspace(0.0, 100.0, 5))
    f = eqx.filter_jit(lambda loss: loss(run, target))
    long = f(VanRossumLoss(tau=30.0))
    with compilations() as messages:
        short = f(VanRossumLoss(tau=2.0))
        tenth = f(eqx.tree_at(lambda loss: loss.tau, VanRossumLoss(tau=30.0), jnp.asarray(3.0, float)))
    assert not messages and long < tenth < short


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: WindowLoss(-1.0), r"`windows` must be a positive length .* but is -1.0; use"),
        (lambda: WindowLoss([(3.0, 1.0)]), r"`windows` must .* start < stop, but is \[\(3.0, 1.0\)\]; use"),
        (lambda: WindowLoss([]), r"`windows` must .* but is \[\]; use"),
        (lambda: WindowLoss("all"), r"`windows` must .* but is 'all'; use"),
        (lambda: WindowLoss(5.0, mean=0.0), r"`mean` must be a positive number \[mV\], but is 0; use"),
        (lambda: WindowLoss(5.0, std=[1.0, 2.0]), r"`std` must be a positive number \[mV\], but is \[1.0, 2.0\]; use"),
        (lambda: PhasePlaneLoss(-2.0), r"`V_bandwidth` must be a positive number \[mV\], but is -2; use"),
        (lambda: PhasePlaneLoss(None, "x"), r"`dV_bandwidth` must be a positive number \[mV/ms\], but is 'x'; use"),
        (lambda: PhasePlaneLoss(n_grid=5), r"`n_grid` must be a whole number of at least 10, but is 5; use"),
        (lambda: SoftDTW(0.0), r"`gamma` must be a positive number \[mV\], but is 0; use"),
        (lambda: SoftDTW(pool=np.inf), r"`pool` must be a positive number \[ms\], but is inf; use"),
        (lambda: SoftDTW(stride=-1.0), r"`stride` must be a positive number \[ms\], but is -1; use"),
        (lambda: SoftDTW(penalty=-0.1), r"`penalty` must be a non-negative number \[mV/ms\], but is -0.1; use"),
        (lambda: VanRossumLoss(tau=-3.0), r"`tau` must be a positive number \[ms\], but is -3; use"),
        (lambda: VanRossumLoss(per_mV=np.nan), r"`per_mV` must be a non-negative number \[1/mV\], but is nan; use"),
    ],
)
def test_losses_refuse_bad_arguments(make, match):
    with refused(match):
        make()


def test_window_loss_refuses_windows_beside_the_trace():
    target = VoltageTrace(0.5, np.zeros(20), None)
    for windows, match in (
        (0.1, r"`windows` must be a length between .*, 0.5 ms, .* 10 ms, but is 0.1; use e.g. 5"),
        (30.0, r"`windows` must be a length .* but is 30; use"),
        ([(0.0, 5.0), (4.0, 30.0)], r"`windows` must hold samples .* from 0 to 9.5 ms .* but has \(4, 30\); move it"),
        ([(1.1, 1.3)], r"`windows` must hold samples of the trace, .* but has \(1.1, 1.3\); move it"),
    ):
        with refused(match):
            WindowLoss(windows)(Trace(jnp.zeros(20)), target)
