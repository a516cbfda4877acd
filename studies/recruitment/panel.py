"""What a panel is to a study: names of parameters in, and one code or address for each outcome out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from studies.errors import ArrivalInvalid, ExitInvalid, gettext_noop
from studies.recruitment.outcomes import Outcome

ID_LENGTH = 128
"""Characters of a panel's id at most; those known have 24 to 64."""

_CODE = re.compile(r"[A-Za-z0-9._-]{1,60}")
_ID = re.compile(r"[\w.~:@+=-]+", re.ASCII)
_FIELDS = ("participant", "session", "study")


class Arrival(NamedTuple):
    """Who came, as the panel says in the address.

    Attributes:
        participant: The panel's id of the person.
        session: The panel's id of this visit (submission, assignment); "" if it gives none.
        study: The panel's id of the study; "" if it gives none.
        submit_to: Where the panel wants the end to be handed in, checked against its own hosts; "" for all but MTurk.
    """

    participant: str
    session: str = ""
    study: str = ""
    submit_to: str = ""


class Names(NamedTuple):
    """The parameters in the address that carry a panel's ids; "" for an id that does not come."""

    participant: str
    session: str = ""
    study: str = ""


NO_NAMES = Names("")
"""Of a way in that brings no ids."""


class Exit(NamedTuple):
    """What a rater takes along at the end.

    Attributes:
        code: To be typed in at the panel; "" if there is none.
        url: Where the panel waits for the rater; "" if nowhere.
    """

    code: str = ""
    url: str = ""


@dataclass(frozen=True)
class Panel:
    """A way into studies.

    Attributes:
        slug: Its key.
        label: Its name for people.
        names: The parameters that carry its ids; empty for the open link.
        placeholders: Parameter -> what stands for its value in the address given to the panel.
        completion_url: Where a code leads, with `{code}` in it; "" if a code is only shown.
        steps: What to paste where, a sentence each.
        words: Outcome -> what the panel calls it, where it has a word for it.
        has_tokens: Whether it can sign its arrivals.
        frames: Origins whose pages show the study in a frame.
    """

    slug: str
    label: str
    names: Names = NO_NAMES
    placeholders: Mapping[str, str] = field(default_factory=dict)
    completion_url: str = ""
    steps: tuple[str, ...] = ()
    words: Mapping[Outcome, str] = field(default_factory=dict)
    has_tokens: bool = False
    frames: tuple[str, ...] = ()

    @property
    def has_ids(self) -> bool:
        """Return whether raters come with an id."""
        return self.slug != "open"

    @property
    def is_named(self) -> bool:
        """Return whether raters know it by its label."""
        return self.slug not in {"open", "generic"}

    def entrance_url(self, address: str, names: Names) -> str:
        """Return the address that the panel is given for a study.

        Args:
            address: Of the study's first page.
            names: The parameters that the study reads.
        """
        places = {name: self.placeholders.get(name, f"{{{place}}}") for place, name in zip(_FIELDS, names, strict=True)}
        query = "&".join(f"{quote(name)}={value}" for name, value in places.items() if name)
        return f"{address}?{query}" if query else address

    def arrival_read(self, query: Mapping[str, str], names: Names) -> Arrival:
        """Return who came.

        Args:
            query: The parameters of the address.
            names: Those that the study reads.

        Raises:
            ArrivalInvalid: If the participant's id is missing, or an id cannot be one.
        """
        participant, session, study = (query.get(name, "").strip() if name else "" for name in names)
        if not participant:
            lacking = (
                gettext_noop(
                    "Its address lacks “{name}”, which says who you are; "
                    "open the study from its page at {panel} once more."
                )
                if self.is_named
                else gettext_noop(
                    "Its address lacks “{name}”, which says who you are; "
                    "open the study from the place where you found it once more."
                )
            )
            raise ArrivalInvalid(lacking, name=names.participant, panel=self.label)
        for name, value in zip(names, (participant, session, study), strict=True):
            if value and (len(value) > ID_LENGTH or not _ID.fullmatch(value)):
                impossible = (
                    gettext_noop(
                        "In its address “{name}” is “{value}”, which cannot be; "
                        "open the study from its page at {panel} once more."
                    )
                    if self.is_named
                    else gettext_noop(
                        "In its address “{name}” is “{value}”, which cannot be; "
                        "open the study from the place where you found it once more."
                    )
                )
                raise ArrivalInvalid(impossible, name=name, value=value[:40], panel=self.label)
        return Arrival(participant, session, study)

    def exit_get(self, outcome: Outcome, exits: Mapping[str, str], arrival: Arrival | None) -> Exit:
        """Return where an outcome leads.

        Args:
            outcome: How the visit ended.
            exits: Outcome -> code, or address with the places {participant}, {session} and {study}; as `exit_check`
                lets them pass.
            arrival: Who came; None for previews, whose places stay empty.
        """
        way = exits.get(outcome.value, "")
        if way.startswith("https://"):
            ids = arrival or Arrival("")
            for place in _FIELDS:
                way = way.replace(f"{{{place}}}", quote(getattr(ids, place), safe=""))
            return Exit(url=way)
        if way and self.completion_url:
            return Exit(code=way, url=self.completion_url.replace("{code}", quote(way, safe="")))
        return Exit(code=way)


def exit_check(way: str) -> None:
    """Check what a researcher gave for an outcome: a code, or an address that starts with https://.

    Raises:
        ExitInvalid: If it is neither.
    """
    if not way or _CODE.fullmatch(way):
        return
    if not way.startswith("https://"):
        raise ExitInvalid(
            f"“{way[:60]}” is neither a code (letters, digits, dots, dashes; no spaces) nor an address that starts "
            "with https://; copy it again from the panel."
        )
    unknown = set(re.findall(r"{([^{}]*)}", way)) - set(_FIELDS)
    if unknown:
        raise ExitInvalid(
            f"The address has the place {{{min(unknown)}}}, which nothing fills; there are {{participant}}, "
            "{session} and {study}."
        )
    try:
        host = urlsplit(way).hostname
    except ValueError:
        host = None
    if not host or re.search(r"[\s{}]", way.split("/")[2]) or re.search(r"[\s\"'<>\\]", way):
        raise ExitInvalid(f"“{way[:60]}” is no address; copy it again from the panel.")
