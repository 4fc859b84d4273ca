"""Bad input to targets, fits and saved files: one sentence each, before anything is compiled."""

import numpy as np
import pytest
from refusals import refused

from jaxneuro import ExactSpikes, FixedStep, HodgkinHuxley, Sampled, Step
from jaxneuro.fitters import FICurve, SpikeTimes, TraceLoss, VoltageTrace, fit, fit_fi_table, fit_recording_fi, load

V = np.linspace(-65.0, -60.0, 11)
TS = 0.1 * np.arange(11)
TRACE = VoltageTrace(TS, V, Step(1.0))


@pytest.mark.parametrize(
    ("match", "arguments"),
    [
        (
            r"`voltage` must hold finite numbers \[mV\], but entry 3 is nan \(1 such in all\); ",
            (TS, np.where(TS == TS[3], np.nan, V)),
        ),
        (r"`voltage` must be a list of at least 2 numbers \[mV\], but has shape \(1, 11\); ", (TS, V[None])),
        (r"`ts` and `voltage` must be equally long, but have 10 and 11 entries; ", (TS[:-1], V)),
        (r"`ts` must rise in equal steps, but its steps run from -0\.1 to -0\.1 ms; ", (TS[::-1], V)),
        (r"`ts` must rise in equal steps, but its steps run from 0\.1 to 0\.5 ms; ", (np.append(TS[:-1], 1.4), V)),
        (r"`ts` must be sample times or a positive interval \[ms\], but is -0\.1; ", (-0.1, V)),
        (r"`ts` must hold finite numbers \[ms\], but entry 0 is nan", (np.append(np.nan, TS[1:]), V)),
        (
            r"`stimulus` must cover the data from 0 to 1 ms, but is defined from 0 to 0\.5 ms; ",
            (TS, V, Sampled([0.0, 1.0], dt=0.5)),
        ),
    ],
)
def test_voltage_trace_bad_input_is_refused(match, arguments):
    with refused(match):
        VoltageTrace(*arguments)


def test_voltage_trace_times_may_begin_anywhere_and_be_rounded():
    target = VoltageTrace(np.round(100.0 + TS, 2).astype(np.float32), V, Step(1.0))
    assert (target.t0, target.dt) == (100.0, 0.1)
    assert target.t1 == pytest.approx(101.0)
    with refused(r"`voltage` must be a list of numbers \[mV\], but is 'a'; ", TypeError):
        VoltageTrace(0.1, "a")


@pytest.mark.parametrize(
    ("match", "arguments", "options"),
    [
        (r"`current` must hold finite numbers \[pA\], but entry 1 is nan", ([0.0, np.nan], [0.0, 1.0]), {"unit": "pA"}),
        (r"`rate` must hold finite numbers \[Hz\], but entry 0 is inf", ([0.0, 1.0], [np.inf, 1.0]), {}),
        (r"`current` and `rate` must be equally long, but have 3 and 2 entries; ", ([0.0, 1.0, 2.0], [0.0, 1.0]), {}),
        (r"`rate` must hold rates >= 0 and some > 0 \[Hz\], but runs from -2 to 1; ", ([0.0, 1.0], [-2.0, 1.0]), {}),
        (r"`rate` must hold rates >= 0 and some > 0 \[Hz\], but runs from 0 to 0; ", ([0.0, 1.0], [0.0, 0.0]), {}),
        (
            r"`duration` must be a positive number \[ms\], but is duration=0; ",
            ([0.0, 1.0], [0.0, 1.0]),
            {"duration": 0},
        ),
        (r"`unit` must be a known unit, but is 'pa'; did you mean .*'pA'", ([0.0, 1.0], [0.0, 1.0]), {"unit": "pa"}),
    ],
)
def test_fi_curve_bad_input_is_refused(match, arguments, options):
    with refused(match):
        FICurve(*arguments, **options)


