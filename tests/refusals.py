"""How a refusal looks: an exception whose message is one line that says what is wrong."""

import pytest


def refused(match: str, error: type[Exception] = ValueError) -> pytest.RaisesExc:
    """A context that expects an error of one line in which the pattern `match` occurs."""
    return pytest.raises(error, match=rf"\A[^\n]*{match}[^\n]*\Z")
