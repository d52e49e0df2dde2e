"""The photographs that were sent to the live page, in memory and few."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from models import Caption
from models.base_captioner import EncodedImage

MOST_PHOTOS = 16
MOST_BYTES = 20_000_000  # of a photograph


class GoneError(ValueError):
    """A photograph that is not kept any more."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A photograph as one captioner saw it.

    Attributes:
        encoded: What its encoder made of it.
        caption: What it wrote about it.
    """

    encoded: EncodedImage
    caption: Caption


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph that was sent.

    Attributes:
        name: Of the file, for messages.
        content: The bytes of the file.
        seen: By the name of each captioner that has described it.
    """

    name: str
    content: bytes = field(repr=False)
    seen: dict[str, Seen] = field(default_factory=dict, repr=False)


class Photos:
    """The photographs used last, by keys that cannot be guessed.

    Args:
        most: How many are kept; one more drops the one unused for longest.
    """

    def __init__(self, most: int = MOST_PHOTOS):
        self.most = most
        self._photos: OrderedDict[str, Photo] = OrderedDict()

    def add(self, photo: Photo) -> str:
        """Keeps a photograph; returns its key."""
        key = secrets.token_urlsafe(16)
        self._photos[key] = photo
        while len(self._photos) > self.most:
            self._photos.popitem(last=False)
        return key

    def get(self, key: str) -> Photo:
        """Returns a photograph.

        Raises:
            GoneError: It is not kept any more.
        """
        if key not in self._photos:
            raise GoneError(
                "This photograph is not kept any more: the page keeps the last "
                f"{self.most}. Choose it again."
            )
        self._photos.move_to_end(key)
        return self._photos[key]
