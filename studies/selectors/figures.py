"""A study's pictures for its results page."""

from studies.models import Origin, SampleStatus, Study, Use
from studies.reports import figures
from studies.selectors.pictures import pictures_read
from studies.selectors.results import result_table

GRID_ROWS = 8


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
    return figures.sample_grid_png(columns, scale=scale, study=study.slug, design_sha256=study.design_sha256)


def fool_rates(study: Study, *, origin: Origin | None = None) -> bytes:
    """Draw the fool rates with their intervals as an SVG."""
    return figures.fool_rates_svg(result_table(study, origin=origin))
