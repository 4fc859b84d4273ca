"""A fit as one HTML file that holds its figures."""

import base64
import html
import io
import os
from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from jaxneuro._version import __version__
from jaxneuro.fitters import FitResult, Joint
from jaxneuro.fitters.search._whole_file import whole_file
from jaxneuro.plot._fit import plot_fit
from jaxneuro.plot._style import style
from jaxneuro.plot._terms import plot_residuals, plot_terms

__all__ = ["fit_report"]

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


def fit_report(result: FitResult, path: str | os.PathLike, title: str = "Fit") -> None:
    """Write a fit as one self-contained HTML file: parameters with intervals, what the data leave open, errors of the
    terms, stages, data against model, residuals and correlations. The file appears whole or not at all.

    **Arguments:** `result`, what `fit` returns; `path` of the file; `title` of the page.

    >>> fit_report(result, "fit.html", "Cell 171116sh")
    """
    stages = [
        (s.name, s.n_steps, s.n_simulations, f"{s.seconds:.1f}", "" if s.loss is None else f"{s.loss:.5g}")
        for s in result.stages
    ]
    errors = [(name, f"{value:.4g}", unit) for name, (value, unit) in result.errors.items()]
    figures = [_drawn(plot_fit(result)[0].figure), *_parts(result), *_correlations(result)]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(type(result.model).__name__)}, {html.escape(repr(result.solver))}; loss {result.loss:.5g}"
        f"{html.escape(_unit(result.loss_unit))}; {result.seconds:.0f} s; jaxneuro {__version__}.</p>",
        *(f'<p><img alt="" src="data:image/png;base64,{figure}"></p>' for figure in figures),
        "<h2>Parameters</h2>",
        _table(("parameter", "value", "95 % interval", "unit", "bounds"), _parameters(result)),
        *(f"<p>{html.escape(sentence)}</p>" for sentence in result.open_questions),
        "<h2>Errors</h2>",
        _table(("term", "error", "unit"), errors),
        "<h2>Scores</h2>",
        _table(*_scores(result)),
        "<h2>Stages</h2>",
        _table(("stage", "steps", "simulations per start", "seconds", "loss"), stages),
    ]
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    page += f"<style>{_STYLE}</style>" + "\n".join(parts) + "</html>\n"
    with whole_file(path) as file:
        file.write(page.encode())


def _parameters(result: FitResult) -> Iterable[tuple]:
    for name, p in result.params.items():
        interval = "" if p.interval is None else f"{p.interval[0]:.5g} to {p.interval[1]:.5g}"
        ends = " to ".join("" if bound is None else f"{bound:.4g}" for bound in (p.low, p.high))
        yield name, f"{p.value:.5g}", interval, p.unit, ends


def _scores(result: FitResult) -> tuple[tuple, list[tuple]]:
    """A row for each term, a column for each score that some term has."""
    rows = {
        (kind, term): {f"{name}{_unit(unit, '[{}]')}": value for name, (value, unit) in of_term.items()}
        for kind, scores in {"fitted": result.scores, "held out": result.held_out_scores}.items()
        for term, of_term in scores.items()
    }
    columns = tuple(dict.fromkeys(name for row in rows.values() for name in row))
    cells = [(*place, *(f"{row[name]:.4g}" if name in row else "" for name in columns)) for place, row in rows.items()]
    return ("data", "term", *columns), cells


def _unit(unit: str, shape: str = "{}") -> str:
    """A unit behind a blank, nothing for a pure number."""
    return "" if unit in ("", "1") else f" {shape.format(unit)}"


def _table(head: tuple, rows: Iterable[tuple]) -> str:
    cells = lambda row, tag: "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row)  # noqa: E731
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(head, 'th')}</tr>{body}</table>"


def _drawn(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    plt.close(figure)
    return base64.b64encode(file.getvalue()).decode()


def _parts(result: FitResult) -> list[str]:
    """Every term of a `Joint`, what was held out, and the residuals of traces."""
    figures = [_drawn(plot_terms(result)[0].figure)] if isinstance(result.target, Joint) else []
    if result.held_out is not None:
        figures.append(_drawn(plot_terms(result, is_held_out=True)[0].figure))
    residuals = plot_residuals(result)
    return figures if residuals is None else [*figures, _drawn(residuals[0].figure)]


def _correlations(result: FitResult) -> list[str]:
    """The matrix of correlations, where the residuals tell it."""
    if result.sensitivity is None or len(result.params) < 2:
        return []
    with style():
        size = 1.6 + 0.32 * len(result.params)
        figure, ax = plt.subplots(figsize=(size + 0.6, size), layout="constrained")
        image = ax.imshow(np.asarray(result.sensitivity.correlation), vmin=-1, vmax=1, cmap="RdBu_r")
        ax.set_xticks(range(len(result.params)), list(result.params), rotation=90)
        ax.set_yticks(range(len(result.params)), list(result.params))
        figure.colorbar(image, label="Correlation")
    return [_drawn(figure)]
