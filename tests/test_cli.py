"""The command line: what it writes, and that a mistake of the user is one sentence, exit code 2, and no file."""

import json
import re

import numpy as np
import pytest

import jaxneuro as jn
from jaxneuro.cli import main
from jaxneuro.cli._common import MODELS, build_model, usual_currents


@pytest.fixture
def jaxneuro(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in args])
        return caught.value.code, *capsys.readouterr()

    return run


def files(folder):
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def synthetic_recording(path, currents=(-40.0, -20.0, 0.0, 220.0, 260.0, 330.0)):
    """A CSV made with a known LIF: steps of 200 ms, 5 samples per ms, spikes drawn to 20 mV."""
    rows = []
    for k, current in enumerate(currents):
        step = jn.Step(1e-3 * current, 50.0, 200.0)
        run = jn.simulate(jn.LIF(), step, t1=300.0, dt_save=0.2, solver=jn.ExactSpikes(0.2))
        voltage = np.array(run.voltage)
        voltage[np.searchsorted(run.ts, run.spikes)] = 20.0
        rows += [f"{t:.1f},{v:.4f},{1e3 * i:g},{k}" for t, v, i in zip(run.ts, voltage, run.i_app, strict=True)]
    path.write_text("\n".join(["time_ms,voltage_mV,current_pA,sweep", *rows]) + "\n")
    return path


def test_simulate_writes_figure_table_and_spikes(jaxneuro, tmp_path):
    code, out, _ = jaxneuro("simulate", "lif", "--amplitude", 0.3, "--t1", 60, "--set", "t_ref=4", "--out", "run")
    alone = jn.simulate(jn.LIF(t_ref=4.0), jn.Step(0.3, 5.0), t1=60.0)
    assert code == 0 and f"{alone.spikes.size} spikes" in out
    assert files(tmp_path / "run") == ["simulation.csv", "simulation.json", "simulation.png"]
    record = json.loads((tmp_path / "run/simulation.json").read_text())
    np.testing.assert_allclose(record["spikes_ms"], alone.spikes)
    table = np.genfromtxt(tmp_path / "run/simulation.csv", delimiter=",", names=True)
    assert table.dtype.names == ("time_ms", "voltage_mV", "current_pA")
    assert table["current_pA"].max() == 300.0
    assert jn.read_recording(tmp_path / "run/simulation.csv")[0].current.max() == 300.0


def test_simulate_noise_depends_on_the_seed_alone(jaxneuro, tmp_path):
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        assert jaxneuro("simulate", "lif", "--noise", 0.1, "--t1", 30, "--seed", seed, "--out", name)[0] == 0
    a, b, c = ((tmp_path / name / "simulation.csv").read_text() for name in "abc")
    assert a == b and a != c


def test_fi_writes_the_curve(jaxneuro, tmp_path):
    code, out, _ = jaxneuro("fi", "lif", "--low", 0, "--high", 0.6, "--points", 4, "--duration", 200, "--out", "fi")
    assert code == 0 and "Hz" in out
    table = np.genfromtxt(tmp_path / "fi/fi.csv", delimiter=",", names=True)
    rates = table[table.dtype.names[1]]
    assert rates[0] == 0 and rates[-1] > rates[2] > 0
    assert files(tmp_path / "fi") == ["fi.csv", "fi.png"]


def test_info_shows_sweeps_steps_and_passive_properties(jaxneuro, tmp_path):
    path = synthetic_recording(tmp_path / "cell.csv")
    code, out, _ = jaxneuro("info", path, "--out", "info")
    assert code == 0
    record = json.loads((tmp_path / "info/info.json").read_text())
    assert len(record["sweeps"]) == 6 and record["sweeps"][3]["spikes"] > 0
    # the cell is a LIF with R_m = 100 MOhm, tau_m = 20 ms and E_L = -70 mV
    assert record["passive"]["R_m_MOhm"] == pytest.approx(100, rel=0.01)
    assert record["passive"]["tau_m_ms"] == pytest.approx(20, rel=0.02)
    assert record["passive"]["E_L_mV"] == pytest.approx(-70, abs=0.05)
    assert files(tmp_path / "info") == ["info.json", "sweeps.png"]


