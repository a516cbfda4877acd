"""Names of static files: hashed once they are collected, plain before."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # whitenoise ships no types
    """Hashed and compressed static files; before `collectstatic` (tests, a first look) they keep their own names."""

    support_js_module_import_aggregation = True  # `import "./pictures.js"` gets the hashed name as well

    def stored_name(self, name: str) -> str:
        """Return the hashed name that `collectstatic` wrote down, or the name itself while nothing is collected."""
        hashed: str = super().stored_name(name) if self.hashed_files else name
        return hashed
