"""A handful of the attack's cases; `make attack` has all of them."""

import pytest

from einthoven.run.files import write_json, write_text
from tests.kills.attack import Attack, contents, differences
from tests.kills.blows import Blow
from tests.kills.jobs import JOBS, write_data
from tests.kills.memory import doors, grow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.mark.slow
def test_generating_is_struck_and_goes_on(data, tmp_path, monkeypatch):
    (job,) = (job for job in JOBS if job.name == "generate")
    attack = Attack(job, data, tmp_path / "runs")
    middle = attack.whole.operations // 2
    blows = [Blow("SIGKILL", operation=middle), Blow("SIGTERM", operation=4), Blow("SIGINT", operation=8)]
    place = attack.place()
    for blow in blows:
        attack._check_end(blow, attack.run(place, blow))
    attack.finish(place, "three blows")
    attack.fail("full", 1)
    attack.start_two()
    assert attack.result.faults == []
    assert attack.result.blows == {"full": 1, "two at once": 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prepare", "inpaint"])
def test_disk_that_is_really_full(data, tmp_path, name):
    (job,) = (job for job in JOBS if job.name == name)
    attack = Attack(job, data, tmp_path / "runs")
    try:
        attack.fill(1)
    except PermissionError as error:
        pytest.skip(str(error))
    assert attack.result.faults == []
    assert attack.result.blows == {"tmpfs": 1} and not attack.result.missed


def test_what_differs_is_told(tmp_path):
    for name, files in {"one": {"a": "1", "b": "2"}, "two": {"a": "1", "b": "3", "c": "4"}}.items():
        for file, text in files.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text(text)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert list(differences(one, two)) == ["b differs", "c is a stray file"]
    assert list(differences(two, one)) == ["b differs", "c is missing"]


@pytest.mark.filterwarnings("ignore:no thresholds are known")
def test_times_and_the_folder_do_not_count(tmp_path):
    for name, seconds in {"one": 1.5, "two": 2.5}.items():
        write_json(tmp_path / name / "stages" / "a.json", {"command": f"x {tmp_path / name}/a", "seconds": seconds})
        write_text(tmp_path / name / "table.csv", f"metric,value,seconds\nmae,3,{seconds}\nseconds,{seconds},4\n")
        write_text(tmp_path / name / "calls" / name / "config.yaml", "")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    write_text(tmp_path / "two" / "table.csv", "metric,value,seconds\nmae,4,2.5\n")
    assert list(differences(contents(tmp_path / "one"), contents(tmp_path / "two"))) == ["table.csv differs"]


def test_memory_stays_flat(tmp_path):
    calls = doors(tmp_path)
    sizes = grow(lambda number: [calls[name](number) for name in ("reconstruct", "score")], 20, 5)
    assert sizes[-1] - sizes[0] < 20
