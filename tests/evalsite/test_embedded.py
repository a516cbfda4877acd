"""The data folder of a site without outside services."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from evalsite.embedded import folders_create, secret_key_check, secret_key_load


def test_secret_key_is_made_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    key = secret_key_load(path)
    assert len(key) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_key_load(path) == key


def test_secret_key_made_here_is_one_that_a_public_site_takes(tmp_path: Path) -> None:
    secret_key_check(secret_key_load(tmp_path / "secret_key"))


@pytest.mark.parametrize("key", ["", "short", "x" * 60, "abcd" * 20, f"django-insecure-{'a1b2c3' * 10}"])
def test_secret_key_that_can_be_guessed_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="needs 50 random ones") as refused:
        secret_key_check(key)
    assert not key or key not in str(refused.value)


def test_each_site_has_a_secret_key_of_its_own(tmp_path: Path) -> None:
    assert secret_key_load(tmp_path / "one") != secret_key_load(tmp_path / "other")


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key_load(path), range(32)))
    assert keys == {path.read_text()}
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def test_folders_are_created_for_their_owner_only(tmp_path: Path) -> None:
    outer, inner = tmp_path / "parent" / "outer", tmp_path / "parent" / "outer" / "inner"
    folders_create(outer, inner)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (outer, inner)] == [0o700, 0o700]


def test_folder_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o755)
    (folder / "file").touch()
    folders_create(folder)
    assert (folder / "file").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
