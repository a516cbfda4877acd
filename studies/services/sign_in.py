"""Attempts to sign in are counted, so that nobody can guess passwords by trying; forgotten within the hour."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import Min, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from studies.errors import SignInRefused
from studies.models import SignInAttempt, SignInSubject

WINDOW = timedelta(minutes=15)
"""An attempt counts for so long."""

MOST = {SignInSubject.ACCOUNT: 10, SignInSubject.ADDRESS: 50}
"""Failed attempts within the window: at one account, and from one address, behind which a whole lab may sit."""


@contextmanager
def sign_in_watched(*, username: str, address: str) -> Iterator[None]:
    """Let one attempt to sign in be made in the block, and count it unless the block ends without an error.

    An attempt is kept before it is looked at, and counts itself: of many that come at once, no more than the limit get
    as far as the password. One that is refused is not counted, so that trying again makes the wait no longer.

    Raises:
        SignInRefused: If too many have failed; the sentence says how long to wait.
    """
    now = timezone.now()
    SignInAttempt.objects.exclude(at__range=(now - WINDOW, now + WINDOW)).delete()  # later ones: the clock was put back
    made = {
        subject: SignInAttempt.objects.create(subject=subject, digest=_digest(subject, value, day=now))
        for subject, value in ((SignInSubject.ACCOUNT, username), (SignInSubject.ADDRESS, address))
    }
    for subject, value in ((SignInSubject.ACCOUNT, username), (SignInSubject.ADDRESS, address)):
        attempts = _attempts(subject, value, now=now)
        if attempts.count() > MOST[subject]:
            SignInAttempt.objects.filter(pk__in=[attempt.pk for attempt in made.values()]).delete()
            raise SignInRefused(minutes=_wait_minutes(attempts, now=now))
    yield
    _attempts(SignInSubject.ACCOUNT, username, now=now).delete()
    made[SignInSubject.ADDRESS].delete()  # its others stay: an account of one's own buys no guesses at those of others


def attempts_forget(*, username: str | None = None) -> int:
    """Let an account be tried again at once, or, without a name, everybody; return how many attempts were forgotten."""
    if username is None:
        return SignInAttempt.objects.all().delete()[0]
    return _attempts(SignInSubject.ACCOUNT, username, now=timezone.now()).delete()[0]


def _attempts(subject: SignInSubject, value: str, *, now: datetime) -> QuerySet[SignInAttempt]:
    """Return the attempts that count; after midnight those under yesterday's salt as well."""
    digests = {_digest(subject, value, day=day) for day in (now, now - WINDOW)}
    return SignInAttempt.objects.filter(subject=subject, digest__in=digests, at__gte=now - WINDOW)


def _digest(subject: SignInSubject, value: str, *, day: datetime) -> str:
    """Return 64 hex digits that need the site's key to be guessed, and that no other day has."""
    said = value.casefold().strip() if subject == SignInSubject.ACCOUNT else value
    return salted_hmac(f"studies.sign_in.{subject}.{day:%Y-%m-%d}", said, algorithm="sha256").hexdigest()


def _wait_minutes(attempts: QuerySet[SignInAttempt], *, now: datetime) -> int:
    """Return in how many minutes one more is allowed, at least 1: when the oldest that counts is past."""
    oldest = attempts.aggregate(at=Min("at"))["at"] or now
    return max(1, math.ceil((oldest + WINDOW - now) / timedelta(minutes=1)))
