"""A researcher who is signed in. Models are imported inside, since this file may be read before Django is set up."""

from typing import TYPE_CHECKING

import pytest
from django.test import Client

if TYPE_CHECKING:
    from studies.models import Researcher


@pytest.fixture
def researcher(db: None) -> "Researcher":
    from tests.factories import make_researcher

    return make_researcher()


@pytest.fixture
def client(researcher: "Researcher") -> Client:
    client = Client()
    client.force_login(researcher)
    return client
