"""Files that appear whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from jaxneuro._arguments import check_kind

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(path: Any) -> Iterator[IO[bytes]]:
    """A file to write bytes to, that takes the place of `path` at the end, and vanishes if anything fails before."""
    path = _checked(path)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(partial, 0o644)  # mkstemp lets only the owner read
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def _checked(path: Any) -> Path:
    check_kind("path", path, str | os.PathLike, "the name of a file", 'give e.g. "fit.json"')
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"Argument `path` must name a file, but {path} is a folder; add a name to it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Argument `path` must lie in a folder that exists, but {path.parent} does not; make it or write elsewhere."
        )
    return path
