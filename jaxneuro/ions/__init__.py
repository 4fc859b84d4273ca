"""Ion pools: the concentrations that a cell's channels share, and the Nernst potentials that follow them."""

from jaxneuro.ions._base import AbstractIonPool as AbstractIonPool
from jaxneuro.ions._calcium import CalciumPool as CalciumPool
from jaxneuro.ions._fixed import FixedConcentration as FixedConcentration
from jaxneuro.ions._pool import IonPool as IonPool

__all__ = ["AbstractIonPool", "CalciumPool", "FixedConcentration", "IonPool"]
