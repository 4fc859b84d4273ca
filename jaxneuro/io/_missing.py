"""What is said of a file that is not there."""

import difflib
from pathlib import Path

__all__ = ["missing"]


def missing(argument: str, path: Path) -> FileNotFoundError:
    """The error for the file that an argument names, with a file beside it that is called much the same."""
    return FileNotFoundError(
        f"Argument `{argument}` must be an existing file, but '{path}' does not exist; {_hint(path)}"
    )


def _hint(path: Path) -> str:
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        siblings = []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "check its name and folder."
