"""What is said of a file that is not there, or cannot be opened."""

import difflib
from pathlib import Path

__all__ = ["check_file", "missing"]


def missing(argument: str, path: Path) -> FileNotFoundError:
    """The error for the file that an argument names, with a file beside it that is called much the same."""
    return FileNotFoundError(
        f"Argument `{argument}` must be an existing file, but '{path}' does not exist; {_hint(path)}"
    )


def check_file(path: Path) -> None:
    """Raise a FileNotFoundError or ValueError unless `path` is a file that can be opened."""
    if path.is_dir():
        raise ValueError(f"Argument `path` must be a file, but '{path}' is a folder; name one recording in it.")
    try:
        with path.open("rb"):
            return
    except (FileNotFoundError, NotADirectoryError):
        raise missing("path", path) from None
    except OSError:
        raise ValueError(
            f"Argument `path` must be a file that you may read, but '{path}' cannot be opened; check its permissions."
        ) from None


def _hint(path: Path) -> str:
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        siblings = []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "check its name and folder."
