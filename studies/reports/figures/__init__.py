"""Figures for a page and for a paper, drawn by matplotlib without any window or global figure.

The same input gives the same bytes. matplotlib is imported here and nowhere else: import this package only where a
figure is drawn.
"""

from studies.reports.figures.fool_rates import fool_rates
from studies.reports.figures.gallery import gallery
from studies.reports.figures.grids import picture_grid, sample_grid_png
from studies.reports.figures.pairwise import pairwise
from studies.reports.figures.planned import planned
from studies.reports.figures.realism import realism
from studies.reports.figures.sheet import PAGE_WIDTH_MM, THEMES, FileFormat, ThemeName
from studies.reports.figures.temperatures import temperatures
from studies.reports.figures.times import times

__all__ = [
    "PAGE_WIDTH_MM",
    "THEMES",
    "FileFormat",
    "ThemeName",
    "fool_rates",
    "gallery",
    "pairwise",
    "picture_grid",
    "planned",
    "realism",
    "sample_grid_png",
    "temperatures",
    "times",
]
