"""The form by which researchers sign in: attempts are counted, and too many are refused for a while."""

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from studies.errors import SignInRefused
from studies.services.sign_in import sign_in_watched


class SignInForm(AdminAuthenticationForm):
    """Name and password; the only door of the site that takes a password."""

    def clean(self) -> dict[str, Any]:
        """Look at the password, unless too many were tried."""
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not username or not password:
            return super().clean()
        try:
            with sign_in_watched(username=username, address=address_of(self.request)):
                return super().clean()
        except SignInRefused as error:
            raise ValidationError(str(error), code="throttled") from error


def address_of(request: HttpRequest | None) -> str:
    """Return where a request comes from: of IPv6 the network of 64 bits, which one visitor has all of.

    Behind a proxy it is the last address that the proxy has added; those before it anybody can make up.
    """
    if request is None:
        return ""
    given = str(request.META.get("REMOTE_ADDR", ""))
    if settings.BEHIND_PROXY:
        given = request.headers.get("X-Forwarded-For", given).rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(given)
    except ValueError:  # a server on a Unix socket names none
        return given
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return given
