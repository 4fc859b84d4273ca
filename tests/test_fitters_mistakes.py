"""What a user may get wrong around a fit: each is one sentence that says what to do, before anything is simulated."""

import re

import numpy as np
import pytest
from refusals import refused

from jaxneuro import LIF, FixedStep, HodgkinHuxley, Leak, Membrane, Sampled, Step
from jaxneuro.fitters import (
    ClampCurrent,
    Electrode,
    FICurve,
    Joint,
    LogNormal,
    Normal,
    PhasePlaneLoss,
    SoftDTW,
    SpikeTimes,
    TraceLoss,
    VanRossumLoss,
    VoltageTrace,
    WindowLoss,
    bootstrap,
    fit,
    gradient_health,
    play,
    posterior,
    profile,
    trace_of,
)
from jaxneuro.fitters.search._experiment import Experiment, checked_free
from jaxneuro.io import read_recording
from jaxneuro.plot import plot_posterior
from jaxneuro.recording import Recording, Sweep

CELL = HodgkinHuxley()
V = np.linspace(-65.0, -60.0, 41)
TRACE = VoltageTrace(0.1, V, Step(1.0))
TRAIN = SpikeTimes([2.0], Step(0.5), t1=4.0)
FREE = {"leak.g_max": (0.1, 1.0)}
TS = 0.1 * np.arange(41)
RECORDING = Recording((Sweep(TS, V, 10.0 * (TS > 1)), Sweep(TS, V, 20.0 * (TS > 1), index=1)))


@pytest.mark.parametrize("loss", [VanRossumLoss(), SoftDTW(), WindowLoss(1.0), PhasePlaneLoss()])
def test_loss_of_another_target_is_refused(loss):
    cell, target = (CELL, TRACE) if isinstance(loss, VanRossumLoss) else (LIF(), TRAIN)
    free = FREE if cell is CELL else {"V_th": (-55.0, -45.0)}
    kinds = rf"{type(loss).__name__} is for a \w+ and the target is a {type(target).__name__}; "
    with refused("`loss` must suit the target, but " + kinds):
        fit(cell, target, free=free, loss=loss)
    with refused("`losses` must suit the target, but " + kinds):
        Joint({"a": target}, losses={"a": loss})


@pytest.mark.parametrize(
    ("match", "error", "options"),
    [
        ("`loss` must be a loss, or a function .* but is the class TraceLoss; ", TypeError, {"loss": TraceLoss}),
        ("`seed` must be a whole number of at least 0, but is 'a'; ", ValueError, {"seed": "a"}),
        ("`seed` must be a whole number of at least 0, but is -1; ", ValueError, {"seed": -1}),
        ("`kept` must be at most n_starts=2, but is 3; ", ValueError, {"kept": 3, "n_starts": 2}),
        ("`screened` must be a whole number of at least 8, but is 4; ", ValueError, {"screened": 4}),
        ("`checkpoint` must be the name of a file, but is 5; ", TypeError, {"checkpoint": 5}),
        (
            r"`checkpoint_every` must be a non-negative number \[s\], but is -1; ",
            ValueError,
            {"checkpoint": "fit.npz", "checkpoint_every": -1},
        ),
        ("`callback` must take one argument, a Progress, but cannot ", TypeError, {"callback": lambda: True}),
        ("`key` must be a random key, but is 3; give `seed=3`, ", TypeError, {"key": 3}),
        ("`key` must be a random key, but is a dict; ", TypeError, {"key": {}}),
        ("`polish` must be True or False, but is 'no'; ", TypeError, {"polish": "no"}),
        ("`progress` must be True or False, but is 'yes'; ", TypeError, {"progress": "yes"}),
        ("`priors` must be a dict of priors .* but is a list; ", TypeError, {"priors": [1]}),
    ],
)
def test_option_of_fit_that_makes_no_sense_is_refused(match, error, options):
    with refused(match, error):
        fit(CELL, TRACE, free=FREE, **options)


