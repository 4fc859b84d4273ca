"""Spike trains: how regular one is, how alike two of them are, and two sets of trials; and their figures."""

import doctest
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import assert_close, assert_derivatives_agree, assert_finite, compilations
from refusals import refused

import jaxneuro
from jaxneuro import LIF
from jaxneuro.analysis import (
    coincidence_factor,
    fano_factor,
    isi,
    isi_statistics,
    md_star,
    normalised_coincidence,
    spike_trains,
    van_rossum_distance,
    victor_purpura_distance,
)
from jaxneuro.plot import plot_isi, plot_raster

INF, NAN = jnp.inf, jnp.nan
TAU, COST = 12.0, 0.15  # ms, 1/ms


def poisson(rng: np.random.Generator, rate: float, t1: float) -> np.ndarray:
    """Spikes at `rate` [1/ms] up to t1 [ms]."""
    return np.sort(rng.uniform(0.0, t1, rng.poisson(rate * t1)))


def padded(spikes: np.ndarray, n: int) -> np.ndarray:
    return np.append(spikes, np.full(n - len(spikes), INF))


@pytest.fixture(scope="module")
def trains():
    """Five trains of 0 to 12 spikes, one with two equal times."""
    rng = np.random.default_rng(1)
    return [np.sort(rng.uniform(0, 100, n)) for n in (12, 9, 1, 0)] + [np.array([20.0, 20.0, 47.0])]


def test_examples_of_the_docstrings_hold():
    found = doctest.testmod(spike_trains, globs=vars(jaxneuro) | vars(spike_trains))
    assert found.attempted >= 8 and found.failed == 0


# one train


def test_isi_ignores_padding_and_order():
    np.testing.assert_array_equal(isi([10.0, 30.0, 35.0]), [20.0, 5.0])
    np.testing.assert_array_equal(isi([NAN, 35.0, 10.0, INF, 30.0]), [20.0, 5.0, INF, INF])
    np.testing.assert_array_equal(isi([[1.0, 4.0, 9.0], [2.0, INF, INF]]), [[3.0, 5.0], [INF, INF]])
    assert isi([]).size == isi([3.0]).size == 0


def test_isi_statistics_are_those_of_the_definitions():
    got = isi_statistics([0.0, 10.0, 40.0, INF])
    assert_close(tuple(got), (2, 20.0, 10.0, 30.0, 10.0, 0.5, 1.0, 0.75), rtol=1e-15)
    clock = isi_statistics(np.arange(0.0, 64.0, 4.0))
    assert_close(tuple(clock), (15, 4.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0))


def test_isi_statistics_of_too_few_intervals_are_nan():
    none, one = isi_statistics([5.0, INF]), isi_statistics([5.0, 8.0])
    assert none.n == 0 and np.all(np.isnan(none[1:]))
    assert (one.n, one.mean, one.min, one.max) == (1, 3.0, 3.0, 3.0)
    assert np.all(np.isnan([one.std, one.cv, one.cv2, one.lv]))


@pytest.mark.parametrize("order", [1, 4])
def test_isi_statistics_of_gamma_processes(order):
    """CV = 1 / sqrt(k) and LV = 3 / (2 k + 1); order 1 is a Poisson process, whose CV2 is 1 too."""
    n = 20_000
    got = isi_statistics(np.cumsum(np.random.default_rng(order).gamma(order, 5.0, n)))
    # standard deviations of all three are below 1.3 / sqrt(n) for a Poisson process, less for order 4
    assert got.cv == pytest.approx(order**-0.5, abs=5 / n**0.5)
    assert got.lv == pytest.approx(3 / (2 * order + 1), abs=5 / n**0.5)
    assert order > 1 or got.cv2 == pytest.approx(1.0, abs=5 / n**0.5)


