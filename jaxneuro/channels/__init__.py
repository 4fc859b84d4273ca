"""Ion channels: one paper per file, each elementwise in V and free of solver knowledge."""

from jaxneuro.channels._base import AbstractChannel as AbstractChannel
from jaxneuro.channels._base import AbstractGatedChannel as AbstractGatedChannel
from jaxneuro.channels._base import AbstractKineticChannel as AbstractKineticChannel
from jaxneuro.channels._base import AbstractOhmicChannel as AbstractOhmicChannel
from jaxneuro.channels._base import AbstractTransitionChannel as AbstractTransitionChannel
from jaxneuro.channels._base import AbstractUngatedChannel as AbstractUngatedChannel
from jaxneuro.channels._base import Source as Source
from jaxneuro.channels._base import gate_powers as gate_powers
from jaxneuro.channels._base import opening_rates as opening_rates
from jaxneuro.channels._connor_stevens_1977 import ConnorStevensA as ConnorStevensA
from jaxneuro.channels._connor_stevens_1977 import ConnorStevensPotassium as ConnorStevensPotassium
from jaxneuro.channels._connor_stevens_1977 import ConnorStevensSodium as ConnorStevensSodium
from jaxneuro.channels._find import find_channel as find_channel
from jaxneuro.channels._gating_scheme import GatingScheme as GatingScheme
from jaxneuro.channels._ghk import GHKChannel as GHKChannel
from jaxneuro.channels._hodgkin_huxley_1952 import HHPotassium as HHPotassium
from jaxneuro.channels._hodgkin_huxley_1952 import HHSodium as HHSodium
from jaxneuro.channels._howard_hudspeth_1988 import MechanicallyGated as MechanicallyGated
from jaxneuro.channels._huguenard_1992 import TTypeCalcium as TTypeCalcium
from jaxneuro.channels._koehler_1996 import SKChannel as SKChannel
from jaxneuro.channels._kole_2006 import HCurrent as HCurrent
from jaxneuro.channels._leak import Leak as Leak
from jaxneuro.channels._magistretti_alonso_1999 import PersistentSodium as PersistentSodium
from jaxneuro.channels._mainen_sejnowski_1996 import MainenSejnowskiM as MainenSejnowskiM
from jaxneuro.channels._mainen_sejnowski_1996 import MainenSejnowskiPotassium as MainenSejnowskiPotassium
from jaxneuro.channels._mainen_sejnowski_1996 import MainenSejnowskiSodium as MainenSejnowskiSodium
from jaxneuro.channels._markov import AbstractMarkovChannel as AbstractMarkovChannel
from jaxneuro.channels._markov import MarkovChannel as MarkovChannel
from jaxneuro.channels._markov import Rate as Rate
from jaxneuro.channels._markov import transition_table as transition_table
from jaxneuro.channels._moczydlowski_latorre_1983 import BKChannel as BKChannel
from jaxneuro.channels._morris_lecar_1981 import MorrisLecarCalcium as MorrisLecarCalcium
from jaxneuro.channels._morris_lecar_1981 import MorrisLecarPotassium as MorrisLecarPotassium
from jaxneuro.channels._noise import AbstractChannelNoise as AbstractChannelNoise
from jaxneuro.channels._noise import StateNoise as StateNoise
from jaxneuro.channels._noise import SubunitNoise as SubunitNoise
from jaxneuro.channels._pumps import CalciumPump as CalciumPump
from jaxneuro.channels._pumps import SodiumPotassiumPump as SodiumPotassiumPump
from jaxneuro.channels._reuveni_1993 import LTypeCalcium as LTypeCalcium
from jaxneuro.channels._traub_miles_1991 import TraubMilesPotassium as TraubMilesPotassium
from jaxneuro.channels._traub_miles_1991 import TraubMilesSodium as TraubMilesSodium
from jaxneuro.channels._wang_buzsaki_1996 import WangBuzsakiPotassium as WangBuzsakiPotassium
from jaxneuro.channels._wang_buzsaki_1996 import WangBuzsakiSodium as WangBuzsakiSodium
from jaxneuro.channels._yamada_1989 import MCurrent as MCurrent

__all__ = [
    "AbstractChannelNoise",
    "StateNoise",
    "SubunitNoise",
    "GatingScheme",
    "AbstractMarkovChannel",
    "MarkovChannel",
    "Rate",
    "transition_table",
    "HCurrent",
    "BKChannel",
    "SKChannel",
    "PersistentSodium",
    "MechanicallyGated",
    "GHKChannel",
    "CalciumPump",
    "SodiumPotassiumPump",
    "find_channel",
    "ConnorStevensA",
    "ConnorStevensPotassium",
    "ConnorStevensSodium",
    "TTypeCalcium",
    "MainenSejnowskiM",
    "MainenSejnowskiPotassium",
    "MainenSejnowskiSodium",
    "MorrisLecarCalcium",
    "MorrisLecarPotassium",
    "LTypeCalcium",
    "TraubMilesPotassium",
    "TraubMilesSodium",
    "WangBuzsakiPotassium",
    "WangBuzsakiSodium",
    "MCurrent",
    "AbstractChannel",
    "AbstractGatedChannel",
    "AbstractKineticChannel",
    "AbstractOhmicChannel",
    "AbstractTransitionChannel",
    "AbstractUngatedChannel",
    "HHPotassium",
    "HHSodium",
    "Leak",
    "Source",
    "gate_powers",
    "opening_rates",
]
