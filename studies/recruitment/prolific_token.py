"""The token by which Prolific signs an arrival: without it, a rater could come under another participant's id.

Source: docs.prolific.com, "Secure external study URLs": RS256, issuer, audience, two minutes, and the parameters of the
address in the claim `prolific`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt

from studies.errors import TokenInvalid
from studies.recruitment.panel import Arrival, Names

ISSUER = "https://www.prolific.com"
LEEWAY_S = 30
"""By how much the clocks of the two sites may differ."""


class KeyUnknown(Exception):
    """No key at hand made the signature; newer ones may have."""


def arrival_verify(token: str, *, keys: Mapping[str, Any], address: str, names: Names, arrival: Arrival) -> None:
    """Check that Prolific itself says who came, now, and to this study.

    Args:
        token: As it came in the address.
        keys: Prolific's public keys, as a JSON Web Key Set.
        address: Of the study's first page; its parameters do not matter.
        names: The parameters that carry the ids.
        arrival: The ids as they came in the address.

    Raises:
        TokenInvalid: If the token is missing, forged, too old, another study's or another participant's.
        KeyUnknown: If it names a key that is not among these.
    """
    if not token:
        raise TokenInvalid(
            "Its address lacks “prolific_token”, by which Prolific signs it; "
            "open the study from its page at Prolific once more."
        )
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = next((key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys if key.key_id == key_id), None)
        if key is None:
            raise KeyUnknown(str(key_id))
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=ISSUER,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"], "verify_aud": False},  # the audience is compared below
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenInvalid(
            "It was signed more than two minutes ago; open the study from its page at Prolific once more."
        ) from error
    except jwt.PyJWTError as error:
        raise TokenInvalid("Prolific has not signed it; open the study from its page at Prolific once more.") from error
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if _place(address) not in {_place(str(audience)) for audience in audiences}:
        raise TokenInvalid("It was signed for another study; open the study from its page at Prolific once more.")
    signed = claims.get("prolific")
    said = {str(name).lower(): value for name, value in signed.items()} if isinstance(signed, dict) else {}
    if claims["sub"] != arrival.session or said.get(names.participant.lower()) != arrival.participant:
        raise TokenInvalid("It was signed for somebody else; open the study from its page at Prolific once more.")


def _place(address: str) -> tuple[str, str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower(), parts.path.rstrip("/")
