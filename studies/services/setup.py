"""A study's set-up goes on: steps are noted, a protocol is taken over, its size is planned."""

import dataclasses
from decimal import Decimal

from django.db import transaction

from studies.errors import ParameterInvalid
from studies.models import Study, StudySetup
from studies.protocols import PRESETS
from studies.selectors.setup import STEPS
from studies.services.studies import settings_change
from studies.statistics.quality import QualityRules
from studies.statistics.study_plan import PlanQuestion

RULES = tuple(rule.name for rule in dataclasses.fields(QualityRules))


def step_done(*, study: Study, step: str) -> None:
    """Note that the researcher has saved a step.

    Raises:
        ParameterInvalid: If there is no such step.
    """
    if step not in STEPS:
        raise ParameterInvalid(f"There is no step {step!r}; there are {', '.join(STEPS)}.")
    with transaction.atomic():
        setup, _ = StudySetup.objects.select_for_update().get_or_create(study=study)
        if step not in setup.steps_done:
            setup.steps_done = [*setup.steps_done, step]
            setup.save(update_fields=["steps_done"])


def plan_save(
    *, study: Study, question: PlanQuestion, pay_per_hour: Decimal, currency: str, fee_percent: Decimal
) -> StudySetup:
    """Keep the plan of a study's size and what a session may cost; the protocol stays as it is.

    Raises:
        django.core.exceptions.ValidationError: If a number of the cost cannot be used.
    """
    with transaction.atomic():
        setup, _ = StudySetup.objects.select_for_update().get_or_create(study=study)
        setup.question = question.as_json()
        setup.pay_per_hour, setup.currency, setup.fee_percent = pay_per_hour, currency, fee_percent
        if "plan" not in setup.steps_done:
            setup.steps_done = [*setup.steps_done, "plan"]
        setup.full_clean()
        setup.save()
    return setup


def raters_wanted_set(*, study: Study, raters: int) -> None:
    """Write the number of a plan into the protocol of a draft.

    Raises:
        StudyStateWrong: If the study is no draft.
    """
    study.raters_wanted = raters
    settings_change(study=study, fields=["raters_wanted"])


def protocol_apply(*, study: Study, preset: str) -> None:
    """Give a draft the settings, texts and rules of exclusion of a protocol, as a new study has them.

    Title, conditions, language, debriefing and analysis stay.

    Raises:
        ParameterInvalid: If there is no such protocol.
        StudyStateWrong: If the study is no draft.
    """
    if preset not in PRESETS:
        raise ParameterInvalid(f"There is no protocol {preset!r}; choose one of {', '.join(PRESETS)}.")
    rules = {name: getattr(Study(), name) for name in ("practice_pass", *RULES)}
    settings = {**rules, **PRESETS[preset].settings, **PRESETS[preset].texts(), "preset": preset}
    for name, value in settings.items():
        setattr(study, name, value)
    study.full_clean()
    settings_change(study=study, fields=list(settings))
