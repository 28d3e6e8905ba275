"""Known answers, what a machine has, and the page of `make gpu` at a tiny size on the processor."""

import json

import pytest
import torch

from einthoven.run.launch import plain
from evaluation import doctor
from evaluation.benchmarks import machine_report, measuring, self_test
from evaluation.benchmarks.machine_report import describe_checks, describe_machine, devices
from tests import gpu_page
from tests.test_configs import compose

QUICK = ("superlets", "SaShiMi and its gradient", "training")
ROWS = {
    "superlets": {"measure": "superlets", "forms": ["default form"], "leads": 1, "each": {"device": ["cpu", "cuda"]}}
}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(measuring, "measure_alone", measuring.rows_of)


@pytest.fixture(scope="module")
def checks():
    return self_test.self_test(["cpu"])


def test_the_processor_gives_the_known_answers(checks):
    assert [check.name for check in checks] == list(self_test.CHECKS)
    assert not any(check.failed for check in checks), describe_checks(checks)
    assert json.loads(self_test.ANSWERS.read_text()).keys() == self_test.CHECKS.keys()


def test_another_answer_and_none_have_failed(tmp_path, monkeypatch):
    answers = json.loads(self_test.ANSWERS.read_text())
    answers["superlets"][3] += 0.05
    (tmp_path / "answers.json").write_text(json.dumps(answers))

    def lacks(device):
        raise ValueError("accelerate is not installed: pip install 'einthoven[train]'")

    monkeypatch.setattr(self_test, "CHECKS", {**self_test.CHECKS, "training": (lacks, 1.0)})
    found = [
        *self_test.self_test(["cpu"], ["superlets", "training"], tmp_path / "answers.json"),
        *self_test.self_test(["nowhere"], ["SaShiMi and its gradient"]),
    ]
    assert [check.failed for check in found] == [True, False, True]
    text = describe_checks(found)
    assert "| WRONG | 5.00 |" in text and "pip install" in text and "nowhere" in text


def test_the_doctor_prints_the_machine_the_answers_and_rows(monkeypatch, checks):
    monkeypatch.setattr(self_test, "self_test", lambda names: checks)
    config = plain(compose("doctor"))
    assert set(config["parts"]) == {"superlets", "scores", "amortised"}
    outcome = doctor.main.__wrapped__({**config, "parts": ROWS})
    assert not outcome.failed and "all answers are as known" in outcome.text
    assert f"torch {torch.__version__}" in outcome.text and "superlets, default form" in outcome.text
    wrong = self_test.Check("superlets", "cpu", 2.0, 0.1)
    monkeypatch.setattr(self_test, "self_test", lambda names: [wrong])
    outcome = doctor.main.__wrapped__({**config, "rows": False})
    assert outcome.failed and outcome.text.endswith("WRONG: superlets on cpu")


def test_the_machine_is_described(monkeypatch):
    assert devices()[0] == "cpu"
    text = describe_machine()
    assert "threads of torch" in text and "bfloat16 units" in text and "extra train: " in text
    monkeypatch.setattr(machine_report, "_is_installed", lambda package: package != "diffusers")
    assert "extra train: lacks diffusers: pip install 'einthoven[train]'" in describe_machine()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_make_gpu_without_one_says_so_in_a_line(capsys, tmp_path):
    assert gpu_page.main(page=tmp_path / "gpu.md") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "gpu.md").exists()


def test_the_page_of_make_gpu(tmp_path, capsys):
    (tmp_path / "test_one.py").write_text("import pytest\n@pytest.mark.gpu\ndef test_it():\n    assert 0\n")
    said, failed = gpu_page.run_tests("gpu", tmp_path / "test_one.py")
    assert failed and "1 failed" in said and said.startswith("FAILED")
    assert gpu_page.write_page(tmp_path / "gpu.md", "cpu", said, True, ROWS, QUICK) == 1
    assert gpu_page.write_page(tmp_path / "gpu.md", "cpu", "1 passed in 1 s", False, ROWS, QUICK) == 0
    page = (tmp_path / "gpu.md").read_text()
    assert "| training | cpu | as known |" in page and "| superlets, default form |" in page
    parts = plain(compose("benchmark"))["benchmark"]["gpu"]
    assert {part["measure"] for part in parts.values()} >= {"superlets", "score", "inpaint", "compare_mgps", "train"}
