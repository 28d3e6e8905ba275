"""All routes, through Starlette's client: what they answer, and what they refuse."""

import io
import re
import zipfile

import anyio
import numpy as np
import pytest
from starlette.testclient import TestClient

from einthoven.ecg.reading import read
from einthoven.ecg.writing import WRITERS
from einthoven.web.app import make_app
from einthoven.web.guard import Policy
from einthoven.web.lanes import QUEUED, Busy
from einthoven.web.service import Queues, Service
from einthoven.web.shelf import Shelf
from tests.einthoven.web.inline import RATE, Inline, ecg, npz_file, zip_file

MOST = 3_000_000


@pytest.fixture
def worker():
    return Inline(held=("tasks",))


@pytest.fixture
def service(worker, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Service(Shelf(), Queues(Inline(), worker, Inline()), MOST)


@pytest.fixture
def client(service):
    with TestClient(make_app(service, Policy(max_upload=MOST)), base_url="http://127.0.0.1") as client:
        yield client
    assert not service.shelf.folder.exists()


@pytest.fixture
def recording(client):
    return drop(client, "Smith_John.npz", npz_file(ecg())).json()["id"]


def drop(client, name, content, **fields):
    return client.post("/recordings", files=[("files", (name, content))], data=fields)


def finish(worker, told):
    """Ends the job that waits, as if it had found something."""
    job = next(job for job in worker.jobs if job.state == QUEUED)
    job.then(told)
    job.end("done")
    return job


def test_the_page_says_what_it_takes(client):
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "$max_upload_mb" not in page.text and "DICOM" in page.text
    assert client.get("/healthz").json() == {"ok": True}
    options = client.get("/options").json()
    assert {each["suffix"] for each in options["formats_written"]} == {suffix[1:] for suffix in WRITERS}
    assert options["max_upload_mb"] == 3 and "not for diagnosis" in options["caution"]


def test_its_files_are_served_and_none_beside_them(client):
    names = re.findall(r'"(/static/[^"]+)"', client.get("/").text)
    assert names
    assert all(client.get(name).status_code == 200 for name in names)
    for name in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/%2e%2e%2fapp.py", "/static//etc/passwd"):
        assert client.get(name).status_code == 404


def test_a_dropped_file_is_told_and_drawn(client, recording):
    told = client.get(f"/recordings/{recording}").json()
    assert (told["name"], told["leads"], told["sampling_rate"]) == ("Smith_John", ["I", "II"], RATE)
    assert told["verdict"]["state"] == "queued" and told["verdict"]["job"] == told["jobs"][0]["id"]
    assert told["electrodes"]["state"] in ("queued", "unavailable")
    signal = client.get(f"/recordings/{recording}/signal", params={"start": 1, "duration": 2}).json()
    sent = np.array(list(signal["leads"].values())) / 1000
    np.testing.assert_allclose(sent, ecg()[:, round(RATE) : round(3 * RATE)], atol=0.00051)
    only = client.get(f"/recordings/{recording}/signal", params={"leads": "II", "width": 20}).json()
    assert only["kind"] == "minmax" and list(only["leads"]) == ["II"]


def test_the_bundled_ecg_takes_one_click(client):
    told = client.get(f"/recordings/{client.post('/recordings/demo').json()['id']}").json()
    assert len(told["leads"]) == 12 and told["format"] == "bundled"


def test_ids_cannot_be_guessed_and_names_are_no_paths(client, service, recording):
    assert len(recording) >= 20
    stored = [path.relative_to(service.shelf.folder) for path in service.shelf.folder.rglob("*")]
    assert not [path for path in stored if "Smith" in str(path) or recording in str(path)]
    for unknown in ("x", "%2e%2e%2fx", f"{recording}x", "000001"):
        for path in ("", "/signal", "/measures", "/files/sheet.png"):
            assert client.get(f"/recordings/{unknown}{path}").status_code == 404
    assert client.get("/jobs/x").status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("notes.txt", b"no ecg at all", 422),
        ("empty.dcm", b"", 422),
        ("x.zip", zip_file({"../x.csv": b"1"}), 422),
        ("bomb.zip", zip_file({"x.csv": bytes(4 * MOST)}), 422),
        ("large.csv", bytes(MOST + 1), 413),
    ],
)
def test_what_cannot_be_read_says_so_and_leaves_nothing(client, service, name, content, status):
    refused = drop(client, name, content)
    assert refused.status_code == status
    assert refused.json()["error"] and str(service.shelf.folder) not in refused.text
    assert [path.name for path in service.shelf.folder.iterdir()] == [".lock"]


def test_uploads_that_are_none_are_refused(client):
    assert client.post("/recordings", content=b"x").status_code == 400
    assert client.post("/recordings", data={"files": "text"}).status_code in (400, 422)
    broken = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/recordings", content=b"--b\r\nbroken", headers=broken).status_code in (400, 422)
    many = [("files", (f"{number}.csv", b"1")) for number in range(201)]
    assert client.post("/recordings", files=many).status_code == 400
    assert drop(client, "a.npz", npz_file(ecg()), sampling_rate="fast").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "start=x",
        "start=-1",
        "start=nan",
        "start=1e999",
        "duration=0",
        "width=0",
        "width=1e9",
        "leads=V9",
        "leads=",
        "low_pass=1",
    ],
)
def test_views_that_cannot_be_are_refused(client, recording, query):
    refused = client.get(f"/recordings/{recording}/signal?{query}")
    assert refused.status_code == 400 and refused.json()["error"]