def test_priors_and_ties_that_contradict_themselves_are_refused():
    for prior in (Normal(-1.0, 0.1), LogNormal(100.0, 0.2)):
        with refused(
            "`priors` must suit the bounds of 'leak.g_max', 0.1 to 1, but is around .* 3 standard deviations "
        ):
            fit(CELL, TRACE, free=FREE, priors={"leak.g_max": prior})
    with refused(r"`free` must tie parameters of one unit, but 'na.g_max = C_m' has mS/cm\^2 and uF/cm\^2; "):
        fit(CELL, TRACE, free={"na.g_max = C_m": (1.0, 10.0)})
    with_state = VoltageTrace(0.1, V, Step(1.0), y0=CELL.init_state())
    with refused("names 'y0.foo', which the initial state has not; it has y0.V, y0.gates.na.m"):
        fit(CELL, with_state, free={"y0.foo": (0.0, 1.0)})


@pytest.mark.parametrize("pair", [("1", "2"), (True, 2.0), (0.1, "x"), 3.0])
def test_bounds_that_are_no_numbers_are_refused(pair):
    with refused("Bounds of 'leak.g_max' must be two numbers ", TypeError):
        fit(CELL, TRACE, free={"leak.g_max": pair})


def test_names_of_free_parameters_that_contradict_the_target_are_refused():
    with_electrode = VoltageTrace(0.1, V, Step(1.0), electrode=Electrode(area=1e4))
    joint = Joint({"a": with_electrode, "b": TRACE})
    with refused("`free` has '\\*.R_s' for all traces, but 'b' has no electrode; "):
        fit(CELL, joint, free={"*.R_s": (0.0, 20.0)})
    with refused("`free` must tie different parameters, but 'na.g_max = na.g_max' has one of them twice; "):
        fit(CELL, TRACE, free={"na.g_max = na.g_max": (60.0, 240.0)})
    for name in ("electrode.foo", "*.foo"):
        with refused(f"model or target, but has {re.escape(repr(name))}; .*C_m, .*electrode.R_s"):
            fit(CELL, with_electrode, free={name: (0.0, 1.0)})
    with refused(r"`free` must keep 'R_s' a number >= 0 \[MOhm\], but has the bound -3; "):
        fit(CELL, with_electrode, free={"R_s": (-3.0, 20.0)})
    # an f-I curve has no electrode to give
    curve = FICurve([1.0, 20.0], [0.0, 60.0], duration=50.0)
    free = checked_free(Experiment(CELL, Joint({"a": with_electrode, "b": curve})), {"*.R_s": (0.0, 20.0)})
    assert free["*.R_s"].paths == ("target.terms.a.electrode.R_s",)


@pytest.mark.parametrize("name", ["*", "a=b", "a.b", "", 3])
def test_terms_of_a_joint_have_names_that_parameters_can_bear(name):
    with refused("`terms` must have names without dots, stars and equals signs"):
        Joint({name: TRACE})


def test_joint_of_joints_is_refused():
    with refused("`terms` must hold single targets, but 'a' is a Joint; "):
        Joint({"a": Joint({"b": TRACE})})


@pytest.mark.parametrize(
    ("match", "make"),
    [
        ("`mean` must be a finite number .* but is nan; ", lambda: Normal(np.nan, 1.0)),
        ("`mean` must be a finite number .* but is 'a'; ", lambda: Normal("a", 1.0)),
        ("`std` must be a positive number .* but is 'a'; ", lambda: Normal(0.0, "a")),
        ("`median` must be a positive number .* but is -1; ", lambda: LogNormal(-1.0, 0.5)),
        ("`sigma` must be a positive number .* but is inf; ", lambda: LogNormal(1.0, np.inf)),
    ],
)
def test_prior_of_no_numbers_is_refused(match, make):
    with refused(match):
        make()


@pytest.mark.parametrize(
    ("match", "electrode"),
    [
        (r"a single finite R_s \[MOhm\], but has inf; ", {"R_s": np.inf}),
        (r"a single finite R_s \[MOhm\], but has an array of shape \(2,\); ", {"R_s": [1.0, 2.0]}),
        (r"R_s in MOhm, at most 10000, but has 1.5e\+07, which looks like Ohm; ", {"R_s": 1.5e7}),
        ("corner in kHz, at most 500, but has 2000, which looks like Hz; ", {"corner": 2000.0}),
    ],
)
def test_electrode_that_there_is_none_of_is_refused(match, electrode):
    with refused(f"`electrode` must have {match}"):
        VoltageTrace(0.1, V, Step(1.0), electrode=Electrode(**electrode))


