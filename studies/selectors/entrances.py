"""The study that a link leads to, as every visit asks for it."""

from functools import lru_cache
from itertools import count
from typing import Any, Final

from studies.errors import StudyUnknown
from studies.models import PhotoSet, Recruitment, Study
from studies.selectors.compiled import CompiledQuery, columns_of

_NUMBERS: Final = count(1)
"""Of the objects that were made, one after the other; see `Study.kept_as`."""


def study_columns(prefix: str = "") -> list[str]:
    """Return the names of what `study_kept` takes for a row: of a study, its photo set and its recruitment.

    Args:
        prefix: The way to the study from the model that is asked, with its last `__`.
    """
    of_study = columns_of(Study, prefix=prefix, but=["design"])  # megabytes, for a study of many pairs
    of_photo_set = columns_of(PhotoSet, prefix=f"{prefix}photo_set__")
    return [*of_study, *of_photo_set, *columns_of(Recruitment, prefix=f"{prefix}recruitment__")]


_ROW: Final = CompiledQuery(
    lambda study_code: Study.objects.filter(code=study_code).order_by().values_list(*study_columns()), "study_code"
)


def entrance_get(*, study_code: str) -> Study:
    """Return the study that a link leads to, with its photo set and recruitment; see `study_kept`.

    Raises:
        StudyUnknown: If there is none.
    """
    rows = _ROW.rows(study_code=study_code)
    if not rows:
        raise StudyUnknown(
            "The link may have been cut short. Open it once more, whole, or ask for it again where you found it."
        )
    return study_kept(rows[0])


def study_kept(row: tuple[Any, ...]) -> Study:
    """Return the study of a row that was just read, with its photo set and recruitment.

    Making an object of the row takes longer than reading it, so that a process keeps the object for as long as the row
    is the same: it is shared by requests, and nobody may change it.

    Args:
        row: The values of `study_columns`, as the driver gives them.
    """
    kept = _kept(row[0])
    known, found = kept[0] if kept else (None, None)
    if found is None or known != row:
        found = Study.objects.select_related("photo_set", "recruitment").defer("design").get(pk=row[0])
        found.kept_as = next(_NUMBERS)
        kept[:] = [(row, found)]
    return found


@lru_cache(maxsize=64)
def _kept(_study: int) -> list[tuple[tuple[Any, ...], Study]]:
    """Return where the study as it was found last is kept, with the row that it was made of; at most one."""
    return []
