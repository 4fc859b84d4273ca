"""Published integrate-and-fire neurons fire when their equations say, to independent solutions of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused

from jaxneuro import GLIF, AdEx, Constant, ExactSpikes, Izhikevich, simulate
from jaxneuro.models._adex import AdExState

# Every list below is: number of spikes, the first five or fewer, the last [ms]; the current begins at t = 0.
# AdEx, Izhikevich: SciPy's DOP853, rtol = atol = 1e-11, from reset to reset with an event at the next one; AdEx above
# V_T + 4 Delta_T with V for the independent variable. The lists are rounded, by up to 5e-5 ms; the models' RK4 steps of
# 0.05 ms leave at most 7e-5 ms more (the last of 87 spikes of Izhikevich's TC).
TOLERANCE = 1e-4 + 5e-5

# Table 1 of Naud et al. (2008), from V = E_L, w = 0, with its currents, 500 ms. "irregular" is chaotic: its last spikes
# still move by tenths of a ms when the step is halved.
ADEX = {
    "tonic": (51, (14.2229, 23.1518, 32.2421, 41.4576, 50.7686), 490.9394),
    "adapting": (10, (14.9040, 26.1718, 40.5479, 60.1580, 89.5806), 431.5164),
    "initial_burst": (10, (5.4635, 8.8826, 16.2016, 70.9485, 135.0676), 454.8261),
    "bursting": (9, (16.1580, 19.0756, 24.1984, 155.9560, 161.3099), 438.3811),
    "delayed_accelerating": (36, (33.5737, 54.1675, 73.2470, 91.1826, 108.2159), 493.3332),
    "delayed_bursting": (26, (57.1796, 60.3942, 64.7032, 72.1244, 128.9812), 497.5165),
    "transient": (1, (30.2899,), 30.2899),
    "irregular": (None, (15.6446, 19.0897, 23.5576, 30.2655, 48.9761), None),
}
# The defaults, which are the cell of Brette & Gerstner (2005), at 0.8 nA.
BRETTE_GERSTNER = (9, (17.7195, 40.4852, 71.2670, 114.4775, 171.5946), 436.4786)
# The resets in testsuite/pytests/neurons/test_aeif_data_lsodar.dat of NEST (nest-simulator 84b06d8): C_m 200 pF,
# g_L 11 nS, a 3 nS, tau_w 300 ms, b 0, I_e 420 pA, from w = 5 pA. NEST's solver, LSODAR, runs ahead of the equations
# by 0.7 us a spike, 5 us in the end.
NEST = (18.715338, 30.560609, 42.495240, 54.517496, 66.626048, 78.819313, 91.095666)
NEST_CELL = AdEx(C_m=0.2, g_L=0.011, E_L=-70.0, V_T=-50.0, V_peak=0.0, V_reset=-58.0, a=0.003, b=0.0, tau_w=300.0)

# Izhikevich (2003) from V = -65, u = b V, 300 ms; TC also at the current of the paper's figure.
IZHIKEVICH = {
    ("RS", 10.0): (8, (3.1271, 26.2260, 71.0571, 115.8695, 160.6819), 295.1192),
    ("IB", 10.0): (12, (3.1271, 5.4154, 9.6501, 49.6292, 80.8366), 299.3630),
    ("CH", 10.0): (28, (3.1271, 4.5159, 6.0364, 7.7291, 9.6633), 298.9353),
    ("FS", 10.0): (42, (3.1529, 7.4438, 13.3122, 20.3272, 27.6341), 299.3087),
    ("LTS", 10.0): (26, (2.4682, 5.3371, 8.7983, 13.2276, 19.4727), 296.2770),
    ("TC", 10.0): (87, (2.4682, 4.9813, 7.5396, 10.1431, 12.7918), 298.8535),
    ("TC", 1.5): (12, (7.8546, 17.6516, 30.7550, 49.6392, 75.3173), 277.8100),
    ("RZ", 10.0): (60, (2.3916, 5.3026, 8.8694, 13.1235, 17.8834), 299.5074),
}

# Kobayashi et al. (2009) at 0.6 nA, 500 ms: V = R i (1 - e^{-t / tau_m}) against the sum of the thresholds, by Brent's
# method to 1e-12 ms. A cell that is over its threshold when its 2 ms have passed fires at once, as CH does.
MAT = {
    "MAT-RS": (17, (5.016510544, 19.662426974, 37.756731710, 57.782952421, 79.850552588), 473.003766771),
    "MAT-IB": (8, (10.074515103, 16.307654692, 35.275542037, 102.066864904, 183.097988650), 426.402462497),
    "MAT-FS": (119, (2.283792012, 4.886558283, 8.012577738, 11.594948847, 15.491554200), 498.566936875),
    "MAT-CH": (38, (10.074515103, 12.074515103, 14.074515103, 16.074515103, 18.074515103), 453.036233956),
}


def spike_times(models, currents, states, t1, dt):
    """Spikes [ms] of each model at its constant current, from its state; one program for all."""

    def run(model, i_app, y0):
        return simulate(
            model, Constant(i_app), t1=t1, dt_save=t1, y0=y0, solver=ExactSpikes(dt), max_spikes=128, throw=False
        ).spike_times

    models, currents, states = (jax.tree.map(lambda *x: jnp.stack(x), *trees) for trees in (models, currents, states))
    return [times[np.isfinite(times)] for times in np.asarray(jax.jit(jax.vmap(run))(models, currents, states))]


def assert_fires(times, reference, atol):
    count, first, last = reference
    np.testing.assert_allclose(times[: len(first)], first, rtol=0, atol=atol)
    if count is not None:
        assert times.size == count
        np.testing.assert_allclose(times[-1], last, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def adex_spikes():
    models = {name: AdEx.preset(name) for name in AdEx.PRESETS} | {"default": AdEx(), "NEST": NEST_CELL}
    currents = {name: preset.i_app for name, preset in AdEx.PRESETS.items()} | {"default": 0.8, "NEST": 0.42}
    states = {name: model.init_state() for name, model in models.items()}
    states["NEST"] = AdExState(NEST_CELL.E_L, jnp.asarray(0.005))
    runs = spike_times(models.values(), map(jnp.asarray, currents.values()), states.values(), 500.0, 0.05)
    return dict(zip(models, runs, strict=True))


@pytest.mark.parametrize("name", AdEx.PRESETS)
def test_adex_preset_fires_as_its_equations(name, adex_spikes):
    assert_fires(adex_spikes[name], ADEX[name], TOLERANCE)


def test_adex_default_fires_as_its_equations(adex_spikes):
    assert_fires(adex_spikes["default"], BRETTE_GERSTNER, TOLERANCE)


def test_adex_fires_as_in_nest(adex_spikes):
    times = adex_spikes["NEST"]
    np.testing.assert_allclose(times[times < 100.0], NEST, rtol=0, atol=0.01)


@pytest.fixture(scope="module")
def izhikevich_spikes():
    models = [Izhikevich.preset(name) for name, _ in IZHIKEVICH]
    states = [model.init_state() for model in models]
    runs = spike_times(models, [jnp.asarray(i_app) for _, i_app in IZHIKEVICH], states, 300.0, 0.05)
    return dict(zip(IZHIKEVICH, runs, strict=True))


@pytest.mark.parametrize("name, i_app", IZHIKEVICH)
def test_izhikevich_preset_fires_as_its_equations(name, i_app, izhikevich_spikes):
    assert_fires(izhikevich_spikes[name, i_app], IZHIKEVICH[name, i_app], TOLERANCE)


@pytest.fixture(scope="module")
def mat_spikes():
    models = [GLIF.preset(name) for name in MAT]
    currents = [jnp.asarray(GLIF.PRESETS[name].i_app) for name in MAT]
    # The flow is a closed form, so the step only has to be shorter than t_ref.
    runs = spike_times(models, currents, [model.init_state() for model in models], 500.0, 0.5)
    return dict(zip(MAT, runs, strict=True))


@pytest.mark.parametrize("name", MAT)
def test_mat_preset_fires_as_its_equations(name, mat_spikes):
    """To the nine digits of the list."""
    assert_fires(mat_spikes[name], MAT[name], 1e-8)


@pytest.mark.parametrize(
    "model, tested",
    [(AdEx, ADEX), (Izhikevich, IZHIKEVICH), (GLIF, MAT)],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_presets_are_all_compared(model, tested):
    assert {name if isinstance(name, str) else name[0] for name in tested} == set(model.PRESETS)


@pytest.mark.parametrize(
    "model, name, match",
    [
        (AdEx, "tonik", r"must be a preset, but is 'tonik'; did you mean 'tonic'\? Known are tonic, adapting, "),
        (Izhikevich, "PY", r"must be a preset, but is 'PY'; known are RS, IB, CH, FS, LTS, TC, RZ\."),
        (GLIF, "MAT-TC", r"must be a preset, but is 'MAT-TC'; did you mean 'MAT-\w+'\? Known are MAT-RS, "),
    ],
)
def test_presets_name_the_known_ones(model, name, match):
    with refused(match):
        model.preset(name)
