"""The domain's exceptions: one class per kind, each with one sentence that names the value and the cure."""

from collections.abc import Callable


def gettext_noop(sentence: str) -> str:
    """Return a sentence as it is: the name is the mark by which `makemessages` finds it in pure modules."""
    return sentence


class EvalsiteError(Exception):
    """Something that a person can put right; the message says what it is and how.

    Args:
        *args: The sentence.
        **values: For the names in braces in it, so that it can be said in another language first.
    """

    def __init__(self, *args: object, **values: object) -> None:
        super().__init__(*args)
        self.values = values

    def __str__(self) -> str:
        sentence = super().__str__()
        return sentence.format(**self.values) if self.values else sentence

    def said(self, translate: Callable[[str], str]) -> str:
        """Return the sentence in another language; as it is where that language lacks it."""
        sentence = translate(str(self.args[0])) if self.args else ""
        return sentence.format(**self.values) if self.values else sentence


class AnswerInvalid(EvalsiteError):
    """What was sent as an answer to a trial is not one; the message names the field and its value."""


class ArrivalInvalid(EvalsiteError):
    """A link from a panel lacks an id, or carries one that cannot be."""


class BackupRefused(EvalsiteError):
    """A backup cannot be written, or is not one that this site can be made from; the message says why."""


class RaterUnknown(EvalsiteError):
    """A word names no rater, or more than one."""


class UploadRejected(EvalsiteError):
    """An uploaded file cannot be used: base of the two kinds, of which one is the photo and one the archive.

    Args:
        name: The file's name as its owner knows it; it may be hostile, so it is made short and printable when shown.
        reason: The rest of the sentence after the name: what is wrong, a colon, and the cure; without the full stop.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.name)
        if len(shown) > 120:
            shown = f"{shown[:60]}\N{HORIZONTAL ELLIPSIS}{shown[-60:]}"
        return f'"{shown}" {self.reason}.'


class ArchiveRejected(UploadRejected):
    """A zip cannot be read at all: none of its photos were taken."""


class CheckpointInUse(EvalsiteError):
    """A checkpoint cannot go: a study or a training run still needs it."""


class ComparisonImpossible(EvalsiteError):
    """Conditions cannot be compared as it was asked for; the message says why."""


class ConfigInvalid(EvalsiteError):
    """A training config cannot be used; the message names the key and the cure."""


class DesignInvalid(EvalsiteError):
    """A file of a design cannot be made into a study here; the message names the place, the value and the cure."""


class EvaluationImpossible(EvalsiteError):
    """Photos, conditions and checkpoints that were given do not go together; the message says why and what would."""


class ExitInvalid(EvalsiteError):
    """What is to be sent to a panel for an outcome is neither a code nor an address."""


class LogIsAppendOnly(EvalsiteError):
    """Somebody tried to change or delete what stands in a study's log."""

    def __init__(self) -> None:
        super().__init__("The log of a study is only added to: record another event instead.")


class OriginsMixed(EvalsiteError):
    """Answers of people and of simulated raters were about to meet in one table."""


class PanelUnreachable(EvalsiteError):
    """A panel could not be asked; the message says what to do once it can."""


class ParticipantElsewhere(EvalsiteError):
    """A participant of a panel has taken part in another study of the same group."""


class PhotoRejected(UploadRejected):
    """One photo cannot be used: the others of the same upload are kept."""


class PictureSizeWrong(PhotoRejected):
    """A picture made elsewhere has another size than the photos it is set against."""


class PictureMissing(EvalsiteError):
    """The file of a picture that is to be shown is gone or broken."""


class PictureTooSmall(EvalsiteError):
    """A picture has fewer pixels than the window of a fidelity metric needs."""


class QueueUnreachable(EvalsiteError):
    """Work for the worker could not be handed over; the message says what happens once it can."""


class ResponsesFileInvalid(EvalsiteError):
    """A file of responses cannot be read as its schema says; the message gives the line."""


class ExtraMissing(EvalsiteError):
    """Something was asked for that needs a package of `requirements-extras.txt`."""


class UploadStateWrong(EvalsiteError):
    """What was asked for is not possible with the upload as it is: it is still being checked, or gave no picture."""


class MethodUnavailable(EvalsiteError):
    """A method cannot be loaded: its checkpoint or its bank is missing or of another shape."""


class ParameterInvalid(EvalsiteError):
    """A parameter of a method is unknown, of another kind or out of range."""


class PlanImpossible(EvalsiteError):
    """A session cannot be planned: there are too few photos."""


class SharingImpossible(EvalsiteError):
    """Results cannot be shown to those whom they were to be shown to; the message says from when on."""


class SessionEnded(EvalsiteError):
    """The session ended before its last pair: its rater withdrew, or was sent back."""


class SessionUnknown(EvalsiteError):
    """No session has this code."""


class SignInRefused(EvalsiteError):
    """Too many attempts to sign in have failed.

    Args:
        minutes: After how many minutes one more is looked at.
    """

    def __init__(self, *, minutes: int) -> None:
        super().__init__(
            f"Too many attempts to sign in have failed: wait for {minutes} minute{'' if minutes == 1 else 's'}, or ask "
            "whoever runs this site to let you in sooner (manage.py sign_in_unlock)."
        )


class StudyFull(EvalsiteError):
    """Every place of the study is taken."""


class StudyIncomplete(EvalsiteError):
    """A study cannot go on to its next state; the message says what is missing."""


class StudyNotOpen(EvalsiteError):
    """The study takes no new raters, or no answers at all."""


class StudyStateWrong(EvalsiteError):
    """What was asked for is not possible in the study's state."""


class StudyUnknown(EvalsiteError):
    """No study has this code."""


class TokenInvalid(EvalsiteError):
    """A signed token was changed, is too old or belongs to another study."""


class TrainingImpossible(EvalsiteError):
    """A training run cannot begin or go on with its config and photos; the message says why."""


class TrainingStateWrong(EvalsiteError):
    """What was asked for is not possible in the state of the training run."""


class TrialNotCurrent(EvalsiteError):
    """An answer came for a trial that is not the next one.

    Args:
        position: Place of the trial in its session, from 0.
        expected: Place of the trial that is next.
    """

    SENTENCE = gettext_noop("Pair {given} cannot be answered now: pair {expected} is next; reload the page.")

    def __init__(self, *, position: int, expected: int) -> None:
        super().__init__(self.SENTENCE, given=position + 1, expected=expected + 1)
        self.position = position
        self.expected = expected


class TrialUnknown(EvalsiteError):
    """A session has no such trial, or it may not be seen now."""
