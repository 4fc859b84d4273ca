"""Many simulations as lanes of one compiled loop: chunks that fit the cache, wide vectors, all cores.

A lane is one parameter set. On a CPU, lanes run in chunks of 256 (128 in float64) that each run their whole time loop,
so that the state stays in the first-level cache and every operation fills the vector registers. Half of that costs
cheap models 15 % more, four times that 40 % more. On other devices all lanes run together.
"""

import functools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jaxtyping import Array, Bool

from jaxneuro.compilation import HAS_JAXLIB_012

__all__ = [
    "Plan",
    "any_lane",
    "chunk_width",
    "chunked",
    "compiler_options",
    "lane_budget",
    "map_lanes",
    "n_cores",
    "plan",
    "run_batches",
    "store",
]

# Below it XLA does not vectorise: 16 lanes cost more than 64.
_NARROWEST = 64
_VECTOR = 16
_FEWEST = 4  # fewer lanes cost less alone than 64 do
_MOST_CHUNKS = 32  # of one call, between which progress is shown and Ctrl-C heard
_MOST_IDLE = 0.1  # of the run's time, which cores may wait for the last one


@functools.cache
def _has_avx512() -> bool:
    info = Path("/proc/cpuinfo")
    return info.is_file() and "avx512f" in info.read_text()


def _set_flags() -> bool:
    """Have XLA compile whole loops into one kernel (jaxlib < 0.12, as later ones do) with vectors as wide as the
    machine's, also under a user's own jax.jit; whether that came before XLA read its flags."""
    flags = {}
    if not HAS_JAXLIB_012:
        flags["xla_cpu_small_while_loop_byte_threshold"] = "--xla_backend_extra_options={}=1000000000"
    if _has_avx512():
        flags["xla_cpu_prefer_vector_width"] = "--{}=512"
    given = os.environ.get("XLA_FLAGS", "")
    missing = [flag.format(name) for name, flag in flags.items() if name not in given]
    if not missing:
        return True
    if jax._src.xla_bridge.backends_are_initialized():
        return False
    os.environ["XLA_FLAGS"] = " ".join([given, *missing]).strip()
    return True


has_set_flags = _set_flags()


def compiler_options() -> dict[str, Any] | None:
    """Options of a top-level `jax.jit` whose loops run over lanes: vectors as wide as the machine's."""
    if _is_cpu() and _has_avx512():
        return {"xla_cpu_prefer_vector_width": 512}
    return None


def n_cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


def _widths() -> tuple[int, ...]:
    """Widths of chunks that a plan may have: few, so that other numbers of lanes seldom compile anew."""
    return (64, 128, 256) if jnp.finfo(jnp.result_type(float)).bits == 32 else (64, 128)


def _is_cpu() -> bool:
    return jax.default_backend() == "cpu"


def chunk_width(n_lane: int) -> int:
    """Lanes of a chunk: as even as possible, whole vectors, 64 to 256 (128 in float64); all lanes where not on
    a CPU."""
    if not _is_cpu():
        return n_lane
    even = n_lane / math.ceil(n_lane / _widths()[-1])
    return max(_VECTOR * math.ceil(even / _VECTOR), _NARROWEST)


_SHARE = 8  # of the machine's memory that the states of a differentiated run may take: one part in so many


def lane_budget(memory: float | None = None) -> float:
    """Bytes of one lane if the lanes that run together, a chunk per core, may take `memory` [GiB]; an eighth of the
    machine's if None."""
    total = _machine_bytes() / _SHARE if memory is None else memory * 2**30
    return total / (chunk_width(10**6) * n_cores())


@functools.cache
def _machine_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 8 * 2**30


