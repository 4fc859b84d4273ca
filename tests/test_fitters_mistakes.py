"""What a user may get wrong around a fit: each is one sentence that says what to do, before anything is simulated."""

import re

import numpy as np
import pytest
from refusals import refused

from jaxneuro import LIF, FixedStep, HodgkinHuxley, Leak, Membrane, Step
from jaxneuro.fitters import (
    ClampCurrent,
    Electrode,
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
    ],
)
def test_trace_of_a_sweep_refuses(match, options):
    with refused(match):
        trace_of(RECORDING[0], **options)


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
