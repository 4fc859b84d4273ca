"""Strict JAX for the whole suite, and the fixtures that every test file may use."""

import gc
import os
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAPS = Path("/proc/self/maps")
MAX_MAPS = 20_000

# JAX and matplotlib read these when they are imported, and child processes inherit them.
os.environ["MPLBACKEND"] = "Agg"
# Compiled programs are shared by workers, child processes and later runs.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"

# Nearly all of the suite's time is compilation, and short runs need no optimised programs. Child processes, which run
# studies and commands as users do, are not given this flag: XLA has read it when its CPU backend is there.
FLAGS = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = f"{FLAGS} --xla_backend_optimization_level=0".strip()

import jax  # noqa: E402
import pytest  # noqa: E402

import jaxneuro  # noqa: E402, F401  (it adds flags of its own, which children add themselves)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.devices()
# Tracing makes many objects that live: looking through all of them as often as Python does takes 5 % of the suite.
gc.set_threshold(50_000, 20, 20)
os.environ["XLA_FLAGS"] = FLAGS


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Between two files, let compiled programs go before they use up the process's memory maps.

    Each of XLA's CPU programs holds some maps, and Linux allows a process 65,530: past them the
    next compilation aborts.  Clearing costs the following file its few shared compilations.
    """
    if nextitem is not None and nextitem.path == item.path:
        return
    if MAPS.exists() and len(MAPS.read_bytes().splitlines()) > MAX_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def getkey(request: pytest.FixtureRequest) -> Callable[[], jax.Array]:
    """A function that returns a new random key at each call, the same keys in every run."""
    key = jax.random.key(zlib.crc32(request.node.nodeid.encode()))

    def next_key() -> jax.Array:
        nonlocal key
        key, subkey = jax.random.split(key)
        return subkey

    return next_key


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings, which lies beside a checkout and is not part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recordings are not here: ../shared/data is absent")
    return folder


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """A function that runs Python code in a fresh process and returns what it printed.

    Float32 is JAX's state in that process, as it is for a user who has not switched float64 on: the
    precision belongs to a whole process, so the suite (float64) cannot change it for one test.
    `env` adds variables, such as {"JAX_ENABLE_X64": "1"}.
    """

    def run(code: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "JAX_ENABLE_X64": "0", **(env or {})},
            cwd=cwd or ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"the code failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
