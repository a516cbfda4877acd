"""The results table of a study."""

from django.db.models import Avg

from studies.models import FINISHED, Origin, RatingSession, SampleStatus, Study
from studies.selectors.responses import last_vote_get, votes_get
from studies.statistics.fool_rate import Estimand
from studies.statistics.results import (
    ConditionFidelity,
    ResultCondition,
    ResultTable,
)
from studies.statistics.results import (
    result_table as table_make,
)

FIDELITY = ("psnr", "ssim", "ms_ssim", "ms_ssim_3", "consistency")


def origins_present(study: Study) -> list[Origin]:
    """Return whose sessions the study has, people before simulated raters; previews are not results."""
    found = set(RatingSession.objects.filter(study=study).values_list("rater__origin", flat=True).distinct())
    return [origin for origin in (Origin.PERSON, Origin.SIMULATED) if origin in found]


def origin_default(study: Study) -> Origin:
    """Return people if any of them finished, else simulated raters if there are some, else people."""
    finished = set(
        RatingSession.objects.filter(study=study, state__in=FINISHED).values_list("rater__origin", flat=True).distinct()
    )
    return Origin.SIMULATED if Origin.SIMULATED in finished and Origin.PERSON not in finished else Origin.PERSON


def fidelity_get(study: Study) -> dict[str, ConditionFidelity]:
    """Return each condition's mean pixel metrics over all of its samples, by slug."""
    means = [Avg(f"samples__{name}") for name in FIDELITY]
    rows = study.conditions.filter(samples__status=SampleStatus.READY).order_by("position")
    return {
        slug: ConditionFidelity(**dict(zip(FIDELITY, figures, strict=True)))
        for slug, *figures in rows.values_list("slug").annotate(*means)
    }


def result_table(
    study: Study, *, origin: Origin | None = None, alpha: float = 0.05, estimand: Estimand = "new"
) -> ResultTable:
    """Return the table of a study: one row a condition, pixel metrics and fool rate with its interval.

    Args:
        study: The study.
        origin: Whose answers: people's or simulated raters', never both. `origin_default` if not given.
        alpha: One minus the level of the intervals.
        estimand: "new" raters and new images, or "these" images only.
    """
    origin = origin or origin_default(study)
    return table_make(
        votes_get(study, origin=origin),
        conditions=[
            ResultCondition(name=condition.slug, label=condition.label, role=condition.role)  # type: ignore[arg-type] # a constraint holds the roles
            for condition in study.conditions.order_by("position")
        ],
        fidelity=fidelity_get(study),
        study=study.slug,
        title=study.title,
        design_sha256=study.design_sha256,
        origin=origin.value,  # type: ignore[arg-type] # as above
        alpha=alpha,
        estimand=estimand,
        last_vote=last_vote_get(study, origin=origin),
    )
