"""Ion channels: one paper per file, each elementwise in V and free of solver knowledge."""

from jaxneuro.channels._base import AbstractChannel as AbstractChannel
from jaxneuro.channels._base import AbstractGatedChannel as AbstractGatedChannel
from jaxneuro.channels._base import AbstractTransitionChannel as AbstractTransitionChannel
from jaxneuro.channels._base import opening_rates as opening_rates
from jaxneuro.channels._hodgkin_huxley_1952 import HHPotassium as HHPotassium
from jaxneuro.channels._hodgkin_huxley_1952 import HHSodium as HHSodium
from jaxneuro.channels._leak import Leak as Leak

__all__ = [
    "AbstractChannel",
    "AbstractGatedChannel",
    "AbstractTransitionChannel",
    "HHPotassium",
    "HHSodium",
    "Leak",
    "opening_rates",
]
