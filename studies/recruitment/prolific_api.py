"""What a researcher's account can ask of Prolific: how submissions stand, approval, and the request to give back.

Source: docs.prolific.com, "Submissions": GET /submissions/{id}/, POST /submissions/{id}/transition/ and
/submissions/{id}/request-return/, with `Authorization: Token ...`.
"""

import json
from abc import ABC, abstractmethod
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from studies.errors import PanelUnreachable

FREEING = frozenset({"RETURNED", "TIMED-OUT", "REJECTED"})
"""States of submissions whose places go to others."""

AWAITING = "AWAITING REVIEW"
"""State of a submission that a researcher is to judge."""

_PATIENCE_S = 20


class Submission(NamedTuple):
    """A participant's visit, as the panel sees it.

    Attributes:
        id: The panel's id of the visit.
        status: In the panel's words.
        participant: The panel's id of the participant.
    """

    id: str
    status: str
    participant: str


class PanelClient(ABC):
    """What can be asked of a panel about its visits; each raises `PanelUnreachable`, with the panel's own words."""

    @abstractmethod
    def submission_get(self, submission: str) -> Submission:
        """Return how a visit stands."""

    @abstractmethod
    def approve(self, submission: str) -> None:
        """Say that a visit is to be paid."""

    @abstractmethod
    def request_return(self, submission: str, *, reason: str) -> None:
        """Ask a participant to give a visit back, unpaid and without a mark against them."""

    @abstractmethod
    def screen_out(self, submission: str) -> None:
        """Say that a participant was not fit for the study, for the pay that the panel has for it."""


class ProlificClient(PanelClient):
    """Prolific's API.

    Args:
        token: Of the researcher's account.
        address: Of the API.
    """

    def __init__(self, *, token: str, address: str) -> None:
        self._token, self._address = token, address.rstrip("/")

    def submission_get(self, submission: str) -> Submission:
        """Return how a visit stands."""
        told = self._ask("GET", submission)
        try:
            return Submission(str(told["id"]), str(told["status"]).upper(), str(told["participant"]))
        except KeyError as error:
            raise PanelUnreachable(f"Prolific's answer about submission {submission} lacks {error}.") from error

    def approve(self, submission: str) -> None:
        """Say that a visit is to be paid."""
        self._ask("POST", submission, "transition", {"action": "APPROVE"})

    def request_return(self, submission: str, *, reason: str) -> None:
        """Ask a participant to give a visit back."""
        self._ask("POST", submission, "request-return", {"request_return_reasons": [reason]})

    def screen_out(self, submission: str) -> None:
        """Say that a participant was not fit for the study."""
        self._ask("POST", submission, "transition", {"action": "SCREEN_OUT"})

    def _ask(self, method: str, submission: str, what: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
        address = f"{self._address}/submissions/{quote(submission, safe='')}/{what and what + '/'}"
        request = Request(  # noqa: S310 -- the operator's setting
            address,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {self._token}", "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310 -- as above
                return dict(json.load(answer))
        except HTTPError as error:
            words = error.read(300).decode(errors="replace")
            raise PanelUnreachable(f"Prolific refused ({error.code}) for submission {submission}: {words}") from error
        except (OSError, HTTPException, ValueError, TypeError) as error:
            raise PanelUnreachable(f"Prolific does not answer for submission {submission}: {error}.") from error