def test_fi_curve_knows_counts_from_rates():
    assert FICurve([0.0, 1.0], [2.0, 18.0], duration=500.0).in_bin == 0.5
    assert FICurve([0.0, 1.0], [2.0, 18.5], duration=500.0).in_bin == 0.0
    np.testing.assert_allclose(FICurve([50.0, 100.0], [0.0, 2.0], unit="pA").current_in("nA"), [0.05, 0.1])


@pytest.mark.parametrize(
    ("match", "times", "options"),
    [
        (r"`times` must be sorted, but has 2 ms after 3 ms; ", [1.0, 3.0, 2.0], {"t1": 10.0}),
        (r"`times` must be sorted, but has 3 ms after 3 ms; ", [3.0, 3.0], {"t1": 10.0}),
        (r"`times` must lie between 0 and t1=2 ms, but runs from 1 to 3 ms; ", [1.0, 3.0], {"t1": 2.0}),
        (r"`times` must hold finite numbers \[ms\], but entry 1 is nan", [1.0, np.nan], {"t1": 2.0}),
        (r"`times` must be a list of at least 1 numbers \[ms\], but has shape \(0,\)", [], {"t1": 2.0}),
        (r"`t1` must be a positive number \[ms\], but is t1=-2\.0; ", [1.0], {"t1": -2.0}),
        (
            r"`stimulus` must cover the data from 0 to 2 ms, but is defined from 0 to 1 ms; ",
            [1.0],
            {"t1": 2.0, "stimulus": Sampled([0.0, 1.0], dt=1.0)},
        ),
    ],
)
def test_spike_times_bad_input_is_refused(match, times, options):
    with refused(match):
        SpikeTimes(times, **options)


@pytest.mark.parametrize(
    ("match", "free"),
    [
        (r"of model or target, but has 'na\.gmax'; did you mean 'na\.g_max'\? Known are C_m", {"na.gmax": (1.0, 2.0)}),
        (r"'g_max' must name one parameter, but fits k\.g_max, leak\.g_max, na\.g_max; ", {"g_max": (1.0, 2.0)}),
        (
            r"Bounds of 'na\.g_max' must be finite with low < high \[mS/cm\^2\], but are \(240\.0, 60\.0\); swap",
            {"na.g_max": (240, 60)},
        ),
        (r"Bounds of 'na\.g_max' must be finite with low < high .*\(60\.0, 60\.0\)", {"na.g_max": (60, 60)}),
        (r"Bounds of 'na\.g_max' must be finite with low < high .*\(nan, 60\.0\)", {"na.g_max": (np.nan, 60)}),
        (r"keep 'na\.g_max' a number >= 0 \[mS/cm\^2\], but has the bound -1; ", {"na.g_max": (-1.0, 60.0)}),
        (r"`free` must map parameter names to \(low, high\), but is \{\}; ", {}),
        (
            r"`free` must name each parameter once, but 'na\.g_max' and 'channels\.na\.g_max' are the same",
            {"na.g_max": (1.0, 2.0), "channels.na.g_max": (1.0, 2.0)},
        ),
    ],
)
def test_fit_free_bad_input_is_refused(match, free):
    with refused(match):
        fit(HodgkinHuxley(), TRACE, free=free)


@pytest.mark.parametrize("pair", [3.0, (1.0, 2.0, 3.0), ("low", "high"), None])
def test_fit_bounds_that_are_no_pair_are_refused(pair):
    with refused(r"Bounds of 'C_m' must be two numbers \(low, high\) \[uF/cm\^2\]", TypeError):
        fit(HodgkinHuxley(), TRACE, free={"C_m": pair})


