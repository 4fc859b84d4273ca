"""Sweeps over parameters and stimuli: grids, what is kept, and the labelled result."""

from jaxneuro.sweeps._explain import Explanation as Explanation
from jaxneuro.sweeps._explain import explain as explain
from jaxneuro.sweeps._grids import Grid as Grid
from jaxneuro.sweeps._grids import latin_hypercube as latin_hypercube
from jaxneuro.sweeps._grids import product as product
from jaxneuro.sweeps._grids import sobol as sobol
from jaxneuro.sweeps._grids import zipped as zipped
from jaxneuro.sweeps._sweep import sweep as sweep

__all__ = ["Explanation", "Grid", "explain", "latin_hypercube", "product", "sobol", "sweep", "zipped"]
