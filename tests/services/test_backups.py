"""Which archives are written, and from which a site may be made; the round trip is in tests/site/test_backup.py."""

import hashlib
import json
import stat
import zipfile
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.management import CommandError, call_command

from studies.models import Photo, Sample
from studies.services import backups
from tests.factories import make_session, make_small_study

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _is_sqlite() -> None:
    if "sqlite" not in site_settings.DATABASES["default"]["ENGINE"]:
        pytest.skip("The archive's form is the same; tests/site/test_backup.py tries PostgreSQL.")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    make_session(make_small_study())
    path = tmp_path / "backup.zip"
    call_command("backup", str(path), stdout=StringIO())
    return path


def rewritten(archive: Path, **changes: bytes | None) -> Path:
    """Write the archive anew with members changed or, if None, left out."""
    path = archive.with_name("changed.zip")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = changes.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return path


def manifest_of(archive: Path, **changes: Any) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        return json.dumps({**json.loads(opened.read(backups.MANIFEST)), **changes}).encode()


def test_archive_holds_every_picture_and_only_its_owner_may_read_it(archive: Path) -> None:
    backup = backups.backup_read(path=archive)
    pictures = {f"media/{name}" for photo in Photo.objects.all() for name in (photo.high_res.name, photo.low_res.name)}
    pictures |= {f"media/{name}" for name in Sample.objects.values_list("picture", flat=True)}
    assert pictures <= set(backup.files)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert backup.counts["sessions"] == 1
    assert not list(archive.parent.glob("*.partial"))


def test_file_that_is_there_is_replaced_only_if_asked_for(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(archive))
    assert archive.read_bytes() == before
    call_command("backup", str(archive), "--force", stdout=StringIO())


def test_site_with_data_is_replaced_only_if_asked_for(archive: Path) -> None:
    with pytest.raises(CommandError, match="This site has data of its own"):
        call_command("restore", str(archive))
    assert Photo.objects.exists()


def test_damage_is_found_before_anything_is_touched(archive: Path) -> None:
    backup = backups.backup_read(path=archive)
    name = min(name for name in backup.files if name.startswith("media/"))
    with pytest.raises(CommandError, match=f"{name} in .* is damaged"):
        call_command("restore", str(rewritten(archive, **{name: b"other bytes"})), "--force")
    with pytest.raises(CommandError, match="does not hold the files that it lists"):
        call_command("restore", str(rewritten(archive, **{name: None})), "--force")
    cut = archive.with_name("cut.zip")
    cut.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(CommandError, match="no whole backup"):
        call_command("restore", str(cut), "--force")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("restore", str(archive.with_name("nowhere.zip")))
    assert Photo.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": 2}, "written by a later evalsite"),
        ({"vendor": "postgresql"}, "set DATABASE_URL to one like it"),
        ({"migrations": ["studies.9999_from_tomorrow"]}, "of a later evalsite, with studies.9999_from_tomorrow"),
        ({"files": {"../outside": "0"}}, "does not hold the files that it lists"),
    ],
)
def test_backup_that_this_site_cannot_be_made_from_is_refused(
    archive: Path, changes: dict[str, Any], sentence: str
) -> None:
    changed = rewritten(archive, **{backups.MANIFEST: manifest_of(archive, **changes)})
    with pytest.raises(CommandError, match=sentence):
        call_command("restore", str(changed), "--force")


def test_member_that_would_leave_the_folder_is_refused(archive: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    for name in ("media/../../outside", "/etc/passwd", "settings.py", "media//x"):
        files = {**backups.backup_read(path=archive).files, name: digest}
        changed = rewritten(archive, **{backups.MANIFEST: manifest_of(archive, files=files)})
        with zipfile.ZipFile(changed, "a") as opened:
            opened.writestr(name, b"x")
        with pytest.raises(CommandError, match="does not hold the files that it lists"):
            call_command("restore", str(changed), "--force")


def test_data_that_does_not_fit_together_is_named(archive: Path) -> None:
    said = StringIO()
    call_command("check_data", stdout=said)
    assert "fit together" in said.getvalue()
    photo = Photo.objects.order_by("pk").first()
    assert photo is not None
    photo.low_res.storage.delete(str(photo.low_res.name))
    told = StringIO()
    with pytest.raises(CommandError, match="1 things do not fit together"):
        call_command("check_data", stderr=told)
    assert str(photo.low_res.name) in told.getvalue()
