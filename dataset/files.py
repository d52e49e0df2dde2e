"""Files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> Path:
    """Writes beside the path, then renames; makes the folder if it is missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
