"""What users install: the wheel, its metadata, and the Makefile's answers to a bad Python."""

import ast
import email
import fnmatch
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import jaxneuro

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {"io", "posterior", "test", "notebooks", "bench", "verify"}
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def build(target: str, folder: Path) -> Path:
    """Build one distribution with the installed hatchling, so without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(path))


def package_files() -> set[str]:
    """Every file of the package in the checkout but Python's own caches."""
    files = (path for path in (ROOT / "jaxneuro").rglob("*") if path.is_file())
    return {str(f.relative_to(ROOT)) for f in files if "__pycache__" not in f.parts}


def test_wheel_installs_jaxneuro_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    info = f"jaxneuro-{jaxneuro.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"jaxneuro", info}
    assert {name for name in names if name.startswith("jaxneuro/")} == package_files()


def test_wheel_works_away_from_the_checkout(wheel, tmp_path, run_python):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import jaxneuro; print(jaxneuro.__file__); jaxneuro.LIF()"
    printed = run_python(code, env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert Path(printed.strip()) == tmp_path / "jaxneuro" / "__init__.py"


def test_wheel_metadata_is_whole(metadata):
    assert metadata["Version"] == jaxneuro.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
    assert metadata.get_payload().startswith("# "), "the README is the long description"


def test_wheel_declares_every_import(metadata):
    declared = set()
    for line in metadata.get_all("Requires-Dist"):
        name, _, marker = line.partition(";")
        if "extra ==" not in marker or re.search(r"extra == ['\"](io|posterior)['\"]", marker):
            declared.add(re.match(r"[A-Za-z0-9_-]+", name).group())
    known = declared | sys.stdlib_module_names | {"jaxneuro"}
    undeclared = set()
    for path in sorted((ROOT / "jaxneuro").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            undeclared |= {m.split(".")[0] for m in modules} - known
    assert not undeclared, f"imported by the package but not in pyproject.toml: {undeclared}"


def test_sdist_holds_the_whole_project(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", ".ci/run"}
    wanted |= {"tests/conftest.py", "PKG-INFO"} | package_files()
    assert not wanted - names, f"absent from the source distribution: {sorted(wanted - names)}"
    strange = {name for name in names if ".venv" in name or "demo-out" in name or ".git/" in name}
    assert not strange


def test_checkout_ignores_what_the_studies_write():
    rules = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("/")]
    written = [re.findall(r'"--out".*Path\("(.+?)"\)', path.read_text()) for path in (ROOT / "fitting").glob("*.py")]
    folders = [folder for found in written for folder in found]
    assert len(folders) > 5
    assert not [folder for folder in folders if not any(fnmatch.fnmatch(folder, rule) for rule in rules)]


def test_install_has_the_command():
    scripts = importlib.metadata.entry_points(group="console_scripts", name="jaxneuro")
    assert [script.value for script in scripts] == ["jaxneuro.cli:main"]


@needs_make
def test_makefile_refuses_a_python_that_does_not_run(tmp_path):
    done = make("test", "PYTHON=no-such-python", cwd=tmp_path)
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0
    assert ours == [
        "Python interpreter 'no-such-python' does not run; install Python 3.11 or newer, "
        "or name one: make PYTHON=/path/to/python3.12 test."
    ]
    assert not (tmp_path / ".venv").exists()


def fake_python(path: Path, answer: str) -> Path:
    """A stand-in for an interpreter: it prints `answer` to `-c` and fails at anything else."""
    path.write_text(f'#!/bin/sh\ntest "$1" = -c && echo {answer}\n')
    path.chmod(0o755)
    return path


@needs_make
def test_makefile_refuses_an_old_python(tmp_path):
    for version in ("2.7.18", "3.9.18", "3.10.13"):
        python = fake_python(tmp_path / "python", version)
        done = make("demo", f"PYTHON={python}", cwd=tmp_path)
        ours = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert done.returncode != 0
        assert ours == [
            f"Python must be 3.11 or newer, but '{python}' is {version}; "
            "name a newer one: make PYTHON=/path/to/python3.12 demo."
        ]
        assert not (tmp_path / ".venv").exists()


@needs_make
def test_makefile_says_how_to_get_a_venv_module(tmp_path):
    python = fake_python(tmp_path / "python", "3.12.1")
    done = make("demo", f"PYTHON={python}", cwd=tmp_path)
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0
    assert ours == [
        "Python 3.12.1 could not make .venv: install its venv module "
        "(Debian and Ubuntu: apt install python3.12-venv) and run make again."
    ]
    assert not (tmp_path / ".venv").exists()


def make(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the Makefile in an otherwise empty folder, as a fresh `make` and no other one's child."""
    for name in ("pyproject.toml", "jaxneuro/_version.py"):
        (cwd / name).parent.mkdir(exist_ok=True)
        (cwd / name).touch()
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    command = ["make", "-f", str(ROOT / "Makefile"), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
