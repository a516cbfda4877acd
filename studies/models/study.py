"""Studies: what is asked, of which photos, about which conditions."""

from dataclasses import fields

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from studies.models.choices import AsksFor, token_make
from studies.models.photo import Photo, PhotoSet
from studies.protocols import TIMING, session_minutes
from studies.statistics.quality import (
    PRACTICE_LAST,
    OperatingFigures,
    QualityRules,
    operating_figures,
    practice_figures,
)
from studies.statistics.staircase import Staircase

EXPOSURE_LEAST_MS = 50

AUTOMATIC = "auto"
"""Of a study whose language each rater's browser decides."""


class StudyState(models.TextChoices):
    """Where a study stands. Draft, preparing and ready can still be changed; open, paused and closed are frozen."""

    DRAFT = "draft", "draft"
    PREPARING = "preparing", "preparing"
    READY = "ready", "ready"
    OPEN = "open", "open"
    PAUSED = "paused", "paused"
    CLOSED = "closed", "closed"


class Assignment(models.TextChoices):
    """Which conditions one rater sees."""

    ONE_CONDITION = "one_condition", "one method a session (the published protocol)"
    MIXED = "mixed", "all methods in each session (more precise comparisons)"


class Kernel(models.TextChoices):
    """How pictures are enlarged on the rater's screen, by the page itself and the same everywhere."""

    NEAREST = "nearest", "nearest (square pixels)"
    BICUBIC = "bicubic", "bicubic (smooth)"


class Layout(models.TextChoices):
    """How the pictures of a trial stand to each other in time and place."""

    SEQUENTIAL = "sequential", "one after the other, in one place"
    SIMULTANEOUS = "simultaneous", "side by side, at once"
    INPUT_BETWEEN = "input_between", "side by side, with the low-resolution input between them"
    SINGLE = "single", "one picture alone: real or fake?"


def exposure_check(exposure_ms: int) -> None:
    """Refuse exposures too short to be shown.

    Raises:
        ValidationError: If it is neither 0 nor at least 50 ms.
    """
    if 0 < exposure_ms < EXPOSURE_LEAST_MS:
        raise ValidationError(
            f"{exposure_ms} ms is too short for a browser: give at least {EXPOSURE_LEAST_MS}, or 0 for no limit."
        )


class MissedExposure(models.TextChoices):
    """What becomes of an answer whose pictures showed for more than two frames too long or too short."""

    KEEP = "keep", "keep it, marked"
    REPEAT = "repeat", "leave it out of the table, and show the pair once more at the end"
    LEAVE_OUT = "leave_out", "leave it out of the table"


class Feedback(models.TextChoices):
    """After which answers a rater is told whether they were right."""

    PRACTICE = "practice", "after practice"
    EVERY = "every", "after every answer"


class ComparisonFamily(models.TextChoices):
    """Which differences between methods are tested; the family pays for its number."""

    REFERENCE = "reference", "each method against the reference"
    ALL_PAIRS = "all_pairs", "all pairs of methods"


class StoppingRule(models.TextChoices):
    """When the study ends. It decides which interval a report may print."""

    PLANNED = "planned", "at the wanted number of sessions, and nobody sees results before"
    SEQUENCE = "sequence", "at the wanted number of sessions; on the way only the interval made for looking is seen"
    RESULTS = "results", "when the results please"


