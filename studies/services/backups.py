"""One file that holds a whole site: database, pictures, checkpoints and secret key, with the SHA-256 of each.

The database is copied by its own means, as of one moment, while raters vote: SQLite by its online backup, PostgreSQL by
`pg_dump`. A file never changes once a row names it, so files may be copied before and after that moment: those that are
there before, then those that came meanwhile. None that a row names is left out, unless it was deleted in between.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, default_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from studies.errors import BackupRefused
from studies.models import RatingSession, Response, Study
from studies.services.trials import trials_complete_all

FORMAT = 1
"""Of the archive; a later evalsite reads every earlier one."""

MANIFEST = "manifest.json"
SETTLED_S = 60
"""A file that is younger may be half written: it is copied after the database, when its row is there or not."""

CHUNK_BYTES = 1 << 20
KEY_NAME = "secret_key"
DATABASE_NAMES = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}

Step = Callable[[int], object]
"""Is told how many bytes were done."""


@dataclass(frozen=True)
class Backup:
    """What an archive holds.

    Attributes:
        vendor: Of the database: "sqlite" or "postgresql".
        created_at: When it was begun, ISO 8601, in UTC.
        migrations: Applied ones, "app.name".
        counts: Rows of what matters most, by name, just before the database was copied.
        files: Name in the archive -> SHA-256.
    """

    vendor: str
    created_at: str
    migrations: list[str]
    counts: dict[str, int]
    files: dict[str, str]


def backup_size() -> int:
    """Return about how many bytes a backup will have, to tell how far it is."""
    return sum(size for _, size, _ in _kept_files()) + _database_size()


def backup_write(*, path: Path, overwrites: bool = False, step: Step = lambda _: None) -> Backup:
    """Write the whole site into an archive, which appears under its name once it is complete.

    Args:
        path: Where to; only the owner may read it, since it holds panels' ids and password hashes.
        overwrites: Whether a file of that name may go.
        step: Is told how many bytes were written.

    Raises:
        BackupRefused: If the file is there, or cannot be written, or the database cannot be copied.
    """
    if path.exists() and not overwrites:
        raise BackupRefused(f"{path} is there already; choose another name, or --force to replace it.")
    created_at = timezone.now().isoformat()
    files: dict[str, str] = {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".partial")
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written ({error.strerror}); choose another place.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:

                def add(name: str, opened: IO[bytes]) -> None:
                    files[name] = _member_write(archive, name, opened, step=step)

                settled = timezone.now().timestamp() - SETTLED_S
                _files_add(add, files, changed_before=settled)
                counts = _counts()
                with _database_copy() as (name, copy), copy.open("rb") as opened:
                    add(name, opened)
                    migrations = _migrations_applied()
                _files_add(add, files)
                backup = Backup(connection.vendor, created_at, migrations, counts, files)
                archive.writestr(MANIFEST, json.dumps({"format": FORMAT, **vars(backup)}, indent=1))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except OSError as error:
        raise BackupRefused(f"{path} could not be finished ({error.strerror}); nothing was left of it.") from error
    finally:
        Path(draft).unlink(missing_ok=True)
    return backup


def backup_read(*, path: Path, step: Step = lambda _: None) -> Backup:
    """Check an archive from end to end, and return what it holds.

    Raises:
        BackupRefused: If it is none, is damaged, or is of a later evalsite.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read(MANIFEST))
            if told.pop("format") != FORMAT:
                raise BackupRefused(f"{path} was written by a later evalsite; restore it with that one.")
            backup = Backup(**told)
            names = set(archive.namelist()) - {MANIFEST}
            if names != set(backup.files) or any(_is_unsafe(name) for name in names):
                raise BackupRefused(f"{path} does not hold the files that it lists; use another backup.")
            for name, sha256 in backup.files.items():
                with archive.open(name) as opened:
                    if _digest(opened, step=step) != sha256:
                        raise BackupRefused(f"{name} in {path} is damaged; use another backup.")
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise BackupRefused(f"{path} is no whole backup of evalsite ({error}); use another one.") from error
    return backup


