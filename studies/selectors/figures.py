"""A study's figures, drawn from its votes and its pictures."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple, TypeVar

from django.core.cache import caches

from studies import __version__
from studies.models import Origin, Sample, SampleStatus, Study, Use
from studies.reports import figures
from studies.reports.figure_data import figure_csv
from studies.reports.figures import FileFormat, ThemeName
from studies.reports.figures.gallery import Picture
from studies.reports.published import Reference
from studies.reports.report import report_sections
from studies.reports.section import Section
from studies.selectors.pictures import picture_read, pictures_read
from studies.selectors.results import comparisons_get, live_get, origin_default, result_table, summaries_get
from studies.selectors.versions import results_version
from studies.statistics.comparison import Comparisons
from studies.statistics.results import ResultTable
from studies.statistics.sequential import LiveEstimate
from studies.statistics.summaries import ConditionSummary

Kept = TypeVar("Kept")

GRID_ROWS = 8
FIGURE_FORMATS: tuple[FileFormat, ...] = ("svg", "pdf", "png")
LABELS: Mapping[str, str] = {
    "fool-rates": "Fool rates",
    "tau": "Fool rate against tau",
    "differences": "Differences between methods",
    "gallery": "Best and worst pictures",
    "realism": "Realism against pixel metrics",
    "reaction-times": "Reaction times",
}
"""Name of each figure in addresses and of its file, and its name for people, in the order of a page."""


class Computed(NamedTuple):
    """What takes long at many votes; see `StudyFigures`."""

    table: ResultTable
    compared: Comparisons | None
    summed_up: tuple[ConditionSummary, ...]
    live: dict[str, LiveEstimate] | None


class StudyFigures:
    """The figures of a study's votes of one origin; what several of them need is computed once."""

    def __init__(self, study: Study, *, origin: Origin | None = None) -> None:
        self.study = study
        self.origin = origin or origin_default(study)
        self.version = results_version(study, origin=self.origin) if study.is_frozen else ""
        self._computed = self._recall("computed", self._compute)
        self.table: ResultTable = self._computed.table
        self.compared: Comparisons | None = self._computed.compared
        self.summed_up: tuple[ConditionSummary, ...] = self._computed.summed_up

    def _compute(self) -> "Computed":
        table = result_table(self.study, origin=self.origin)
        live = live_get(self.study, table) if table.caution else None
        return Computed(table, comparisons_get(self.study, table), summaries_get(self.study, table), live)

    def _recall(self, what: str, make: Callable[[], Kept]) -> Kept:
        """Return what was computed of these very votes before, by any process, or compute it now.

        Of a study that was not opened yet there are no votes that could take long, and its samples still change.
        """
        if not self.version:
            return make()
        kept: Kept | None = caches["results"].get(f"{self.version}-{what}")
        if kept is None:
            kept = make()
            caches["results"].set(f"{self.version}-{what}", kept)
        return kept

    def sections(self, *, reference: Reference | None = None) -> list[Section]:
        """Return all that stands below the table; with published figures, if they are asked for."""
        return report_sections(
            self.table,
            live=self._computed.live,
            compared=self.compared,
            summed_up=self.summed_up,
            reference=reference,
        )

    @cached_property
    def taus(self) -> dict[str, float]:
        """The tau of each condition that has one and a fool rate."""
        parameters = dict(self.study.conditions.values_list("slug", "parameters"))
        rated = [row.condition for row in self.table.rows if row.fool_rate is not None]
        return {name: float(parameters[name]["tau"]) for name in rated if "tau" in parameters[name]}

    @property
    def names(self) -> list[str]:
        """Which figures there is something to draw for."""
        has_something: dict[str, bool] = {
            "fool-rates": any(row.fool_rate is not None for row in self.table.rows),
            "tau": bool(self.taus),
            "differences": any(
                one.difference is not None for one in (self.compared.differences if self.compared else ())
            ),
            "gallery": any(len(one.ranking.best) > 1 for one in self.summed_up),
            "realism": any(one.correlations for one in self.summed_up),
            "reaction-times": any(one.reaction_times for one in self.summed_up),
        }
        return [name for name in LABELS if has_something[name]]

    def data(self, name: str) -> str:
        """Return the figures behind one of the figures in `names`, as CSV."""
        photos = self.study.photo_set.photos

        def photo_name(photo: object) -> str:
            return photos.get(pk=int(str(photo))).sha256[:16]

        return figure_csv(
            name,
            self.table,
            sections=self.sections(),
            taus=self.taus,
            summed_up=self.summed_up,
            photo_name=photo_name,
        )

    def draw(self, name: str, *, file_format: FileFormat = "svg", theme: ThemeName = "light") -> bytes:
        """Draw one of the figures in `names`."""
        return self._recall(f"{name}-{file_format}-{theme}", lambda: self._draw(name, file_format, theme))

    def _draw(self, name: str, file_format: FileFormat, theme: ThemeName) -> bytes:
        table, compared = self.table, self.compared
        form: dict[str, Callable[[], bytes]] = {
            "fool-rates": lambda: figures.fool_rates(table, file_format=file_format, theme=theme),
            "tau": lambda: figures.temperatures(table, self.taus, file_format=file_format, theme=theme),
            "gallery": lambda: figures.gallery(
                table, self.summed_up, self._picture, file_format=file_format, theme=theme
            ),
            "realism": lambda: figures.realism(table, self.summed_up, file_format=file_format, theme=theme),
            "reaction-times": lambda: figures.times(table, self.summed_up, file_format=file_format, theme=theme),
        }
        if compared is not None:
            form["differences"] = lambda: figures.pairwise(table, compared, file_format=file_format, theme=theme)
        return form[name]()

    def _picture(self, condition: str, photo: object) -> Picture:
        sample = Sample.objects.get(condition__study=self.study, condition__slug=condition, photo_id=int(str(photo)))
        return picture_read(sample.picture)


def sample_grid(study: Study, *, count: int = GRID_ROWS) -> bytes | None:
    """Draw photos with every condition's sample, side by side, as a PNG; None before there are samples.

    Columns stand in the paper's order: input, the conditions by position, truth. Rows are the first photos of the
    main part.
    """
    conditions = list(study.conditions.order_by("position"))
    ready = study.study_photos.filter(use=Use.MAIN).select_related("photo").order_by("photo__sha256")
    photos = [row.photo for row in ready[:count]]
    columns = [("input", pictures_read(photo.low_res for photo in photos))] if photos else []
    for condition in conditions:
        samples = {s.photo_id: s for s in condition.samples.filter(photo__in=photos, status=SampleStatus.READY)}
        if not photos or len(samples) < len(photos):
            return None
        columns.append((condition.label, pictures_read(samples[photo.pk].picture for photo in photos)))
    if not photos:
        return None
    columns.append(("truth", pictures_read(photo.high_res for photo in photos)))
    scale = max(1, 96 // study.photo_set.high_res_size)
    return figures.sample_grid_png(
        columns, scale=scale, study=study.slug, design_sha256=study.design_sha256, version=__version__
    )
