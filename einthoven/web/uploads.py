"""What was uploaded, unpacked and sorted into recordings: no name of a file is ever used as a path.

Files are stored under numbers. The headers of WFDB records name their files: these names are replaced by the numbers,
so that a header can name only what was uploaded with it.
"""

import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOST_FILES = 200
LONGEST_NAME = 100
MOST_RECORDINGS = 20
_CHUNK = 1 << 20
_LARGEST_HEADER = 1 << 22
_DAMAGED = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError)
_CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db")


@dataclass(frozen=True)
class Upload:
    """An uploaded file.

    Attributes:
        name: Its name, for people only.
        path: Where it lies, under a number.
        folder: The folder that it lay in, in a zip; for files of one name in several folders.
    """

    name: str
    path: Path
    folder: str = ""

    @property
    def suffix(self) -> str:
        """The suffix of its name, in lower case."""
        return PurePosixPath(self.name).suffix.lower()


def shown_name(name: str) -> str:
    """Returns what is shown of a file's name: its last part, without control characters, not too long."""
    last = re.split(r"[\\/]", name)[-1]
    plain = "".join(letter for letter in last if letter.isprintable()).strip()
    return plain[-LONGEST_NAME:] or "file"


def unpack(uploads: Sequence[Upload], folder: Path, max_bytes: int) -> list[Upload]:
    """Replaces zips by the files in them, stored under numbers in a folder; a zip of numpy arrays is a recording.

    Raises:
        ValueError: If a zip is damaged, or holds too much, links, encrypted files, or names that leave a folder.
    """
    found: list[Upload] = []
    room = max_bytes
    for upload in uploads:
        if not _is_zip(upload):
            found.append(upload)
            continue
        try:
            for name, size, path in _extract_all(upload, folder, room, len(found)):
                room -= size
                found.append(Upload(shown_name(name.name), path, f"{upload.path.name}/{name.parent}"))
        except _DAMAGED as error:
            raise ValueError(f"{upload.name} is a damaged zip, or one of a kind that is not read") from error
    return found


def sort_out(uploads: Sequence[Upload]) -> list[Upload]:
    """Lists the recordings among files, of a WFDB record its header; the names in headers become those on disk.

    Raises:
        ValueError: If a header names a file that was not uploaded, or there are too many recordings.
    """
    places = {(upload.folder, upload.name): upload for upload in uploads}
    parts: set[Path] = set()
    for upload in uploads:
        if upload.suffix == ".hea":
            parts |= _renamed(upload, places)
    found = [upload for upload in uploads if upload.path not in parts]
    if len(found) > MOST_RECORDINGS:
        raise ValueError(f"these are {len(found)} recordings: take at most {MOST_RECORDINGS} at a time")
    return found


def stored_suffix(name: str) -> str:
    """Returns the suffix that a file is stored with: what readers go by, and nothing else."""
    return _kept_suffix(shown_name(name))


def _kept_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _renamed(header: Upload, places: dict[tuple[str, str], Upload]) -> set[Path]:
    """Replaces the names in a WFDB header by those on disk; returns the files that it names."""
    if header.path.stat().st_size > _LARGEST_HEADER:
        raise ValueError(f"{header.name} is too large for a WFDB header")
    parts: set[Path] = set()
    lines, is_first = [], True
    raw = header.path.read_bytes()
    try:
        whole = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        whole = raw.decode("latin-1")
    for line in whole.splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            lines.append(line)
        elif is_first:
            is_first = False
            lines.append(" ".join(["record" + _segments(text), *text.split()[1:]]))
        else:
            name, *rest = text.split()
            if name != "~":
                part = _named(name, header, places)
                parts.add(part.path)
                name = part.path.stem if part.suffix == ".hea" else part.path.name
            lines.append(" ".join([name, *rest]))
    header.path.write_bytes("\n".join([*lines, ""]).encode("utf-8"))
    return parts


def _segments(record_line: str) -> str:
    """Returns the number of segments that a record's line states, with its slash, or ""."""
    found = re.search(r"/\d+$", record_line.split()[0])
    return found[0] if found else ""


def _named(name: str, header: Upload, places: dict[tuple[str, str], Upload]) -> Upload:
    """Finds the file, or the segment, that a header names."""
    for candidate in (name, f"{name}.hea"):
        found = places.get((header.folder, candidate))
        if found is not None and found is not header:
            return found
    raise ValueError(f"{header.name} names {shown_name(name)}, which was not uploaded: drop all files of a record")


def _is_zip(upload: Upload) -> bool:
    """Tells whether a file is a zip, and not one of numpy arrays."""
    with upload.path.open("rb") as file:
        head = file.read(1024)
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return False
    return not head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b".npy")


def _extract_all(upload: Upload, folder: Path, room: int, number: int) -> Iterator[tuple[PurePosixPath, int, Path]]:
    """Unpacks the files of a zip; yields their names, their sizes and where they lie."""
    with zipfile.ZipFile(upload.path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_FILES:
            raise ValueError(f"{upload.name} holds {len(entries)} files: take at most {MOST_FILES} at a time")
        for entry in entries:
            name = PurePosixPath(entry.filename.replace("\\", "/"))
            _check_entry(entry, name, upload.name)
            is_clutter = any(part in _CLUTTER or part.startswith(".") for part in name.parts)
            if entry.is_dir() or is_clutter:
                continue
            path = folder / f"unpacked{number}{_kept_suffix(name.name)}"
            size = _extract(archive, entry, path, room, upload.name)
            room, number = room - size, number + 1
            yield name, size, path


def _check_entry(entry: zipfile.ZipInfo, name: PurePosixPath, zip_name: str) -> None:
    mode = entry.external_attr >> 16
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename or "\0" in entry.filename:
        raise ValueError(f"{zip_name} holds a name that leaves its folder: it is not unpacked")
    if stat.S_ISLNK(mode) or (stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))):
        raise ValueError(f"{zip_name} holds a link: it is not unpacked")
    if entry.flag_bits & 1:
        raise ValueError(f"{zip_name} is encrypted: unpack it first")


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, room: int, zip_name: str) -> int:
    """Unpacks a file of a zip, and counts its bytes as they come: what a zip states may be wrong."""
    too_much = f"{zip_name} holds more than the server unpacks: take a part of it"
    if entry.file_size > room:
        raise ValueError(too_much)
    size = 0
    with archive.open(entry) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > room:
                raise ValueError(too_much)
            target.write(chunk)
    return size


def without_paths(text: str, uploads: Sequence[Upload]) -> str:
    """Returns a message with the names of files that people know, in place of those on disk."""
    for upload in sorted(uploads, key=lambda upload: -len(str(upload.path))):
        text = text.replace(str(upload.path), upload.name).replace(str(upload.path.with_suffix("")), upload.name)
        text = re.sub(rf"\b{re.escape(upload.path.name)}\b", upload.name, text)
        text = re.sub(rf"\b{re.escape(upload.path.stem)}\b", upload.name, text)
    return text
