import pytest

from einthoven.run.chunked_job import ChunkedJob


def job_in(folder, seed=0):
    job = ChunkedJob(folder, {"seed": seed}, ".txt")
    for key in (1, 2):
        job.add([str(key)], [key], 1, key)
    return job


def test_parts_left_by_a_kill_after_the_result_go(tmp_path):
    job = job_in(tmp_path)
    assert not job.is_finished("result")
    for chunk in job.chunks:
        chunk.part.parent.mkdir(exist_ok=True)
        chunk.part.write_text("part")
    job.note()
    assert not job.is_finished("result")
    (tmp_path / "result").write_text("whole")
    with pytest.raises(ValueError, match="other work"):
        job_in(tmp_path, seed=1).is_finished("result")
    assert job.parts.is_dir()
    assert job.is_finished("result")
    assert not job.parts.exists()
    assert job.is_finished("result")
