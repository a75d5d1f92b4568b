"""Roofline picture: throughput against operations per byte of external memory."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib

from codesign.timing.clocks import Clock
from formats.files import whole

matplotlib.use("Agg")
from matplotlib import pyplot

_COLOURS = {1: "#2a6f97", 2: "#6a994e", 4: "#e09f3e", 8: "#bc4749"}


def draw(
    points: Iterable[tuple[str, int, float, float]],
    published: Iterable[tuple[str, float]],
    peaks: Mapping[int, float],
    bytes_per_second: float,
    clock: Clock,
    path: Path | str,
) -> None:
    """Write the picture as PNG.

    Parameters
    ----------
    points : list of (name, activation bits, operations per byte, 1e9 operations per second)
    published : list of (name, 1e9 operations per second)
    peaks : dict of int to float
        The array's peak for each number of activation bits, in 1e9 operations per second.
    bytes_per_second : float
        Of external memory, in 1e9.
    clock : codesign.timing.clocks.Clock
        Of all rates.
    """
    figure, axes = pyplot.subplots(figsize=(9, 5.5), dpi=100)
    low, high = 150, 3e4
    for bits, peak in peaks.items():
        ridge = peak / bytes_per_second
        axes.plot([low, ridge, high], [low * bytes_per_second, peak, peak], color=_COLOURS[bits], linewidth=1.2, alpha=0.8)
        axes.annotate(f"array's peak, {bits}-bit activations, linears", (high, peak), xytext=(-2, 2), ha="right",
                      textcoords="offset points", fontsize=7, color=_COLOURS[bits])  # fmt: skip
    for index, (name, gops) in enumerate(sorted(published, key=lambda entry: entry[1])):
        axes.axhline(gops, color="#8d99ae", linewidth=0.8, linestyle=":")
        axes.annotate(name, (high, gops), xytext=(-2 - 130 * (index % 2), 2), ha="right", textcoords="offset points",
                      fontsize=7, color="#5c677d")  # fmt: skip
    for name, bits, intensity, gops in points:
        axes.plot(intensity, gops, "o", color=_COLOURS[bits], markersize=4)
        axes.annotate(name, (intensity, gops), xytext=(3, -4), textcoords="offset points", fontsize=6, rotation=-40,
                      va="top", rotation_mode="anchor")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(300, 40_000)
    axes.set_xlabel("operations of the encoder per byte of external memory")
    axes.set_ylabel(f"GOPS ({clock})")
    axes.set_title(f"slope: external memory, {bytes_per_second:g} GB/s; dotted: published accelerators", fontsize=9)
    axes.grid(alpha=0.2, which="both", linewidth=0.4)
    figure.tight_layout()
    with whole(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})
    pyplot.close(figure)
