"""What is wrong with a set of photos, in one sentence."""


class DataError(Exception):
    """A set of photos cannot be used; the message names the file and the cure."""


def shown(name: str) -> str:
    """Return a file's name as a sentence can hold it: on one line, whatever characters it has."""
    return name if name.isprintable() else ascii(name)
