"""Archives on the web: downloaded, checked, and unpacked whole or not at all."""

import contextlib
import http.client
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import keras

from dataset.progress import progress
from files.locks import locked
from files.messages import FileError, reason_of
from files.writing import check_room, holds_something, naming, whole_folder, write_whole

KEPT = ".downloads"  # in the dataset's folder: archives, until they are unpacked
PART = ".part"
TIMEOUT = 60  # seconds without an answer
CHUNK = 1 << 20  # bytes
CUT = "The same command goes on with what is here."


class DownloadError(OSError):
    """A file that cannot be had; the message has its address and the way out."""


@dataclass(frozen=True)
class Archive:
    """A ZIP file on the web, and what of it goes where.

    Attributes:
        url: Its address.
        folder: Below the dataset's folder, for the files.
        pattern: What the names of these files fit; folders in the archive do not count.
        md5: Its checksum, where it is known. Without one the sums of the files in it
            are checked, which every ZIP file has.
        files: The files, where they are few; else the folder appears as a whole.
    """

    url: str
    folder: str
    pattern: str
    md5: str | None = None
    files: tuple[str, ...] = ()

    def is_there(self, data_dir: Path) -> bool:
        """Tells whether all of it was unpacked before."""
        folder = data_dir / self.folder
        if self.files:
            return all((folder / name).is_file() for name in self.files)
        return folder.is_dir() and holds_something(folder)


def get(archive: Archive, data_dir: Path, keep: bool = False) -> None:
    """Downloads an archive, or the rest of it, checks and unpacks it.

    Args:
        archive: Which one.
        data_dir: The dataset's folder.
        keep: Whether the archive stays in the folder KEPT.

    Raises:
        DownloadError: It cannot be downloaded, or is not what it should be.
        WriteError: The disk has too little room, or cannot be written.
    """
    kept = data_dir / KEPT
    path = kept / PurePosixPath(archive.url).name
    with locked(path):
        if not path.is_file():
            fetch(archive.url, path)
        check(archive, path)
        unpack(archive, path, data_dir)
        if not keep:
            path.unlink()
    with contextlib.suppress(OSError):  # it holds other archives
        kept.rmdir()


def fetch(url: str, path: Path) -> None:
    """Downloads a file, or what an earlier download that was stopped left of it.

    Args:
        url: Its address.
        path: Where it goes, once it is whole.

    Raises:
        DownloadError: It cannot be had, or the connection broke.
        WriteError: The disk has too little room, or cannot be written.
    """
    part = path.with_name(path.name + PART)
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.is_file() else 0
    ask = urllib.request.Request(
        url, headers={"Range": f"bytes={have}-"} if have else {}
    )
    try:
        with urllib.request.urlopen(ask, timeout=TIMEOUT) as answer:
            _save(answer, part, have)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            reason = f"the server answers {error.code} {error.reason}"
            raise DownloadError(f"{url} cannot be downloaded: {reason}.") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        cause = getattr(error, "reason", error)
        reason = reason_of(cause) if isinstance(cause, Exception) else cause
        raise DownloadError(f"{url} cannot be downloaded: {reason}. {CUT}") from error
    except http.client.HTTPException as error:
        raise DownloadError(f"{url} was cut off ({reason_of(error)}). {CUT}") from error
    part.replace(path)


def _save(answer, part: Path, have: int) -> None:
    """Adds what a server sends to a part; begins it anew where it sends all."""
    if getattr(answer, "status", None) != http.client.PARTIAL_CONTENT:
        have = 0
    length = answer.headers.get("Content-Length")
    total = None if length is None else have + int(length)
    check_room(part.parent, 2 * (total or 0) - have, "The archive, and what is in it,")
    bar = progress(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem)
    with naming(part), part.open("ab" if have else "wb") as file, bar:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        if total is not None and file.tell() < total:
            raise http.client.IncompleteRead(b"", total - file.tell())


def check(archive: Archive, path: Path) -> None:
    """Checks the sum of an archive; Keras downloads one anew whose sum is wrong.

    Raises:
        DownloadError: The new one is wrong, too.
    """
    try:
        keras.utils.get_file(
            path.name,
            archive.url,
            cache_dir=str(path.parent),
            cache_subdir="",
            file_hash=archive.md5,
            hash_algorithm="md5",
        )
    except Exception as error:  # get_file raises nothing narrower
        path.unlink(missing_ok=True)
        raise DownloadError(
            f"{archive.url} is not the file that was published: {reason_of(error)} "
            "The same command begins anew."
        ) from error


def unpack(archive: Archive, path: Path, data_dir: Path) -> None:
    """Unpacks what is wanted; all sums in the archive are checked.

    Raises:
        DownloadError: The archive is damaged, or lacks what is wanted.
    """
    folder = data_dir / archive.folder
    try:
        with zipfile.ZipFile(path) as opened:
            members = _wanted(archive, opened)
            if archive.files:
                for name in archive.files:
                    write_whole(folder / name, opened.read(members[name]))
                return
            check_room(data_dir, sum(member.file_size for member in members.values()))
            with whole_folder(folder) as new:
                for name, member in progress(members.items(), desc=archive.folder):
                    with opened.open(member) as source, (new / name).open("wb") as file:
                        shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, FileError) as error:
        path.unlink(missing_ok=True)
        raise DownloadError(
            f"{archive.url} is damaged ({reason_of(error)}). The same command begins "
            "anew."
        ) from error


def _wanted(archive: Archive, opened: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Returns the members that are wanted by their names without folders."""
    members = {}
    for member in opened.infolist():
        name = PurePosixPath(member.filename).name
        is_hidden = name.startswith(".") or member.filename.startswith("__MACOSX/")
        if not is_hidden and re.fullmatch(archive.pattern, name):
            members[name] = member
    missing = [name for name in archive.files if name not in members]
    if missing or not members:
        wanted = ", ".join(missing) or f"any file like {archive.pattern}"
        raise FileError(f"it lacks {wanted}")
    return members