@pytest.mark.slow
def test_fit_of_a_csv_writes_parameters_and_curve(jaxneuro, tmp_path):
    path = synthetic_recording(tmp_path / "cell.csv")
    code, out, err = jaxneuro("fit", path, "--model", "lif", "--target", "fi", "--steps", 40, "--out", "fitted")
    assert code == 0, err
    record = json.loads((tmp_path / "fitted/fit.json").read_text())
    assert {"value", "unit"} <= set(record["params"]["V_th"]) and record["params"]["V_th"]["unit"] == "mV"
    assert np.isfinite(record["loss"])
    curve = record["fi"]
    assert curve["current_pA"] == sorted(curve["current_pA"])
    error = np.array(curve["rate_model_hz"]) - np.array(curve["rate_data_hz"])
    # one spike in 200 ms is 5 Hz
    assert np.sqrt(np.mean(error**2)) < 5.0
    assert files(tmp_path / "fitted") == ["fit.json", "fit.png", "report.html", "report.md"]
    assert "fit.png" in (tmp_path / "fitted/report.md").read_text()


@pytest.mark.slow
def test_fit_goes_on_from_its_checkpoint_and_scores_held_out_sweeps(jaxneuro, tmp_path):
    path = synthetic_recording(tmp_path / "cell.csv")
    options = ("--target", "spikes", "--sweep", 5, "--held-out", 4, "--steps", 20, "--checkpoint", "fit.checkpoint")
    options += ("--free", "tau_m=10:40", "--free", "V_th=-60:-45", "--starts", 2)
    records = []
    for out in ("first", "again"):
        code, shown, err = jaxneuro("fit", path, *options, "--out", out)
        assert code == 0 and "held out, sweep 4: spikes of data" in shown, err
        records.append(json.loads((tmp_path / out / "fit.json").read_text()))
    assert (tmp_path / "fit.checkpoint").is_file()
    first, again = records
    assert first["params"] == again["params"] and first["n_steps"] == again["n_steps"] == 20
    held_out = first["scores"]["held_out"]["sweep 4"]
    assert held_out["spikes of model"]["value"] == pytest.approx(held_out["spikes of data"]["value"], abs=1)
    code, _, err = jaxneuro("fit", path, *options, "--steps", 21, "--out", "other")
    assert code == 2 and "must be of this fit" in err and not (tmp_path / "other").exists()


def membrane_recording(path, currents=(-30.0, 0.0, 400.0)):
    """A CSV of a regular-spiking cell of 1e4 um^2: steps of 60 ms, 10 samples per ms."""
    cell, rows = jn.params.replace(MODELS["regular-spiking"](), {"na.g_max": 40.0}), []
    for k, current in enumerate(currents):
        step = jn.Step(current / 100.0, 20.0, 60.0)  # 1 uA/cm^2 is 100 pA
        run = jn.simulate(cell, step, t1=90.0, dt_save=0.1)
        rows += [f"{t:.1f},{v:.4f},{100 * i:g},{k}" for t, v, i in zip(run.ts, run.voltage, run.i_app, strict=True)]
    path.write_text("\n".join(["time_ms,voltage_mV,current_pA,sweep", *rows]) + "\n")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("model", ["hh", "regular-spiking"])
def test_fit_of_a_trace_ends_with_spikes_where_the_data_have_them(model, jaxneuro, tmp_path):
    """Of the model that the data are of; the squid's axon is told to be another one."""
    file = membrane_recording(tmp_path / "cell.csv")
    free = [f"--free={name}" for name in ("na.g_max=10:160", "k.g_max=1:20", "m.g_max=0.02:0.3") if model != "hh"]
    options = ("--area", 1e4, "--starts", 2, "--steps", 20, "--held-out", 1, "--out", tmp_path / "out", *free)
    code, out, err = jaxneuro("fit", file, "--model", model, *options)
    assert code == 0, err
    assert files(tmp_path / "out") == ["fit.json", "fit.png", "report.html", "report.md"]
    scores = json.loads((tmp_path / "out/fit.json").read_text())["scores"]
    fitted, held_out = scores["fitted"]["all"], scores["held_out"]["sweep 1"]
    assert fitted["spikes of data"]["value"] >= 2 and "spikes of data" not in held_out
    if model == "hh":
        assert "does not fire as the data do, so that features of spikes were fitted" in out
    else:
        assert fitted["coincidence"]["value"] == pytest.approx(1.0) and fitted["RMS error"]["value"] < 0.5