def test_local_variation_does_not_see_a_slow_change_of_the_rate():
    """Intervals that grow by q: CV2 = 2 (q - 1) / (q + 1)."""
    got = isi_statistics(np.cumsum(10.0 * 1.01 ** np.arange(200)))
    assert got.cv > 0.5
    assert_close((got.cv2, got.lv), (0.02 / 2.01, 3 * (0.01 / 2.01) ** 2), rtol=1e-10)


def test_isi_statistics_derivatives_agree():
    def numbers(spikes):
        return jnp.stack(isi_statistics(jnp.append(spikes, jnp.array([INF, NAN])))[1:])

    assert_derivatives_agree(numbers, jnp.array([3.0, 10.0, 41.0, 50.0, 77.0]), modes=("reverse",))
    jacobian = jax.jit(jax.jacrev(numbers))
    for few in ([5.0, 10.0, 15.0, 20.0, 25.0], [5.0, INF, INF, INF, INF]):  # no spread, no interval
        assert_finite(jacobian(jnp.array(few)))


def test_fano_factor_of_poisson_counts_is_one():
    rng = np.random.default_rng(2)
    factors = fano_factor([poisson(rng, 0.05, 1000.0) for _ in range(60)], 20.0, t1=1000.0)
    assert factors.shape == (50,)
    # variance 2 / (n - 1) + 1 / (n mean) each, and mean 1 exactly
    assert np.mean(factors) == pytest.approx(1.0, abs=4 * ((2 / 59 + 1 / 60) / 50) ** 0.5)


def test_fano_factor_of_clocks_is_small():
    """Period 10, any phase: 2 or 3 spikes in 25 ms, as often."""
    clocks = np.arange(0.0, 100.0, 10.0) + np.arange(0.0, 10.0, 0.5)[:, None]
    np.testing.assert_allclose(fano_factor(clocks, 25.0, t1=100.0), 0.25 / 2.5 * 20 / 19)


def test_fano_factor_windows_begin_at_t0_and_count_each_spike_once():
    np.testing.assert_allclose(fano_factor([[5.0, 12.0], [13.0, 14.0]], 10.0, t0=10.0, t1=25.0), [0.5 / 1.5])
    assert np.isnan(fano_factor([[5.0], [6.0]], 10.0, t0=10.0, t1=20.0))
    # counts of n and 2 n have F = n / 3, so that the sum tells how many there are
    on_edges = 0.1 * np.arange(30)
    factors = fano_factor([on_edges, np.append(on_edges, on_edges)], 0.1, t1=3.0)
    assert factors.shape == (30,) and np.nansum(factors) == pytest.approx(30 / 3)


# two trains


def test_van_rossum_is_the_distance_of_smoothed_trains(trains):
    a, b = trains[0], trains[1]
    t = np.linspace(0.0, 400.0, 400_001)

    def smoothed(spikes):
        return np.sum(np.where(t > spikes[:, None], np.exp(np.minimum(spikes[:, None] - t, 0.0) / TAU), 0.0), axis=0)

    square = 2 / TAU * np.trapezoid((smoothed(a) - smoothed(b)) ** 2, t)
    # 21 jumps of height 1, each wrong by up to half a step
    assert van_rossum_distance(a, b, TAU, is_squared=True) == pytest.approx(square, abs=21 * 2 / TAU * 1e-3)


def test_van_rossum_of_one_spike_more_and_of_one_moved():
    assert van_rossum_distance([10.0, 50.0], [10.0], TAU) == pytest.approx(1.0, rel=1e-15)
    for shift in (4.0, 2.0**-30):  # of which a difference of sums would lose all but one digit in six
        moved = van_rossum_distance([10.0], [10.0 + shift], TAU, is_squared=True)
        assert moved == pytest.approx(-2 * np.expm1(-shift / TAU), rel=1e-12)


