"""A model in the place of the cell, its scores against the recording, and the report of a fit."""

import html.parser

import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused

from jaxneuro import GLIF, LIF, EscapeRate, ExactSpikes, HodgkinHuxley, Step, simulate
from jaxneuro.analysis import explained_variance, firing_scores, passive_properties
from jaxneuro.fitters import Electrode, Joint, SpikeTrains, VoltageTrace, fit, play
from jaxneuro.recording import Recording
from jaxneuro.solvers import RK4, FixedStep

TS = np.arange(0.0, 300.0, 0.5)
AMPLITUDES = np.array([-100.0, -50.0, 50.0, 300.0, 400.0])  # pA


def recording_of(model: LIF, electrode: Electrode) -> Recording:
    """What an amplifier would have recorded of steps into a model."""
    current = np.where((TS >= 50.0) & (TS < 250.0), AMPLITUDES[:, None], 0.0)
    silent = Recording.from_arrays(TS, np.zeros_like(current), current)
    return play(model, silent, electrode=electrode, solver=ExactSpikes(0.5)).recording


def test_playing_a_model_measures_the_model():
    """Its resistances, time constant and rest, from its own steps, as from those of a cell."""
    cell = LIF(R_m=120.0, tau_m=20.0, E_L=-65.0, V_th=-40.0)
    found = passive_properties(recording_of(cell, Electrode(R_s=12.0, offset=3.0)))
    assert found.R_m == pytest.approx(120.0, rel=0.01) and found.tau_m == pytest.approx(20.0, rel=0.03)
    assert found.R_series == pytest.approx(12.0, rel=0.05) and found.E_L == pytest.approx(-62.0, abs=0.01)


def test_played_spikes_are_those_of_a_simulation():
    played = play(LIF(), recording_of(LIF(), Electrode()), solver=ExactSpikes(0.5), t1=260.0)
    alone = simulate(LIF(), Step(0.4, 50.0, 200.0), t1=260.0, solver=ExactSpikes(0.5)).spikes
    np.testing.assert_allclose(played.spikes[4], alone, atol=1e-9)
    assert played.recording[4].t1 == 260.0 and len(played.spikes[0]) == 0


def test_firing_scores_count_within_the_step():
    data = recording_of(LIF(), Electrode())
    peaks = data.sweeps[4].voltage.copy()
    peaks[np.searchsorted(TS, [60.0, 100.0, 280.0])] = 30.0  # two spikes in the step, one after it
    rows = [sweep.voltage for sweep in data.sweeps[:4]] + [peaks]
    data = Recording.from_arrays(TS, rows, [sweep.current for sweep in data])
    scores = firing_scores(data, {0: [], 1: [], 2: [], 3: [70.0], 4: [63.0, 90.0, 120.0, 270.0]})
    np.testing.assert_array_equal(scores.count, [[0, 0], [0, 0], [0, 0], [0, 1], [2, 3]])
    assert scores.latency[4] == pytest.approx([60.0 - 50.0 - 0.5 * 30 / 100, 13.0], abs=0.3)
    assert np.isnan(scores.latency[3, 0]) and scores.latency_error == pytest.approx(3.3, abs=0.3)
    assert scores.rate_error == pytest.approx(5.0 * np.sqrt(2 / 5)) and scores.count_error == 1
    assert scores.select([4]).rate_error == pytest.approx(5.0) and scores.table().count("\n") == 5


def test_explained_variance_is_that_of_the_samples_between_spikes():
    data = recording_of(LIF(V_th=0.0), Electrode())
    assert explained_variance(data, data) == 1.0
    shifted = Recording.from_arrays(TS, [s.voltage + 2.0 for s in data], [s.current for s in data])
    variance = sum(np.sum((s.voltage - s.voltage.mean()) ** 2) for s in data)
    assert explained_variance(data, shifted) == pytest.approx(1 - 4.0 * TS.size * len(data) / variance)
    spike = np.where((TS > 100.0) & (TS < 103.0), 30.0, data[0].voltage)
    rows = [spike, *(s.voltage for s in data.sweeps[1:])]
    spiking = Recording.from_arrays(TS, rows, [s.current for s in data])
    assert explained_variance(spiking, data) == pytest.approx(1.0, abs=1e-12)
    with refused("`data` and `model` must hold the same sweeps"):
        explained_variance(data, data.select([0]))


def test_joined_sweeps_follow_one_another():
    data = recording_of(LIF(), Electrode())
    (sweep,) = data.joined()
    assert sweep.ts.size == len(data) * TS.size
    np.testing.assert_allclose(sweep.ts[TS.size], TS.size * 0.5)
    np.testing.assert_array_equal(sweep.current[TS.size : 2 * TS.size], data[1].current)


class Page(html.parser.HTMLParser):
    """Counts tags and gathers where pictures come from."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report_is_one_page_that_needs_nothing_else(tmp_path):
    V = simulate(LIF(V_th=0.0), Step(0.1, 10.0), t1=60.0, dt_save=0.5, solver=ExactSpikes(0.5)).voltage
    traces = {"a<b": VoltageTrace(0.5, V, Step(0.1, 10.0)), "c": VoltageTrace(0.5, V + 0.1, Step(0.1, 10.0))}
    options = {"n_starts": 1, "start": "model", "steps": 6, "strategy": "newton", "progress": False}
    result = fit(LIF(V_th=0.0, R_m=90.0), Joint(traces), free={"R_m": (50, 200), "tau_m": (5, 50)}, **options)
    assert result.errors["c"][0] == pytest.approx(result.errors["a<b"][0], abs=0.1) and result.errors["c"][1] == "mV"
    result.report(tmp_path / "fit.html", "Cell <1>")
    text = (tmp_path / "fit.html").read_text()
    page = Page(text)
    assert not page.open and len(page.pictures) == 4  # errors, terms, residuals, correlations
    assert all(source.startswith("data:image/png;base64,") for source in page.pictures)
    assert "Cell &lt;1&gt;" in text and "a&lt;b" in text and "Cell <1>" not in text


def test_fit_to_spike_trains_is_drawn():
    model = EscapeRate(GLIF(), rate_0=50.0, Delta_u=3.0)
    target = SpikeTrains([[20.0, 60.0], [21.0]], Step(0.25, 5.0), t1=80.0)
    result = fit(model, target, free={"V_th": (-65, -40)}, n_starts=1, start="model", steps=3, progress=False)
    data, losses = result.plot()
    assert data.get_xlim() == (0.0, 80.0) and len(data.collections) == 2 and losses.get_lines()


def test_fit_whose_starts_all_fail_says_when():
    target = VoltageTrace(0.1, jnp.full(101, -65.0), Step(10.0))
    options = {
        "n_starts": 2,
        "steps": 3,
        "progress": False,
        "strategy": "descent",
        "solver": FixedStep(0.1, solver=RK4()),
    }
    with refused(r"none of 2 starts has one \(the voltage of the first is not finite from t=0.* ms on\)", RuntimeError):
        fit(HodgkinHuxley(), target, free={"na.g_max": (1e5, 1e6)}, **options)
