"""Photos are set against samples."""

from django.db.models import F

from studies.models import Kind, Pair, Rater, RatingSession, Response, Role, Sample, Study, Trial, Use

_KIND = {
    (Role.TEST, Use.MAIN): Kind.TEST,
    (Role.TEST, Use.PRACTICE): Kind.PRACTICE,
    (Role.GOLDEN, Use.MAIN): Kind.GOLDEN,
}


def pairs_build(*, study: Study) -> int:
    """Make the pairs of a study whose samples are all ready; return how many.

    Tested conditions give practice pairs of the practice photos and test pairs of the others; golden conditions give
    golden pairs of those others. A sample that equals its photo gives no pair: nobody could choose. Pairs and
    previews from an earlier preparation are removed.
    """
    pairs_clear(study=study)
    uses = dict(study.study_photos.values_list("photo_id", "use"))
    different = Sample.objects.filter(condition__study=study, photo__in=uses).exclude(sha256=F("photo__sha256"))
    samples = different.order_by("pk").values_list("pk", "photo_id", "condition__role")
    pairs = [
        Pair(study=study, sample_id=sample, kind=_KIND[Role(role), Use(uses[photo])])
        for sample, photo, role in samples
        if (Role(role), Use(uses[photo])) in _KIND
    ]
    return len(Pair.objects.bulk_create(pairs, batch_size=500))


def pairs_clear(*, study: Study) -> None:
    """Remove the pairs of a study that was never opened, with the previews that showed them."""
    sessions = RatingSession.objects.filter(study=study)
    raters = list(sessions.values_list("rater_id", flat=True))
    Response.objects.filter(trial__session__study=study).delete()
    Trial.objects.filter(session__study=study).delete()
    sessions.delete()
    Rater.objects.filter(pk__in=raters, sessions=None).delete()
    study.pairs.all().delete()
