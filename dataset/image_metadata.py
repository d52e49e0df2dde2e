"""Image files without their metadata, whose faults must not cost the pixels."""

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG_KEPT = (0xE0, 0xE1, 0xEE)  # JFIF, EXIF for the orientation, Adobe's colours


def without_metadata(content: bytes) -> bytes:
    """Returns a PNG or JPEG file without what its pixels do not need.

    A sound EXIF chunk stays, for the orientation. Other files are returned as they are.
    """
    if content.startswith(_PNG):
        return _bare_png(content)
    return _bare_jpeg(content) if content.startswith(b"\xff\xd8") else content


def _bare_png(content: bytes) -> bytes:
    kept, place = [_PNG], len(_PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        kind = content[place + 4 : place + 8]
        chunk = content[place : place + length + 12]
        whole = chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))
        if kind in _PNG_KEPT or (kind == b"eXIf" and whole):
            kept.append(chunk)
        place += len(chunk)
    return b"".join(kept)


def _bare_jpeg(content: bytes) -> bytes:
    kept, place = [content[:2]], 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], content[place + 2 : place + 4]
        end = place + 2 + int.from_bytes(length)
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if marker == 0xDA or not 0xC0 <= marker <= 0xFE:
            break
        if not is_metadata or marker in _JPEG_KEPT:
            kept.append(content[place:end])
        place = end
    return b"".join([*kept, content[place:]])
