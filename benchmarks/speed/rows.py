"""One line of the report, and what a measuring process is told. Needs nothing but the standard library."""

import dataclasses

from speed.cases import Mode

__all__ = ["Row", "Settings"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a measuring process is told. `reference`: file with the accurate spike times; `library`: folder of the
    built C reference, "" without gcc."""

    pair: str
    precision: str
    mode: Mode
    reference: str
    library: str

    @property
    def lanes(self) -> int:
        """How many lanes of this precision a chunk holds."""
        return 128 if self.precision == "float32" else 64


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure. `claim` names its target in targets.py; `value` is what is judged, in `unit` ("x" for a ratio).

    Times are CPU ns per lane and step (adaptive runs: per lane and dt of model time). Errors are the worst spike-time
    errors [ms]. `refusal` says why two runs are not compared; the value is then None.
    """

    claim: str
    label: str
    precision: str
    n: int
    value: float | None
    unit: str = "x"
    ours_ns: float | None = None
    peer_ns: float | None = None
    ours_error: float | None = None
    peer_error: float | None = None
    ours_compile: float | None = None
    peer_compile: float | None = None
    ours_mib: float | None = None
    peer_mib: float | None = None
    refusal: str = ""
    note: str = ""
    series: str = ""
    """Curve of the scaling figure that this row belongs to: "model/ours-name/peer-name"."""
