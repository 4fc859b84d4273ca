"""The one spike train that many noisy trials agree on."""

from typing import Any

import numpy as np
from jaxtyping import Float

from jaxneuro.analysis._protocols import checked_number
from jaxneuro.analysis.spike_trains import as_trials
from jaxneuro.params import is_concrete

__all__ = ["consensus"]


def consensus(trials: Any, *, window: float = 8.0, share: float = 0.5) -> Float[np.ndarray, " n"]:
    """The spikes that many trials have in common, in order [ms]; of a noisy model its best guess of a single train.

    All spikes are put together. The window [t, t + window] that holds most of them, the earliest of equals, gives one
    spike, at their median, and they are taken out; again, until the fullest holds fewer than share * n_trial.

    **Arguments:** `trials` [ms], a list of trains, an array (n_trial, n) padded with inf, or one train; `window` [ms];
    `share` of the trials, over 0 and at most 1, silent ones counted.

    Valid where a trial seldom has two spikes within a window, since each of them counts.

    **Raises:** ValueError for a window or a share outside of these.

    >>> consensus([[10.0, 50.0], [11.0, 80.0], [12.0, 52.0]])
    array([11., 51.])
    """
    window = checked_number("window", window, "ms", is_open=True)
    if not is_concrete(share) or not 0 < share <= 1:
        raise ValueError(
            f"Argument `share` must be over 0 and at most 1, but is {share}; use 0.5 for half of the trials."
        )
    times = np.asarray(as_trials("trials", trials))
    pool, least, found = np.sort(times[np.isfinite(times)]), share * len(times), []
    while pool.size:
        ends = np.searchsorted(pool, pool + window, side="right")
        first = int(np.argmax(ends - np.arange(pool.size)))
        group = pool[first : ends[first]]
        if group.size < least:
            break
        found.append(np.median(group))
        pool = np.delete(pool, np.s_[first : ends[first]])
    return np.sort(np.array(found, float))