def backup_restore(*, path: Path, backup: Backup, overwrites: bool = False, step: Step = lambda _: None) -> None:
    """Make this site the one of a checked archive, and bring its database up to date. All processes must be stopped.

    Pictures first, then the database in one step: if it breaks off, the same command goes on, and what is there already
    is passed over.

    Raises:
        BackupRefused: If this site has data, runs on another kind of database, or is older than the backup.
    """
    if backup.vendor != connection.vendor:
        raise BackupRefused(
            f"The backup is of {backup.vendor}, this site runs on {connection.vendor}: set DATABASE_URL to one like it."
        )
    known = {f"{app}.{name}" for app, name in MigrationExecutor(connection).loader.disk_migrations}
    later = sorted(set(backup.migrations) - known)
    if later:
        raise BackupRefused(f"The backup is of a later evalsite, with {later[0]}: install that version first.")
    if _has_data() and not overwrites:
        raise BackupRefused("This site has data of its own; choose an empty one, or --force to replace all of it.")
    with zipfile.ZipFile(path) as archive:
        for name in backup.files:
            if name not in DATABASE_NAMES.values():
                _file_restore(archive, name, sha256=backup.files[name])
                step(archive.getinfo(name).file_size)
        name = DATABASE_NAMES[backup.vendor]
        with tempfile.TemporaryDirectory(dir=_database_folder(), prefix=".restore-") as folder:
            extracted = Path(archive.extract(name, folder))
            step(archive.getinfo(name).file_size)
            _database_replace(extracted)
    call_command("migrate", verbosity=0)
    trials_complete_all()


def _is_unsafe(name: str) -> bool:
    parts = name.split("/")
    is_place = parts[0] in {"media", "checkpoints"} and len(parts) > 1
    return not (is_place or name in {KEY_NAME, *DATABASE_NAMES.values()}) or bool({"", ".", ".."} & set(parts))


