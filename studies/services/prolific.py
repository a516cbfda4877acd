"""What Prolific signs is checked against its keys, fetched once a day; and its view of each visit is brought here."""

import json
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

from django.conf import settings
from django.core.cache import cache

from studies.errors import PanelUnreachable, TokenInvalid
from studies.models import FINISHED, PanelEntry, Recruitment, SessionState, Study
from studies.recruitment import Arrival
from studies.recruitment.prolific_api import AWAITING, FREEING, PanelClient
from studies.recruitment.prolific_token import KeyUnknown, arrival_verify
from studies.services.sessions import session_return

KEYS_AGE_S = 24 * 60 * 60
FRESH_S = 60
"""For so long keys are not asked for again, however many tokens name unknown ones."""

_PATIENCE_S = 5
_KEYS, _FRESH = "prolific-keys", "prolific-keys-fresh"


def token_check(*, token: str, recruitment: Recruitment, address: str, arrival: Arrival) -> None:
    """Check that Prolific says who came to a study.

    Raises:
        TokenInvalid: If it does not; the sentence says why.
        PanelUnreachable: If its keys cannot be had.
    """
    for keys in (keys_get(), None):
        try:
            arrival_verify(
                token, keys=keys or keys_get(again=True), address=address, names=recruitment.names, arrival=arrival
            )
        except KeyUnknown:
            continue
        return
    raise TokenInvalid("Prolific has not signed it; open the study from its page at Prolific once more.")


@dataclass
class Synced:
    """What a look at a study's submissions has found and done."""

    states: Counter[str] = field(default_factory=Counter)
    freed: int = 0
    approved: int = 0
    asked_to_return: int = 0
    failures: list[str] = field(default_factory=list)


def submissions_sync(*, study: Study, client: PanelClient, approve: bool = False, return_reason: str = "") -> Synced:
    """Ask the panel how each participant's visit stands; free the places of those who gave theirs back.

    Args:
        study: The study.
        client: Who asks.
        approve: Approve visits that await review and whose session was finished, whether a rule leaves it out or not.
        return_reason: If any: ask those back who handed in without finishing, for this reason.
    """
    synced = Synced()
    entries = PanelEntry.objects.filter(study=study).exclude(panel_session="").select_related("session__study")
    for entry in entries:
        try:
            status = client.submission_get(entry.panel_session).status
            synced.states[status] += 1
            if status in FREEING and entry.session.state == SessionState.ACTIVE:
                session_return(session=entry.session)
                synced.freed += 1
            elif status == AWAITING and entry.session.state in FINISHED and approve:
                client.approve(entry.panel_session)
                synced.approved += 1
            elif status == AWAITING and entry.session.state not in FINISHED and return_reason:
                client.request_return(entry.panel_session, reason=return_reason)
                synced.asked_to_return += 1
        except PanelUnreachable as error:
            synced.failures.append(str(error))
    return synced


def keys_get(*, again: bool = False) -> dict[str, Any]:
    """Return Prolific's public keys, at most a day old.

    Args:
        again: Ask for newer ones, unless that was done a moment ago.

    Raises:
        PanelUnreachable: If they cannot be had.
    """
    keys: dict[str, Any] | None = cache.get(_KEYS)
    if keys is not None and not (again and cache.add(_FRESH, 1, FRESH_S)):
        return keys
    try:
        with urlopen(settings.PROLIFIC_JWKS_URL, timeout=_PATIENCE_S) as answer:  # noqa: S310 -- the operator's setting
            keys = dict(json.load(answer))
    except (OSError, HTTPException, ValueError, TypeError) as error:
        raise PanelUnreachable(
            "Prolific, which signs the links to this study, does not answer. Load this page again in a minute."
        ) from error
    cache.set(_KEYS, keys, KEYS_AGE_S)
    cache.add(_FRESH, 1, FRESH_S)
    return keys
