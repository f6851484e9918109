"""One self-contained HTML page per design: figures with evidence, requirements, interactive views; works offline."""

from designtools.report.page import render, write_report

__all__ = ["render", "write_report"]