def test_parameter_that_is_no_number_is_named():
    with refused("`R_s` must be a number or an array in MOhm, but is '15'; ", TypeError):
        Electrode(R_s="15")
    with refused("`R_s` must be a number or an array in MOhm, but is a list with something else in it; ", TypeError):
        Electrode(R_s=[1.0, "a"])
    with refused(r"`R_s` must be a number >= 0 \[MOhm\], but is -1; .*\(series resistance that is not balanced\)"):
        Electrode(R_s=-1.0)


def test_arguments_in_another_order_are_noticed():
    with refused(r"`voltage` must be a list of .* but is 0.05; .* look at the order of the arguments"):
        VoltageTrace(V, 0.05)
    with refused(r"`values` must be samples, but is a number, and `dt` has shape \(41,\); swap them"):
        Sampled(0.05, V)
    with refused(r"`stimulus` must be a stimulus .* but is an array of shape \(41,\); use Sampled", TypeError):
        VoltageTrace(0.05, V, V)


@pytest.fixture(scope="module")
def result():
    return fit(CELL, TRACE, free=FREE, n_starts=1, steps=1, progress=False)


def test_files_that_cannot_be_written_are_named(result, tmp_path):
    for write in (result.save, result.report):
        with refused("`path` must lie in a folder that exists, but /nope does not; ", FileNotFoundError):
            write("/nope/x.html")
        with refused(f"`path` must name a file, but {tmp_path} is a folder; ", IsADirectoryError):
            write(tmp_path)
        with refused("`path` must be the name of a file, but is None; ", TypeError):
            write(None)


def test_uncertainty_refuses_what_makes_no_sense(result):
    for change in ("x", 0.0, np.nan):
        with refused(r"`change` must be a positive number \[1\], but is "):
            gradient_health(result, change=change)
    with refused("`change` must be a relative change of at most 1, but is 1e\\+09; "):
        gradient_health(result, change=1e9)
    with refused("`name` must be a parameter that was fitted, but is 'na.g_max'; choose from leak.g_max"):
        profile(result, "na.g_max")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("R_s", r"the target has no electrode; .*electrode=Electrode\(R_s=15.0\)\)"),
        ("electrode.offset", "the target has no electrode; "),
        ("electrode.corner", r"the target has no electrode with a filter; .*Electrode\(corner=2.0\)\)"),
        ("y0.V", r"the target has no initial state; give it one, VoltageTrace\(..., y0=model.init_state\(\)\)"),
        ("y0.gates.na.m", "the target has no initial state; "),
    ],
)
def test_free_parameter_of_what_the_target_lacks_is_explained(name, match):
    with refused(f"`free` names {re.escape(repr(name))}, but {match}"):
        fit(CELL, TRACE, free={name: (0.0, 1.0)})


def test_electrode_needs_the_area_where_a_density_flows_through_it():
    def behind(electrode, cell=CELL, free=FREE):
        return fit(cell, VoltageTrace(0.1, V, Step(1.0), electrode=electrode), free=free, n_starts=1, steps=1)

    for electrode, free in ((Electrode(R_s=15.0), FREE), (Electrode(), {"R_s": (0.0, 50.0)})):
        with refused(r"`electrode` must have the membrane's area, .*Electrode\(R_s=15.0, area=1e4\)"):
            behind(electrode, free=free)
    joint = Joint({"a": VoltageTrace(0.1, V, Step(1.0), electrode=Electrode())})
    with refused("`electrode` must have the membrane's area"):
        fit(CELL, joint, free={"a.electrode.R_s": (0.0, 50.0)})
    with refused("`electrode` must have no area for a model whose input is in nA, but has one; "):
        behind(Electrode(R_s=15.0, area=1e4), LIF(), {"R_m": (50.0, 500.0)})
    with refused("`electrode` must have the membrane's area"):
        play(CELL, RECORDING, electrode=Electrode(R_s=15.0), area=1e4)
    with refused("`electrode` must be an Electrode, but is 5.0; ", TypeError):
        behind(5.0)
    assert behind(Electrode(offset=3.0)).loss > 0  # what is added without a current needs none


