"""The photos of a study, and the names under which methods elsewhere know them."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from django.db.models import QuerySet

from studies.models import Photo, PhotoSet, Researcher, Study, StudyState


def photos_judged(study: Study) -> QuerySet[Photo]:
    """Return the study's photos; a draft takes all of its set when it is prepared, unless they are fixed."""
    if study.state == StudyState.DRAFT and not study.photos_fixed:
        return Photo.objects.filter(photo_set=study.photo_set_id)
    return Photo.objects.filter(study_photos__study=study)


def set_name_free(*, owner: Researcher, title: str) -> str:
    """Return a name for a photo set like a study's title that no other set of the researcher has."""
    taken, number = set(PhotoSet.objects.filter(owner=owner).values_list("name", flat=True)), 2
    name = title[:80]
    while name in taken:
        name = f"{title[:74]}, {number}"
        number += 1
    return name


def photo_stems(photos: Iterable[Photo]) -> dict[int, str]:
    """Return a file name without ending for each photo, by primary key; each is another one, whatever its case.

    It is the photo's name; of a part of a photo with its place, as in "room-row-1-column-2". Where several photos have
    one name, the first letters of the SHA-256 are added to each.
    """
    photos = list(photos)
    plain = {photo.pk: _stem(photo.name) for photo in photos}
    counts = Counter(stem_key(stem) for stem in plain.values())
    return {
        photo.pk: plain[photo.pk]
        if counts[stem_key(plain[photo.pk])] == 1
        else f"{plain[photo.pk]}-{photo.sha256[:12]}"
        for photo in photos
    }


def stem_key(stem: str) -> str:
    """Return a stem in the form in which stems are compared: case and the spelling of accents do not count."""
    return unicodedata.normalize("NFC", stem).casefold()


def file_stem(path: str) -> str:
    """Return the name of a file without its folders and its ending."""
    return PurePosixPath(path.replace("\\", "/")).stem


def _stem(name: str) -> str:
    file, comma, place = name.rpartition(", row ")
    return f"{file_stem(file)}-row-{place.replace(' ', '-')}" if comma else file_stem(name)