@jax.custom_batching.custom_vmap
def any_lane(condition: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether a condition holds in any lane: under jax.vmap one value for all of them, so that loops and branches on
    it stay real ones. The condition must not depend on a derivative."""
    return condition


@any_lane.def_vmap
def _any_lane_rule(axis_size: int, in_batched: list[bool], condition: Array) -> tuple[Array, bool]:
    return any_lane(jnp.any(condition, axis=0)), False


def chunked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of pytrees of arrays, which under a user's jax.vmap runs in chunks instead of all lanes at once.

    One jax.vmap within another makes no chunks of its own: all combinations are lanes of the same chunks. Nothing
    changes without vmap. The result cannot be differentiated in reverse mode.
    """
    return _under(function, ())


class _Level(NamedTuple):
    """One of several jax.vmap around a function: how many lanes it has, and which leaves of the arguments it maps."""

    size: int
    is_mapped: tuple[bool, ...]


def _under(function: Callable[..., Any], levels: tuple[_Level, ...]) -> Callable[..., Any]:
    """The function of arguments with a leading axis for each level that maps them, the outermost first."""

    @jax.custom_batching.custom_vmap
    def call(*args: Any) -> Any:
        return _over_chunks(function, levels, args) if levels else function(*args)

    @call.def_vmap
    def rule(axis_size: int, in_batched: list[Any], *args: Any) -> tuple[Any, Any]:
        level = _Level(axis_size, tuple(jax.tree.leaves(in_batched)))
        out = _under(function, (level, *levels))(*args)
        return out, jax.tree.map(lambda _: True, out)

    return call


def _over_chunks(function: Callable[..., Any], levels: tuple[_Level, ...], args: tuple) -> Any:
    """Run a function over the lanes of all levels, chunk after chunk; the last chunk is filled with copies of the last
    lane."""
    sizes = tuple(level.size for level in levels)
    n_lane = math.prod(sizes)
    leaves, structure = jax.tree.flatten(args)
    is_mapped = list(zip(*(level.is_mapped for level in levels), strict=True))
    axes = jax.tree.unflatten(structure, [0 if any(mapped) else None for mapped in is_mapped])
    mapped_function = jax.vmap(function, in_axes=axes)

    def one(chunk: Array) -> Any:
        places = jnp.unravel_index(chunk, sizes)
        chosen = [
            leaf[tuple(place for place, is_one in zip(places, mapped, strict=True) if is_one)] if any(mapped) else leaf
            for leaf, mapped in zip(leaves, is_mapped, strict=True)
        ]
        return mapped_function(*jax.tree.unflatten(structure, chosen))

    width = chunk_width(n_lane)
    if n_lane == width or n_lane < _FEWEST:
        out = mapped_function(*args) if len(levels) == 1 else one(jnp.arange(n_lane))
    else:
        n_chunk = math.ceil(n_lane / width)
        index = jnp.minimum(jnp.arange(n_chunk * width), n_lane - 1).reshape(n_chunk, width)
        out = jax.lax.map(one, index)
        out = jax.tree.map(lambda leaf: leaf.reshape(n_chunk * width, *leaf.shape[2:])[:n_lane], out)
    return jax.tree.map(lambda leaf: leaf.reshape(*sizes, *leaf.shape[1:]), out)


class Plan(NamedTuple):
    """How a number of lanes is cut: batches of `per_batch` chunks of `width` lanes, one batch per core at a time.

    All batches have one of a few shapes, so that another number of lanes seldom compiles anew; between them progress is
    shown and Ctrl-C is heard.
    """

    width: int
    per_batch: int
    cores: int

    @property
    def size(self) -> int:
        """Lanes of a batch."""
        return self.width * self.per_batch


def plan(n_lane: int, cores: int | None = None) -> Plan:
    """The plan for `n_lane` lanes on `cores` cores, None for all that this process may use."""
    if cores is not None and (isinstance(cores, bool) or not isinstance(cores, int) or cores < 1):
        raise ValueError(f"Argument `cores` must be a whole number of at least 1, but is {cores!r}; None takes all.")
    cores = (cores or n_cores()) if _is_cpu() else 1
    is_whole = not _is_cpu() or n_lane < _FEWEST
    width = n_lane if is_whole else min(w for w in _widths() if w >= min(n_lane, _widths()[-1]))
    return Plan(width, _chunks_per_batch(math.ceil(n_lane / width), cores), cores)


def _chunks_per_batch(n_chunk: int, cores: int) -> int:
    """As many as keep all cores busy to the end; a power of two, so that there are few shapes."""
    sizes = (2**k for k in reversed(range(_MOST_CHUNKS.bit_length())) if 2**k < 2 * n_chunk)
    return next((size for size in sizes if _longest(n_chunk, size, cores) <= (1 + _MOST_IDLE) * n_chunk / cores), 1)


def _longest(n_chunk: int, size: int, cores: int) -> int:
    """Chunks of the core that has most, if each takes a batch of `size` in turn and one the rest."""
    full, rest = divmod(n_chunk, size)
    return max(math.ceil(full / cores) * size, full // cores * size + rest)


def map_lanes(
    function: Callable[[Any], Any], values: Any, *, with_derivative: bool = False, cores: int | None = None
) -> Any:
    """`jax.vmap(function)(values)` in chunks over the cores: the engine of `sweep` for functions of your own.

    **Arguments:** `function`, of one lane, returning arrays; it may hold `simulate` and jax.grad. `values`, arrays with
    a leading lane axis, in any pytree. `with_derivative`: also the derivative by each of the values, numbers of which
    each lane has its own; returns (result, derivative), the latter a tree like `values` of arrays
    (n_lane, *shape of the result). `cores`, how many work at a time; None for all.

    Derivatives of a single number go backwards, for one or two values forwards, which is then cheaper; Jacobians of an
    array always go forwards. The same `function` object with other values, or another number of lanes, seldom compiles
    again. Returns NumPy arrays.

    >>> map_lanes(lambda C: simulate(HodgkinHuxley(C_m=C), 10.0, t1=20.0).voltage[-1], jnp.linspace(0.8, 1.2, 500))
    """
    leaves = jax.tree.leaves(values)
    sizes = {np.shape(leaf)[:1] for leaf in leaves}
    if len(sizes) != 1 or sizes == {()} or sizes == {(0,)}:
        raise ValueError(
            f"Argument `values` must hold arrays with one common leading axis, the lanes, but has shapes "
            f"{[np.shape(leaf) for leaf in leaves]}; stack the values of all lanes."
        )
    (n_lane,) = sizes.pop()
    if with_derivative:
        if any(np.ndim(leaf) != 1 or not np.issubdtype(np.asarray(leaf).dtype, np.floating) for leaf in leaves):
            raise ValueError(
                f"Argument `values` must hold one number per lane for derivatives, but has shapes "
                f"{[np.shape(leaf) for leaf in leaves]}; give each parameter an array of floats of its own."
            )
        function = _WithDerivative(function)
    kept: Any = None
    for index, out in run_batches(function, jax.tree.map(np.asarray, values), np.arange(n_lane), plan(n_lane, cores)):
        kept = store(kept, index, out, n_lane)
    return kept


# Forward mode costs a third to one and a half of the run for each value, reverse mode twice the run in all.
_MOST_FORWARD = 2


class _WithDerivative(eqx.Module):
    """The chunk of a function and of its derivative: lanes last, or the tangents of a lane would fill the vectors."""

    function: Callable[[Any], Any]

    def of_chunk(self, batch: Any) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(batch)
        out = jax.eval_shape(self.function, jax.tree.map(lambda leaf: leaf[0], batch))
        is_number = isinstance(out, jax.ShapeDtypeStruct) and out.ndim == 0
        if is_number and len(leaves) > _MOST_FORWARD:
            return jax.vmap(jax.value_and_grad(self.function))(batch)
        rows = jnp.eye(len(leaves), dtype=leaves[0].dtype)
        basis = [
            jnp.broadcast_to(row[:, None], (len(leaves), leaf.size)) for row, leaf in zip(rows, leaves, strict=True)
        ]

        def push(direction: list[Array]) -> tuple[Any, Any]:
            tangents = jax.tree.unflatten(structure, direction)
            return jax.jvp(jax.vmap(self.function), (batch,), (tangents,))

        value, columns = jax.vmap(push, out_axes=(None, 0))(basis)
        slopes = [jax.tree.map(lambda column, k=k: column[k], columns) for k in range(len(leaves))]
        return value, jax.tree.unflatten(structure, slopes)


def store(kept: Any, index: np.ndarray, out: Any, n_lane: int) -> Any:
    """`kept`, made for `n_lane` lanes if it is None, with the results of the lanes `index`."""
    if kept is None:
        kept = jax.tree.map(lambda part: np.empty((n_lane, *part.shape[1:]), part.dtype), out)
    for whole, part in zip(jax.tree.leaves(kept), jax.tree.leaves(out), strict=True):
        whole[index] = part
    return kept


def run_batches(
    function: Callable[[Any], Any], values: Any, lanes: np.ndarray, plan: Plan
) -> Iterator[tuple[np.ndarray, Any]]:
    """Run the given lanes of `values` (NumPy arrays) and yield (their indices, their results), batch by batch as they
    are done."""

    def run(index: np.ndarray) -> tuple[np.ndarray, Any]:
        filled = np.resize(index, plan.size)  # a batch that is not full repeats its lanes
        shape = (plan.per_batch, plan.width)
        batch = jax.tree.map(lambda leaf: leaf[filled].reshape(*shape, *leaf.shape[1:]), values)
        out = _run_batch(function, batch, np.asarray(math.ceil(len(index) / plan.width)))
        return index, jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:])[: len(index)], out)

    parts = [lanes[start : start + plan.size] for start in range(0, len(lanes), plan.size)]
    if plan.cores == 1 or len(parts) == 1:
        yield from map(run, parts)
        return
    if _is_new(function, values, plan):  # two threads would both compile it
        yield run(parts.pop(0))
    with ThreadPoolExecutor(plan.cores) as pool:
        waiting = {pool.submit(run, part) for part in parts}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for future in waiting:
                future.cancel()


