"""Which pairs there are, in the order in which they are measured and reported. Imports none of the peers."""

import dataclasses
import importlib.util

from speed.cases import Mode

__all__ = ["MODES", "PAIRS", "Pair"]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One comparison. `module.function` measures it; `needs` is a package that may be missing; `quick`, the precisions
    of the quick mode."""

    title: str
    module: str
    function: str = "measure"
    precisions: tuple[str, ...] = ("float32", "float64")
    quick: tuple[str, ...] = ("float32",)
    needs: str = ""
    cores: int = 1
    is_full_only: bool = False

    @property
    def is_possible(self) -> bool:
        """Whether the package that it needs is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


_BOTH = ("float32", "float64")
PAIRS = {
    "c-hh": Pair("Hodgkin-Huxley against C", "against_c", quick=_BOTH),
    "c-fhn": Pair("FitzHugh-Nagumo against C", "against_c"),
    "c-lif": Pair("LIF with adaptation against C", "against_c"),
    "diffrax-hh": Pair("Hodgkin-Huxley against diffrax, same dt", "against_diffrax"),
    "diffrax-fhn": Pair("FitzHugh-Nagumo against diffrax, same dt", "against_diffrax"),
    "diffrax-adaptive": Pair("against diffrax, adaptive at equal error", "against_diffrax", "measure_adaptive"),
    "jaxley": Pair("against Jaxley", "against_jaxley", needs="jaxley"),
    "neuron": Pair("against NEURON", "against_neuron", precisions=("float64",), quick=("float64",), needs="neuron"),
    "spiking": Pair("exact spikes against diffrax events and the grid", "spiking", quick=("float64",)),
    "surrogates": Pair(
        "surrogate gradients beside exact ones", "spiking", "measure_surrogates", ("float64",), quick=("float64",)
    ),
    "gradients": Pair("gradients beside forward runs", "gradients"),
    "compilation": Pair("compilation", "compilation", precisions=("float32",)),
    "cores": Pair("two cores beside one", "cores", precisions=("float32",), cores=2),
    "million-strang": Pair("1,000,000 points, Strang", "million", precisions=("float32",), cores=2, is_full_only=True),
    "million-adaptive": Pair(
        "1,000,000 points, adaptive", "million", precisions=("float32",), cores=2, is_full_only=True
    ),
}
MODES = {
    "quick": Mode("quick", sizes=(1, 100, 10_240), rounds=2, limit=120),
    "default": Mode("default", sizes=(1, 100, 10_240, 102_400), rounds=4, limit=600),
    "full": Mode("full", sizes=(1, 100, 10_240, 102_400), rounds=6, limit=1800),
}