@pytest.mark.slow
def test_fit_of_the_real_cell_reaches_2_hz(jaxneuro, tmp_path, data_dir):
    code, out, err = jaxneuro(
        "fit", data_dir / "abf/171116sh_0018.abf", "--model", "lif", "--target", "fi", "--out", "fitted"
    )
    assert code == 0, err
    record = json.loads((tmp_path / "fitted/fit.json").read_text())
    error = np.array(record["fi"]["rate_model_hz"]) - np.array(record["fi"]["rate_data_hz"])
    assert np.sqrt(np.mean(error**2)) <= 2.0
    assert record["params"]["t_ref"]["value"] <= 5.0
    assert 129 <= record["fixed"]["R_m"]["value"] <= 144 and 29 <= record["fixed"]["tau_m"]["value"] <= 36


@pytest.mark.slow
def test_demo_leaves_figures_parameters_and_report(jaxneuro, tmp_path):
    code, out, err = jaxneuro("demo", "--out", "demo-out")
    assert code == 0, err
    assert files(tmp_path / "demo-out") == ["fi_fit.json", "fi_fit.png", "hh_fit.json", "hh_fit.png", "report.md"]
    hh = json.loads((tmp_path / "demo-out/hh_fit.json").read_text())["params"]
    for name, true in (("na.g_max", 120.0), ("k.g_max", 36.0), ("leak.g_max", 0.3)):
        assert hh[name]["value"] == pytest.approx(true, rel=0.02)
    assert json.loads((tmp_path / "demo-out/fi_fit.json").read_text())["fi"]["rms_hz"] <= 2.0


@pytest.mark.parametrize("command", ["simulate", "fi", "info", "fit", "demo"])
def test_help_has_an_example_and_names_units(jaxneuro, command):
    code, out, _ = jaxneuro(command, "--help")
    assert code == 0 and re.search(rf"Example.*jaxneuro {command}", out, re.S)
    assert "--out" in out and "--seed" in out
    out = out.split("Options:")[1]
    for option in re.findall(r"(--\S+) (?:FLOAT|INTEGER)", out):
        text = re.search(rf"{option} (?:.|\n(?! *-))*", out).group(0)
        assert re.search(r"\[[^\]]+\]", text), f"{option} says no unit"


@pytest.mark.parametrize("name", ["hh", "HH", "HodgkinHuxley", "hodgkin-huxley"])
def test_model_is_known_by_its_name_and_by_its_class(name):
    assert type(build_model(name, ["C_m=2"])) is jn.HodgkinHuxley


