"""Who comes from Prolific is who Prolific says: signed, now, to this study."""

import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from studies.errors import TokenInvalid
from studies.recruitment import PANELS, Arrival
from studies.recruitment.prolific_token import KeyUnknown, arrival_verify

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ADDRESS = "https://rate.example/s/abc/"
ARRIVAL = Arrival("pid1", "sub1", "study1")


def key_set(key: rsa.RSAPrivateKey = KEY, kid: str = "k1") -> dict[str, Any]:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"keys": [public | {"kid": kid, "use": "sig", "alg": "RS256"}]}


def sign(key: Any = KEY, algorithm: str = "RS256", kid: str = "k1", **changes: Any) -> str:
    """Return a token as Prolific makes it."""
    claims = {
        "iss": "https://www.prolific.com",
        "aud": f"{ADDRESS}?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}",
        "sub": "sub1",
        "exp": int(time.time()) + 120,
        "prolific": {"PROLIFIC_PID": "pid1", "SESSION_ID": "sub1", "STUDY_ID": "study1", "workspace_id": "w"},
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def verify(token: str, *, keys: Mapping[str, Any] | None = None, arrival: Arrival = ARRIVAL) -> None:
    arrival_verify(token, keys=keys or key_set(), address=ADDRESS, names=PANELS["prolific"].names, arrival=arrival)


def test_arrival_that_prolific_signed_passes() -> None:
    verify(sign())
    verify(sign(aud=[ADDRESS]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"iss": "https://evil.example"}, "has not signed it"),
        ({"exp": 1}, "more than two minutes ago"),
        ({"exp": None}, "has not signed it"),
        ({"sub": None}, "has not signed it"),
        ({"aud": None}, "has not signed it"),
        ({"aud": "https://rate.example/s/other/"}, "for another study"),
        ({"aud": "https://evil.example/s/abc/"}, "for another study"),
        ({"sub": "sub2"}, "for somebody else"),
        ({"prolific": {"PROLIFIC_PID": "pid2"}}, "for somebody else"),
        ({"prolific": None}, "for somebody else"),
        ({"key": OTHER}, "has not signed it"),
        ({"key": "s" * 40, "algorithm": "HS256"}, "has not signed it"),
        ({"key": "", "algorithm": "none"}, "has not signed it"),
    ],
)
def test_any_other_token_is_refused_in_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TokenInvalid, match=f"{words}.*; open the study from its page at Prolific once more"):
        verify(sign(**changes))


@pytest.mark.parametrize(
    ("token", "words"), [("", "lacks “prolific_token”"), ("a.b.c", "not signed"), ("é", "not signed")]
)
def test_what_is_no_token_is_refused_in_a_sentence(token: str, words: str) -> None:
    with pytest.raises(TokenInvalid, match=words):
        verify(token)


def test_id_that_a_rater_edited_in_the_address_is_refused() -> None:
    with pytest.raises(TokenInvalid, match="for somebody else"):
        verify(sign(), arrival=ARRIVAL._replace(participant="pid2"))


def test_key_that_is_not_at_hand_is_to_be_fetched() -> None:
    with pytest.raises(KeyUnknown):
        verify(sign(kid="k2"))
