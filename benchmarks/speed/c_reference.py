"""The yardstick: reference.c, built with gcc and called through ctypes. Needs numpy alone."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from speed.cases import Case

__all__ = ["build", "initial_state", "runner"]

SOURCE = Path(__file__).resolve().parent.parent / "reference.c"
_REALS = {"float32": ("float", ctypes.c_float), "float64": ("double", ctypes.c_double)}
_BLOCKS = (16, 128, 256)  # lanes of a block: the smallest that holds all lanes, or the largest


def build(folder: Path) -> str:
    """Build both precisions and all widths into the folder; "" and a sentence where there is no gcc or it fails."""
    gcc = shutil.which("gcc")
    if gcc is None:
        print("There is no gcc, so the comparison with C is left out.")
        return ""
    fast = ["-O3", "-march=native", "-ffast-math", "-fPIC"]
    for precision, (real, _) in _REALS.items():
        for block in _BLOCKS:
            library = _path(folder, precision, block)
            compiled = library.with_suffix(".o")
            defined = [f"-DREAL={real}", f"-DBLOCK={block}"]
            # linked apart: gcc before 13 would add code that flushes subnormals in the whole process
            for command in (
                [gcc, *fast, *defined, "-c", str(SOURCE), "-o", str(compiled)],
                [gcc, "-shared", str(compiled), "-lm", "-o", str(library)],
            ):
                ended = subprocess.run(command, capture_output=True, text=True)
                if ended.returncode:
                    print(f"gcc failed, so the comparison with C is left out: {ended.stderr.strip()}")
                    return ""
    return str(folder)


def _path(folder: str | Path, precision: str, block: int) -> Path:
    return Path(folder) / f"reference_{precision}_{block}.so"


def initial_state(case: Case, values: dict[str, np.ndarray]) -> np.ndarray:
    """State of every lane at t = 0, as the library's models start; shape (n_state, n)."""
    n = len(values["stimulus.amplitude"])
    if case.name == "fhn":
        return np.stack([np.full(n, -1.1994080352440), np.full(n, -0.6242600440550)])
    if case.name == "lif":
        return np.stack([values["E_L"], np.zeros(n), np.zeros(n)])
    V = -65.0
    rates = [
        (0.1 * (V + 40) / (1 - np.exp(-(V + 40) / 10)), 4 * np.exp(-(V + 65) / 18)),
        (0.07 * np.exp(-(V + 65) / 20), 1 / (1 + np.exp(-(V + 35) / 10))),
        (0.01 * (V + 55) / (1 - np.exp(-(V + 55) / 10)), 0.125 * np.exp(-(V + 65) / 80)),
    ]
    return np.stack([np.full(n, V), *(np.full(n, a / (a + b)) for a, b in rates)])


def runner(
    folder: str, case: Case, stepper: str, values: dict[str, np.ndarray], steps: int, stride: int, precision: str
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A function that runs the C loop and returns spike counts (n,) and V at every `stride`-th step (n_saved, n).

    The arrays are made once, before any timing, and every call fills the same ones.
    """
    n = len(values["stimulus.amplitude"])
    library = ctypes.CDLL(str(_path(folder, precision, next((b for b in _BLOCKS if b >= n), _BLOCKS[-1]))))
    function, real = getattr(library, f"{case.name}_{stepper}"), _REALS[precision][1]
    params = np.stack([values[name] for name in case.center]).astype(precision)
    state = initial_state(case, values).astype(precision)
    count, V = np.zeros(n, precision), np.zeros((steps // stride, n), precision)
    arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (params, state, count, V)]

    def run() -> tuple[np.ndarray, np.ndarray]:
        function(ctypes.c_int64(n), ctypes.c_int64(steps), ctypes.c_int64(stride), real(case.dt), *arrays)
        return count, V

    run.arrays = (params, state)  # ctypes pointers do not keep them alive
    return run
