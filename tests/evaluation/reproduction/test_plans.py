"""Every command of every size fits the config of its script, and reads only what other stages make."""

from pathlib import Path

import hydra
import pytest
import yaml

from einthoven.run.launch import CONFIGS
from evaluation.reproduction.plan import TABLES
from evaluation.reproduction.plans import by_record_count, make_plan
from evaluation.reproduction.tables import KINDS

SIZES = sorted(path.stem for path in (CONFIGS / "size").glob("*.yaml"))


def plan_of(size: str):
    settings = yaml.safe_load((CONFIGS / "size" / f"{size}.yaml").read_text())
    paths = {"data": "recordings", "runs": "results", "stores": "results/stores"}
    return make_plan(Path("results/reproduce") / size, paths, settings)


def commands():
    """One command of each script and choice of options, with all keys that any stage of it gives."""
    words = {}
    for size in SIZES:
        for stage in plan_of(size).stages.values():
            chosen = [
                word for word in stage.overrides if word.split("=")[0] in ("experiment", "algo", "rival", "model")
            ]
            keys = words.setdefault((stage.module, *chosen), {})
            keys |= {word.split("=")[0]: word for word in stage.arguments if not word.startswith("hydra.")}
    return [(module, list(keys.values())) for (module, *_), keys in words.items()]


def test_commands_fit_their_configs():
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        for module, words in commands():
            hydra.compose(module.rpartition(".")[2], words)


@pytest.mark.parametrize("size", SIZES)
def test_every_table_has_stages_that_read_what_others_make(size):
    plan = plan_of(size)
    for table in TABLES:
        stages = plan.wanted([table])
        names = [stage.name for stage in stages]
        assert len(set(names)) == len(names) > 2
        for place, stage in enumerate(stages):
            assert set(stage.reads) <= set(names[:place])
            text = " ".join(stage.overrides)
            read = [name for name in plan.stages if f"{plan.folder(name)}," in text or f"{plan.folder(name)}]" in text]
            assert set(read) <= set(stage.reads)
        assert all(section.kind in KINDS for section in plan.sections[table])
    wanted = {stage.name for stage in plan.wanted(list(TABLES))}
    assert set(plan.stages) - wanted <= {name for name in plan.stages if name.startswith("prepare_")}


def test_names_of_the_run_folders_hold():
    names = set(plan_of("shared").stages)
    assert names >= {f"generated_{split}" for split in ("train", "val", "test")}
    assert names >= {f"rival_{name}" for name in ("unet_regression", "descod", "unet_denoiser")}
    assert names >= {f"classifier_{name}" for name in ("real", "generated", "lead_i", "rhythms")}


def test_methods_are_compared_on_the_records_that_they_share():
    methods = {"a": {"n_records": None}, "b": {"n_records": 24}, "c": {"n_records": 6}, "d": {"n_records": 24}}
    assert by_record_count(methods) == {"all": ["a"], "24": ["a", "b", "d"], "6": ["a", "b", "c", "d"]}


def test_a_smoke_run_reads_and_writes_beside_nothing_else():
    settings = yaml.safe_load((CONFIGS / "size" / "smoke.yaml").read_text())
    plan = make_plan(Path("here"), {"data": "here/data", "runs": "runs", "stores": "here/stores"}, settings)
    assert all({"paths.data=here/data", "paths.stores=here/stores"} <= set(s.overrides) for s in plan.stages.values())


def test_other_hospitals_are_restored_alike_and_judged_beside_baselines_of_ptbxl():
    plan = plan_of("shared")
    run, evaluation = plan.stages["external_lead_i_amortised"], plan.stages["external_evaluate_lead_i_all"]
    store = plan.stages["prepare_external"].result.parent
    assert f"dataset.store={store}" in run.overrides and "prepare_external" in run.reads
    assert f"evaluate.store={store.with_name('ptbxl_100Hz')}" in evaluation.overrides
    assert run.module == plan.stages["lead_i_amortised"].module
    assert [section.title for section in plan.sections["lead_i"]][-1].startswith("other hospitals")