@pytest.mark.parametrize("query", ["version=after", "version=after&result=x", "version=../../x"])
def test_what_was_not_made_is_not_there(client, recording, query):
    assert client.get(f"/recordings/{recording}/signal?{query}").status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"[]",
        b"{",
        b'{"kind": "shutdown"}',
        b'{"kind": ["repair"]}',
        b'{"kind": "repair", "folder": "/etc"}',
        b'{"kind": "repair", "complete": 1}',
        b'{"kind": "denoise", "n_samples": 100}',
        b'{"kind": "reconstruct", "leads": ["V9"]}',
        b'{"kind": "reconstruct", "leads": [{}]}',
        b'{"kind": "repair", "result": "/etc"}',
    ],
)
def test_jobs_that_cannot_be_are_refused(client, recording, asked):
    refused = client.post(f"/recordings/{recording}/jobs", content=asked)
    assert refused.status_code == 400 and refused.json()["error"]


def test_a_job_waits_and_is_cancelled(client, recording):
    job = client.post(f"/recordings/{recording}/jobs", json={"kind": "repair", "complete": True}).json()
    assert (job["kind"], job["state"]) == ("repair", "queued")
    assert client.get(f"/jobs/{job['id']}").json()["state"] == "queued"
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert client.get(f"/recordings/{recording}").json()["results"] == []


def test_a_verdict_is_kept(client, recording, worker):
    leads = {"I": {"bad": [True], "probability": [0.9], "reason": ["flat"], "score": [None]}}
    finish(worker, {"until": 4.0, "edges": [0.0, 4.0], "leads": leads})
    verdict = client.get(f"/recordings/{recording}").json()["verdict"]
    assert (verdict["state"], verdict["leads"], verdict["until"]) == ("done", leads, 4.0)


def test_a_full_queue_says_so(client, recording, worker, monkeypatch):
    def full(job):
        raise Busy

    monkeypatch.setattr(worker, "submit", full)
    assert client.post(f"/recordings/{recording}/jobs", json={"kind": "repair"}).status_code == 503


def test_a_removed_recording_is_gone_with_its_jobs(client, service, recording, worker):
    assert client.delete(f"/recordings/{recording}").status_code == 204
    assert client.get(f"/recordings/{recording}").status_code == 404
    assert all(job.ended.done() for job in worker.jobs)
    assert [path.name for path in service.shelf.folder.iterdir()] == [".lock"]


def test_a_failure_of_ours_is_told_in_one_line(service, client, recording, monkeypatch):
    def broken(held):
        raise RuntimeError("Smith, John")

    monkeypatch.setattr(service, "summary", broken)
    failed = client.get(f"/recordings/{recording}")
    assert failed.status_code == 500 and "nothing else is lost" in failed.json()["error"]


def test_what_is_too_old_is_removed_by_itself(service, client, recording):
    async def tidy():
        with anyio.move_on_after(0.5):
            await service.tidy(0.01)

    service.shelf.keep_s = 0.0
    anyio.run(tidy)
    assert client.get(f"/recordings/{recording}").status_code == 404
    assert [path.name for path in service.shelf.folder.iterdir()] == [".lock"]


def test_measures_come_where_there_are_any(client, recording, worker, monkeypatch):
    path = f"/recordings/{recording}/measures"
    monkeypatch.setattr("einthoven.web.doors.offers", lambda name: False)
    assert client.get(path).json()["state"] == "unavailable"
    monkeypatch.setattr("einthoven.web.doors.offers", lambda name: True)
    worker.jobs.clear()
    asked = client.get(path)
    assert asked.status_code == 202 and client.get(path).json()["job"]["id"] == asked.json()["job"]["id"]
    finish(worker, {"rows": [{"measure": "QT", "value": 400.0}]})
    assert client.get(path).json() == {"state": "done", "rows": [{"measure": "QT", "value": 400.0}]}


def test_recordings_are_downloaded_without_what_names_the_patient(client, recording, tmp_path):
    path = f"/recordings/{recording}/files"
    loaded = client.get(f"{path}/recording.hea.zip")
    assert loaded.headers["content-disposition"] == 'attachment; filename="recording.hea.zip"'
    with zipfile.ZipFile(io.BytesIO(loaded.content)) as archive:
        assert sorted(archive.namelist()) == ["recording.dat", "recording.hea"]
    for suffix in (".edf", ".csv", ".npz"):
        loaded = client.get(f"{path}/recording{suffix}")
        assert loaded.status_code == 200 and b"Smith" not in loaded.content
        (tmp_path / f"x{suffix}").write_bytes(loaded.content)
        np.testing.assert_allclose(read(tmp_path / f"x{suffix}").signal, ecg(), atol=1e-3)
    assert client.get(f"{path}/sheet.svg?layout=12x1&gain=20&speed=50&start=1").status_code == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("report.html", 404),
        ("..%2fbefore.npy", 404),
        ("before.npy", 404),
        ("sheet.png?gain=7", 400),
        ("sheet.png?layout=x", 400),
        ("sheet.png?start=x", 400),
        ("sheet.svg?result=x", 404),
    ],
)
def test_files_that_are_not_there_are_refused(client, recording, name, status):
    assert client.get(f"/recordings/{recording}/files/{name}").status_code == status
