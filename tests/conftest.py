"""Fixtures that every package's tests share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Keeps torch from taking every core, as the tests themselves run side by side."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ecg_data() -> Path:
    """The folder of recordings that ECG_DATA names; a test that asks for it is skipped where there is none."""
    name = os.environ.get("ECG_DATA")
    if not name:
        pytest.skip("needs recordings: set ECG_DATA to their folder")
    folder = Path(name).resolve()
    if not folder.is_dir():
        pytest.skip(f"needs recordings: ECG_DATA names {folder}, which is no folder")
    return folder
