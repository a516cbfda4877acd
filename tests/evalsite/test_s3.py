"""Pictures in a bucket: a study is prepared, and its raters see their pairs, with a server that speaks S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.test import Client
from moto.server import ThreadedMotoServer

from studies.models import Photo, Sample, StudyState
from studies.selectors.integrity import faults_find
from studies.selectors.sessions import passage_get
from studies.services.sessions import session_start
from tests.evalsite.test_settings import settings_with
from tests.factories import make_small_study

pytestmark = pytest.mark.django_db

GIVEN = {"EVALSITE_S3_BUCKET": "pictures", "EVALSITE_S3_ACCESS_KEY": "key", "EVALSITE_S3_SECRET_KEY": "secret"}


@pytest.fixture
def bucket(settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Keep pictures in a bucket, by the settings that the environment variables make; gives the bucket."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        address, port = server.get_host_and_port()
        given = {**GIVEN, "EVALSITE_S3_ENDPOINT_URL": f"http://{address}:{port}", "EVALSITE_S3_REGION": "us-east-1"}
        told = settings_with(tmp_path, "STORAGES", **given)["STORAGES"]["default"]
        options = {name: value for name, value in told["OPTIONS"].items() if name != "client_config"}
        settings.STORAGES = {**settings.STORAGES, "default": {**told, "OPTIONS": options}}
        settings.S3_BUCKET = options["bucket_name"]
        client = boto3.client(
            "s3",
            endpoint_url=options["endpoint_url"],
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        client.create_bucket(Bucket="pictures")
        yield boto3.resource(
            "s3",
            endpoint_url=options["endpoint_url"],
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        ).Bucket("pictures")
    finally:
        server.stop()


def test_study_lives_with_its_pictures_in_a_bucket(bucket: Any, settings: Any, client: Client) -> None:
    study = make_small_study()
    assert study.state == StudyState.OPEN
    keys = {item.key for item in bucket.objects.all()}
    named = {name for photo in Photo.objects.all() for name in (photo.high_res.name, photo.low_res.name)}
    assert keys == named | set(Sample.objects.values_list("picture", flat=True))
    assert list(Path(settings.MEDIA_ROOT).rglob("*")) == []
    session = session_start(study=study)
    size = study.photo_set.high_res_size
    response = client.get(f"/r/{session.code}/t/{passage_get(session).trials[0]}")
    assert len(response.content) == 2 * size * size * 3
    assert client.get("/readyz").json()["storage"] == "ok"
    assert list(faults_find()) == []

    bucket.Object(min(keys)).delete()
    (fault,) = faults_find()
    assert min(keys) in fault


def test_bucket_that_is_gone_takes_the_site_out_of_service(bucket: Any, client: Client, settings: Any) -> None:
    options = {**settings.STORAGES["default"]["OPTIONS"], "endpoint_url": "http://127.0.0.1:1"}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["storage"] == "unreachable"


@pytest.mark.django_db(transaction=True)
def test_backup_holds_what_is_in_the_bucket(bucket: Any, tmp_path: Path) -> None:
    make_small_study()
    from studies.services.backups import backup_size, backup_write

    assert backup_size() > sum(item.size for item in bucket.objects.all())
    written = backup_write(path=tmp_path / "backup.zip")
    assert {f"media/{item.key}" for item in bucket.objects.all()} <= set(written.files)