def test_volts_are_noticed():
    cell = Membrane({"leak": Leak()})
    target = VoltageTrace(0.1, 1e-3 * V, Step(1.0))
    with pytest.warns(UserWarning, match=r"\A[^\n]*`voltage` should be in mV, but stays within 0.065 of 0[^\n]*\Z"):
        target.check(cell, FixedStep(0.05))


@pytest.mark.parametrize("function", [posterior, bootstrap, gradient_health, lambda x: profile(x, "leak.g_max")])
def test_result_of_another_kind_is_refused(function):
    with refused("`result` must be a FitResult, but is a VoltageTrace; give what `fit` returns", TypeError):
        function(TRACE)


def test_posterior_plot_of_another_kind_is_refused():
    with refused("`found` must be a Posterior or a Bootstrap, but is a VoltageTrace; ", TypeError):
        plot_posterior(TRACE)


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("`t1` must lie within the sweep, 0 to 4 ms after its first sample, but is -5; ", {"t1": -5}),
        ("`t1` must lie within the sweep, .* but is 1000000.0; ", {"t1": 1e6}),
        ("`every` must be a whole number of at least 1, but is 0; ", {"every": 0}),
        (r"`area` must be a positive number \[um\^2\], but is 0; ", {"area": 0}),
        (
            r"`area` must be that of the electrode, 1000 um\^2, but is 20000; ",
            {"area": 2e4, "electrode": Electrode(area=1e3)},
        ),
        (r"`without_spikes` must be two times >= 0 \[ms\], .* but is 3.0; ", {"without_spikes": 3.0}),
        (r"`without_spikes` must be two times >= 0 \[ms\], .* but is \(-1, 2\); ", {"without_spikes": (-1, 2)}),
        (
            r"`without_spikes` must leave some samples, but \(9.0, 9.0\) covers all between 1 spikes; ",
            {"without_spikes": (9.0, 9.0), "threshold": -62.0},
        ),
        ("`every` must leave two samples or more, but 99 leaves 1 of 41; ", {"every": 99}),
        ("`threshold` must be a finite number .* but is nan; ", {"threshold": np.nan}),
    ],
)
def test_trace_of_a_sweep_refuses(match, options):
    with refused(match):
        trace_of(RECORDING[0], **options)


def test_time_in_seconds_is_noticed():
    long = Sweep(np.arange(4001.0), np.full(4001, -65.0), np.zeros(4001))
    with pytest.warns(UserWarning, match=r"\A[^\n]*`t1` should be in ms, but 2 of 4000 ms looks like seconds[^\n]*\Z"):
        trace_of(long, t1=2.0)


def test_trace_of_a_sweep_refuses_what_is_no_electrode():
    with refused("`electrode` must be an Electrode, but is 5.0; ", TypeError):
        trace_of(RECORDING[0], electrode=5.0)


def test_recording_refuses_what_it_does_not_have():
    with refused("`sweep` must be a Sweep, but is a Recording; give one of a recording", TypeError):
        trace_of(RECORDING)
    with refused("`indices` must be a list of sweep numbers, but is 3; ", TypeError):
        RECORDING.select(3)
    with refused("Sweeps of this recording must be one of 0 to 1, but 99 is asked for; use `select`", IndexError):
        RECORDING[99]
    with refused(r"`low_pass` must be a number \[kHz\], but is 'a'; ", TypeError):
        RECORDING.prepared(low_pass="a")
    assert len(list(RECORDING)) == 2


def test_reader_refuses_what_names_no_file(tmp_path):
    with refused("`path` must be the name of a file, but is 3; ", TypeError):
        read_recording(3)
    np.savez(tmp_path / "cell.npz", time_ms=TS, voltage_mV=V, current_pA=V)
    with refused("`stimulus_folder` must be an existing folder, but '/nope' is none; "):
        read_recording(tmp_path / "cell.npz", stimulus_folder="/nope")


def test_clamped_targets_take_their_own_losses_only():
    target = ClampCurrent(0.1, V, Step(1.0))
    with refused("TraceLoss is for a VoltageTrace and the target is a ClampCurrent; "):
        Joint({"a": target}, losses={"a": TraceLoss()})
