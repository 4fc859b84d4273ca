"""What solvers refuse, in one sentence."""

import diffrax
import pytest
from systems import PASSIVE

from jaxneuro import (
    AMPA,
    LIF,
    Adaptive,
    ExactSpikes,
    ExponentialEuler,
    ExponentialStrang,
    FitzHughNagumo,
    FixedStep,
    HodgkinHuxley,
    Network,
    simulate,
)

TWO_CELLS = Network([LIF(), LIF()], AMPA(), pre=[0], post=[1])


@pytest.mark.parametrize(
    "build, error, message",
    [
        (lambda: FixedStep(0.0), ValueError, r"`dt` must be a positive number \[ms\], but is dt=0.0"),
        (lambda: FixedStep(-0.1), ValueError, "but is dt=-0.1; use e.g. dt=0.025"),
        (lambda: FixedStep(float("nan")), ValueError, "but is dt=nan; "),
        (lambda: FixedStep("0.1"), ValueError, "but is dt='0.1'; "),
        (lambda: ExactSpikes(-1), ValueError, "`dt` must be a positive number"),
        (lambda: FixedStep(0.1, solver="rk4"), TypeError, "must be a diffrax solver, but is 'rk4'; "),
        (lambda: FixedStep(0.1, solver=diffrax.KenCarp3()), ValueError, "KenCarp3 splits the right-hand"),
        (lambda: FixedStep(0.1, solver=diffrax.SemiImplicitEuler()), ValueError, "SemiImplicitEuler splits"),
        (lambda: Adaptive(rtol=-1.0), ValueError, "`rtol` must be positive, but is rtol=-1.0; "),
        (lambda: Adaptive(dtmax=0), ValueError, "`dtmax` must be positive"),
        (lambda: Adaptive(solver=diffrax.Euler()), ValueError, "must estimate its error, but Euler does not; "),
    ],
)
def test_solver_refuses_bad_options(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    "model, solver, message",
    [
        (LIF(), Adaptive(), r"must be able to reset, but is Adaptive for LIF.*use ExactSpikes\(dt\)"),
        (TWO_CELLS, FixedStep(0.1), r"FixedStep for Network; use ExactSpikes\(dt=0.1\)"),
        (HodgkinHuxley(), ExactSpikes(0.1), r"HodgkinHuxley has none; use Adaptive\(\) or FixedStep"),
        (FitzHughNagumo(), FixedStep(0.1, solver=ExponentialStrang()), r"FitzHughNagumo is none; use RK4"),
        (FitzHughNagumo(), FixedStep(0.1, solver=ExponentialEuler()), r"need a conductance model"),
    ],
)
def test_solver_refuses_a_model_that_it_cannot_drive(model, solver, message):
    with pytest.raises(ValueError, match=message):
        simulate(model, 0.1, t1=1.0, solver=solver)


@pytest.mark.parametrize("solver", [FixedStep(0.03), ExactSpikes(0.03)])
def test_solver_refuses_saving_times_off_its_grid(solver):
    model = LIF() if isinstance(solver, ExactSpikes) else PASSIVE
    message = r"`dt_save` must be a multiple of the solver's dt=0.03 ms, but is dt_save=0.1 ms; use .*0.09"
    with pytest.raises(ValueError, match=message):
        simulate(model, 0.1, t1=1.0, dt_save=0.1, solver=solver)
