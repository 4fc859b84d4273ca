"""What fits must achieve: known parameters found again, a real cell's f-I curve met."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest

from jaxneuro import LIF, Adaptive, HodgkinHuxley, OrnsteinUhlenbeck, Recording, Step, params, simulate
from jaxneuro.analysis.firing import fi_curve
from jaxneuro.datasets import cell_0018_fi
from jaxneuro.fitters import FICurve, SpikeTimes, VoltageTrace, fit, fit_fi_table, fit_recording_fi

pytestmark = pytest.mark.slow

CONDUCTANCES = {"na.g_max": 120.0, "k.g_max": 36.0, "leak.g_max": 0.3}  # mS/cm^2
ADAPTING = {"V_th": -48.0, "t_ref": 3.0, "b_w": 0.04, "tau_w": 120.0}  # mV, ms, nA, ms


@pytest.fixture(scope="module")
def clean_trace() -> jax.Array:
    solver = Adaptive(rtol=1e-8, atol=1e-8)
    return simulate(HodgkinHuxley(), Step(10.0, 5.0, 25.0), t1=30.0, dt_save=0.05, solver=solver).voltage


@pytest.mark.parametrize("seed", range(5))
def test_fit_recovers_hodgkin_huxley_conductances(clean_trace, seed):
    noise = np.random.default_rng(seed).normal(0.0, 0.5, clean_trace.shape)
    target = VoltageTrace(0.05, clean_trace + noise, Step(10.0, 5.0, 25.0))
    free = {name: (value / 2, value * 2) for name, value in CONDUCTANCES.items()}
    result = fit(HodgkinHuxley(), target, free=free, seed=seed, progress=False).compare(CONDUCTANCES)
    # asked for are 2 %; the noise leaves a standard deviation of about 0.3 %
    assert max(abs(p.error) for p in result.params.values()) < 1.0
    assert np.sum(result.start_losses < 1.01 * result.loss) >= 4, result.start_losses
    # 601 samples: 6 % is one standard deviation of the mean square
    assert result.loss == pytest.approx(0.25, rel=0.2)


def test_fit_ends_where_optimistix_does(clean_trace):
    """Its Levenberg-Marquardt, on the same residuals from the same start, after about as many steps."""
    noise = np.random.default_rng(7).normal(0.0, 0.5, clean_trace.shape)
    target = VoltageTrace(0.05, clean_trace + noise, Step(10.0, 5.0, 25.0))
    free = {name: (value / 2, value * 2) for name, value in CONDUCTANCES.items()}
    near = {name: 1.05 * value for name, value in CONDUCTANCES.items()}
    ours = fit(HodgkinHuxley(), target, free=free, start=near, n_starts=1, strategy="newton", steps=30, progress=False)
    problem, solver = ours.problem, optimistix.LevenbergMarquardt(rtol=1e-10, atol=1e-10)
    u = jnp.array([t.inverse(jnp.asarray(near[name])) for name, t in zip(near, problem.transforms, strict=True)])
    theirs = optimistix.least_squares(
        lambda u, _: problem.errors(u)[0], solver, u, options={"jac": "fwd"}, max_steps=100
    )
    np.testing.assert_allclose(ours.u, theirs.value, rtol=1e-5)
    assert ours.loss == pytest.approx(float(problem.value(problem.errors(theirs.value))), rel=1e-9)
    # ours looks at its gain every 10 steps, and ends when a look finds none
    assert ours.stages[-1].n_steps <= 10 * math.ceil(int(theirs.stats["num_steps"]) / 10) + 10


def test_fit_recovers_lif_from_its_own_f_i_curve():
    true = params.replace(LIF(), ADAPTING)
    currents = jnp.array([0.15, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7])
    curve = fi_curve(true, currents, duration=300.0)
    # counts leave V_th open by a mV; with exact rates the search alone limits the result
    rates = jnp.where(curve.rate > 0, curve.smooth_rate, 0.0)
    free = {"V_th": (-55.0, -40.0), "t_ref": (1.0, 10.0), "b_w": (0.005, 0.3), "tau_w": (20.0, 500.0)}
    target = FICurve(currents, rates, duration=300.0)
    assert target.in_bin == 0.0
    result = fit(LIF(), target, free=free, progress=False)
    for name, value in ADAPTING.items():
        assert result.params[name].value == pytest.approx(value, rel=1e-2), result.table(ADAPTING)


def test_fit_recovers_lif_from_spike_times():
    true = params.replace(LIF(), ADAPTING)
    noise = OrnsteinUhlenbeck(0.45, 0.1, 10.0, t1=400.0)
    spikes = simulate(true, noise, t1=400.0).spikes
    assert spikes.size > 8
    free = {"V_th": (-55.0, -40.0), "t_ref": (1.0, 10.0), "b_w": (0.01, 0.2), "tau_w": (40.0, 400.0)}
    result = fit(LIF(), SpikeTimes(spikes, noise, t1=400.0), free=free, progress=False)
    # the data are exact, and so is the model: nothing but the search limits the result
    assert result.loss < 1e-6
    for name, value in ADAPTING.items():
        assert result.params[name].value == pytest.approx(value, rel=1e-3), result.table(ADAPTING)


def test_fit_of_the_packaged_curve_is_within_half_a_spike():
    cell = cell_0018_fi()
    result = fit_fi_table(cell, E_L=cell.E_L, R_m=cell.R_m, tau_m=cell.tau_m, progress=False)
    fi = result.to_dict()["fi"]
    np.testing.assert_allclose(fi["current_pA"], cell.current)
    np.testing.assert_array_equal(fi["rate_data_hz"], cell.rate)
    # rates come from counts over 0.5 s: 2 Hz is one spike
    assert fi["rms_hz"] <= 1.0
    error = np.subtract(fi["rate_model_hz"], fi["rate_data_hz"])
    assert fi["rms_hz"] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_fit_of_the_recording_meets_its_f_i_curve(data_dir):
    pytest.importorskip("pyabf", reason="reading ABF needs the extra `io`")
    from jaxneuro.io import read_recording

    recording = read_recording(data_dir / "abf" / "171116sh_0018.abf")
    result = fit_recording_fi(recording, progress=False)
    fi = result.to_dict()["fi"]
    # the aim is 2 Hz, one spike in the step
    assert fi["rms_hz"] <= 1.0
    assert fi["rate_data_hz"] == cell_0018_fi().rate.tolist()
    assert result.values["t_ref"] <= 5.0
    assert isinstance(recording, Recording) and 129 <= float(params.get(result.model, "R_m")) <= 144
