"""Laws of every stimulus, and each one's value against its own formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_derivatives_agree, eps
from registry import STIMULI
from scipy.signal import chirp as scipy_chirp

from jaxneuro.params import get, params, replace
from jaxneuro.stimuli import (
    AbstractStimulus,
    Chirp,
    Constant,
    OrnsteinUhlenbeck,
    Pulses,
    Ramp,
    Sampled,
    Sine,
    Step,
    Sum,
    as_stimulus,
)


@jax.jit
def values(stimulus, ts):
    return stimulus(ts)


def jumps_in(stimulus: AbstractStimulus, window: tuple[float, float]) -> np.ndarray:
    jump_ts = np.asarray(stimulus.jump_ts)
    return jump_ts[(jump_ts > window[0]) & (jump_ts < window[1])]


@pytest.mark.parametrize("name", STIMULI)
def test_stimulus_is_elementwise_in_time(name):
    stimulus, (start, end) = STIMULI[name]()
    ts = jnp.linspace(start, end, 12).reshape(3, 4)
    together = values(stimulus, ts)
    assert together.shape == ts.shape and together.dtype == jnp.float64
    one_by_one = [values(stimulus, t) for t in ts.ravel()]
    np.testing.assert_allclose(together.ravel(), one_by_one, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(stimulus(ts), together, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", STIMULI)
def test_stimulus_jump_ts_are_sorted_floats(name):
    jump_ts = STIMULI[name]().stimulus.jump_ts
    assert jump_ts.ndim == 1 and jump_ts.dtype == jnp.float64
    assert np.all(np.diff(jump_ts) >= 0)


@pytest.mark.parametrize("name", STIMULI)
def test_stimulus_jumps_where_it_says_and_nowhere_else(name):
    """On a fine grid the increments are those of a Lipschitz function, except over a jump."""
    stimulus, window = STIMULI[name]()
    ts = jnp.linspace(*window, 20_001)
    increments = np.abs(np.diff(values(stimulus, ts)))
    jumps = jumps_in(stimulus, window)
    # by the right edge of its grid cell; a time on the grid counts into the cell that ends there
    cells = np.searchsorted(np.asarray(ts), jumps) - 1
    is_smooth = np.ones(increments.size, bool)
    is_smooth[cells] = False
    # 0.5 us between grid points; the steepest case is the noise, at most 1 per 0.1 ms
    assert increments[is_smooth].max() < 0.01


@pytest.mark.parametrize("name", ["Step", "Levels", "Pulses", "Ramp", "Sine", "Sum"])
def test_stimulus_value_or_slope_breaks_at_every_jump(name):
    stimulus, window = STIMULI[name]()
    h = 1e-4
    for t in jumps_in(stimulus, window):
        left = np.asarray(values(stimulus, t - h * jnp.array([2.0, 1.0])))
        right = np.asarray(values(stimulus, t + h * jnp.array([1.0, 2.0])))
        value_jump = abs(right[0] - left[1])
        slope_jump = abs((right[1] - right[0]) - (left[1] - left[0])) / h
        assert value_jump > 1e-2 or slope_jump > 1e-2, t


@pytest.mark.parametrize("name", STIMULI)
def test_stimulus_domain_holds_its_window(name):
    stimulus, (start, end) = STIMULI[name]()
    first, last = stimulus.domain
    assert first <= start and last >= end - 1e-9


@pytest.mark.parametrize("name", STIMULI)
def test_stimulus_derivatives_in_its_parameters_and_in_time_agree(name):
    stimulus, (start, end) = STIMULI[name]()
    paths = [p for p in params(stimulus) if np.all(np.isfinite(get(stimulus, p)))]
    # neither on a jump nor on a sample
    ts = jnp.linspace(start, end, 6)[1:-1] + 0.0137

    def f(inputs):
        chosen, shift = inputs
        return replace(stimulus, chosen)(ts + shift)

    assert_derivatives_agree(f, ({p: get(stimulus, p) for p in paths}, 0.0), step=1e-5)


@pytest.mark.parametrize("a", STIMULI)
@pytest.mark.parametrize("b", ["Step", "Sampled", "Sum"])
def test_sum_is_the_sum_of_its_terms(a, b):
    first, second = STIMULI[a]().stimulus, STIMULI[b]().stimulus
    both = first + second
    ts = jnp.linspace(1.0, 9.0, 41)
    np.testing.assert_allclose(values(both, ts), values(first, ts) + values(second, ts), atol=1e-14)
    jumps = np.concatenate([first.jump_ts, second.jump_ts])
    np.testing.assert_array_equal(both.jump_ts, np.sort(jumps))
    assert both.domain[0] == max(first.domain[0], second.domain[0])
    assert both.domain[1] == min(first.domain[1], second.domain[1])


def test_sum_is_flat_and_names_its_terms():
    total = Step(1.0, 2.0) + Constant(3.0) + (Sine(1.0) + Constant(4.0))
    assert isinstance(total, Sum) and len(total.stimuli) == 4
    assert get(total, "1.amplitude") == 3.0 and get(total, "3.amplitude") == 4.0


def test_step_is_on_from_its_onset_until_before_its_end():
    step = Step(amplitude=2.0, onset=1.0, duration=3.0)
    ts = jnp.array([0.0, np.nextafter(1.0, 0), 1.0, 2.5, np.nextafter(4.0, 0), 4.0, 9.0])
    np.testing.assert_array_equal(values(step, ts), [0, 0, 2, 2, 2, 0, 0])
    np.testing.assert_array_equal(step.jump_ts, [1.0, 4.0])


def test_step_without_duration_lasts_for_ever():
    np.testing.assert_array_equal(values(Step(2.0, 1.0), jnp.array([0.5, 1.0, 1e9])), [0, 2, 2])


def test_pulses_are_as_many_steps_at_equal_intervals():
    pulses = Pulses(3.0, onset=1.0, duration=0.5, interval=2.0, count=3)
    steps = [Step(3.0, 1.0 + 2.0 * k, 0.5) for k in range(3)]
    ts = jnp.linspace(0.0, 8.0, 8001)
    np.testing.assert_array_equal(values(pulses, ts), sum(values(step, ts) for step in steps))
    np.testing.assert_array_equal(pulses.jump_ts, np.concatenate([s.jump_ts for s in steps]))


def test_ramp_is_the_line_between_its_ends():
    ramp = Ramp(start=1.0, stop=5.0, onset=10.0, duration=20.0)
    ts = jnp.array([9.999, 10.0, 15.0, 20.0, 29.9999999, 30.0])
    np.testing.assert_allclose(values(ramp, ts), [0, 1, 2, 3, 5, 0], atol=1e-7)


def test_sine_has_the_frequency_in_hertz():
    sine = Sine(amplitude=2.0, frequency=50.0, offset=1.0, phase=0.3, onset=4.0, duration=60.0)
    ts = jnp.linspace(4.0, 63.9, 200)
    wanted = 1.0 + 2.0 * np.sin(2 * np.pi * 0.05 * (np.asarray(ts) - 4.0) + 0.3)
    np.testing.assert_allclose(values(sine, ts), wanted, atol=1e-13)
    np.testing.assert_array_equal(values(sine, jnp.array([3.9, 64.0])), 0)


def test_chirp_equals_the_one_of_scipy():
    chirp = Chirp(amplitude=1.5, f_start=2.0, f_stop=40.0, onset=7.0, duration=500.0)
    s = np.linspace(0.0, 499.9, 300)
    # scipy's is a cosine: a quarter of a turn later it is a sine
    wanted = 1.5 * scipy_chirp(s * 1e-3, 2.0, 0.5, 40.0, phi=-90)
    np.testing.assert_allclose(values(chirp, jnp.asarray(s + 7.0)), wanted, atol=1e-11)
    np.testing.assert_array_equal(values(chirp, jnp.array([6.9, 507.0])), 0)


def test_sampled_is_linear_interpolation(getkey):
    samples = np.asarray(jax.random.normal(getkey(), (50,)))
    sampled = Sampled(samples, dt=0.05, onset=3.0)
    ts = np.linspace(3.0, 3.0 + 49 * 0.05, 1234)
    wanted = np.interp(ts, 3.0 + 0.05 * np.arange(50), samples)
    np.testing.assert_allclose(values(sampled, jnp.asarray(ts)), wanted, atol=1e-12)
    assert sampled.domain == (3.0, pytest.approx(5.45, rel=1e-14))


def test_sampled_is_held_beyond_its_ends():
    sampled = Sampled([1.0, 2.0, 4.0], dt=0.5)
    np.testing.assert_array_equal(values(sampled, jnp.array([-5.0, 0.0, 1.0, 7.0])), [1, 1, 4, 4])


def test_noise_has_the_stated_mean_deviation_and_correlation():
    noise = OrnsteinUhlenbeck(mean=2.0, sigma=0.5, tau=4.0, t1=80_000.0, dt=0.5, seed=3)
    z = np.asarray(values(noise, 0.5 * jnp.arange(160_000.0)))
    # 80 s hold 10,000 independent pieces of 2 tau: the mean is known to 0.5 / 100
    assert z.mean() == pytest.approx(2.0, abs=4 * 0.005)
    assert z.std() == pytest.approx(0.5, rel=4 * 0.01)
    for lag in (4, 8, 16):
        correlation = np.mean((z[lag:] - 2) * (z[:-lag] - 2)) / 0.25
        assert correlation == pytest.approx(np.exp(-lag * 0.5 / 4.0), abs=4 * 0.015)


def test_noise_is_frozen_by_its_seed_or_key():
    ts = jnp.linspace(0.0, 10.0, 33)

    def noise(**how):
        return values(OrnsteinUhlenbeck(0.0, 1.0, t1=10.0, **how), ts)

    np.testing.assert_array_equal(noise(seed=5), noise(key=jax.random.key(5)))
    assert not np.array_equal(noise(seed=5), noise(seed=6))


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("name", STIMULI)
def test_stimulus_keeps_the_precision_of_time_and_parameters(name, dtype):
    stimulus, (start, end) = STIMULI[name]()
    low = jax.tree.map(lambda leaf: leaf.astype(dtype), stimulus)
    ts = jnp.linspace(start, end, 5, dtype=dtype)[1:-1] + dtype(0.0137)
    assert values(low, ts).dtype == dtype
    # the slope, at most 1 per ms, times the rounding of t, up to 10 ms, and of the parameters
    np.testing.assert_allclose(values(low, ts), values(stimulus, ts), atol=100 * eps(dtype))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: Pulses(1.0, count=0), "`count` must be a whole number of at least 1, but is 0"),
        (lambda: Pulses(1.0, count=2.0), "`count` must be a whole number of at least 1"),
        (lambda: Pulses(1.0, interval=0.0), r"`interval` must be a number > 0 \[ms\]"),
        (lambda: Step(1.0, duration=-1.0), r"`duration` must be a number >= 0 \[ms\], but is -1; "),
        (lambda: Step(float("nan")), "`amplitude` must be a number, but is nan; "),
        (lambda: Ramp(0.0, 1.0, duration=0.0), "`duration` must be a number > 0"),
        (lambda: Sampled([1.0], dt=0.1), r"`values` must be a 1-D array of at least 2 samples"),
        (lambda: Sampled([[1.0, 2.0]], dt=0.1), r"but has shape \(1, 2\); "),
        (lambda: Sampled([1.0, np.nan], dt=0.1), "`values` must be a number, but is nan; "),
        (lambda: Sampled([1.0, 2.0], dt=0.0), "`dt` must be a number > 0"),
        (lambda: OrnsteinUhlenbeck(0.0, -1.0, t1=1.0), "`sigma` must be a number >= 0"),
        (lambda: OrnsteinUhlenbeck(0.0, 1.0, tau=0.0, t1=1.0), "`tau` must be positive"),
        (lambda: OrnsteinUhlenbeck(0.0, 1.0, t1=np.nan), "`t1` must be positive, but is t1=nan"),
    ],
)
def test_stimulus_refuses_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_as_stimulus_accepts_numbers_and_nothing():
    assert as_stimulus(None).amplitude == 0.0
    assert as_stimulus(3).amplitude == 3.0 and as_stimulus(np.float32(2)).amplitude == 2.0
    step = Step(1.0)
    assert as_stimulus(step) is step


@pytest.mark.parametrize("wrong", ["10", [1.0, 2.0], np.arange(3.0), Step])
def test_as_stimulus_refuses_what_is_none(wrong):
    with pytest.raises(TypeError, match=r"Argument `stimulus` must be a stimulus such as Step\("):
        as_stimulus(wrong)
