"""The picture in CONTRIBUTING.md, held: imports point down, and the top level stays light."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "jaxneuro"

# From the bottom to the top. A room may import its own floor and those below it.
FLOORS = (
    {
        "_version",
        "circuit",
        "compilation",
        "datasets",
        "electrochemistry",
        "few_lanes",
        "filters",
        "fusion",
        "lanes",
        "_arguments",
        "numerics",
        "params",
        "recording",
        "results",
        "surrogates",
        "units",
    },
    {"channels", "ions", "stimuli", "synapses"},
    {"models"},
    {"solvers"},
    {"_simulate", "_solution"},
    {"analysis", "sweeps"},
    {"fitters"},
    {"io", "plot"},
    {"cli"},
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# What the leaves may use: the array library, the module system, and what those stand on.
LEAF_IMPORTS = {"equinox", "jax", "jaxlib", "jaxtyping", "numpy"}
HEAVY = ("matplotlib", "xarray", "pandas", "pyabf", "pynwb", "click")


def source_files() -> list[Path]:
    """Every module of the package but the façade and the `python -m jaxneuro` entry."""
    entries = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path not in entries]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def statements_at_import(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The imports that run with the module: none inside functions, nor for type checkers."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements_at_import(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for body in ("body", "orelse", "finalbody", "handlers"):
                yield from statements_at_import(getattr(node, body, []))


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of all that a module imports when it is imported itself."""
    package = ["jaxneuro", *path.relative_to(PACKAGE).parent.parts]
    for node in statements_at_import(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module or "").split(".")] if node.module else base
            yield from ((node.lineno, ".".join([*parts, alias.name])) for alias in node.names)


def edges() -> Iterator[tuple[str, str, str]]:
    """(place, room that imports, room that is imported) for all imports inside the package."""
    for path in source_files():
        for line, name in imported_names(path):
            parts = name.split(".")
            if parts[0] == "jaxneuro":
                yield f"{path.relative_to(ROOT)}:{line}", room_of(path), parts[1]


def is_third_party(name: str) -> bool:
    return name.split(".")[0] not in sys.stdlib_module_names | {"jaxneuro"}


def test_layers_know_every_room():
    unknown = sorted({room_of(path) for path in source_files()} - set(FLOOR))
    assert not unknown, f"give these rooms a floor in FLOORS, and a place in the picture: {unknown}"


def test_layers_point_down():
    facade = sorted(place for place, _, target in edges() if target not in FLOOR)
    assert not facade, f"import from the room, not from the top level: {facade}"
    upward = [f"{place}: {room} imports {target}" for place, room, target in edges() if FLOOR[target] > FLOOR[room]]
    assert not upward, "imports that point up:\n" + "\n".join(upward)


def test_fitters_point_from_search_to_targets_and_from_uncertainty_to_both():
    order = ["targets", "search", "", "uncertainty"]  # "": the fit and its result
    folder = PACKAGE / "fitters"
    upward = []
    for path in folder.rglob("*.py"):
        own = path.parent.name if path.parent != folder else ""
        for line, name in imported_names(path):
            parts = name.split(".")
            if parts[:2] == ["jaxneuro", "fitters"] and path.name != "__init__.py":
                target = parts[2] if parts[2] in order else ""
                if order.index(target) > order.index(own):
                    upward.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert not upward, "imports that point up:\n" + "\n".join(upward)


def test_layers_have_no_cycle():
    graph: dict[str, set[str]] = {}
    for _, room, target in edges():
        if room != target:
            graph.setdefault(room, set()).add(target)
    while graph:
        free = [room for room in graph if not graph[room] & set(graph)]
        assert free, f"rooms that import each other in a circle: {graph}"
        for room in free:
            del graph[room]


def test_leaves_import_only_jax_and_equinox():
    foreign = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in source_files()
        if room_of(path) in FLOORS[0]
        for line, name in imported_names(path)
        if is_third_party(name) and name.split(".")[0] not in LEAF_IMPORTS
    ]
    assert not foreign, "a leaf imports more than jax and equinox:\n" + "\n".join(foreign)


def test_solvers_know_only_abstract_models():
    concrete = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in source_files()
        if room_of(path) == "solvers"
        for line, name in imported_names(path)
        if name.startswith("jaxneuro.models.") and not name.split(".")[-1].startswith("Abstract")
    ]
    assert not concrete, "solvers may import abstract model classes only:\n" + "\n".join(concrete)


def test_top_level_imports_nothing_heavy(run_python):
    code = f"import sys, jaxneuro; print(*[m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code).split() == []


@pytest.mark.slow
def test_top_level_import_is_quick(run_python):
    def seconds(module: str) -> float:
        # CPU time of the process, since wall time grows with whatever else the machine does.
        code = f"import time, {module}; print(time.process_time())"
        return float(run_python(code))

    # alternately, so that a busy spell of the machine meets both
    pairs = [(seconds("jaxneuro"), seconds("diffrax")) for _ in range(8)]
    ours, diffrax = map(min, zip(*pairs, strict=True))
    # a ratio, since how long a second is depends on the machine and on what else it does
    assert ours <= 1.6 * diffrax, f"import jaxneuro {ours:.2f} s, import diffrax {diffrax:.2f} s"