_seen: set[Any] = set()


def _is_new(function: Callable[[Any], Any], values: Any, plan: Plan) -> bool:
    """Whether no such batch has been run, so that it has yet to be compiled."""
    leaves, structure = jax.tree.flatten((function, values))
    kinds = tuple((x.shape, str(x.dtype)) if isinstance(x, np.ndarray | jax.Array) else x for x in leaves)
    key = (structure, kinds, plan)
    is_new = key not in _seen
    _seen.add(key)
    return is_new


def _run_batch(function: Callable[[Any], Any], batch: Any, n_chunk: np.ndarray) -> Any:
    return _jitted()(function, batch, n_chunk)


@functools.cache  # made when first used: the options depend on the device, which is chosen then
def _jitted() -> Callable[..., Any]:
    def run(function: Callable[[Any], Any], batch: Any, n_chunk: Array) -> Any:
        mapped = function.of_chunk if isinstance(function, _WithDerivative) else jax.vmap(function)

        def chunk(k: Array) -> Any:
            return mapped(jax.tree.map(lambda leaf: leaf[k], batch))

        most = jax.tree.leaves(batch)[0].shape[0]
        if most == 1:
            return jax.tree.map(lambda leaf: leaf[None], chunk(0))
        # traced once: for its shapes and for the loop
        traced, shapes = jax.make_jaxpr(chunk, return_shape=True)(n_chunk)
        shapes, structure = jax.tree.flatten(shapes)
        empty = [jnp.zeros((most, *shape.shape), shape.dtype) for shape in shapes]

        def step(k: Array, out: list[Array]) -> list[Array]:
            parts = jaxpr_as_fun(traced)(k)
            return [whole.at[k].set(part) for whole, part in zip(out, parts, strict=True)]

        return jax.tree.unflatten(structure, jax.lax.fori_loop(0, n_chunk, step, empty))

    return eqx.filter_jit(run, compiler_options=compiler_options())
