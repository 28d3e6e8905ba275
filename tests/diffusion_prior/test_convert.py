"""RhythmDiff's checkpoint as a run folder of ours, through the script."""

import hashlib
import json

import pytest
import torch
import yaml

from diffusion_prior.checkpoint import load_denoiser, save_denoiser
from diffusion_prior.model.denoiser import Conditions
from einthoven.ecg.statements import encode
from tests.diffusion_prior.test_rhythmdiff_checkpoint import made_up, pickled
from tests.scripts import run_script


def run(*arguments):
    return run_script("diffusion_prior.convert", *arguments)


def test_the_folder_gives_the_same_outputs_and_says_what_it_is(tmp_path):
    file = pickled(tmp_path / "checkpoint.pkl", made_up(), optimizer_state_dict={})
    out = tmp_path / "folder"
    done = run(f"checkpoint={file}", f"out={out}")
    assert done.returncode == 0, done.stderr
    original, converted = load_denoiser(file), load_denoiser(out)
    losses = original.facts["denoising_losses"]
    assert "d_model 12, n_layers 2, pool [2, 1]" in done.stdout and "9 leads, 71 labels" in done.stdout
    assert f"{losses['conjugate_pairs']:.4f} with both, {losses['without']:.4f} with one" in done.stdout
    x_t, t, label = torch.randn(2, 9, 32), torch.tensor(0.3), torch.from_numpy(encode(["AFIB"])).expand(2, -1)
    known = Conditions(label)
    assert torch.equal(converted(x_t, t, known), original(x_t, t, known))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert converted.facts["denoising_losses"] == pytest.approx(losses, rel=1e-5)  # the script's threads may be others
    expected = {**original.facts, "source": "checkpoint.pkl", "sha256": digest}
    assert {**converted.facts, "denoising_losses": losses} == expected
    assert yaml.safe_load((out / "config.yaml").read_text())["sha256"] == digest
    assert "commit" in json.loads((out / "provenance.json").read_text())
    card = (out / "README.md").read_text()
    for said in (digest, "Not a medical device", "20240330", "not known", f"{12:d}, n_layers 2", "Intended use"):
        assert said in card
    again = run(f"checkpoint={file}", f"out={out}")
    assert again.returncode == 0, again.stderr
    other = run(f"checkpoint={file}", f"out={out}", "conjugate_pairs=true")
    assert other.returncode == 2 and "choose another folder" in other.stderr
    assert load_denoiser(out).facts == converted.facts


def test_what_cannot_be_converted_is_told_and_nothing_is_left(tmp_path):
    denoiser = load_denoiser(pickled(tmp_path / "checkpoint.pkl", made_up()), conjugate_pairs=False)
    save_denoiser(tmp_path / "ours.safetensors", denoiser, {"steps": 1})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    torch.save({"optimizer_state_dict": {}}, tmp_path / "other.pkl")
    for checkpoint, out, message in (
        ("ours.safetensors", "out", "in our form already"),
        ("other.pkl", "out", "under model_state_dict"),
        ("absent.pkl", "out", "no weights at"),
        ("checkpoint.pkl", "full", "holds something else"),
        ("checkpoint.pkl", "ours.safetensors", "holds something else"),
    ):
        done = run(f"checkpoint={tmp_path / checkpoint}", f"out={tmp_path / out}", "conjugate_pairs=false")
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "out").exists() and len(list((tmp_path / "full").iterdir())) == 1


@pytest.mark.parametrize("missing", ["checkpoint", "out"])
def test_both_places_have_to_be_given(tmp_path, missing):
    given = {"checkpoint": tmp_path / "c.pkl", "out": tmp_path / "out"}
    done = run(*(f"{key}={value}" for key, value in given.items() if key != missing))
    assert done.returncode == 2 and f"{missing}=..." in done.stderr
