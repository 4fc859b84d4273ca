"""The short report that `fit` and `demo` leave beside their figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from jaxneuro.fitters import FitResult

__all__ = ["section", "show"]


def curve(result: "FitResult") -> str:
    """Table of a fitted f-I curve, target beside model; empty for other targets."""
    fi = result.to_dict().get("fi")
    if not fi:
        return ""
    currents = fi.get("current_pA") or fi["current"]
    rows = zip(currents, fi["rate_data_hz"], fi["rate_model_hz"], strict=True)
    unit = "pA" if "current_pA" in fi else fi["current_unit"]
    lines = [f"{'current [' + unit + ']':>14} {'target [Hz]':>12} {'model [Hz]':>11} {'error [Hz]':>11}"]
    lines += [f"{i:14g} {data:12g} {model:11g} {model - data:+11g}" for i, data, model in rows]
    return "\n".join(lines)


def summary(result: "FitResult") -> list[str]:
    """What came out of a fit, a sentence a line: loss, f-I error, starts, time."""
    lines = [f"loss {result.loss:.4g} {result.loss_unit}"]
    fi = result.to_dict().get("fi")
    if fi:
        lines.append(f"f-I curve: {fi['rms_hz']:.2f} Hz RMS over {len(fi['rate_data_hz'])} currents")
    for term, scores in result.held_out_scores.items():
        shown = ", ".join(f"{name} {value:.4g}{f' {unit}' * (unit != '1')}" for name, (value, unit) in scores.items())
        lines.append(f"held out, {term}: {shown}")
    lines.append(
        f"{result.start_losses.size} starts, {len(result.history)} steps, {int(result.n_failed.sum())} of them "
        f"not finite, {result.seconds:.0f} s{f', ended by {result.ended}' if result.ended else ''}"
    )
    return lines


def section(title: str, text: str, result: "FitResult", figures: Sequence[str]) -> str:
    """A part of a report in Markdown: what was fitted, the table, the figures."""
    pictures = "\n".join(f"![{title}]({name})" for name in figures)
    facts = "\n".join(f"- {line}" for line in summary(result))
    tables = "\n\n".join(filter(None, [result.table(), curve(result)]))
    return f"## {title}\n\n{text}\n\n```\n{tables}\n```\n\n{facts}\n\n{pictures}\n"


def show(result: "FitResult") -> None:
    """Print the tables and the summary of a fit."""
    for line in filter(None, [result.table(), curve(result), *summary(result)]):
        click.echo(line)