BAD = {
    "unknown model": (("simulate", "hhh"), "MODEL must be one of hh, fhn, lif"),
    "model like no other": (("simulate", "nosuch"), "but is 'nosuch'; choose one"),
    "misspelt model": (("simulate", "HodgkinHuxly"), "did you mean 'hh'"),
    "unknown parameter": (("simulate", "hh", "--set", "na.gmax=3"), "did you mean 'na.g_max'"),
    "negative capacitance": (("simulate", "hh", "--set", "C_m=-1"), "`C_m` must be a number > 0"),
    "setting without number": (("simulate", "hh", "--set", "C_m"), "NAME=VALUE"),
    "negative dt": (("simulate", "hh", "--dt", "-0.1"), "`dt` must be a positive number"),
    "text for a number": (("simulate", "hh", "--t1", "long"), "not a valid float"),
    "run backwards": (("simulate", "hh", "--t1", "-5"), "`t1` must be later than t0"),
    "unknown option": (("simulate", "hh", "--tt"), "No such option"),
    "unknown command": (("simulat",), "No such command"),
    "missing argument": (("fit",), "Missing argument"),
    "low above high": (("fi", "lif", "--low", "1", "--high", "0"), "--low must be below --high"),
    "missing file": (("fit", "nothing.abf"), "nothing.abf"),
    "unknown format": (("fit", "cell.txt"), r"\.abf"),
    "empty csv": (("fit", "empty.csv"), "empty"),
    "missing column": (("info", "column.csv"), "current"),
    "NaN in data": (("fit", "nan.csv"), "finite|nan|NaN"),
    "wrong unit": (("fit", "unit.csv"), "voltage"),
    "truncated ABF": (("info", "cut.abf"), "cut.abf"),
    "bounds the wrong way round": (("fit", "good.csv", "--free", "V_th=-40:-60"), "low < high"),
    "bounds without numbers": (("fit", "good.csv", "--free", "V_th=1"), "NAME=LOW:HIGH"),
    "sweep held out of a curve": (("fit", "good.csv", "--held-out", "1"), "--held-out must go with --target spikes"),
    "sweep of a curve": (("fit", "good.csv", "--sweep", "1"), "--sweep must go with --target spikes"),
    "sweep fitted and held out": (
        ("fit", "good.csv", "--target", "spikes", "--sweep", "5", "--held-out", "5"),
        "other sweeps than the one that is fitted, but has 5",
    ),
    "unknown sweep": (("fit", "good.csv", "--target", "spikes", "--sweep", "77"), "but 77 is none of them"),
    "held out in silence": (("fit", "good.csv", "--target", "spikes", "--held-out", "0"), "with spikes, but 0 has"),
    "area of a point": (("fit", "good.csv", "--area", "100"), "--area must go with --target trace"),
    "no time": (("fit", "good.csv", "--time-budget", "0"), "--time-budget.*x>0"),
    "unknown strategy": (("fit", "good.csv", "--strategy", "guess"), "--strategy.*'nudging'"),
    "model of no fit": (("fit", "good.csv", "--model", "foo"), "--model.*'lif', 'hh'"),
    "folder of waveforms that is none": (
        ("fit", "good.csv", "--stimulus-folder", "/nope"),
        "`stimulus_folder` must be an existing folder, but '/nope' is none",
    ),
    "model and target do not match": (
        ("fit", "good.csv", "--model", "hh", "--target", "fi"),
        "--model lif --target fi",
    ),
}


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "cell.txt").write_text("1 2 3\n")
    (folder / "empty.csv").write_text("")
    (folder / "column.csv").write_text("time_ms,voltage_mV\n0,1\n1,2\n")
    (folder / "nan.csv").write_text("time_ms,voltage_mV,current_pA\n0,-65,0\n1,nan,0\n2,-65,0\n")
    (folder / "unit.csv").write_text("time_ms,voltage_pA,current_pA\n0,-65,0\n1,-65,0\n")
    (folder / "cut.abf").write_bytes(b"ABF2" + bytes(600))
    synthetic_recording(folder / "good.csv")
    return folder


@pytest.mark.parametrize("case", BAD)
def test_mistake_is_one_sentence_and_no_file(case, jaxneuro, bad_files, tmp_path):
    args, match = BAD[case]
    args = [bad_files / a if (bad_files / a).is_file() else a for a in args]
    code, out, err = jaxneuro(*args, "--out", tmp_path / "out")
    assert code == 2
    lines = [line for line in err.splitlines() if not line.startswith("fit:")]  # the progress bar
    assert len(lines) == 1 and lines[0].startswith("jaxneuro: "), err
    assert re.search(match, lines[0]), lines[0]
    assert "Traceback" not in err + out
    assert not (tmp_path / "out").exists() and files(tmp_path) == []


@pytest.mark.parametrize("command", [("fit", "good.csv"), ("info", "good.csv"), ("simulate", "hh"), ("fi", "lif")])
def test_folder_that_cannot_be_written_is_refused_first(command, jaxneuro, bad_files, tmp_path):
    name, what = command
    (tmp_path / "file").write_text("")
    what = bad_files / what if (bad_files / what).is_file() else what
    code, out, err = jaxneuro(name, what, "--out", tmp_path / "file" / "out")
    assert code == 2 and err.startswith("jaxneuro: Option --out must be a folder that you may write to"), err
    assert "fit:" not in err and out == ""


def test_failure_while_writing_leaves_nothing(jaxneuro, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxneuro.cli._simulate._write_csv", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["simulate", "lif", "--t1", "20", "--out", str(tmp_path / "run")])
    assert files(tmp_path) == []


def test_cli_has_a_current_for_every_model():
    """For `simulate` and `fi` without currents; of LIF 1.5 and 3 times its rheobase of 0.2 nA."""
    for model in MODELS.values():
        usual, highest = usual_currents(model())
        assert 0 < usual < highest
    assert usual_currents(MODELS["lif"]()) == (0.3, 0.6)
