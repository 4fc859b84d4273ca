"""Search the channel library by what a channel carries and where it was measured."""

from collections.abc import Iterable

from jaxneuro.channels._base import AbstractChannel
from jaxneuro.params import guess

__all__ = ["find_channel"]


def find_channel(
    *, ion: str | None = None, species: str | None = None, paper: str | None = None
) -> list[type[AbstractChannel]]:
    """Channels of the library, by the ion that they carry, the species and the paper.

    **Arguments:** `ion`, "Na", "K", "Ca" or "mixed", with or without its charge; `species`, e.g. "rat"; `paper`,
    a part of the reference, e.g. "Hodgkin". None: any. Upper and lower case are alike.

    **Raises:** ValueError with the known ions or species for one that no channel has.

    >>> [channel.__name__ for channel in find_channel(ion="K", species="squid")]
    ['HHPotassium']
    """
    found = _library()
    if ion is not None:
        bare = str(ion).rstrip("+-0123456789") or str(ion)
        wanted = _known("ion", bare, (channel.ion or "mixed" for channel in found))
        found = [channel for channel in found if (channel.ion or "mixed") == wanted]
    if species is not None:
        wanted = _known("species", species, (channel.source.species for channel in _library()))
        found = [channel for channel in found if channel.source.species == wanted]
    if paper is not None:
        found = [channel for channel in found if paper.lower() in channel.source.paper.lower()]
    return found


def _library() -> list[type[AbstractChannel]]:
    from jaxneuro import channels

    public = (getattr(channels, name) for name in channels.__all__)
    final = (c for c in public if isinstance(c, type) and issubclass(c, AbstractChannel) and not c.__abstractmethods__)
    return [c for c in final if isinstance(c.ion, str)]  # no wrappers, whose ion is that of the channel inside


def _known(argument: str, given: str, allowed: Iterable[str]) -> str:
    names = sorted(set(allowed))
    if given.lower() in names:
        return given.lower()
    raise ValueError(
        f"Argument `{argument}` must be that of a channel, but is {given!r}; {guess(given.lower(), names)}."
    )
