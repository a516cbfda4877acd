"""The study that a link leads to, as every visit asks for it."""

from functools import lru_cache
from typing import Any, Final

from django.db.models import Model

from studies.errors import StudyUnknown
from studies.models import PhotoSet, Recruitment, Study
from studies.selectors.compiled import CompiledQuery


def _columns(model: type[Model], prefix: str = "") -> list[str]:
    fields = model._meta.concrete_fields  # noqa: SLF001 -- Django documents it, underscore and all
    return [f"{prefix}{field.attname}" for field in fields if field.attname != "design"]


_ROW: Final = CompiledQuery(
    lambda study_code: (
        Study.objects.filter(code=study_code)
        .order_by()
        .values_list(
            *_columns(Study),
            *_columns(PhotoSet, "photo_set__"),
            *_columns(Recruitment, "recruitment__"),
        )
    ),
    "study_code",
)


def entrance_get(*, study_code: str) -> Study:
    """Return the study that a link leads to, with its photo set and recruitment.

    Its row is read each time. Making an object of it takes longer than that, so that a process keeps the object for as
    long as the row is the same: it is shared by requests, and nobody may change it.

    Raises:
        StudyUnknown: If there is none.
    """
    rows = _ROW.rows(study_code=study_code)
    if not rows:
        raise StudyUnknown(
            "The link may have been cut short. Open it once more, whole, or ask for it again where you found it."
        )
    kept = _kept(study_code)
    row, found = kept[0] if kept else (None, None)
    if found is None or row != rows[0]:
        found = Study.objects.select_related("photo_set", "recruitment").defer("design").get(code=study_code)
        kept[:] = [(rows[0], found)]
    return found


@lru_cache(maxsize=64)
def _kept(_study_code: str) -> list[tuple[tuple[Any, ...], Study]]:
    """Return where the study as it was found last is kept, with the row that it was made of; at most one."""
    return []
