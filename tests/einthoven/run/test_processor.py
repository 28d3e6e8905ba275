import warnings

import pytest

from diffusion_prior.model.acceleration import accelerate_denoiser
from diffusion_prior.training import trainer
from diffusion_prior.training.settings import TrainerSettings
from einthoven.run import processor
from einthoven.run.processor import choose_precision, processor_flags, processor_name, settle_precision
from einthoven.run.run_folder import RunFolder
from tests.diffusion_prior.model.test_acceleration import build
from tests.noise_quant.training.test_objectives import Waves, objective_of


@pytest.fixture(params=[False, True])
def has_units(request, monkeypatch):
    monkeypatch.setattr(
        processor, "processor_flags", lambda: frozenset({"fma", "amx_bf16"} if request.param else {"fma"})
    )
    return request.param


@pytest.mark.parametrize(
    ("line", "flag"), [("flags\t\t: fpu avx512_bf16", "avx512_bf16"), ("Features : bf16 i8mm", "bf16")]
)
def test_flags_are_read_as_linux_lists_them(tmp_path, line, flag):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor : 0\nmodel name : Some CPU @ 2 GHz\n{line}\n\nprocessor : 1\n")
    assert flag in processor_flags(file) and len(processor_flags(file)) == 2
    assert processor_name(file) == "Some CPU @ 2 GHz"
    assert processor_flags(tmp_path / "none") == frozenset() and processor_name(tmp_path / "none") == ""


def test_auto_takes_bf16_where_there_are_units(has_units):
    assert choose_precision("auto") == ("bf16" if has_units else "float32")
    assert choose_precision("bf16") == "bf16" and choose_precision("float32") == "float32"
    config = {"precision": "auto", "device": "cpu", "train": {"mixed_precision": "auto"}, "name": "auto"}
    settle_precision(config)
    names = ("bf16", "bf16") if has_units else ("float32", "no")
    assert (config["precision"], config["train"]["mixed_precision"], config["name"]) == (*names, "auto")


def test_bf16_without_units_is_warned_of(has_units, tmp_path, monkeypatch):
    asked = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert accelerate_denoiser(build("U-Net"), "bf16").backbone.precision == "bf16"
        # Accelerate keeps the first precision of a process.
        monkeypatch.setattr(trainer, "Accelerator", lambda mixed_precision: asked.append(mixed_precision) or 1 / 0)
        for precision in ("bf16", "auto"):
            run = RunFolder.create(tmp_path, {}, seed=0, device="cpu")
            with pytest.raises(ZeroDivisionError):
                trainer.Trainer(objective_of("pixel"), Waves(), TrainerSettings(mixed_precision=precision), run)
    assert asked == ["bf16", "bf16" if has_units else "no"]
    messages = [str(warning.message) for warning in found if "bfloat16 units" in str(warning.message)]
    assert len(messages) == (0 if has_units else 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        denoiser = build("U-Net")
        assert (accelerate_denoiser(denoiser, "auto") is denoiser) is not has_units
