"""Photos for training and measuring: the doors to sets of photos, their parts, and copies between these.

A set is a folder of pictures, a `.zip` of them, an `.npz`, CelebA as it is published, or an LMDB as LSUN publishes its
bedrooms. Opening lists what is there; `Photos.read` decodes what is asked for. `docs/data.md` says what each door
expects, what it costs and what is decided on the way.
"""

from sr_models.data.duplicates import duplicates_find
from sr_models.data.errors import DataError
from sr_models.data.photos import ChosenPhotos, Part, Photos, photos_read
from sr_models.data.pictures import picture_decode
from sr_models.data.sets import HELD_OUT_EVERY, PhotoSplit, pairs_make, photos_open, photos_split
from sr_models.data.source import SPLITS

__all__ = [
    "HELD_OUT_EVERY",
    "SPLITS",
    "ChosenPhotos",
    "DataError",
    "Part",
    "PhotoSplit",
    "Photos",
    "duplicates_find",
    "pairs_make",
    "photos_open",
    "photos_read",
    "photos_split",
    "picture_decode",
]
