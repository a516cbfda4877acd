"""What people and pages send: fields with their limits, and the errors as sentences."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator, validate_slug
from django.db.models import Count, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy

from studies import training
from studies.errors import (
    AnswerInvalid,
    ConfigInvalid,
    EvalsiteError,
    ExitInvalid,
    ParameterInvalid,
    TrainingImpossible,
)
from studies.images import DEFAULT_LIMITS
from studies.methods import METHODS, Method, Parameter, method_get
from studies.models import (
    AsksFor,
    Assignment,
    ComparisonFamily,
    Condition,
    Feedback,
    Layout,
    MissedExposure,
    PhotoSet,
    Recruitment,
    Researcher,
    Role,
    Side,
    Study,
    StudySetup,
    TrainingRun,
)
from studies.models.study import EXPOSURE_LEAST_MS
from studies.protocols import PRESETS, STAIRCASE, texts_of
from studies.recruitment import MEANINGS, PANELS, Outcome, exit_check, mturk
from studies.selectors.training import NETWORKS, checkpoint_choices, start_path
from studies.services.studies import ConditionSpec
from studies.services.training import photos_check
from studies.statistics.quality import PRACTICE_LAST, RULE_PRESETS, QualityRules, RulePreset, side_bias
from studies.statistics.study_plan import PlanInvalid, PlanQuestion, plan_answer


class WrittenTextarea(forms.Textarea):
    """A text in Markdown, with a button that shows it as raters will see it."""

    template_name = "admin/studies/includes/written_textarea.html"


class Setting(NamedTuple):
    """A field of the protocol, and its value as people read it where nothing can be changed."""

    field: forms.BoundField
    value: str


class Group(NamedTuple):
    """Settings that stand together under a heading; rules have presets of their own."""

    heading: str
    description: str
    settings: list[Setting]
    presets: Sequence[tuple[RulePreset, str]] = ()


class AdminForm(forms.BaseForm):
    """A form of the researcher's pages: labels stand above their fields, without a colon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": ""} | kwargs)


def photo_sets_offer(form: forms.BaseForm, photo_sets: QuerySet[PhotoSet], *names: str) -> None:
    """Let a form's fields of these names choose among photo sets."""
    for name in names:
        field = form.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 -- tells mypy what the form declares
        field.queryset = photo_sets


class FilesInput(forms.ClearableFileInput):
    """A file field that takes several files at once."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several uploaded files."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        """Check each file as a file field does."""
        files = data if isinstance(data, list | tuple) and data else [None]
        return [super(FilesField, self).clean(file, initial) for file in files]


class BoundedFilesField(FilesField):
    """Several uploaded files, no more bytes of them than one zip may have."""

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        """Refuse more than is kept at once."""
        files = super().clean(data, initial)
        size_mb, most_mb = sum(file.size or 0 for file in files) / 1e6, DEFAULT_LIMITS.archive_bytes / 1e6
        if size_mb > most_mb:
            raise ValidationError(f"These are {size_mb:.0f} MB, of at most {most_mb:g}: upload them in several parts.")
        return files


class UploadForm(AdminForm, forms.Form):
    """Photos, or zips of photos."""

    photos = BoundedFilesField(
        label="Photos, or one zip of photos",
        help_text="JPEG, PNG, WebP, TIFF, BMP or GIF. The same photo twice is kept once.",
        widget=FilesInput(attrs={"accept": "image/*,.zip,application/zip"}),
    )


class PicturesForm(AdminForm, forms.Form):
    """Pictures made elsewhere, or a zip of them."""

    pictures = BoundedFilesField(
        label="Pictures, or one zip of pictures",
        help_text="PNG, JPEG, WebP, TIFF, BMP or GIF; one for each photo, matched by its name without the ending.",
        widget=FilesInput(attrs={"accept": "image/*,.zip,application/zip"}),
    )


def sizes_check(form: forms.BaseForm, cleaned: Mapping[str, Any]) -> None:
    """Refuse inputs that do not go into the pictures a whole number of times."""
    high, low = cleaned.get("high_res_size"), cleaned.get("low_res_size")
    if high and low and (low >= high or high % low):
        fitting = ", ".join(str(side) for side in range(2, high) if high % side == 0)
        form.add_error("low_res_size", f"{low} px do not go into {high} px a whole number of times; take {fitting}.")


class PhotoSetForm(AdminForm, forms.ModelForm):
    """A new, empty set of photos."""

    class Meta:
        """Fields that are set once."""

        model = PhotoSet
        fields = ("name", "high_res_size", "low_res_size", "cropping")
        widgets = {"cropping": forms.RadioSelect}
        error_messages = {
            NON_FIELD_ERRORS: {"unique_together": "You have a photo set of this name already; choose another name."}
        }

    def __init__(self, *args: Any, owner: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.owner = owner

    def clean(self) -> dict[str, Any]:
        """Refuse inputs that do not go into the pictures a whole number of times."""
        cleaned = super().clean() or self.cleaned_data
        sizes_check(self, cleaned)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """Let the model check the owner too, so that a name taken is an error at its field."""
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # unknown to django-stubs
        return exclusions - {"owner"}


class PhotoSetField(forms.ModelChoiceField):
    """A choice among photo sets that says how many photos each has."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the name, the sizes and the number of photos."""
        return f"{obj}, {obj.photo_count:,} photo{'' if obj.photo_count == 1 else 's'}"