def _member_write(archive: zipfile.ZipFile, name: str, opened: IO[bytes], *, step: Step) -> str:
    """Write a member and return its SHA-256; only the database is worth compressing."""
    info = zipfile.ZipInfo(name, date_time=timezone.now().timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED if name == DATABASE_NAMES["sqlite"] else zipfile.ZIP_STORED
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as member:
        return _digest(opened, step=step, write=member.write)


def _digest(opened: IO[bytes], *, step: Step, write: Callable[[bytes], object] = lambda _: None) -> str:
    digest = hashlib.sha256()
    while chunk := opened.read(CHUNK_BYTES):
        digest.update(chunk)
        write(chunk)
        step(len(chunk))
    return digest.hexdigest()


def _counts() -> dict[str, int]:
    models = {"studies": Study, "sessions": RatingSession, "answers": Response}
    return {name: model._default_manager.count() for name, model in models.items()}  # noqa: SLF001 -- Django's name


def _migrations_applied() -> list[str]:
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


# --- Files ----------------------------------------------------------------------------------------------------------


def _kept_files() -> Iterator[tuple[str, int, float]]:
    """Give (name in the archive, bytes, time of the last change) of every file that the site keeps."""
    for name in _storage_names(default_storage, ""):
        try:
            changed = default_storage.get_modified_time(name).timestamp()
            yield f"media/{name}", default_storage.size(name), changed
        except FileNotFoundError:  # deleted in between
            continue
    paths = sorted(Path(settings.CHECKPOINTS_DIR).glob("*.safetensors"))
    key = Path(settings.DATA_DIR) / KEY_NAME
    for path, name in [*((path, f"checkpoints/{path.name}") for path in paths), (key, KEY_NAME)]:
        if path.exists():
            yield name, path.stat().st_size, path.stat().st_mtime


def _storage_names(storage: Storage, folder: str) -> Iterator[str]:
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(files):
        yield f"{folder}{name}"
    for name in sorted(folders):
        yield from _storage_names(storage, f"{folder}{name}/")


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    place, _, inside = name.partition("/")
    if place == "media":
        with default_storage.open(inside, "rb") as file:
            yield file
    else:
        path = Path(settings.CHECKPOINTS_DIR) / inside if inside else Path(settings.DATA_DIR) / name
        with path.open("rb") as file:
            yield file


def _files_add(
    add: Callable[[str, IO[bytes]], None], done: dict[str, str], *, changed_before: float | None = None
) -> None:
    """Add every file that is not in yet, or of those only the ones that were changed before a time."""
    for name, _, changed in list(_kept_files()):
        if name not in done and (changed_before is None or changed < changed_before):
            try:
                with _opened(name) as opened:
                    add(name, opened)
            except FileNotFoundError:  # deleted in between: no row names it any more
                continue


def _file_restore(archive: zipfile.ZipFile, name: str, *, sha256: str) -> None:
    """Put a file where it was, if it is not there; one of the same name that differs goes."""
    place, _, inside = name.partition("/")
    if place == "media":
        if default_storage.exists(inside):
            with default_storage.open(inside, "rb") as there:
                if _digest(there, step=lambda _: None) == sha256:
                    return
            default_storage.delete(inside)
        with archive.open(name) as opened:
            default_storage.save(inside, File(opened, name=inside))
        return
    path = Path(settings.CHECKPOINTS_DIR) / inside if inside else Path(settings.DATA_DIR) / name
    draft = path.with_name(f".{path.name}.partial")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with archive.open(name) as opened, os.fdopen(handle, "wb") as to:
        shutil.copyfileobj(opened, to, CHUNK_BYTES)
    draft.replace(path)


# --- Databases ------------------------------------------------------------------------------------------------------


def _database_folder() -> Path:
    """Return a folder on the disk of the database if that is a file, so that a copy can take its place in one step."""
    is_file = connection.vendor == "sqlite"
    return Path(connection.settings_dict["NAME"]).parent if is_file else Path(settings.DATA_DIR)


def _database_size() -> int:
    if connection.vendor == "sqlite":
        return Path(connection.settings_dict["NAME"]).stat().st_size
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


@contextmanager
def _database_copy() -> Iterator[tuple[str, Path]]:
    """Give the database as of one moment, as (name in the archive, a file that goes with the block)."""
    with tempfile.TemporaryDirectory(dir=_database_folder(), prefix=".backup-") as folder:
        name = DATABASE_NAMES[connection.vendor]
        path = Path(folder) / name
        if connection.vendor == "sqlite":
            read_only = f"{Path(connection.settings_dict['NAME']).resolve().as_uri()}?mode=ro"
            with closing(sqlite3.connect(read_only, uri=True)) as source, closing(sqlite3.connect(path)) as copy:
                source.backup(copy)
        else:
            _postgresql("pg_dump", "--format", "custom", "--no-owner", "--no-privileges", "--file", str(path))
        yield name, path


def _has_data() -> bool:
    if "studies_study" not in connection.introspection.table_names():
        return False
    return Study.objects.exists() or RatingSession.objects.exists()


def _database_replace(path: Path) -> None:
    """Put an extracted copy in the place of the database."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(path)) as copy:
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise BackupRefused(f"The database in the backup is damaged ({verdict}); use another backup.")
        place = Path(connection.settings_dict["NAME"])
        connection.close()
        for ending in ("-wal", "-shm"):
            place.with_name(place.name + ending).unlink(missing_ok=True)
        path.replace(place)
        return
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} CASCADE")
    connection.close()
    _postgresql(
        "pg_restore", "--no-owner", "--no-privileges", "--clean", "--if-exists", "--single-transaction", str(path)
    )


def _postgresql(command: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own commands on this site's database.

    Raises:
        BackupRefused: If it is not installed, or fails.
    """
    found = shutil.which(command) or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{command}")), reverse=True)), None
    )
    if found is None:
        raise BackupRefused(f"PostgreSQL's {command} is not installed here; install its client (postgresql-client).")
    database: dict[str, Any] = connection.settings_dict
    variables = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    given = {name: str(database[key]) for name, key in variables.items() if database.get(key)}
    to = ["--dbname", str(database["NAME"])]
    done = subprocess.run(  # noqa: S603 -- our own words, and a name from the settings
        [found, *to, *arguments], env={"PATH": os.defpath, **given}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()
        raise BackupRefused(f"PostgreSQL's {command} failed: {reason[0] if reason else done.returncode}.")
