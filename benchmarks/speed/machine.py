"""Where and with what a report was made."""

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

__all__ = ["describe"]

_PACKAGES = ("jaxneuro", "jax", "jaxlib", "equinox", "diffrax", "jaxley", "neuron", "numpy")


def describe() -> dict[str, str | int]:
    """Processor, cores, versions and date; nothing that names the machine itself."""
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu(),
        "vectors": _vectors(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "gcc": _gcc(),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        **{name: _version(name) for name in _PACKAGES},
    }


def _cpuinfo(field: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def _cpu() -> str:
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    family, model = _cpuinfo("cpu family"), _cpuinfo("model\t")
    return f"{name} (family {family}, model {model})" if family else name


def _vectors() -> str:
    flags = _cpuinfo("flags").split()
    return next((name for name in ("avx512f", "avx2", "avx") if name in flags), "")


def _gcc() -> str:
    gcc = shutil.which("gcc")
    if gcc is None:
        return ""
    return subprocess.run([gcc, "-dumpfullversion"], capture_output=True, text=True).stdout.strip()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