DISTANCES = {
    "van_rossum": lambda a, b: van_rossum_distance(a, b, TAU),
    "victor_purpura": lambda a, b: victor_purpura_distance(a, b, COST),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_are_metrics(name, trains):
    distance = DISTANCES[name]
    table = np.array([[distance(a, b) for b in trains] for a in trains])
    np.testing.assert_array_equal(np.diag(table), 0.0)
    assert np.all(table[~np.eye(len(trains), dtype=bool)] > 0)
    np.testing.assert_allclose(table, table.T, rtol=1e-14)
    for i, j, k in itertools.permutations(range(len(trains)), 3):
        assert table[i, k] <= table[i, j] + table[j, k] + 1e-12


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_ignore_padding_and_order_and_work_in_jit_and_vmap(name, trains):
    distance, (a, b, *_) = DISTANCES[name], trains
    expected = distance(a, b)
    assert distance(padded(a, 40), np.append(b[::-1], NAN)) == pytest.approx(float(expected), rel=1e-14)
    assert distance(padded(a, 40), a[::-1]) == 0.0
    stacked = np.stack([padded(train, 16) for train in trains])
    among = jax.jit(jax.vmap(distance, (0, None)))(stacked, b)
    np.testing.assert_allclose(among, [distance(train, b) for train in trains], rtol=1e-14)
    single = distance(np.float32(a), np.float32(b))
    assert single.dtype == jnp.float32 and single == pytest.approx(float(expected), rel=1e-5)


def test_distances_have_the_limits_of_counts(trains):
    for a, b in itertools.combinations(trains[:4], 2):
        fewest, most = abs(len(a) - len(b)), len(a) + len(b)
        assert van_rossum_distance(a, b, 1e9) == pytest.approx(fewest, abs=1e-3)
        assert van_rossum_distance(a, b, 1e-6) == pytest.approx(most**0.5, rel=1e-12)
        assert victor_purpura_distance(a, b, 0.0) == fewest
        assert victor_purpura_distance(a, b, 1e9) == most


def test_victor_purpura_is_the_cheapest_of_all_pairings(trains):
    def cheapest(a, b):
        """By trying all subsets of equal size, paired in order."""
        return min(
            len(a) + len(b) - 2 * k + COST * sum(abs(s - t) for s, t in zip(x, y, strict=True))
            for k in range(min(len(a), len(b)) + 1)
            for x in itertools.combinations(a, k)
            for y in itertools.combinations(b, k)
        )

    for a, b in ((trains[0][:6], trains[1][:6]), (trains[0][3:8], trains[4]), (trains[4], trains[2])):
        assert victor_purpura_distance(a, b, COST) == pytest.approx(cheapest(a, b), rel=1e-14)
    assert victor_purpura_distance([10.0], [10.0 + 3 / COST], COST) == 2.0  # dearer to move than to make anew


def test_van_rossum_derivatives_agree():
    """Also where spikes coincide: the kinks are even, so that central differences see the mean of both slopes."""
    b = jnp.array([12.0, 33.0, 33.0, 90.0])

    def squares(x):
        trains = jnp.append(x["a"], jnp.array([[INF, NAN]] * 3), axis=1)
        return jax.vmap(lambda a: van_rossum_distance(a, b, x["tau"], is_squared=True))(trains)

    rows = [10.0, 35.0, 36.0, 70.0], [12.0, 33.0, 40.0, 40.0], [12.0, 33.0, 33.0, 90.0]
    # the last is b itself, with derivatives 0 but for rounding
    assert_derivatives_agree(squares, {"a": jnp.array(rows), "tau": jnp.asarray(TAU)}, atol=1e-9)


def test_van_rossum_derivative_of_the_root():
    a, b = np.array([12.0, 33.0, 33.0, 90.0, INF]), np.array([10.0, 35.0, 60.0, INF, INF])
    gradient = jax.jit(jax.grad(lambda x, y: van_rossum_distance(x, y, TAU)))
    later, earlier = (van_rossum_distance(b + shift, a, TAU) for shift in (1e-4, -1e-4))
    np.testing.assert_allclose(jnp.sum(gradient(b, a)), (later - earlier) / 2e-4, rtol=1e-6)
    for equal in (a, np.full(5, INF)):
        np.testing.assert_array_equal(gradient(equal, equal), 0.0)


def test_distances_of_other_trains_compile_nothing_new():
    for distance in DISTANCES.values():
        distance(np.arange(20.0), np.arange(11.0))
        with compilations() as programs:
            jax.block_until_ready(distance(np.arange(27.0), np.arange(9.0)))
        assert programs == []


# coincidences, and sets of trials


def test_coincidence_factor_of_the_formula():
    """One of two spikes is hit; the model's rate of 0.02 (0.01) per ms hits 0.08 (0.04) of them by chance."""
    gammas = [coincidence_factor([10.0, 50.0], model, duration=100.0) for model in ([11.0, 60.0], [11.0])]
    np.testing.assert_allclose(gammas, [2 * (1 - 0.16) / (0.92 * 4), 2 * (1 - 0.08) / (0.96 * 3)], rtol=1e-14)


def test_coincidence_factor_of_poisson_trains_is_zero():
    rng = np.random.default_rng(3)
    rate, t1, n = 0.01, 8000.0, 50
    data, model = ([poisson(rng, rate, t1) for _ in range(n)] for _ in range(2))
    data, model = (np.stack([padded(train, 128) for train in trains]) for trains in (data, model))
    gammas = jax.vmap(lambda a, b: coincidence_factor(a, b, duration=t1))(data, model)
    chance = 4.0 * rate  # hits per spike, Poisson distributed, of 4000 spikes
    # no spike is hit twice, which loses chance^2 / 2 for each of the two trains
    tolerance = 4 * (chance / (n * rate * t1)) ** 0.5 + chance**2
    assert np.mean(gammas) == pytest.approx(0.0, abs=tolerance)


def test_coincidences_match_each_spike_at_most_once():
    burst = coincidence_factor([50.0], [49.0, 50.0, 51.0], duration=1000.0)
    assert burst == pytest.approx(2 * (1 - 0.012) / (0.988 * 4))
    # 50 lies nearer to 50, but both have a partner if it is paired with 49
    assert coincidence_factor([50.0, 51.5], [49.0, 50.0], duration=1000.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("shift", "hits"), [(20, 1.0), (21, 0.0)])
def test_coincidences_include_the_border_whatever_the_rounding(shift, hits):
    """Times on a grid of 0.1 ms, one every 10 ms: 0.4 hits by chance. Three pairs of 2.0 ms are rounded to more."""
    data, model = (0.1 * (100 * np.arange(1000) + k) for k in (3, 3 + shift))
    assert coincidence_factor(data, model, duration=10_000.0) == pytest.approx((hits - 0.4) / 0.6)


def test_coincidence_factor_is_one_of_a_train_with_itself_and_nan_where_it_means_nothing(trains):
    for train in (trains[0], trains[2], padded(trains[1], 30)):
        assert coincidence_factor(train, train, duration=100.0) == pytest.approx(1.0, rel=1e-14)
    assert np.isnan(coincidence_factor([], [INF], duration=100.0))
    assert np.isnan(coincidence_factor([5.0], np.arange(100.0), duration=100.0))
    assert coincidence_factor([5.0], [], duration=100.0) == coincidence_factor([], [5.0], duration=100.0) == 0.0


def jittered(rng: np.random.Generator, n: int, spread: float) -> list[np.ndarray]:
    """Trials of a neuron that fires at 60 fixed times, 9 times in 10, with jitter [ms]."""
    times = np.random.default_rng(0).uniform(0, 3000, 60)
    return [np.sort((times + rng.normal(0, spread, 60))[rng.uniform(size=60) < 0.9]) for _ in range(n)]


def test_normalised_coincidence_is_a_ratio_of_means_over_pairs():
    data = jittered(np.random.default_rng(5), 3, 1.0)
    (mean_times,) = jittered(np.random.default_rng(6), 1, 0.0)
    across = np.mean([coincidence_factor(a, mean_times, duration=3000.0) for a in data])
    between = np.mean([coincidence_factor(a, b, duration=3000.0) for a, b in itertools.permutations(data, 2)])
    got = normalised_coincidence(data, mean_times, duration=3000.0)
    assert got == pytest.approx(across / between, rel=1e-12)
    assert between < 0.9 < 1 < got  # the mean times are nearer to the trials than these to each other


def test_md_star_counts_pairs_between_different_trials():
    """1.25 pairs across, 1 within the data, 1 within the model."""
    data, model = [[10.0, 50.0], [11.0, 60.0]], [[12.0], [9.0, 52.0]]
    assert md_star(data, model) == pytest.approx(1.25, rel=1e-14)
    assert md_star(model, data) == pytest.approx(1.25, rel=1e-14)
    # one train of a model that always answers alike: 1.5 across, 2 pairs with itself
    assert md_star(data, [10.0, 50.0]) == pytest.approx(2 * 1.5 / (1 + 2), rel=1e-14)
    assert md_star([[10.0, 30.0]] * 3, [10.0, 30.0]) == 1.0
    assert md_star([[10.0]] * 2, [[50.0]] * 2) == 0.0
    assert np.isnan(md_star([[10.0], [30.0]], [[50.0], [80.0]]))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_md_star_of_few_trials_is_not_biased(factor):
    """Poisson trials with one course of the rate, the model's `factor` times as high: 2 f / (1 + f^2)."""
    rng = np.random.default_rng(5)
    counted = ([poisson(rng, rate, 12_000.0) for _ in range(2)] for rate in (0.1, 0.1 * factor))
    data, model = ([t + 80.0 * np.floor(t / 20.0) for t in trials] for trials in counted)  # 20 ms on, 80 ms off
    # 1200 spikes a trial, each with 0.7 partners in another: means over pairs are right to 4 %
    assert md_star(data, model) == pytest.approx(2 * factor / (1 + factor**2), abs=0.06)


def test_measures_of_trials_take_lists_and_arrays_and_work_in_jit():
    ragged, model = [[10.0, 50.0, 80.0], [11.0, 60.0], [49.0]], [[10.5, 81.0], [50.5, INF]]
    stacked = np.stack([padded(train, 5) for train in ragged])
    measures = (
        lambda x: fano_factor(x, 25.0, t1=100.0),
        lambda x: normalised_coincidence(x, model, duration=200.0, precision=4.0),
        lambda x: md_star(x, model),
    )
    for measure in measures:
        np.testing.assert_allclose(measure(stacked), measure(ragged), rtol=1e-14)
        np.testing.assert_allclose(jax.jit(measure)(stacked), measure(ragged), rtol=1e-14)


def test_spike_trains_refuse_bad_input():
    with refused(r"Argument `a` must be spike times \(n,\), but has shape \(1, 2\); use jax.vmap"):
        van_rossum_distance([[1.0, 2.0]], [1.0], TAU)
    with refused(r"Argument `model` must be spike times \(n_trial, n\), but has shape \(1, 1, 1\); use jax.vmap"):
        md_star([[1.0], [2.0]], np.ones((1, 1, 1)))
    for bad, kind in ((3.0, "float"), (LIF(), "LIF"), ("abc", "str"), (None, "NoneType")):
        with refused(rf"Argument `spikes` must be spike times \[ms\], but is a {kind}; give a list"):
            isi(bad)
    with refused(r"Argument `tau` must be a single positive number \[ms\], but is 0.0; give"):
        van_rossum_distance([1.0], [2.0], 0.0)
    with refused(r"Argument `cost` must be a single non-negative number \[1/ms\], but is -1.0; give"):
        victor_purpura_distance([1.0], [2.0], -1.0)
    with refused(r"Argument `duration` must be a single positive number \[ms\], but is inf; give"):
        coincidence_factor([1.0], [2.0], duration=np.inf)
    with refused("Argument `data` must be 2 or more trials, but is 1; give more trains"):
        md_star([1.0, 2.0], [1.0, 2.0])
    with refused("Argument `data` must be 2 or more trials, but is 1; give more trains"):
        normalised_coincidence([[1.0, 2.0]], [1.0, 2.0], duration=10.0)
    with refused(r"Argument `t1` must be 50 ms \(`window`\) or more after t0, but is t1=20; move it"):
        fano_factor([[1.0], [2.0]], 50.0, t1=20.0)


def test_spike_trains_agree_with_elephant(trains):
    """Theirs is a difference of sums: D^2 is right to about n eps."""
    pytest.importorskip("elephant")
    import quantities as pq
    from elephant import spike_train_dissimilarity, statistics
    from neo import SpikeTrain

    theirs = [SpikeTrain(train, units="ms", t_stop=100.0) for train in trains]
    square = spike_train_dissimilarity.van_rossum_distance(theirs, TAU * pq.ms) ** 2
    ours = [[van_rossum_distance(a, b, TAU, is_squared=True) for b in trains] for a in trains]
    np.testing.assert_allclose(ours, square, rtol=1e-13, atol=1e-13)
    table = spike_train_dissimilarity.victor_purpura_distance(theirs, COST / pq.ms)
    np.testing.assert_allclose([[DISTANCES["victor_purpura"](a, b) for b in trains] for a in trains], table, rtol=1e-13)
    for train in trains[:2]:
        got, intervals = isi_statistics(train), statistics.isi(train)
        expected = (statistics.cv(intervals), statistics.cv2(intervals), statistics.lv(intervals))
        np.testing.assert_allclose((got.cv, got.cv2, got.lv), expected, rtol=1e-13)
    fano = statistics.fanofactor(theirs) * len(trains) / (len(trains) - 1)
    np.testing.assert_allclose(fano_factor(trains, 100.0, t1=100.0), fano, rtol=1e-13)


# figures


def test_raster_has_a_mark_per_spike_in_its_row():
    axes = plot_raster([[10.0, 30.0], [], [9.0, INF, 31.0]], row="Cell")
    marks = np.array(axes.collections[0].get_segments())
    np.testing.assert_array_equal(marks[:, 0, 0], [10.0, 30.0, 9.0, 31.0])
    np.testing.assert_array_equal(marks.mean(axis=1)[:, 1], [0, 0, 2, 2])
    assert axes.get_ylim() == (2.5, -0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Time (ms)", "Cell")
    alone = plot_raster([10.0, 30.0], axes=plt.figure().subplots())
    assert [tick for tick in alone.get_yticks() if -0.5 <= tick <= 0.5] == [0.0]
    plt.close("all")


def test_isi_histogram_counts_the_intervals_of_each_train():
    axes = plot_isi([[0.0, 10.0, 40.0], [100.0, 105.0, INF]], bins=[0.0, 8.0, 20.0, 40.0])
    np.testing.assert_array_equal([bar.get_height() for bar in axes.patches], [1, 1, 1])
    assert axes.get_title() == f"Mean 15 ms, CV {np.std([10, 30, 5]) / 15:.2f}, n = 3"
    assert axes.get_xlabel() == "Interspike interval (ms)"
    for is_log, scale in ((False, "linear"), (True, "log")):
        axes = plot_isi(np.arange(0.0, 100.0, 5.0), is_log=is_log)
        assert sum(bar.get_height() for bar in axes.patches) == 19 and axes.get_xscale() == scale
    with refused("Argument `spikes` must hold two spikes of one train, but has no interval; record for longer"):
        plot_isi([[3.0], [5.0]])
    with refused("Argument `spikes` must be at different times for a logarithmic axis, but has an interval of 0 ms"):
        plot_isi([3.0, 3.0, 5.0], is_log=True)
    plt.close("all")
