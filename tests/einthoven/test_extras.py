import pytest

from einthoven.extras import extra


def test_a_missing_package_is_named_with_what_to_install():
    with pytest.raises(ValueError, match=r"^no_such_package is not installed: pip install 'einthoven\[train\]'$"):
        with extra("train"):
            import no_such_package.part  # noqa: F401


def test_other_errors_stay_as_they_are():
    with pytest.raises(KeyError), extra("train"):
        raise KeyError("a")
