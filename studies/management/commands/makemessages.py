"""Find what raters read, for translators: as Django's command does, and in the domain's errors as well."""

from typing import Any

from django.conf import settings
from django.core.management.commands import makemessages

SAID = (
    "ArrivalInvalid",
    "PanelUnreachable",
    "ParticipantElsewhere",
    "PictureMissing",
    "SessionEnded",
    "SessionUnknown",
    "StudyFull",
    "StudyNotOpen",
    "StudyUnknown",
    "TokenInvalid",
    "TrialNotCurrent",
    "TrialUnknown",
)
"""Errors whose sentences raters read."""

ELSEWHERE = ("tests", "build", "var", ".venv", "prolific_api.py", "uploads.py")
"""What says nothing to raters; the last two speak to operators and researchers."""


class Command(makemessages.Command):
    """Bring `locale/*/LC_MESSAGES/django.po` up to what the code and the templates say; needs Debian's gettext."""

    xgettext_options = [*makemessages.Command.xgettext_options, *(f"--keyword={name}" for name in SAID)]
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def handle(self, *args: Any, **options: Any) -> None:
        """Update every language but the one that all is written in, without places in files, which change daily."""
        options["locale"] = options["locale"] or [
            code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE
        ]
        options |= {"no_location": True, "no_wrap": True, "no_obsolete": True}
        options["ignore_patterns"] += ELSEWHERE
        super().handle(*args, **options)
