"""A study's figures, drawn from its votes and its pictures."""

from collections.abc import Callable, Mapping
from functools import cached_property

from studies import __version__
from studies.models import Origin, Sample, SampleStatus, Study, Use
from studies.reports import figures
from studies.reports.figures import FileFormat, ThemeName
from studies.reports.figures.gallery import Picture
from studies.selectors.pictures import picture_read, pictures_read
from studies.selectors.results import comparisons_get, result_table, summaries_get
from studies.statistics.comparison import Comparisons
from studies.statistics.results import ResultTable
from studies.statistics.summaries import ConditionSummary

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


class StudyFigures:
    """The figures of a study's votes of one origin; what several of them need is computed once."""

    def __init__(self, study: Study, *, origin: Origin | None = None) -> None:
        self.study = study
        self.table: ResultTable = result_table(study, origin=origin)

    @cached_property
    def compared(self) -> Comparisons | None:
        """The comparisons that the design fixes."""
        return comparisons_get(self.study, self.table)

    @cached_property
    def summed_up(self) -> tuple[ConditionSummary, ...]:
        """The further summaries."""
        return summaries_get(self.study, self.table)

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

    def draw(self, name: str, *, file_format: FileFormat = "svg", theme: ThemeName = "light") -> bytes:
        """Draw one of the figures in `names`."""
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
