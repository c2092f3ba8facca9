"""Reports: findings, which are plain JSON, drawn as one page that needs nothing else."""

from zoo.report.page import render, table_html, write

__all__ = ["render", "table_html", "write"]
