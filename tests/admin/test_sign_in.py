"""Passwords cannot be guessed by trying: attempts are counted by account and by address, and forgotten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from studies.errors import SignInRefused
from studies.models import Researcher, SignInAttempt, SignInSubject
from studies.services.sign_in import MOST, WINDOW, sign_in_watched
from tests.factories import PASSWORD, make_researcher

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MOST_AT_ACCOUNT, MOST_FROM_ADDRESS = MOST[SignInSubject.ACCOUNT], MOST[SignInSubject.ADDRESS]


def attempt(username: str, password: str, **headers: Any) -> Any:
    return Client().post(reverse("admin:login"), {"username": username, "password": password}, **headers)


def is_in(response: Any) -> bool:
    return bool(response.status_code == 302)


def fail(researcher: Researcher, times: int, **headers: Any) -> None:
    for _ in range(times):
        page = attempt(researcher.username, "wrong", **headers).content.decode()
        assert "correct username and password" in page


def test_too_many_wrong_passwords_refuse_the_right_one_and_say_for_how_long(researcher: Researcher) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        fail(researcher, MOST_AT_ACCOUNT)
        clock.shift(timedelta(minutes=5))
        refused = attempt(researcher.username, PASSWORD)
        assert not is_in(refused)
        assert "wait for 10 minutes, or ask whoever runs this site" in refused.content.decode()
        clock.shift(timedelta(minutes=9, seconds=59))
        assert "wait for 1 minute, or" in attempt(researcher.username, PASSWORD).content.decode()
        clock.shift(timedelta(seconds=2))
        assert is_in(attempt(researcher.username, PASSWORD))


def test_an_hour_of_guessing_gets_fewer_than_a_hundred_looks(researcher: Researcher) -> None:
    looks = 0
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(120):  # one each 30 seconds
            page = attempt(researcher.username, "wrong", REMOTE_ADDR="198.51.100.7").content.decode()
            looks += "correct username and password" in page
            clock.shift(timedelta(seconds=30))
    assert MOST_AT_ACCOUNT < looks <= 5 * MOST_AT_ACCOUNT


def test_refused_attempts_make_the_wait_no_longer(researcher: Researcher) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        fail(researcher, MOST_AT_ACCOUNT)
        for _ in range(10):
            clock.shift(timedelta(minutes=1))
            assert not is_in(attempt(researcher.username, PASSWORD))
        clock.shift(WINDOW - timedelta(minutes=10) + timedelta(seconds=1))
        assert is_in(attempt(researcher.username, PASSWORD))


def test_other_accounts_are_not_kept_waiting(researcher: Researcher) -> None:
    fail(researcher, MOST_AT_ACCOUNT)
    assert not is_in(attempt(researcher.username.upper(), PASSWORD))
    assert is_in(attempt(make_researcher().username, PASSWORD))


def test_signing_in_clears_the_account(researcher: Researcher) -> None:
    for _ in range(3):
        fail(researcher, MOST_AT_ACCOUNT - 1)
        assert is_in(attempt(researcher.username, PASSWORD))


def test_names_tried_one_after_the_other_are_counted_by_address(researcher: Researcher) -> None:
    for number in range(MOST_FROM_ADDRESS):
        attempt(f"name-{number}", "wrong", REMOTE_ADDR="198.51.100.7")
    assert not is_in(attempt(researcher.username, PASSWORD, REMOTE_ADDR="198.51.100.7"))
    assert is_in(attempt(researcher.username, PASSWORD, REMOTE_ADDR="198.51.100.8"))


def test_an_account_of_ones_own_buys_no_guesses_at_others(researcher: Researcher) -> None:
    for number in range(MOST_FROM_ADDRESS):
        attempt(f"name-{number}", "wrong", REMOTE_ADDR="198.51.100.7")
        if number % 10 == 0:
            assert is_in(attempt(researcher.username, PASSWORD, REMOTE_ADDR="198.51.100.7"))
    assert not is_in(attempt(make_researcher().username, PASSWORD, REMOTE_ADDR="198.51.100.7"))


def test_a_network_of_ipv6_counts_as_one_address(researcher: Researcher) -> None:
    for number in range(MOST_FROM_ADDRESS):
        attempt(f"name-{number}", "wrong", REMOTE_ADDR=f"2001:db8::{number:x}")
    assert not is_in(attempt(researcher.username, PASSWORD, REMOTE_ADDR="2001:db8::ffff"))
    assert is_in(attempt(researcher.username, PASSWORD, REMOTE_ADDR="2001:db8:0:1::1"))


@pytest.mark.parametrize("is_behind_proxy", [True, False])
def test_the_last_address_of_a_proxy_counts_and_only_behind_one(
    researcher: Researcher, settings: Any, is_behind_proxy: bool
) -> None:
    settings.BEHIND_PROXY = is_behind_proxy
    for number in range(MOST_FROM_ADDRESS):
        forwarded = f"203.0.113.{number}, 198.51.100.7"
        attempt(f"name-{number}", "wrong", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
    elsewhere = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.8"}
    assert is_in(attempt(researcher.username, PASSWORD, **elsewhere)) == is_behind_proxy


def test_rows_hold_neither_names_nor_addresses_and_differ_from_day_to_day(researcher: Researcher) -> None:
    digests = set()
    for day in range(2):
        with time_machine.travel(NOON + timedelta(days=day), tick=False):
            fail(researcher, 1, REMOTE_ADDR="198.51.100.7")
            rows = list(SignInAttempt.objects.values_list("digest", flat=True))
            assert len(rows) == 2  # yesterday's are gone
            digests.update(rows)
    assert len(digests) == 4
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)


def test_midnight_and_a_clock_that_is_put_back_let_nobody_through_and_lock_nobody_out(researcher: Researcher) -> None:
    with time_machine.travel(NOON.replace(hour=23, minute=58), tick=False) as clock:
        fail(researcher, MOST_AT_ACCOUNT)
        clock.shift(timedelta(minutes=3))
        assert not is_in(attempt(researcher.username, PASSWORD))
        clock.shift(timedelta(days=-2))
        assert is_in(attempt(researcher.username, PASSWORD))


@pytest.mark.parametrize("fields", [{"username": "a\0b", "password": "x"}, {"username": "name"}, {}])
def test_forms_without_name_and_password_are_refused_and_count_for_nobody(
    client: Client, fields: dict[str, str]
) -> None:
    response = Client().post(reverse("admin:login"), fields)
    assert response.status_code == 200
    assert not SignInAttempt.objects.exists()


def test_an_operator_lets_somebody_in_at_once(researcher: Researcher) -> None:
    def unlock(*arguments: str) -> str:
        said = StringIO()
        call_command("sign_in_unlock", *arguments, stdout=said)
        return said.getvalue().strip()

    fail(researcher, MOST_AT_ACCOUNT)
    with pytest.raises(CommandError, match="No account is called “nobody”"):
        unlock("nobody")
    assert not is_in(attempt(researcher.username, PASSWORD))
    assert unlock(researcher.username) == f"Forgot {MOST_AT_ACCOUNT} failed attempts to sign in."
    assert is_in(attempt(researcher.username, PASSWORD))
    assert unlock("--everybody") == f"Forgot {MOST_AT_ACCOUNT} failed attempts to sign in."  # from the address
    assert not SignInAttempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_attempts_at_once_no_more_than_the_limit_are_looked_at() -> None:
    name = make_researcher().username

    def guess(number: int) -> bool:
        """Return whether the password was looked at."""
        try:
            with sign_in_watched(username=name, address=f"198.51.100.{number}"):
                assert authenticate(username=name, password="wrong") is None
                raise PermissionError
        except SignInRefused:
            return False
        except PermissionError:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        looks = sum(pool.map(guess, range(4 * MOST_AT_ACCOUNT)))
    assert looks == MOST_AT_ACCOUNT
