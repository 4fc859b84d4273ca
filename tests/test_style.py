"""House style that a machine can check: class shape, sizes, public names and their docstrings."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import jaxneuro

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("jaxneuro", "fitting", "benchmarks", "tests")
LONGEST_FILE = {"jaxneuro": 400, "fitting": 200, "benchmarks": 400, "tests": 400}
LONGEST_FUNCTION = 80


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of every Python file in the folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def nodes(kind: type[ast.AST] | tuple[type[ast.AST], ...], *folders: str) -> Iterator:
    """(place, node) of every syntax node of a kind."""
    for path, tree in sources(*folders):
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{path}:{node.lineno}", node


def base_names(node: ast.ClassDef) -> list[str]:
    """The names of a class's bases: `Base`, `module.Base` and `Base[int]` are all 'Base'."""
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return [base.attr if isinstance(base, ast.Attribute) else ast.unparse(base) for base in bases]


def is_abstract(name: str) -> bool:
    return name.lstrip("_").startswith("Abstract")


def own_classes() -> tuple[list[tuple[str, ast.ClassDef]], dict[str, ast.ClassDef]]:
    """All (place, class) of the package, and the classes by name."""
    classes = list(nodes(ast.ClassDef, "jaxneuro"))
    return classes, {node.name: node for _, node in classes}


def methods(node: ast.ClassDef) -> dict[str, bool]:
    """Name -> whether it is abstract, for the methods that a class body defines."""
    return {
        item.name: any("abstract" in ast.unparse(mark) for mark in item.decorator_list)
        for item in node.body
        if isinstance(item, ast.FunctionDef)
    }


def inherited(node: ast.ClassDef, by_name: dict[str, ast.ClassDef]) -> set[str]:
    """The concrete methods that a class gets from our own classes above it."""
    found = set()
    for name in base_names(node):
        if name in by_name:
            base = by_name[name]
            found |= {method for method, abstract in methods(base).items() if not abstract}
            found |= inherited(base, by_name)
    # Equinox runs `__check_init__` of every class in turn, so a second one overrides nothing.
    return found - {"__check_init__"}


def test_style_classes_are_abstract_or_final():
    classes, by_name = own_classes()
    offenders = [
        f"{place}: {node.name} extends the concrete {base}"
        for place, node in classes
        for base in base_names(node)
        if base in by_name and not is_abstract(base)
    ]
    assert not offenders, "\n".join(offenders)


def test_style_no_concrete_method_is_overridden():
    classes, by_name = own_classes()
    offenders = [
        f"{place}: {node.name}.{method} overrides a concrete method"
        for place, node in classes
        for method in sorted(methods(node).keys() & inherited(node, by_name))
    ]
    assert not offenders, "\n".join(offenders)


def test_style_no_super_and_no_hasattr():
    offenders = [
        f"{place}: {node.func.id}()"
        for place, node in nodes(ast.Call, "jaxneuro")
        if isinstance(node.func, ast.Name) and node.func.id in ("super", "hasattr")
    ]
    assert not offenders, "\n".join(offenders)


def test_style_files_are_short():
    counts = {path: (ROOT / path).read_text().count("\n") for path, _ in sources(*FOLDERS)}
    offenders = [
        f"{path}: {lines} lines" for path, lines in counts.items() if lines > LONGEST_FILE[Path(path).parts[0]]
    ]
    assert not offenders, "\n".join(offenders)


def test_style_functions_are_short():
    offenders = [
        f"{place}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for place, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef), *FOLDERS)
        if node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert not offenders, "\n".join(offenders)


def test_style_public_modules_have_all():
    def has_all(tree: ast.Module) -> bool:
        targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
        return any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets)

    def is_public(path: str) -> bool:
        parts = Path(path).with_suffix("").parts
        return not any(part.startswith("_") for part in parts if part != "__init__")

    # The façade's public names are the `X as X` of its imports.
    offenders = [p for p, tree in sources("jaxneuro") if is_public(p) and not has_all(tree)]
    offenders = [path for path in offenders if path != "jaxneuro/__init__.py"]
    assert not offenders, f"public modules without __all__: {offenders}"


def test_style_exports_have_docstrings():
    exports = {name: thing for name, thing in vars(jaxneuro).items() if not name.startswith("_") and callable(thing)}
    assert len(exports) > 20, "the façade exports next to nothing"
    bare = [name for name, thing in exports.items() if not own_docstring(name, thing)]
    assert not bare, f"exported without a docstring of their own: {bare}"


def own_docstring(name: str, thing: object) -> str | None:
    """The docstring written at `thing` itself: not an inherited one, nor a generated signature."""
    doc = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return None if doc is None or doc.startswith(f"{name}(") else doc
