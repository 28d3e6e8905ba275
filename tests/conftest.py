"""Fixtures that every package's tests share."""

import os
from pathlib import Path

import pytest

from tests.wfdb_files import write_wfdb

os.environ["OMP_NUM_THREADS"] = "1"  # of every process: results to the bit must not hang on how many there are


def pytest_collection_modifyitems(items):
    """Runs the tests on Ray one after the other, so that of processes that share the tests one alone starts Ray.

    The other long tests come next: what is left for the end is short, and no process waits for another.
    """
    items.sort(key=lambda item: ("ray_cluster" not in getattr(item, "fixturenames", ()), "slow" not in item.keywords))


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


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster of two CPUs on this machine, which engines of this process use; skipped where Ray is missing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = pytest.importorskip("ray", reason="needs Ray: pip install einthoven[ray]")
    pytest.importorskip("ray.data", reason="needs Ray Data: pip install einthoven[ray]")
    settings = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 100_000_000}
    try:
        ray.init(address="local", num_cpus=2, **settings)
    except Exception as error:
        ray.shutdown()
        pytest.skip(f"Ray did not start, as on a machine whose cores are all busy: {error}")
    yield ray
    ray.shutdown()


@pytest.fixture
def write_record():
    return write_wfdb
