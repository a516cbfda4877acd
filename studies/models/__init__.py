"""What is kept. One noun a file; rules that must always hold are constraints of the database."""

from studies.models.bundle import Bundle, BundleState
from studies.models.choices import AsksFor, Kind, Side
from studies.models.event import COMMAND_LINE, NO_ACCOUNTS, VISITOR, WORKER, About, Change, StudyEvent
from studies.models.look import ResultsLook, Saw
from studies.models.pair import Pair
from studies.models.photo import Cropping, Photo, PhotoSet
from studies.models.photo_upload import PhotoUpload
from studies.models.plan_check import PlanCheck, PlanCheckState
from studies.models.rater import ENDED, FINISHED, Origin, Rater, RatingSession, SessionState
from studies.models.recruitment import ArrivalCount, PanelEntry, Recruitment, Withdrawal
from studies.models.researcher import AccountRole, Researcher
from studies.models.sample import Sample, SampleStatus
from studies.models.sampling_claim import SamplingClaim
from studies.models.setup import StudySetup
from studies.models.sharing import PublicLink
from studies.models.sign_in import SignInAttempt, SignInSubject
from studies.models.study import (
    Assignment,
    ComparisonFamily,
    Condition,
    Feedback,
    Kernel,
    Layout,
    MissedExposure,
    Role,
    StoppingRule,
    Study,
    StudyPhoto,
    StudyState,
    Use,
)
from studies.models.training import ACTIVE, TrainingRun, TrainingSpeed, TrainingState
from studies.models.trial import Response, Trial
from studies.models.upload import SampleUpload, Upload, UploadedPicture, UploadState

__all__ = [
    "ACTIVE",
    "COMMAND_LINE",
    "ENDED",
    "FINISHED",
    "NO_ACCOUNTS",
    "VISITOR",
    "WORKER",
    "About",
    "AccountRole",
    "ArrivalCount",
    "AsksFor",
    "Assignment",
    "Bundle",
    "BundleState",
    "Change",
    "ComparisonFamily",
    "Condition",
    "Cropping",
    "Feedback",
    "Kernel",
    "Kind",
    "Layout",
    "MissedExposure",
    "Origin",
    "Pair",
    "PanelEntry",
    "Photo",
    "PhotoSet",
    "PhotoUpload",
    "PlanCheck",
    "PlanCheckState",
    "PublicLink",
    "Rater",
    "RatingSession",
    "Recruitment",
    "Researcher",
    "Response",
    "ResultsLook",
    "Role",
    "Sample",
    "SampleStatus",
    "SampleUpload",
    "SamplingClaim",
    "Saw",
    "SessionState",
    "Side",
    "SignInAttempt",
    "SignInSubject",
    "StoppingRule",
    "Study",
    "StudyEvent",
    "StudyPhoto",
    "StudySetup",
    "StudyState",
    "TrainingRun",
    "TrainingSpeed",
    "TrainingState",
    "Trial",
    "Upload",
    "UploadState",
    "UploadedPicture",
    "Use",
    "Withdrawal",
]