class StudyCreateForm(AdminForm, forms.ModelForm):
    """A new study: its title, and photos that are here already or come along."""

    photos = FilesField(
        label="New photos, or one zip of photos",
        required=False,
        help_text="They become a set of their own, which other studies can use as well.",
        widget=FilesInput(attrs={"accept": "image/*,.zip,application/zip"}),
    )
    high_res_size = PhotoSetForm.base_fields["high_res_size"]
    low_res_size = PhotoSetForm.base_fields["low_res_size"]
    cropping = PhotoSetForm.base_fields["cropping"]

    class Meta:
        """Fields of the study itself; the protocol's come from the preset and can be changed afterwards."""

        model = Study
        fields = ("title", "slug", "photo_set", "seed")
        labels = {"slug": "Short name"}
        error_messages = {"slug": {"unique": "Another study has this short name; choose another one."}}

    field_order = ("title", "slug", "photo_set", "photos")

    def __init__(self, *args: Any, photo_sets: QuerySet[PhotoSet], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["photo_set"] = PhotoSetField(
            label="Photos that are here",
            queryset=photo_sets.annotate(photo_count=Count("photos")),
            required=False,
            empty_label="none of these: upload new ones",
        )
        self.fields["slug"].widget.attrs["data-slug-of"] = self["title"].id_for_label

    def clean_photos(self) -> list[UploadedFile]:
        """Return the files that came, if any did."""
        return [file for file in self.cleaned_data["photos"] if file]

    def clean(self) -> dict[str, Any]:
        """Ask for photos from one place, and for sizes that go together where a set is made."""
        cleaned = super().clean() or self.cleaned_data
        photo_set, files = cleaned.get("photo_set"), cleaned.get("photos")
        if photo_set is None and not files and not self.errors:
            self.add_error("photos", "Choose a set that is here, or upload photos: a study asks about photos.")
        if photo_set is not None and files:
            self.add_error("photos", f"You have chosen “{photo_set}” as well; take one of the two.")
        if files:
            sizes_check(self, cleaned)
        return cleaned


class PresetForm(AdminForm, forms.Form):
    """A published protocol to take all settings from."""

    preset = forms.ChoiceField(
        label="Start from another protocol",
        choices=[(preset.slug, preset.label) for preset in PRESETS.values()],
        widget=forms.RadioSelect,
    )

    def presets(self) -> Iterator[tuple[forms.boundfield.BoundWidget, str]]:
        """Yield each preset's radio button with the source of the protocol."""
        for radio in self["preset"]:
            yield radio, PRESETS[str(radio.data["value"])].source


class StudyCloneForm(AdminForm, forms.ModelForm):
    """The names of a clone; all else is as in the study."""

    class Meta:
        """Fields that differ."""

        model = Study
        fields = ("title", "slug")
        error_messages = {"slug": {"unique": "Another study has this short name; choose another one."}}


class DesignImportForm(AdminForm, forms.Form):
    """A design, and where its photos are."""

    design = forms.FileField(
        help_text="The JSON that “Download as JSON” on a study's page gives.",
        widget=forms.FileInput(attrs={"accept": ".json,application/json"}),
    )
    photo_set = forms.ModelChoiceField(
        label="Photos",
        queryset=PhotoSet.objects.none(),
        empty_label="choose a photo set",
        help_text="The design's photos are found in it by their SHA-256; others in it are left out.",
    )
    bank = forms.ModelChoiceField(
        label="Bank for nearest neighbour",
        queryset=PhotoSet.objects.none(),
        required=False,
        empty_label="find it by its digest",
    )
    slug = forms.SlugField(
        label="Another short name",
        max_length=50,
        required=False,
        help_text="Empty: the design's own. It is part of the design, so another one gives another hash.",
    )

    def __init__(self, *args: Any, photo_sets: QuerySet[PhotoSet], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        photo_sets_offer(self, photo_sets, "photo_set", "bank")


REFERENCE_HELP = "The condition that the others are compared with, where each is compared with one."

QUALITY_FIELDS = tuple(rule.name for rule in dataclasses.fields(QualityRules))
"""Settings of a study that are its rules of exclusion."""


def quality_problems(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Return what makes no sense in numbers of pairs and rules, by field.

    Args:
        cleaned: Values of the fields that are right on their own; the others are passed over.
    """
    problems: dict[str, str] = {}
    golden, test, practice = (cleaned.get(name) for name in ("golden_count", "test_count", "practice_count"))
    misses, run, least = (cleaned.get(name) for name in ("golden_misses_allowed", "run_limit", "practice_least"))
    needed = cleaned.get("practice_pass") or 0
    if practice is not None and needed > practice:
        problems["practice_pass"] = (
            f"Of {practice} practice pairs, no more than {practice} can be right; ask for fewer."
        )
    if golden is not None and test is not None and golden > test:
        problems["golden_count"] = f"There are {golden} golden pairs but only {test} test pairs; have fewer."
    if golden is not None and misses is not None and misses > golden:
        problems["golden_misses_allowed"] = (
            f"Of {golden} golden pairs, no more than {golden} can be missed; with that number they leave nobody out."
        )
    if least and practice is not None and practice < PRACTICE_LAST:
        problems["practice_least"] = (
            f"This looks at the last {PRACTICE_LAST} practice pairs, but there are {practice}; have more, or take 0."
        )
    if run == 1:
        problems["run_limit"] = "Every answer is a row of one; take 2 or more, or 0 for no rule."
    if golden is None or test is None:
        return problems
    main = golden + test
    if run and run > main:
        problems["run_limit"] = f"After practice come {main} pairs, so no row is as long as {run}; take less, or 0."
    problems |= _limits_problems(cleaned, main)
    bias = cleaned.get("side_bias_p")
    if bias and side_bias(0, main) >= bias:
        problems["side_bias_p"] = (
            f"With {main} pairs even a rater who takes one side always has p = {side_bias(0, main):.2g}; "
            "have more pairs, or set it to 0."
        )
    return problems


def _limits_problems(cleaned: Mapping[str, Any], main: int) -> dict[str, str]:
    """Return what makes no sense in the rules on what browsers report, with so many pairs after practice."""
    limits = {name: cleaned.get(name) or 0 for name in ("not_in_front_limit", "automated_limit", "missed_limit")}
    problems = {
        name: f"After practice come {main} pairs, so that {limit} cannot be reached; take less, or 0."
        for name, limit in limits.items()
        if limit > main
    }
    if limits["missed_limit"] and cleaned.get("exposure_ms") == 0:
        problems["missed_limit"] = "Images that stay until the answer cannot miss their exposure; take 0."
    return problems


def single_problems(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Return what makes no sense where each picture is shown alone, by field.

    Args:
        cleaned: Values of the fields that are right on their own; the others are passed over.
    """
    problems: dict[str, str] = {}
    if cleaned.get("asks_for") == AsksFor.SAMPLE:
        problems["asks_for"] = "Of one picture alone raters say real or fake, so nothing is pointed at; take the photo."
    if golden := cleaned.get("golden_count"):
        problems["golden_count"] = f"Pictures alone have no obvious pair, so {golden} golden ones cannot be; take 0."
    for name in ("practice_count", "practice_pass", "test_count"):
        if (count := cleaned.get(name) or 0) % 2:
            problems[name] = f"Half of the pictures are real, so there cannot be {count}; take {count + 1}."
    for name in ("side_bias_p", "run_limit"):
        if value := cleaned.get(name):
            problems[name] = (
                f"Where each picture is shown alone, who is fooled says “real” throughout, and a rule of {value:g} on "
                "sides would leave them out for it; take 0."
            )
    return problems


def staircase_problems(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Return what makes no sense where answers set the exposures, by field; takes what `single_problems` does."""
    blocks = cleaned.get("staircase_blocks")
    if not blocks:
        return {}
    problems: dict[str, str] = {}
    if cleaned.get("layout") != Layout.SINGLE:
        problems["staircase_blocks"] = (
            "A staircase sets the exposure of pictures that are shown alone; take that layout, or 0 blocks."
        )
    elif cleaned.get("assignment") == Assignment.MIXED:
        problems["staircase_blocks"] = (
            "A staircase finds the exposure of one method; take one method a session, or 0 blocks."
        )
    if cleaned.get("missed_exposure") == MissedExposure.REPEAT:
        problems["missed_exposure"] = (
            "In a staircase each exposure follows from the answers before it, so that no picture can be shown again at "
            "the end; keep such answers, or leave them out."
        )
    if (test := cleaned.get("test_count")) and test % (2 * blocks):
        fits = -(-test // (2 * blocks)) * 2 * blocks
        problems["test_count"] = (
            f"Half of the pictures of each of {blocks} blocks are real, so there cannot be {test}; take {fits}."
        )
    start, least, most = (cleaned.get(f) for f in ("exposure_ms", "staircase_least_ms", "staircase_most_ms"))
    if least is not None and most is not None and least >= most:
        problems["staircase_most_ms"] = f"From {least} to {most} ms no exposure can move; take more."
    elif start is not None and least is not None and most is not None and not least <= start <= most:
        problems["exposure_ms"] = f"A staircase from {least} to {most} ms cannot begin at {start} ms; begin within it."
    return problems | _steps_problems(cleaned)


def _steps_problems(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Return why the steps of a staircase hold nobody, if they do not."""
    up, down, rights = (cleaned.get(f"staircase_{name}") for name in ("up_ms", "down_ms", "rights"))
    if not (up and down and rights):
        return {}
    at = (up / (up + down)) ** (1 / rights)
    if at > 0.5:
        return {}
    return {
        "staircase_up_ms": (
            f"Steps of {up} ms up and {down} ms down cancel at {100 * at:.0f} % right answers, and who guesses has "
            "50 %, so that exposures would sink to the least; take more up than down, such as three times as much."
        )
    }


def showing_problems(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Return what makes no sense in how pictures are shown and told of, by field; takes what `single_problems` does."""
    problems: dict[str, str] = {}
    if cleaned.get("exposure_ms") == 0 and cleaned.get("layout") == Layout.SEQUENTIAL:
        problems["exposure_ms"] = (
            f"Images that come one after the other need a time: give at least {EXPOSURE_LEAST_MS} ms, or show them "
            "side by side."
        )
    elif cleaned.get("exposure_ms") == 0 and cleaned.get("mask_count"):
        problems["mask_count"] = (
            f"{cleaned['mask_count']} masks cannot follow images that stay until the answer: give 0, or a time."
        )
    if (cleaned.get("feedback"), cleaned.get("missed_exposure")) == (Feedback.EVERY, MissedExposure.REPEAT):
        problems["feedback"] = (
            "A pair whose answer was told cannot be shown again: tell after practice only, or keep such answers."
        )
    return problems


def protocol_problems(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Return what makes no sense in a protocol, by field; takes what `single_problems` does."""
    problems = showing_problems(cleaned) | staircase_problems(cleaned)
    if cleaned.get("layout") == Layout.SINGLE:
        problems |= single_problems(cleaned)
    problems |= quality_problems(cleaned)
    if cleaned.get("comparison_family") == ComparisonFamily.ALL_PAIRS and cleaned.get("reference_condition"):
        problems["reference_condition"] = "All pairs are compared, so there is no reference; leave it empty."
    return problems


class RulesForm(AdminForm, forms.ModelForm):
    """Numbers of pairs and rules alone, for figures about them while they are being typed."""

    class Meta:
        """What the figures are made of."""

        model = Study
        fields = ("practice_count", "practice_pass", "test_count", "golden_count", *QUALITY_FIELDS)

    def clean(self) -> dict[str, Any]:
        """Refuse what makes no sense, as the form of the protocol does."""
        cleaned = super().clean() or self.cleaned_data
        for name, sentence in quality_problems(cleaned).items():
            self.add_error(name, sentence)
        return cleaned


class ProtocolForm(AdminForm, forms.ModelForm):
    """Every setting of a study's protocol."""

    GROUPS = (
        ("Study", "", ("title", "slug")),
        (
            "What raters do",
            "What is on the screen at once, and what a press means.",
            ("layout", "asks_for"),
        ),
        (
            "What raters read",
            (
                "As long as these texts are the protocol's own, their numbers follow the settings below, and raters "
                "read them in the language of the interface. What you write yourself is shown as it is."
            ),
            ("language", "question", "consent_text", "instructions_text", "debriefing_text"),
        ),
        (
            "A session",
            "How many pairs one rater sees.",
            (
                "assignment",
                "practice_count",
                "practice_pass",
                "test_count",
                "golden_count",
                "feedback",
                "raters_wanted",
            ),
        ),
        (
            "Quality",
            "Rules that leave sessions out of the table, never out of the export. They see no vote that counts.",
            QUALITY_FIELDS,
        ),
        (
            "A trial",
            "What happens on the screen, in this order.",
            (
                "lead_in_ms",
                "exposure_ms",
                "gap_ms",
                "mask_count",
                "mask_ms",
                "missed_exposure",
                "display_scale",
                "kernel",
            ),
        ),
        (
            "A staircase",
            "Exposures that follow the answers, as in HYPE-time: longer after an error, shorter after a right answer.",
            STAIRCASE,
        ),
        (
            "The analysis",
            "Fixed with the design, so that nothing can be chosen after the votes are seen.",
            ("stopping_rule", "comparison_family", "reference_condition", "equivalence_margin"),
        ),
    )

    class Meta:
        """All that raters see and all that decides what they see."""

        model = Study
        fields = (
            "title",
            "slug",
            "layout",
            "asks_for",
            "language",
            "question",
            "consent_text",
            "instructions_text",
            "debriefing_text",
            "assignment",
            "practice_count",
            "practice_pass",
            "test_count",
            "golden_count",
            "feedback",
            *QUALITY_FIELDS,
            "raters_wanted",
            "lead_in_ms",
            "exposure_ms",
            "gap_ms",
            "mask_count",
            "mask_ms",
            "missed_exposure",
            "display_scale",
            "kernel",
            *STAIRCASE,
            "stopping_rule",
            "comparison_family",
            "reference_condition",
            "equivalence_margin",
        )
        widgets = {
            "layout": forms.RadioSelect,
            "asks_for": forms.RadioSelect,
            "assignment": forms.RadioSelect,
            "kernel": forms.RadioSelect,
            "missed_exposure": forms.RadioSelect,
            "feedback": forms.RadioSelect,
            "stopping_rule": forms.RadioSelect,
            "comparison_family": forms.RadioSelect,
            "consent_text": WrittenTextarea(attrs={"rows": 6}),
            "instructions_text": WrittenTextarea(attrs={"rows": 8}),
            "debriefing_text": WrittenTextarea(attrs={"rows": 6}),
        }
        error_messages = {"slug": {"unique": "Another study has this short name; choose another one."}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tested = list(self.instance.conditions.filter(role=Role.TEST).order_by("position").values_list("slug", "label"))
        now = self.instance.reference_condition  # stays a choice even if it is no longer tested, which is said later
        gone = [(now, f"{now}, no longer tested")] if now and now not in dict(tested) else []
        first = f"the first tested: {tested[0][1]}" if tested else "the first tested"
        self.fields["reference_condition"] = forms.ChoiceField(
            label="Reference", choices=[("", first), *tested, *gone], required=False, help_text=REFERENCE_HELP
        )

    def groups(self) -> list[Group]:
        """Return the fields under their headings."""
        return [
            Group(
                heading,
                description,
                [Setting(self[name], self._shown(name)) for name in names],
                self._rule_presets() if names == QUALITY_FIELDS else [],
            )
            for heading, description, names in self.GROUPS
        ]

    def _rule_presets(self) -> list[tuple[RulePreset, str]]:
        """Return each preset of rules with the fields that it fills in, as JSON."""
        return [
            (preset, json.dumps({"golden_count": preset.golden_count} | dataclasses.asdict(preset.rules)))
            for preset in RULE_PRESETS.values()
        ]

    def _shown(self, name: str) -> str:
        field, value = self.fields[name], getattr(self.instance, name)
        words = dict(field.choices) if isinstance(field, forms.ChoiceField) else {}  # type: ignore[arg-type] # pairs
        return str(words.get(value, value))

    def clean_consent_text(self) -> str:
        """Keep lines as they are counted everywhere else, whatever the browser sends."""
        return lines_normalise(self.cleaned_data["consent_text"])

    def clean_instructions_text(self) -> str:
        """Keep lines as they are counted everywhere else, whatever the browser sends."""
        return lines_normalise(self.cleaned_data["instructions_text"])

    def clean_debriefing_text(self) -> str:
        """Keep lines as they are counted everywhere else, whatever the browser sends."""
        return lines_normalise(self.cleaned_data["debriefing_text"])

    def clean(self) -> dict[str, Any]:
        """Say the database's rules on golden pairs as sentences, and keep the numbers in the texts true."""
        cleaned = super().clean() or self.cleaned_data
        for name, sentence in protocol_problems(cleaned).items():
            self.add_error(name, sentence)
        if not self.errors:
            before = texts_of({name: getattr(self.instance, name) for name in self.Meta.fields})
            after = texts_of(cleaned)
            cleaned |= {name: after[name] for name in before if cleaned[name] == before[name]}
        return cleaned


ORIGIN = re.compile(r"https://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?", re.ASCII | re.IGNORECASE)


class RecruitmentForm(AdminForm, forms.ModelForm):
    """How raters come to a study and where each outcome leads. Each outcome is a field of its own, `exit_<outcome>`."""

    PARAMETERS = ("participant_parameter", "session_parameter", "study_parameter")
    OUTCOMES = tuple(Outcome)
    EXITS = tuple(f"exit_{outcome}" for outcome in OUTCOMES)
    GROUPS = (
        ("Way in", "", ("panel", *PARAMETERS, "group")),
        (
            "Ways out",
            (
                "For each outcome a code, or an address that starts with https://. One that is left empty ends on a "
                "page of ours. These may change at any time: they are no part of the frozen design."
            ),
            (*EXITS, "sends_failed_attention"),
        ),
        (
            "Safety",
            "What a browser must bring, and who may show the study's pages inside their own.",
            ("window_minimum_px", "checks_tokens", "frame_origins"),
        ),
        ("Respect", "", ("withdrawal", "shows_score", "shows_pairs")),
    )
    FROZEN = ("window_minimum_px", "withdrawal")
    """What raters were promised, or what decides who can be one: it stays as it was when the study opened."""

    class Meta:
        """All settings but the outcomes."""

        model = Recruitment
        fields = (
            "panel",
            "participant_parameter",
            "session_parameter",
            "study_parameter",
            "group",
            "sends_failed_attention",
            "window_minimum_px",
            "checks_tokens",
            "frame_origins",
            "withdrawal",
            "shows_score",
            "shows_pairs",
        )
        widgets = {
            "panel": forms.RadioSelect,
            "withdrawal": forms.RadioSelect,
            "frame_origins": forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        panel = self.fields["panel"]
        assert isinstance(panel, forms.ChoiceField)  # noqa: S101 -- tells mypy what the class above declares
        offered = [slug for slug in PANELS if slug != mturk.PANEL.slug or settings.MTURK or slug == self.instance.panel]
        panel.choices = [(slug, PANELS[slug].label) for slug in offered]
        for name in self.FROZEN:
            self.fields[name].disabled = self.instance.study.is_frozen
        for name, usual in zip(self.PARAMETERS, self.instance.way.names, strict=True):
            self.fields[name].validators.append(validate_parameter)
            self.fields[name].widget.attrs |= {"placeholder": usual, "spellcheck": "false", "autocapitalize": "off"}
        for outcome, name in zip(self.OUTCOMES, self.EXITS, strict=True):
            called = self.instance.way.words.get(outcome, "")
            at = f" {self.instance.way.label}: {called}." if called else ""
            self.fields[name] = forms.CharField(
                label=capfirst(outcome.value.replace("_", " ")),
                required=False,
                max_length=500,
                initial=self.instance.exits.get(outcome.value, ""),
                help_text=f"{MEANINGS[outcome]}{at}",
                validators=[validate_exit],
                widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off"}),
            )

    def clean_frame_origins(self) -> str:
        """Refuse what is no origin of the web."""
        origins = self.cleaned_data["frame_origins"].split()
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise ValidationError(
                    f"“{origin[:60]}” is no origin: give https:// and the name of the host, and nothing after it."
                )
        return "\n".join(origins)

    def groups(self) -> list[Group]:
        """Return the fields under their headings."""
        return [
            Group(heading, description, [Setting(self[name], "") for name in names])
            for heading, description, names in self.GROUPS
        ]

    def clean(self) -> dict[str, Any]:
        """Refuse one name for two ids, one code for two outcomes that differ in pay, and a promise without a code."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        own = PANELS[cleaned["panel"]].names
        names = [cleaned[name] or usual for name, usual in zip(self.PARAMETERS, own, strict=True)]
        given = [name for name in names if name]
        if len(set(given)) < len(given):
            twice = next(name for name in given if given.count(name) > 1)
            self.add_error("participant_parameter", f"“{twice}” stands for two ids; give each a name of its own.")
        completed, failed = cleaned["exit_completed"], cleaned["exit_failed_attention"]
        if cleaned["sends_failed_attention"] and not failed:
            self.add_error("exit_failed_attention", "Give the code that sessions left out end with, or untick it.")
        for name in self.EXITS[1:]:
            if completed and cleaned[name] == completed and name != "exit_failed_attention":
                self.add_error(name, f"“{completed}” says that everything was answered; give this outcome another one.")
        if not self.errors:
            exits = zip(self.OUTCOMES, self.EXITS, strict=True)
            self.instance.exits = {outcome.value: cleaned[name] for outcome, name in exits if cleaned[name]}
        return cleaned


def validate_exit(way: str) -> None:
    """Check the code or the address for an outcome."""
    try:
        exit_check(way)
    except ExitInvalid as error:
        raise ValidationError(str(error)) from error


validate_parameter = RegexValidator(
    r"^[A-Za-z0-9_.-]+\Z", "A parameter's name has letters, digits, dots, dashes and nothing else; copy it once more."
)


def lines_normalise(text: str) -> str:
    """Return a text with its lines ended as everywhere but in what browsers send."""
    return text.replace("\r\n", "\n").strip()


def parameter_field(parameter: Parameter) -> forms.Field:
    """Return the form field of a method's parameter."""
    label = capfirst(parameter.label)
    if parameter.kind == "choice":
        return forms.ChoiceField(
            label=label,
            choices=[(choice, choice) for choice in parameter.choices],
            initial=parameter.default,
            required=False,
            help_text=parameter.help,
        )
    return forms.FloatField(
        label=label,
        initial=parameter.default,
        required=False,
        help_text=f"{parameter.minimum:g} to {parameter.maximum:g}. {parameter.help}",
        widget=forms.NumberInput(attrs={"step": "any", "min": parameter.minimum, "max": parameter.maximum}),
    )


class MethodFields(NamedTuple):
    """The fields that belong to one method, shown while it is chosen."""

    method: Method
    fields: list[forms.BoundField]


class ConditionForm(AdminForm, forms.Form):
    """One condition: a method with its parameters. Each method's parameters are fields of their own."""

    method = forms.ChoiceField(choices=[(method.slug, method.label) for method in METHODS.values()])
    label = forms.CharField(
        label="Label in tables",
        max_length=60,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "made from the method"}),
    )
    role = forms.ChoiceField(label="In the study for", choices=Role.choices, initial=Role.TEST)
    bank = forms.ModelChoiceField(
        queryset=PhotoSet.objects.none(),
        required=False,
        label="Bank of training photos",
        empty_label="choose a photo set",
    )
    was = forms.SlugField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, photo_sets: QuerySet[PhotoSet], checkpoints: Mapping[str, tuple[str, ...]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        photo_sets_offer(self, photo_sets, "bank")
        for method in METHODS.values():
            for parameter in method.parameters:
                name = f"{method.slug}__{parameter.name}"
                choices = checkpoints[parameter.network] if parameter.network else parameter.choices
                now = self.initial.get(name)  # stays a choice even if it can no longer be loaded, which is said later
                choices += (str(now),) if now and parameter.choices and now not in choices else ()
                self.fields[name] = parameter_field(dataclasses.replace(parameter, choices=choices))

    @classmethod
    def initial_of(cls, condition: Condition) -> dict[str, Any]:
        """Return the values that a condition has now; a checkpoint by the name that it has today."""
        parameters = condition.parameters
        with contextlib.suppress(EvalsiteError):
            method = method_get(condition.method)
            parameters = method.parameters_check(parameters, checkpoints=Path(settings.CHECKPOINTS_DIR))
        return {
            "method": condition.method,
            "label": condition.label,
            "role": condition.role,
            "bank": condition.bank_id,
            "was": condition.slug,
            **{f"{condition.method}__{name}": value for name, value in parameters.items()},
        }

    def clean(self) -> dict[str, Any]:
        """Check the parameters of the chosen method, and that it has what it needs."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        method = METHODS[cleaned["method"]]
        values = {parameter.name: cleaned[f"{method.slug}__{parameter.name}"] for parameter in method.parameters}
        given = {name: value for name, value in values.items() if value not in (None, "")}
        try:
            cleaned["parameters"] = method.parameters_check(given, checkpoints=Path(settings.CHECKPOINTS_DIR))
        except ParameterInvalid as error:
            raise ValidationError(str(error)) from error
        if method.needs == "bank" and cleaned["bank"] is None:
            self.add_error("bank", f"{method.label} searches a bank of training photos; choose one.")
        if method.needs != "bank":
            cleaned["bank"] = None
        return cleaned

    def methods(self) -> list[MethodFields]:
        """Return each method with the fields that only it has."""
        fields = []
        for method in METHODS.values():
            names = [f"{method.slug}__{parameter.name}" for parameter in method.parameters]
            fields.append(MethodFields(method, [self[name] for name in names]))
        return fields


ConditionsFormSet = forms.formset_factory(
    ConditionForm, extra=0, can_order=True, can_delete=True, max_num=50, absolute_max=50
)


def specs_of(formset: forms.BaseFormSet) -> list[ConditionSpec]:
    """Return the conditions of a valid formset as the researcher left them, in their new order."""
    return [
        ConditionSpec(
            method=form.cleaned_data["method"],
            parameters=form.cleaned_data["parameters"],
            role=form.cleaned_data["role"],
            label=form.cleaned_data["label"],
            bank=form.cleaned_data["bank"],
            was=form.cleaned_data["was"],
        )
        for form in formset.ordered_forms
    ]


class TrainingForm(AdminForm, forms.ModelForm):
    """A new training run. A valid form has what the config asks for in `cleaned_data["facts"]`."""

    photo_set = PhotoSetField(
        label="Photos to train on",
        queryset=PhotoSet.objects.none(),
        empty_label="choose a photo set",
        help_text="About every 20th photograph is held out: with it the run is measured, and it is never trained on. "
        "A network from random weights needs thousands of photos; with fewer, start from trained weights.",
    )
    config_name = forms.ChoiceField(label="Config", widget=forms.RadioSelect)
    config = forms.CharField(
        label="Config as TOML",
        required=False,
        strip=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "autocapitalize": "off"}),
        help_text="Change what you like; it is checked before anything starts. Empty, it is the config chosen above.",
    )
    start_from = forms.ChoiceField(
        label="Start from",
        required=False,
        help_text="Weights of the same network, trained before: such as come with the platform, or of your own runs.",
    )

    class Meta:
        """Fields of the run itself."""

        model = TrainingRun
        fields = ("name", "photo_set", "config_name", "config", "start_from")

    def __init__(self, *args: Any, photo_sets: QuerySet[PhotoSet], researcher: Researcher, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.texts = {config.name: config.text for config in training.configs_list()}
        photo_set, config_name, start_from = (self.fields[name] for name in ("photo_set", "config_name", "start_from"))
        assert isinstance(photo_set, PhotoSetField)  # noqa: S101 -- tells mypy what the class above declares
        assert isinstance(config_name, forms.ChoiceField)  # noqa: S101 -- the same
        assert isinstance(start_from, forms.ChoiceField)  # noqa: S101 -- the same
        photo_set.queryset = photo_sets.annotate(photo_count=Count("photos"))
        config_name.choices = [(name, name) for name in self.texts]
        start_from.choices = [
            ("", "random weights"),
            *(
                (f"{network}:{name}", f"{METHODS[network].label}, {name}")
                for network in NETWORKS
                for name in checkpoint_choices(network, researcher=researcher)
            ),
        ]

    def clean_config(self) -> str:
        """Take the chosen config if nothing was written, or if the text is still that of another one."""
        text, name = lines_normalise(self.cleaned_data["config"]), self.cleaned_data.get("config_name", "")
        untouched = {other.strip() for other in self.texts.values()} | {""}
        return self.texts[name] if text in untouched and name in self.texts else text + "\n"

    def clean(self) -> dict[str, Any]:
        """Check the config, and that photos and starting weights fit it."""
        cleaned = super().clean() or self.cleaned_data
        if {"config", "config_name", "start_from"} <= set(cleaned):
            try:
                start = start_path(cleaned["start_from"])
                cleaned["facts"] = training.config_check(
                    cleaned["config"], name=cleaned["config_name"], start_from=start
                )
                if "photo_set" in cleaned:
                    photos_check(photo_set=cleaned["photo_set"], facts=cleaned["facts"])
            except ConfigInvalid as error:
                self.add_error("config", str(error))
            except TrainingImpossible as error:
                self.add_error("photo_set", str(error))
        return cleaned


class PercentField(forms.FloatField):
    """A share, typed in percent."""

    def prepare_value(self, value: Any) -> Any:
        """Show a share in percent; what was typed stays as it was."""
        return f"{100 * value:.4g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> Any:
        """Return the share."""
        percent = super().clean(value)
        return None if percent is None else round(percent / 100, 10)


def small_number(**limits: float) -> forms.NumberInput:
    """Return the widget of a number that takes any step."""
    return forms.NumberInput(attrs={"step": "any"} | limits)


class PlanForm(AdminForm, forms.Form):
    """A question about a study's size. A valid form has its answer in `cleaned_data["answer"]`."""

    TARGETS: Mapping[str, str] = {"half_width": "half_width", "difference": "against", "equivalence": "margin"}
    OF_STUDY = ("n_photos", "votes_per_rater", "is_within")
    """What a study decides, where there is one."""

    goal = forms.ChoiceField(
        label="What the study is to find out",
        choices=[
            ("half_width", "the fool rate, to within so many points"),
            ("difference", "that it differs from another method's"),
            ("equivalence", "that raters cannot tell: 50 %, to within so many points"),
        ],
        widget=forms.RadioSelect,
    )
    half_width = PercentField(label="Half-width of the interval, points", required=False, widget=small_number())
    against = PercentField(label="The other method's fool rate, %", required=False, widget=small_number())
    margin = PercentField(label="Margin around 50 %, points", required=False, widget=small_number())
    rate = PercentField(
        label="Fool rate that you expect, %",
        widget=small_number(),
        help_text="From a pilot or from a paper; 50 means that raters cannot tell.",
    )
    n_photos = forms.IntegerField(
        label="Photos", max_value=1_000_000, help_text="Scenes, where photos are cut from photographs."
    )
    votes_per_rater = forms.IntegerField(
        label="Votes of a rater on each method", max_value=1_000, help_text="Test pairs that count."
    )
    is_within = forms.ChoiceField(
        label="Each rater sees",
        choices=[("one", "one method"), ("all", "all methods")],
        initial="one",
    )
    rater_spread = forms.FloatField(
        label="How much raters differ, logits",
        widget=small_number(),
        help_text="0.5 alike, 0.8 usual, 1.2 very different.",
    )
    photo_spread = forms.FloatField(
        label="How much photos differ, logits",
        widget=small_number(),
        help_text="0.5 alike, 0.8 usual, 1.2 very different.",
    )
    exclusion_rate = PercentField(
        label="Sessions that rules leave out, %", widget=small_number(), help_text="They are paid, and not counted."
    )
    power = PercentField(label="Chance to show what is there, %", widget=small_number(), help_text="80 is usual.")
    comparisons = forms.IntegerField(
        label="Comparisons that are tested", max_value=1_000, help_text="The more, the harder is each."
    )

    def __init__(self, *args: Any, question: PlanQuestion, is_of_study: bool = False, **kwargs: Any) -> None:
        """Show a question, or read another one.

        Args:
            *args: As for every form.
            question: To start from.
            is_of_study: Whether a study decides on photos, votes and who sees what; these are then as in the question.
            **kwargs: As for every form.
        """
        shown = question.as_json() | {"half_width": 0.05, "against": 0.2, "margin": 0.05}
        shown |= {self.TARGETS[question.goal]: question.target, "is_within": "all" if question.is_within else "one"}
        super().__init__(*args, **{"initial": shown} | kwargs)
        self.question = question
        if is_of_study:
            for name in self.OF_STUDY:
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """Answer the question, or say which field makes no plan."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        target = self.TARGETS[cleaned["goal"]]
        if cleaned[target] is None:
            self.add_error(target, "Give the number that you want.")
            return cleaned
        names = [name for name in self.question.as_json() if name in cleaned]
        given = {name: cleaned[name] for name in names} | {"target": cleaned[target]}
        if "is_within" in given:
            given["is_within"] = cleaned["is_within"] == "all"
        try:
            cleaned["answer"] = plan_answer(dataclasses.replace(self.question, **given))
        except PlanInvalid as error:
            sentence = f"{str(error)[0].upper()}{str(error)[1:]}."
            field = target if error.field == "target" else error.field
            self.add_error(field if field in self.fields else None, sentence)
        return cleaned

    def targets(self) -> Iterator[tuple[forms.boundfield.BoundWidget, forms.BoundField]]:
        """Yield each goal's radio button with the field of its number."""
        for radio in self["goal"]:
            yield radio, self[self.TARGETS[str(radio.data["value"])]]


class CostForm(AdminForm, forms.ModelForm):
    """What raters are paid and what the panel adds."""

    class Meta:
        """Numbers that the cost follows from, with the protocol's."""

        model = StudySetup
        fields = ("pay_per_hour", "currency", "fee_percent")
        widgets = {"currency": forms.TextInput(attrs={"autocapitalize": "characters", "spellcheck": "false"})}


class ConsentForm(forms.Form):
    """A rater's consent."""

    agrees = forms.BooleanField(
        error_messages={"required": gettext_lazy("Please tick the box first: without consent nothing starts.")}
    )
    entry_token = forms.CharField(
        required=False,
        min_length=22,
        max_length=22,
        validators=[validate_slug],
        error_messages=dict.fromkeys(
            ("invalid", "min_length", "max_length"),
            gettext_lazy("This form has been changed on its way; please send it once more."),
        ),
    )


def consent_read(sent: Mapping[str, Any]) -> str | None:
    """Return the word of a consent form, "" if it has none; None if its rater does not agree, or it was changed.

    The fields are asked one by one, as those of an answer; `ConsentForm` says what is wrong.
    """
    given: dict[str, Any] = {}
    for name, field in ConsentForm.base_fields.items():
        try:
            given[name] = field.clean(field.widget.value_from_datadict(sent, {}, name))
        except ValidationError:
            return None
    return str(given["entry_token"])


class MeasureField(forms.FloatField):
    """A number that a browser measured, if it did."""

    def to_python(self, value: Any) -> Any:
        """Refuse whole numbers too large for a float as any other number that is too large."""
        try:
            return super().to_python(value)
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class ResponseForm(forms.Form):
    """The fields of an answer as the trial page sends it; `answer_read` reads one.

    The limits of the last two are far beyond any screen, since an answer must not be refused for its screen's sake.
    """

    DAY_MS = 24 * 60 * 60 * 1000

    trial = forms.SlugField(max_length=22)
    chosen_side = forms.ChoiceField(choices=Side.choices)
    rt_ms = forms.IntegerField(min_value=0, max_value=DAY_MS)
    exposure_first_ms = MeasureField(min_value=0, max_value=DAY_MS, required=False)
    exposure_second_ms = MeasureField(min_value=0, max_value=DAY_MS, required=False)
    was_hidden = forms.BooleanField(required=False)
    frames_first = forms.IntegerField(min_value=0, max_value=DAY_MS, required=False)
    frames_second = forms.IntegerField(min_value=0, max_value=DAY_MS, required=False)
    frame_interval_ms = MeasureField(min_value=0.1, max_value=DAY_MS, required=False)
    lost_focus = forms.BooleanField(required=False)
    focus_losses = forms.IntegerField(min_value=0, max_value=32_767, required=False)
    automation = forms.RegexField(r"^(webdriver|headless|scripted| )*$", max_length=40, required=False)
    device_scale = forms.IntegerField(min_value=1, max_value=1024, required=False)
    pixel_ratio = MeasureField(min_value=0.1, max_value=32, required=False)


def answer_read(body: bytes) -> dict[str, Any]:
    """Return an answer as the services take it.

    The fields are asked one by one: a form makes copies of them all first, a third of what a vote takes.

    Args:
        body: A flat JSON object.

    Raises:
        AnswerInvalid: If it is none, or a field is wrong.
    """
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict) or any(isinstance(value, dict | list) for value in sent.values()):
        raise AnswerInvalid("The answer cannot be kept: it must be a flat JSON object.")
    given: dict[str, Any] = {}
    for name, field in ResponseForm.base_fields.items():
        try:
            given[name] = field.clean(sent.get(name))
        except ValidationError as error:
            value = str(sent.get(name, "nothing"))[:40]
            raise AnswerInvalid(f"The answer cannot be kept, because {name} is {value}: {error.messages[0]}") from error
    given |= {"chosen_side": Side(given["chosen_side"]), "focus_losses": given["focus_losses"] or 0}
    return {"trial_code": given.pop("trial"), **given}


class SharingForm(AdminForm, forms.Form):
    """Which other accounts may read a study."""

    shared_with = forms.ModelMultipleChoiceField(
        queryset=Researcher.objects.none(),
        required=False,
        label="May read this study",
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, initial={"shared_with": study.shared_with.all()}, **kwargs)
        field = self.fields["shared_with"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101 -- tells mypy what the class above declares
        accounts = Researcher.objects.filter(is_active=True, is_staff=True).exclude(pk=study.owner_id)
        field.queryset = accounts.order_by("username")


class PublicLinkForm(AdminForm, forms.Form):
    """What the public link of a study gives, and that this is meant."""

    gives_bundle = forms.BooleanField(
        required=False,
        label="Give the bundle too",
        help_text="All anonymous responses, and all pictures that raters saw: only if you may pass them on.",
    )
    is_sure = forms.BooleanField(label="These results may be public")
