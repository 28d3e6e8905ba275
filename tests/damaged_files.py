"""Damaged copies of files, which every reader has to refuse in one line that names the file."""

import pytest

from einthoven.ecg.reading import read


def check_truncated(path, shares=(0.02, 0.3, 0.7, 0.97), **options):
    """A file that ends too early gives a ValueError of one line with its name, or says less, never another error."""
    whole = path.read_bytes()
    for share in shares:
        part = path.with_name(f"cut{share:g}{path.suffix}")
        part.write_bytes(whole[: int(len(whole) * share)])
        check_refused(part, **options)


def check_refused(path, match=None, **options):
    with pytest.raises(ValueError, match=match) as caught:
        read(path, **options)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
