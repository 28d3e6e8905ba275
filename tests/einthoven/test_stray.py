"""A file in the user's folder that hides a package of ours is named."""

import pytest

from einthoven.stray import check_stray_modules


def test_ours_are_found():
    check_stray_modules()


@pytest.mark.parametrize("name", ["preprocessing.py", "evaluation/__init__.py", "reconstruction/mine.py"])
def test_a_stray_file_is_named(tmp_path, monkeypatch, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ImportError, match=f"{tmp_path / name.split('/')[0]} hides einthoven's|{tmp_path / name} hides"):
        check_stray_modules()
