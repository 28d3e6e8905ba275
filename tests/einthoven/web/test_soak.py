"""A bounded soak of the server on loopback: SOAK_MINUTES=60 python -m pytest -s tests/einthoven/web/test_soak.py.

An upload every few seconds, a fifth of all requests broken or hostile. Nothing may crash, memory may not grow once
everything is warm, and nothing may be left in the temporary folder.
"""

import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx2
import numpy as np
import pytest

from einthoven.ecg.reading import read
from tests.einthoven.web.inline import npz_file, zip_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("SOAK_MINUTES" not in os.environ, reason="a soak takes long: set SOAK_MINUTES"),
]
EVERY_S = 3.0
HOSTILE = 0.2
MB = 1 << 20
LINK = {"create_system": 3, "external_attr": 0o120777 << 16}


def good_uploads():
    demo = read()
    whole = npz_file(demo.signal, demo.sampling_rate, demo.leads)
    long = npz_file(np.tile(demo.signal[:3], 30), demo.sampling_rate, demo.leads[:3])
    times = np.arange(demo.signal.shape[-1]) / demo.sampling_rate
    lines = ["time,I,II"] + [f"{time:.4f},{a:.4f},{b:.4f}" for time, a, b in zip(times, *demo.signal[:2], strict=True)]
    table = "\n".join(lines).encode()
    return [
        ("a.npz", whole),
        ("long.npz", long),
        ("t.csv", table),
        ("two.zip", zip_file({"a/t.csv": table, "b/x.npz": whole})),
    ]


def hostile_uploads(good):
    random_bytes = os.urandom(50_000)
    entities = (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><AnnotatedECG>&x;</AnnotatedECG>'
    )
    header = b"record 2 250 1000\n/etc/passwd 16 200 0 0 0 0 0 I\n../x.dat 16 200 0 0 0 0 0 II\n"
    return [
        ("x.dcm", random_bytes),
        ("x.dcm", bytes(128) + b"DICM" + random_bytes),
        ("x.edf", b"0       " + random_bytes),
        ("x.hea", header),
        ("x.xml", entities),
        ("x.zip", zip_file({"../../x.csv": b"1"})),
        ("x.zip", zip_file({"x.csv": b"/etc/passwd"}, **LINK)),
        ("bomb.zip", zip_file({"x.csv": bytes(300 * MB)})),
        ("../../../etc/cron.d/x", b"* * * * * root x"),
        ("large.csv", bytes(12 * MB)),
        (
            "x.npy",
            b"\x93NUMPY\x01\x00\x76\x00"
            + b"{'descr': '|O', 'fortran_order': False, 'shape': (10,), }".ljust(117)
            + b"\n",
        ),
        *((name, content[: len(content) // 3]) for name, content in good if not name.endswith(".csv")),
    ]


def megabytes(server):
    """Resident memory of the server and of each of its processes."""
    children = [pid for file in Path(f"/proc/{server}/task").glob("*/children") for pid in file.read_text().split()]
    sizes = []
    for pid in (str(server), *children):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        sizes.append(int(found[1]) // 1024 if found else 0)
    return sizes


def visit(client, rng, good, hostile, count):
    """Makes one visit; what may not be is an assertion."""
    if rng.random() < HOSTILE:
        name, content = rng.choice(hostile)
        answers = [
            client.post("/recordings", files=[("files", (name, content))]),
            client.get("/options", headers={"host": "evil.example"}),
            client.post("/recordings/demo", headers={"origin": "http://evil.example"}),
            client.get("/recordings/%2e%2e%2f%2e%2e/signal"),
        ]
        for answer in answers:
            assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text[:200])
        count["hostile"] += 1
        return
    name, content = rng.choice(good)
    answer = client.post("/recordings", files=[("files", (name, content))])
    assert answer.status_code in (201, 503), answer.text[:200]
    count["uploads"] += answer.status_code == 201
    if answer.status_code != 201:
        return
    held = answer.json()["id"]
    width = rng.choice([390, 1280, 4000])
    assert client.get(f"/recordings/{held}/signal?width={width}").status_code == 200
    kind = rng.choice(["repair", "reconstruct", None, None, None])
    if kind is not None:
        answer = client.post(f"/recordings/{held}/jobs", json={"kind": kind})
        assert answer.status_code in (202, 503), answer.text[:200]
        count["jobs" if answer.status_code == 202 else "busy"] += 1
        if answer.status_code == 202 and rng.random() < 0.3:
            assert client.delete(f"/jobs/{answer.json()['id']}").status_code == 200
            count["cancelled"] += 1
    if rng.random() < 0.3:
        assert client.get(f"/recordings/{held}/files/recording.edf").status_code in (200, 400)
        count["files"] += 1
    told = client.get(f"/recordings/{held}").json()
    count.update(f"jobs {each['state']}" for each in told["jobs"] if each["state"] == "failed")
    if rng.random() < 0.3:
        assert client.delete(f"/recordings/{held}").status_code == 204


def test_a_long_time_of_visits_costs_nothing(tmp_path):
    minutes = float(os.environ["SOAK_MINUTES"])
    settings = ["port=0", "keep_minutes=2", "max_upload_mb=10", "max_decoded_mb=200"]
    command = [sys.executable, "-m", "einthoven.web.serve", *settings]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "ECG_RUNS": str(tmp_path / "runs")}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = server.stdout.readline().split()[-1]
    good = good_uploads()
    hostile, rng, count, sizes = hostile_uploads(good), random.Random(0), Counter(), []
    end, told = time.monotonic() + 60 * minutes, 0.0
    try:
        with httpx2.Client(base_url=address, timeout=300) as client:
            while time.monotonic() < end:
                begin = time.monotonic()
                visit(client, rng, good, hostile, count)
                assert server.poll() is None
                if begin - told > 60:
                    told, size = begin, megabytes(server.pid)
                    sizes.append(size)
                    sys.stderr.write(f"{(end - begin) / 60:.1f} min left, {dict(count)}, MB {size}\n")
                time.sleep(max(0.0, EVERY_S - (time.monotonic() - begin)))
            assert client.get("/healthz").json() == {"ok": True}
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=60)
    assert "Traceback" not in errors and " at " not in errors, errors
    assert not [path for path in tmp_path.iterdir() if path.name != "runs"]
    middle = sizes[len(sizes) // 2 :]
    if len(middle) > 2:
        own = [size[0] for size in middle]
        assert max(own) - min(own) < 50, f"the server's own memory in MB: {own}"
