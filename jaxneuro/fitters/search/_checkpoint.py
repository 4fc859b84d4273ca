"""A fit's progress in a file, from which the same call goes on after whatever ended it."""

import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from jaxneuro._arguments import check_kind
from jaxneuro._version import __version__
from jaxneuro.fitters.search._whole_file import whole_file
from jaxneuro.fitters.targets._samples import positive_number

__all__ = ["Checkpoint", "fingerprint"]


def fingerprint(*parts: Any) -> str:
    """A name for all that a fit's course depends on: data, start, bounds, solver, plan and versions."""
    digest = hashlib.sha256(f"{__version__} {jax.__version__} {jax.config.jax_enable_x64}".encode())
    leaves, structure = jax.tree.flatten(parts)
    digest.update(_without_addresses(str(structure)))
    for leaf in leaves:
        is_array = eqx.is_array_like(leaf)
        digest.update(np.asarray(leaf).tobytes() if is_array else _without_addresses(repr(leaf)))
    return digest.hexdigest()


def _without_addresses(text: str) -> bytes:
    return re.sub(r" at 0x[0-9a-f]+", "", text).encode()


class Checkpoint:
    """Where and how often [s] a fit is saved, and the fingerprint by which it knows its file again, its `key`."""

    def __init__(self, path: str | os.PathLike, every: float, key: str = ""):
        check_kind("checkpoint", path, (str, os.PathLike), "the name of a file", 'use e.g. "fit.npz"')
        every = float(positive_number("checkpoint_every", every, "s", 30.0, is_open=False))
        self.path, self.every, self.key = Path(path), every, key
        self.saved = time.monotonic()
        if not self.path.parent.is_dir():
            raise ValueError(
                f"Argument `checkpoint` must lie in an existing folder, but '{self.path.parent}' is none; make it."
            )

    def load(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The saved tree of arrays, shaped as `like`, and the facts saved with it; None if there is no file yet."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                arrays = [file[f"array{k}"] for k in range(facts["n_array"])]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"File '{self.path}' must be a checkpoint of a fit, but cannot be read as one; name another."
            ) from error
        if facts["key"] != self.key:
            raise ValueError(
                f"Checkpoint '{self.path}' must be of this fit, but is of one with other data, starts, options or "
                "versions; name another, or delete this one if that fit is not to go on."
            )
        leaves, structure = jax.tree.flatten(like)
        arrays = [jax.numpy.asarray(a, leaf.dtype) for a, leaf in zip(arrays, leaves, strict=True)]
        return jax.tree.unflatten(structure, arrays), facts

    def save(self, tree: Any, facts: dict[str, Any], *, is_last: bool) -> None:
        """Write, if it is time to or the last occasion; the file appears whole or not at all."""
        if not is_last and time.monotonic() - self.saved < self.every:
            return
        leaves = jax.tree.leaves(tree)
        arrays = {f"array{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        text = json.dumps(facts | {"key": self.key, "n_array": len(leaves)})
        with whole_file(self.path) as file:
            np.savez(file, facts=np.array(text), **arrays)
        self.saved = time.monotonic()
