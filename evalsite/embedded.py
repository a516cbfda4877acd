"""What a site without outside services keeps in its data folder: the secret key and the folders themselves."""

import os
import secrets
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

KEY_LENGTH = 50
"""Characters of a secret key at least, as Django's own check asks."""
KEY_CHARACTERS = 5
"""Different ones at least."""


def folders_create(*folders: Path) -> None:
    """Create folders, outer ones first, open to their owner only; those that exist are left as they are."""
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def secret_key_load(path: Path) -> str:
    """Read the secret key from a file, making the file on first use.

    The key is written apart and then linked into place, so two processes that start together end up with the same key.

    Args:
        path: The file, readable by its owner only (mode 0600). Its folder exists.

    Returns:
        The key.
    """
    if not path.exists():
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes files with mode 0600
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # Another process was first: its key counts.
        finally:
            Path(draft).unlink()
    return path.read_text(encoding="ascii")


def secret_key_check(key: str) -> None:
    """Refuse a key that can be guessed: whoever has it signs in as anybody.

    Raises:
        ImproperlyConfigured: If it is short, repeats a few characters, or was made for development.
    """
    if len(key) < KEY_LENGTH or len(set(key)) < KEY_CHARACTERS or key.startswith("django-insecure"):
        raise ImproperlyConfigured(
            f"EVALSITE_SECRET_KEY has {len(key)} characters, {len(set(key))} of them different, and a site that others "
            f"reach needs {KEY_LENGTH} random ones: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
