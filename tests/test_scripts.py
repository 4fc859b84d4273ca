"""Whatever the project tells its users to run, runs: the studies, the README, the notebooks."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
STUDIES = sorted((ROOT / "fitting").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RECORDINGS = (".abf", ".nwb", ".csv", ".npz")
pytestmark = pytest.mark.slow


def fences(language: str, document: str = "README.md") -> list[str]:
    """The code blocks of one language in a document, in order."""
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Each `jaxneuro ...` command that the README shows, with continued lines joined."""
    lines = "\n".join(fences("bash")).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if re.match(r"\s*jaxneuro\s", line)]


def run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The user's own recording that the README speaks of: a few current steps into a leaky cell."""
    dt, E_L, V_th, tau_m, R_m = 0.1, -70.0, -50.0, 20.0, 200.0  # ms, mV, mV, ms, MOhm
    rows = ["time_ms,voltage_mV,current_pA,sweep"]
    for sweep, amplitude in enumerate((-50.0, 0.0, 50.0, 120.0, 150.0, 180.0)):
        V = E_L
        for step in range(5000):
            t = step * dt
            current = amplitude if 50.0 <= t < 450.0 else 0.0
            # A spike is one sample at +30 mV, followed by the reset.
            V = E_L if V > 0.0 else V + dt / tau_m * (E_L - V + R_m * current / 1000.0)
            V = 30.0 if V > V_th else V
            rows.append(f"{t:.1f},{V:.6f},{current:g},{sweep}")
    path = tmp_path / "cell.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Jupyter kernel on this very interpreter, whatever kernels and settings the user has."""
    name = "jaxneuro-tests"
    folder = tmp_path / "jupyter" / "kernels" / name
    folder.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        # The suite draws with Agg, but a notebook shows its figures inline.
        "env": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    return name


# Parametrised tests over an empty list are skipped in silence, hence this one.
def test_scripts_exist():
    assert len(STUDIES) >= 3 and NOTEBOOKS and fences("python") and commands()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_study_runs_quickly(study, request, recording, tmp_path):
    out = tmp_path / "out"
    usage = run([sys.executable, str(study), "--help"], cwd=tmp_path).strip().split("\n\n")[0]
    files = [str(recording)] if "RECORDING" in usage.upper() else []
    if "RECORDING.abf" in usage:  # of a voltage clamp
        files = [str(request.getfixturevalue("data_dir") / "abf" / "model_vc_step.abf")]
    if "REPEATS.npz" in usage:
        files = [str(request.getfixturevalue("data_dir") / "noise" / "frozen_noise_9rep_first10s.npz")]
    run([sys.executable, str(study), *files, "--quick", "--out", str(out)], cwd=tmp_path)
    assert any(out.iterdir()), "the study wrote nothing into --out"


@pytest.mark.parametrize("name", ["missing.abf", "model_vc_step.abf"])
def test_adex_study_refuses_what_is_no_current_clamp(name, data_dir, tmp_path):
    command = [sys.executable, str(ROOT / "fitting" / "fit_adex_cell.py"), str(data_dir / "abf" / name), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and name in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not any(tmp_path.iterdir())


def test_fhn_study_finds_the_regime_from_others(tmp_path):
    run([sys.executable, str(ROOT / "fitting" / "fit_fhn_regime.py"), "--quick", "--out", "out"], cwd=tmp_path)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["excitable"]["right_regime"] and report["bistable"]["right_regime"]
    # 4 standard deviations: a bound that noise passes once in 16,000 times
    true, fitted, std = report["hopf_true_fit_std"]
    assert all(abs(a - b) < 4 * s for a, b, s in zip(true, fitted, std, strict=True))


def test_readme_snippets_run_in_order(recording):
    run([sys.executable, "-c", "\n".join(fences("python"))], cwd=recording.parent)


def test_contributing_recipe_makes_a_channel(tmp_path):
    use = """
import numpy
from jaxneuro import HodgkinHuxley, Membrane, simulate
channels = {**HodgkinHuxley().channels, "slow": FastPotassium()}
solution = simulate(Membrane(channels=channels), 10.0, t1=50.0)
assert len(solution.spikes) >= 1 and numpy.isfinite(solution.voltage).all()
"""
    recipe = "\n".join(fences("python", "CONTRIBUTING.md"))
    run([sys.executable, "-c", recipe + use], cwd=tmp_path)


@pytest.mark.parametrize("command", commands())
def test_readme_command_starts(command, recording):
    words = shlex.split(command, comments=True)
    # The file that the README names is the reader's own.
    words = [str(recording) if word.endswith(RECORDINGS) else word for word in words]
    program = str(Path(sys.executable).with_name("jaxneuro"))
    offered = run([program, words[1], "--help"], cwd=recording.parent)
    unknown = [w for w in words[2:] if w.startswith("--") and w.split("=")[0] not in offered]
    assert not unknown, f"options that `jaxneuro {words[1]}` does not have: {unknown}"
    process = subprocess.Popen(
        [program, *words[1:]],
        cwd=recording.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        # A mistake shows within seconds; that long work also ends well is the other tests' matter.
        printed, _ = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    else:
        assert process.returncode == 0, printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, kernel, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name=kernel, resources=place).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_with_its_outputs(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(cell.execution_count for cell in cells), "a cell was never run"
    assert any("image/png" in output.get("data", {}) for output in outputs), "no figure is kept"
    assert not [output for output in outputs if output.output_type == "error"]
