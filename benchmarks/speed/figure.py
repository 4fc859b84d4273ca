"""The scaling figure: CPU time per lane and step over the number of lanes."""

from pathlib import Path
from typing import Any

__all__ = ["draw"]

_PANELS = {"hh": "Hodgkin-Huxley, RK4", "fhn": "FitzHugh-Nagumo, RK4", "lif": "Integrate-and-fire, Euler"}
# Okabe & Ito's colours, which the common kinds of colour blindness keep apart
_LINES = {"jaxneuro": ("#D55E00", "o"), "C": ("#000000", "s"), "diffrax": ("#0072B2", "^")}
_NAMES = {"jaxneuro": "jaxneuro sweep", "C": "C, gcc", "diffrax": "vmapped diffrax (Tsit5)"}
_STYLES = {"float32": "-", "float64": "--"}
_SETTINGS = {
    "font.size": 8,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def draw(rows: list[dict[str, Any]], caption: str, path: Path) -> bool:
    """Write the figure; False where no pair was measured at two sizes or more."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curves = _curves(rows)
    panels = [case for case in _PANELS if any(key[0] == case and len(at) > 1 for key, at in curves.items())]
    if not panels:
        return False
    with matplotlib.rc_context(_SETTINGS):
        width = 1.0 + 2.4 * len(panels)
        figure, axes = plt.subplots(
            1, len(panels), figsize=(max(width, 4.2), 3.1), sharex=True, squeeze=False, layout="constrained"
        )
        for ax, case in zip(axes[0], panels, strict=True):
            _draw_panel(ax, case, curves)
        axes[0, 0].set_ylabel("CPU time per neuron and step (ns)")
        _legend(figure, {key[1] for key in curves}, {key[2] for key in curves})
        figure.supxlabel(caption, fontsize=6.5, color="0.4")
        figure.savefig(path, dpi=300)
        plt.close(figure)
    return True


def _curves(rows: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[int, float]]:
    """(case, who, precision) -> N -> ns; ours from the pair with C where there is one."""
    curves = {}
    for row in sorted(rows, key=lambda row: row["series"].endswith("/C")):
        if row["series"]:
            case, peer = row["series"].split("/")
            for who, ns in (("jaxneuro", row["ours_ns"]), (peer, row["peer_ns"])):
                curves.setdefault((case, who, row["precision"]), {})[row["n"]] = ns
    return curves


def _draw_panel(ax: Any, case: str, curves: dict[tuple[str, str, str], dict[int, float]]) -> None:
    for who, (color, marker) in _LINES.items():
        for precision, style in _STYLES.items():
            at = sorted(curves.get((case, who, precision), {}).items())
            if at:
                face = color if precision == "float32" else "white"
                ax.loglog(*zip(*at, strict=True), style, color=color, marker=marker, ms=4, lw=1.2, mfc=face, mew=0.9)
    from matplotlib.ticker import NullLocator

    ax.set_title(_PANELS[case], loc="left")
    ax.set_xlabel("Neurons")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(axis="y", which="major", lw=0.4, color="0.88")
    ax.set_axisbelow(True)


def _legend(figure: Any, who: set[str], precisions: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker=marker, ms=4, lw=1.2, label=_NAMES[name])
        for name, (color, marker) in _LINES.items()
        if name in who
    ]
    handles += [
        Line2D([], [], color="0.35", ls=style, lw=1.2, label=name)
        for name, style in _STYLES.items()
        if name in precisions
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)