class Study(models.Model):
    """A question put to raters about a frozen set of pairs.

    Attributes:
        kept_as: Number of this very object among those that requests share (`study_kept`), which nobody changes.
    """

    kept_as: int

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="studies")
    title = models.CharField(max_length=120, help_text="Raters see it on the first page; name no method in it.")
    slug = models.SlugField(unique=True, help_text="Short name for commands and file names.")
    code = models.CharField(max_length=22, unique=True, default=token_make, editable=False)
    state = models.CharField(max_length=10, choices=StudyState, default=StudyState.DRAFT, editable=False)
    photo_set = models.ForeignKey(
        PhotoSet, models.PROTECT, related_name="studies", help_text="The photos to be judged."
    )
    seed = models.PositiveIntegerField(default=0, help_text="Of the samples and of the choice of practice photos.")
    photos_fixed = models.BooleanField(
        default=False, editable=False, help_text="The photos are those of an imported design, not all of the set."
    )
    imported_sha256 = models.CharField(
        "SHA-256 of the imported design", max_length=64, blank=True, editable=False, help_text="Empty: made here."
    )

    preset = models.CharField("protocol preset", max_length=40, default="founding", editable=False)
    layout = models.CharField(max_length=13, choices=Layout, default=Layout.SEQUENTIAL)
    asks_for = models.CharField(
        "the question asks for",
        max_length=6,
        choices=AsksFor,
        default=AsksFor.PHOTO,
        help_text="It decides what a press means; the wording must say the same.",
    )
    language = models.CharField(
        "language of the interface",
        max_length=7,
        choices=[(AUTOMATIC, "the one that the rater's browser asks for, if there is one"), *settings.LANGUAGES],
        default=AUTOMATIC,
        help_text="What each rater was shown is kept with their session.",
    )
    question = models.CharField(max_length=200, default="Which image, would you guess, is from a camera?")
    consent_text = models.TextField(help_text="What raters agree to before they start, in Markdown.")
    instructions_text = models.TextField("instructions", help_text="Shown before practice, in Markdown.")
    debriefing_text = models.TextField(
        "debriefing",
        blank=True,
        help_text="What raters are told at the end, such as what the study is for; in Markdown, or empty. "
        "Texts have paragraphs, headings, lists, emphasis and links; pictures and HTML are not shown.",
    )
    assignment = models.CharField(max_length=16, choices=Assignment, default=Assignment.ONE_CONDITION)
    practice_count = models.PositiveSmallIntegerField(
        "practice pairs", default=10, validators=[MaxValueValidator(200)], help_text="With feedback, not counted."
    )
    practice_pass = models.PositiveSmallIntegerField(
        "right in practice to go on",
        default=0,
        validators=[MaxValueValidator(200)],
        help_text="Whoever has fewer practice pairs right gets practice once more, and is then sent back; 0 for no "
        "such test. The second try shows other photos if the set has enough to spare.",
    )
    test_count = models.PositiveSmallIntegerField(
        "test pairs",
        default=40,
        validators=[MinValueValidator(1), MaxValueValidator(500)],
        help_text="Counted.",
    )
    feedback = models.CharField(
        max_length=8,
        choices=Feedback,
        default=Feedback.PRACTICE,
        help_text="After practice the pictures are shown again; after answers that count, a word for a second.",
    )
    golden_count = models.PositiveSmallIntegerField(
        "golden pairs", default=5, validators=[MaxValueValidator(100)], help_text="Obvious pairs that show attention."
    )
    golden_misses_allowed = models.PositiveSmallIntegerField(
        default=0,
        help_text="A session that misses more golden pairs than this is left out of the table; all of them: nobody is.",
    )
    fast_ms = models.PositiveSmallIntegerField(
        "fast answer, ms",
        default=0,
        validators=[MaxValueValidator(5_000)],
        help_text="Answers below this are fast; 0 turns the rule off.",
    )
    fast_share = models.FloatField(
        "share of fast answers",
        default=0.2,
        validators=[MinValueValidator(0.01), MaxValueValidator(1)],
        help_text="A session with this share of fast answers or more is left out: 0.2 for a fifth.",
    )
    median_ms_least = models.PositiveSmallIntegerField(
        "least median, ms",
        default=0,
        validators=[MaxValueValidator(5_000)],
        help_text="A session with a lower median time is left out; 0 turns the rule off. A pilot tells what is low.",
    )
    side_bias_p = models.FloatField(
        "side bias, p below",
        default=0.0,
        validators=[MinValueValidator(0), MaxValueValidator(0.05)],
        help_text="A session is left out if an exact binomial test of its sides has a smaller p-value, such as 0.001; "
        "0 turns the rule off.",
    )
    run_limit = models.PositiveSmallIntegerField(
        "same side in a row",
        default=0,
        validators=[MaxValueValidator(500)],
        help_text="So many answers on one side in a row leave a session out; 0 turns the rule off.",
    )
    left_page_limit = models.PositiveSmallIntegerField(
        "left the page, times",
        default=0,
        validators=[MaxValueValidator(1_000)],
        help_text="A rater who leaves the page so often during pairs after practice is left out; 0 turns the rule off. "
        "A message that pops up may count as one.",
    )
    not_in_front_limit = models.PositiveSmallIntegerField(
        "page not in front, pairs",
        default=0,
        validators=[MaxValueValidator(500)],
        help_text="So many pairs with the page hidden or without focus while images were up leave a session out; 0 "
        "turns the rule off.",
    )
    automated_limit = models.PositiveSmallIntegerField(
        "signs of a program, answers",
        default=0,
        validators=[MaxValueValidator(500)],
        help_text="So many answers with signs that a program drove the browser leave a session out; 0 turns the rule "
        "off. Tools that help people to see or to type may look alike.",
    )
    missed_limit = models.PositiveSmallIntegerField(
        "missed exposures, pairs",
        default=0,
        validators=[MaxValueValidator(500)],
        help_text="So many pairs that missed their exposure leave a session out; 0 turns the rule off.",
    )
    practice_least = models.PositiveSmallIntegerField(
        "right in practice",
        default=0,
        validators=[MaxValueValidator(PRACTICE_LAST)],
        help_text="A session with fewer of its last ten practice pairs right is marked, not left out; 0 for no mark.",
    )
    lead_in_ms = models.PositiveIntegerField(
        "fixation mark, ms", default=900, validators=[MinValueValidator(100), MaxValueValidator(10_000)]
    )
    exposure_ms = models.PositiveIntegerField(
        "exposure, ms",
        default=1000,
        validators=[exposure_check, MaxValueValidator(60_000)],
        help_text="For how long each image shows. Side by side, or alone, 0 means until the answer. With a staircase, "
        "the exposure at which each block begins.",
    )
    staircase_blocks = models.PositiveSmallIntegerField(
        "blocks",
        default=0,
        validators=[MaxValueValidator(20)],
        help_text="Parts of the session that each begin anew at the exposure above; 0 for no staircase.",
    )
    staircase_least_ms = models.PositiveIntegerField(
        "least exposure, ms",
        default=100,
        validators=[MinValueValidator(EXPOSURE_LEAST_MS), MaxValueValidator(60_000)],
    )
    staircase_most_ms = models.PositiveIntegerField(
        "longest exposure, ms",
        default=1000,
        validators=[MinValueValidator(EXPOSURE_LEAST_MS), MaxValueValidator(60_000)],
    )
    staircase_up_ms = models.PositiveSmallIntegerField(
        "step up, ms",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(1_000)],
        help_text="An error makes the next exposure longer by so much.",
    )
    staircase_down_ms = models.PositiveSmallIntegerField(
        "step down, ms",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(1_000)],
        help_text="A right answer makes it shorter by so much. Three times as far up as down holds raters at 75 %.",
    )
    staircase_rights = models.PositiveSmallIntegerField(
        "right answers in a row for a step down",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(10)],
    )
    gap_ms = models.PositiveIntegerField(
        "gap, ms",
        default=600,
        validators=[MaxValueValidator(10_000)],
        help_text="Blank between images that follow each other.",
    )
    mask_count = models.PositiveSmallIntegerField(
        "masks",
        default=0,
        validators=[MaxValueValidator(8)],
        help_text="Patterns of noise right after each image, against the after-image; 0 for none.",
    )
    mask_ms = models.PositiveIntegerField(
        "mask, ms", default=30, validators=[MinValueValidator(10), MaxValueValidator(1000)], help_text="For each mask."
    )
    missed_exposure = models.CharField(
        "answers that missed their exposure",
        max_length=9,
        choices=MissedExposure,
        default=MissedExposure.KEEP,
        help_text="An image that stood for over two frames too long or too short, as on a busy computer. "
        "Such answers are always in the export.",
    )
    display_scale = models.PositiveSmallIntegerField(
        default=8,
        validators=[MinValueValidator(1), MaxValueValidator(32)],
        help_text="Screen pixels for each image pixel at a device pixel ratio of 1; fewer where a screen lacks room.",
    )
    kernel = models.CharField("enlargement", max_length=8, choices=Kernel, default=Kernel.NEAREST)
    raters_wanted = models.PositiveIntegerField(
        default=40,
        validators=[MinValueValidator(1)],
        help_text="Completed sessions to collect: for each method, or in all when sessions are mixed.",
    )
    stopping_rule = models.CharField(
        "the study ends",
        max_length=10,
        choices=StoppingRule,
        default=StoppingRule.PLANNED,
        help_text="Who may end a study on its results must print the wider interval that holds at every look.",
    )
    comparison_family = models.CharField("comparisons", max_length=9, choices=ComparisonFamily, default="reference")
    reference_condition = models.SlugField(
        "reference",
        blank=True,
        help_text="The tested condition that the others are compared with; empty, it is the first one.",
    )
    equivalence_margin = models.FloatField(
        "margin of equivalence",
        default=0.05,
        validators=[MinValueValidator(0.005), MaxValueValidator(0.25)],
        help_text="How far from 50 % a fool rate may lie and still count as “cannot tell”: 0.05 means 45 to 55 %.",
    )

    shared_with = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="shared_studies", blank=True, help_text="Who else may read the study."
    )
    design = models.TextField(blank=True, editable=False)
    design_sha256 = models.CharField("design SHA-256", max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        """Rules and order."""

        ordering = ("-created_at", "-pk")
        verbose_name_plural = "studies"
        constraints = (
            models.CheckConstraint(condition=Q(state__in=StudyState.values), name="study_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "preparing", "ready"], design_sha256="", opened_at=None)
                | (Q(state__in=["open", "paused", "closed"], opened_at__isnull=False) & ~Q(design_sha256="")),
                name="study_frozen_once_opened",
            ),
            models.CheckConstraint(
                condition=(Q(state="closed") & Q(closed_at__isnull=False)) | (~Q(state="closed") & Q(closed_at=None)),
                name="study_closed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(practice_pass__lte=F("practice_count")), name="study_practice_can_be_passed"
            ),
            models.CheckConstraint(condition=Q(golden_count__lte=F("test_count")), name="study_golden_at_most_test"),
            models.CheckConstraint(
                condition=Q(golden_misses_allowed__lte=F("golden_count")), name="study_golden_misses_at_most_all"
            ),
            models.CheckConstraint(condition=Q(fast_share__gt=0, fast_share__lte=1), name="study_fast_share_is_share"),
            models.CheckConstraint(
                condition=Q(side_bias_p__gte=0, side_bias_p__lt=1), name="study_side_bias_is_probability"
            ),
            models.CheckConstraint(condition=~Q(run_limit=1), name="study_run_is_longer_than_one"),
            models.CheckConstraint(condition=Q(layout__in=Layout.values), name="study_layout_known"),
            models.CheckConstraint(condition=Q(asks_for__in=AsksFor.values), name="study_asks_for_known"),
            models.CheckConstraint(
                condition=Q(exposure_ms__gt=0) | (~Q(layout="sequential") & Q(mask_count=0)),
                name="study_exposure_unlimited_side_by_side_without_masks",
            ),
            models.CheckConstraint(
                condition=~Q(layout="single") | Q(asks_for="photo", golden_count=0, side_bias_p=0, run_limit=0),
                name="study_single_without_golden_and_side_rules",
            ),
            models.CheckConstraint(
                condition=Q(missed_exposure__in=MissedExposure.values), name="study_missed_exposure_known"
            ),
            models.CheckConstraint(condition=Q(feedback__in=Feedback.values), name="study_feedback_known"),
            models.CheckConstraint(
                condition=~Q(feedback="every", missed_exposure="repeat"), name="study_told_pair_is_not_repeated"
            ),
            models.CheckConstraint(
                condition=Q(staircase_blocks=0)
                | (Q(layout="single", assignment="one_condition") & ~Q(missed_exposure="repeat")),
                name="study_staircase_of_single_pictures",
            ),
            models.CheckConstraint(
                condition=Q(staircase_blocks=0)
                | Q(exposure_ms__gte=F("staircase_least_ms"), exposure_ms__lte=F("staircase_most_ms")),
                name="study_staircase_starts_within_limits",
            ),
            models.CheckConstraint(
                condition=Q(staircase_up_ms__gt=0, staircase_down_ms__gt=0, staircase_rights__gt=0),
                name="study_staircase_moves",
            ),
            models.CheckConstraint(
                condition=Q(staircase_rights__gt=1) | Q(staircase_up_ms__gt=F("staircase_down_ms")),
                name="study_staircase_holds_raters",
            ),
            models.CheckConstraint(condition=Q(test_count__gt=0), name="study_test_positive"),
            models.CheckConstraint(condition=Q(display_scale__gt=0), name="study_scale_positive"),
            models.CheckConstraint(condition=Q(stopping_rule__in=StoppingRule.values), name="study_stopping_known"),
            models.CheckConstraint(
                condition=Q(comparison_family="reference") | Q(comparison_family="all_pairs", reference_condition=""),
                name="study_reference_only_in_its_family",
            ),
            models.CheckConstraint(
                condition=Q(equivalence_margin__gt=0, equivalence_margin__lt=0.5), name="study_margin_in_range"
            ),
        )

    def __str__(self) -> str:
        """Return the title."""
        return self.title

    @property
    def is_frozen(self) -> bool:
        """Return whether the design can no longer change."""
        return self.state in (StudyState.OPEN, StudyState.PAUSED, StudyState.CLOSED)

    @property
    def is_single(self) -> bool:
        """Return whether a trial shows one picture of its pair alone, to be judged real or fake."""
        return self.layout == Layout.SINGLE

    @property
    def staircase(self) -> Staircase | None:
        """Return the rule that sets exposures, if answers do."""
        if not self.staircase_blocks:
            return None
        return Staircase(
            start_ms=self.exposure_ms,
            least_ms=self.staircase_least_ms,
            most_ms=self.staircase_most_ms,
            up_ms=self.staircase_up_ms,
            down_ms=self.staircase_down_ms,
            rights=self.staircase_rights,
        )

    @property
    def block_count(self) -> int:
        """Return the number of pictures in a block of the staircase; 0 without one."""
        return self.test_count // self.staircase_blocks if self.staircase_blocks else 0

    @property
    def minutes(self) -> int:
        """Return how long a session takes, in whole minutes."""
        return session_minutes({name: getattr(self, name) for name in TIMING})

    @property
    def quality_rules(self) -> QualityRules:
        """Return the rules that leave sessions out."""
        return QualityRules(**{rule.name: getattr(self, rule.name) for rule in fields(QualityRules)})

    @property
    def quality_figures(self) -> tuple[OperatingFigures, ...]:
        """Return how often each rule errs in sessions of this study."""
        return operating_figures(
            self.quality_rules, n_golden=self.golden_count, n_main=self.main_count, n_practice=self.practice_count
        )

    @property
    def practice_figures(self) -> OperatingFigures | None:
        """Return who passes practice and who does not, if the study asks for it."""
        return practice_figures(self.practice_pass, self.practice_count, kinds=2 if self.is_single else 1)

    @property
    def practice_pass_alone(self) -> int:
        """Return how many of the real, and of the fake, practice pictures must be right where each is shown alone."""
        return self.practice_pass // 2

    @property
    def main_count(self) -> int:
        """Return the number of pairs after practice, golden ones among them."""
        return self.test_count + self.golden_count


class Role(models.TextChoices):
    """What a condition is in the study for."""

    TEST = "test", "tested: raters compare it with photos"
    GOLDEN = "golden", "golden pairs only"
    FIDELITY = "fidelity", "pixel metrics only, never shown to raters"


class Condition(models.Model):
    """A method with its parameters, as entered into one study: a row of the table."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="conditions")
    position = models.PositiveSmallIntegerField(help_text="Its place in tables and figures.")
    slug = models.SlugField(help_text="Its name in exports.")
    label = models.CharField(max_length=60)
    method = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict, blank=True)
    role = models.CharField(max_length=8, choices=Role, default=Role.TEST)
    bank = models.ForeignKey(
        PhotoSet,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="bank_of",
        help_text="The training photos among which the nearest-neighbour method searches.",
    )

    class Meta:
        """Rules and order."""

        ordering = ("study", "position")
        constraints = (
            models.UniqueConstraint(fields=["study", "slug"], name="condition_slug_unique"),
            models.UniqueConstraint(fields=["study", "position"], name="condition_position_unique"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="condition_role_known"),
            models.CheckConstraint(condition=~Q(slug=""), name="condition_slug_not_empty"),
        )

    def __str__(self) -> str:
        """Return the label."""
        return self.label


class Use(models.TextChoices):
    """What a study's photo is for."""

    PRACTICE = "practice", "practice pairs"
    MAIN = "main", "test and golden pairs"


class StudyPhoto(models.Model):
    """A photo in a study: kept for practice, or judged."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="study_photos")
    photo = models.ForeignKey(Photo, models.PROTECT, related_name="study_photos")
    use = models.CharField(max_length=8, choices=Use)

    class Meta:
        """Rules and order."""

        ordering = ("study", "photo")
        constraints = (models.UniqueConstraint(fields=["study", "photo"], name="studyphoto_unique"),)

    def __str__(self) -> str:
        """Return the photo's name."""
        return self.photo.name
