"""Laws of everything public: registered, documented, made of float arrays, saved and loaded."""

import doctest
import inspect
import io
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from registry import (
    CHANNELS,
    CLAMPS,
    COVERED,
    NETWORKS,
    NOISES,
    NOISY_MODELS,
    SMOOTH_MODELS,
    SPIKING_MODELS,
    STIMULI,
    SYNAPSES,
    all_subjects,
    subject,
)

from jaxneuro import clamp_family, params, simulate, units, voltage_clamp, with_channel_noise
from jaxneuro.analysis.clamp import fit_boltzmann
from jaxneuro.channels import transition_table

PHYSICS = CHANNELS | NOISES | SMOOTH_MODELS | CLAMPS | NOISY_MODELS | SPIKING_MODELS | NETWORKS | SYNAPSES
SUBJECTS = all_subjects()
WRAPPERS = {"SpikeDetector"}  # the equation is the cell's
COMPOUNDS = {"SpikeDetector", "Network"}  # no paper of their own


def public_classes(package) -> list[type]:
    found = (vars(package)[name] for name in package.__all__)
    return [
        thing
        for thing in found
        if inspect.isclass(thing) and issubclass(thing, eqx.Module) and not thing.__name__.startswith("Abstract")
    ]


@pytest.mark.parametrize("package", COVERED, ids=lambda package: package.__name__)
def test_registry_holds_every_public_class(package):
    registered = {type(subject(make())) for group in COVERED[package] for make in group.values()}
    missing = [cls.__name__ for cls in public_classes(package) if cls not in registered]
    assert not missing, f"add a line to tests/registry.py for: {missing}"


@pytest.mark.parametrize("name", SUBJECTS)
def test_registry_parameters_are_strong_floats(name):
    thing = SUBJECTS[name]()
    for path in params.params(thing):
        value = params.get(thing, path)
        assert isinstance(value, jax.Array) and not value.weak_type, path
        assert value.dtype == jnp.float64, path


@pytest.mark.parametrize("name", SUBJECTS)
def test_registry_parameters_have_known_units_and_meanings(name):
    for path, info in params.params(SUBJECTS[name]()).items():
        assert units.same_dimension(info.unit, info.unit), path
        assert info.doc.endswith("."), path


@pytest.mark.parametrize("name", SUBJECTS)
def test_registry_parameters_out_of_bounds_are_refused(name):
    thing = SUBJECTS[name]()
    for path, info in params.params(thing).items():
        with pytest.raises(ValueError, match=rf"Argument `{path}` must be .*but is nan; "):
            params.replace(thing, {path: jnp.nan})
        low, high = info.bounds
        outside = [low - 1.0] if low is not None else []
        outside += [high + 1.0] if high is not None else []
        for value in outside:
            with pytest.raises(ValueError, match=rf"Argument `{path}` must be a (whole )?number [<>]"):
                params.replace(thing, {path: value})


@pytest.mark.parametrize("name", SUBJECTS)
def test_registry_objects_survive_saving_and_loading(name):
    thing = SUBJECTS[name]()
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, thing)
    file.seek(0)
    blank = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, thing)
    assert eqx.tree_equal(eqx.tree_deserialise_leaves(file, blank), thing)


@pytest.mark.parametrize("name", PHYSICS)
def test_registry_docstring_has_unit_equation_and_reference(name):
    doc = inspect.getdoc(type(subject(PHYSICS[name]())))
    assert re.search(r"\b(mV|ms|nA|uS|uA/cm\^2)\b|dimensionless", doc)
    assert name in WRAPPERS or re.search(r"\w+ += .+$", doc, re.MULTILINE)
    assert name in COMPOUNDS or re.search(r"^References: \w+.*\(\d{4}\)", doc, re.MULTILINE)


@pytest.mark.parametrize("name", STIMULI)
def test_registry_stimulus_docstring_says_what_it_is(name):
    assert len(inspect.getdoc(type(subject(STIMULI[name]())))) > 20


def examples() -> str:
    """A program that runs the examples of the core's docstrings, and checks what they print."""
    lines = [f"from {package.__name__} import *" for package in COVERED]
    lines += ["from jaxneuro import *", "import jax.numpy as jnp", "from jaxneuro.units import convert"]
    lines += ["from jaxneuro.analysis.clamp import fit_boltzmann"]
    classes = {type(make()) for make in SUBJECTS.values()}
    functions = [
        simulate,
        units.convert,
        transition_table,
        with_channel_noise,
        voltage_clamp,
        clamp_family,
        fit_boltzmann,
    ]
    for thing in [*sorted(classes, key=lambda cls: cls.__name__), *functions]:
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(thing)):
            source = example.source.strip()
            lines.append(f"print({source!r})\n{source}")
            if example.want:
                lines.append(f"assert repr({source}) == {example.want.strip()!r}, {source}")
    return "\n".join(lines)


def test_registry_docstring_examples_run(run_python):
    """In float32, as for a user who has switched nothing on."""
    assert "Step(amplitude=10.0" in run_python(examples())