@pytest.mark.parametrize(
    ("match", "error", "options"),
    [
        (r"`start` must lie within the bounds of 'C_m', 0\.5 to 2, but is 3; ", ValueError, {"start": {"C_m": 3.0}}),
        (r"`start` must lie within the bounds of 'C_m', .* but is nan; ", ValueError, {"start": {"C_m": np.nan}}),
        (r"`start` must name free parameters, but has 'k\.g_max'; ", ValueError, {"start": {"k.g_max": 3.0}}),
        (r"`start` must hold one value or n_starts=8 .* shape \(2,\); ", ValueError, {"start": {"C_m": [1.0, 1.1]}}),
        (r"`start` must be \"random\", \"model\" or a dict, but is 'best'; ", ValueError, {"start": "best"}),
        (r"`start` must be \"random\", \"model\" or a dict, but is 3; ", TypeError, {"start": 3}),
        (r"`n_starts` must be a whole number of at least 1, but is 0; ", ValueError, {"n_starts": 0}),
        (r"`steps` must be a whole number of at least 1, but is 2\.5; ", ValueError, {"steps": 2.5}),
        (r"`loss` must be a loss, or a function .* but is 3; ", TypeError, {"loss": 3}),
        (
            r"`loss` must return a number or an array of residuals, but returns ",
            TypeError,
            {"loss": lambda p, t: (1, 2)},
        ),
        (r"`optimizer` must be an optax optimiser, but is 3; ", TypeError, {"optimizer": 3}),
    ],
)
def test_fit_options_bad_input_is_refused(match, error, options):
    with refused(match, error):
        fit(HodgkinHuxley(), TRACE, free={"C_m": (0.5, 2.0)}, **options)


def test_fit_wrong_model_or_target_is_refused():
    free = {"C_m": (0.5, 2.0)}
    with refused(r"`target` must be a VoltageTrace, .* or Joint, but is a ndarray; ", TypeError):
        fit(HodgkinHuxley(), V, free=free)
    with refused(r"`model` must be a model, but is .*HodgkinHuxley", TypeError):
        fit(HodgkinHuxley, TRACE, free=free)
    with refused(r"`unit` must suit the model, whose input is in uA/cm\^2, but is 'pA'; "):
        fit(HodgkinHuxley(), FICurve([0.0, 1.0], [0.0, 1.0], unit="pA"), free=free)
    with refused(r"`solver` must be Adaptive, FixedStep or ExactSpikes, but is 0\.1; ", TypeError):
        fit(HodgkinHuxley(), TRACE, free=free, solver=0.1)
    with refused(r"`solver` must suit the model, but ExactSpikes needs a threshold .* HodgkinHuxley"):
        fit(HodgkinHuxley(), TRACE, free=free, solver=ExactSpikes(0.1))
    with refused(r"`dt_save` must be a multiple of the solver's dt=0\.03 ms, but is dt_save=0\.1 ms; "):
        fit(HodgkinHuxley(), TRACE, free=free, solver=FixedStep(0.03))
    with refused(r"`huber` must be positive \[mV\], but is -1; "):
        TraceLoss(huber=-1)


def test_fit_recording_bad_input_is_refused():
    class Table:
        current, rate, duration = np.array([0.0, 50.0, 100.0]), np.array([0.0, 0.0, 2.0]), 500.0

    membrane = {"E_L": -65.0, "R_m": 100.0, "tau_m": 20.0}
    with refused(r"must have spikes at two currents at least and none at a smaller one, but .* 1 of 3; "):
        fit_fi_table(Table(), **membrane)
    with refused(r"`model` must be \"lif\" .* but is 'hh'; "):
        fit_recording_fi(None, model="hh")


def test_load_bad_files_are_refused(tmp_path):
    with refused(r"File '.*absent\.json' must exist, but does not; ", FileNotFoundError):
        load(tmp_path / "absent.json")
    for k, text in enumerate(("", "[1, 2]", '{"params": {"C_m": 3}, "loss": 1}', '{"loss": 1}')):
        path = tmp_path / f"{k}.json"
        path.write_text(text)
        with refused(r"must hold a fit saved by FitResult\.save, but does not \(\w+\); "):
            load(path)
