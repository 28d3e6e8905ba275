"""What each table is made of. Every function adds stages and sections to a plan, from the settings of its size."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.reproduction.noise import noise_models, noise_scores
from evaluation.reproduction.plan import EVALUATED, RECONSTRUCTED, TRAINED, Plan, record_overrides, told_records

SPLITS = ("train", "val", "test")
RIVALS = ("unet_regression", "descod", "unet_denoiser")


def make_plan(root: Path, paths: Mapping[str, str], settings: Mapping[str, Any], device: str = "cpu") -> Plan:
    """Makes the plan of all tables.

    Args:
        root: Folder of the run folders.
        paths: Folders of the recordings, of results and of the prepared data sets: `data`, `runs`, `stores`.
        settings: The size's settings.
        device: Device of the networks.
    """
    plan = Plan(root, settings, own_paths(paths), device)
    data_sets(plan, Path(paths["stores"]))
    priors(plan)
    lead_i(plan)
    missing_block(plan)
    denoising(plan)
    generation(plan)
    noise_models(plan)
    noise_scores(plan)
    return plan


def own_paths(paths: Mapping[str, str]) -> tuple[str, ...]:
    """Returns overrides for the folders that are not those that the environment gives, see `configs/paths`."""
    runs = os.environ.get("ECG_RUNS", "runs")
    usual = {"data": os.environ.get("ECG_DATA", "data"), "runs": runs, "stores": f"{paths['runs']}/stores"}
    return tuple(f"paths.{name}={path}" for name, path in paths.items() if path != usual[name])


def data_sets(plan: Plan, stores: Path) -> None:
    """Adds the preparation of the data sets; one that is prepared already is taken as it is.

    Stores of other settings than the default ones have these behind their name.
    """
    n_workers = plan.settings["n_workers"] or "null"
    for name, script, store, *overrides in (
        ("prepare_ptbxl", "prepare_ptbxl", "ptbxl_100Hz"),
        ("prepare_nstdb", "prepare_nstdb", "nstdb_100Hz"),
        ("prepare_cinc2011", "prepare_cinc2011", "cinc2011_100Hz"),
        ("prepare_ptbxl_unfiltered", "prepare_ptbxl", "ptbxl_100Hz-filtered_false", "dataset.filtered=false"),
        ("prepare_cinc2011_unfiltered", "prepare_cinc2011", "cinc2011_100Hz-filtered_false", "dataset.filtered=false"),
    ):
        made = (stores / store / "manifest.json").absolute()
        given = [] if script == "prepare_nstdb" else [*overrides, f"dataset.n_workers={n_workers}"]
        plan.add(name, f"preprocessing.{script}", given, done=[made])


def priors(plan: Plan) -> None:
    """Adds the training of the prior, where it is not the bundled one."""
    overrides = plan.settings["priors"]["prior"]
    if overrides is not None:
        reads = ("prepare_ptbxl", "prepare_nstdb", *plan.settings["extra_data"])
        plan.add("prior", "diffusion_prior.train", overrides, key="train.results_path", reads=reads, done=TRAINED)


def lead_i(plan: Plan) -> None:
    """Adds twelve leads from lead I: one evaluation for each number of records, of the methods that have as many."""
    reconstructions(plan, "lead_i", "nine leads from lead I")


def missing_block(plan: Plan) -> None:
    """Adds a block missing in all leads."""
    reconstructions(plan, "missing_block", "half of 2.5 s missing in all leads")


def reconstructions(plan: Plan, table: str, title: str) -> None:
    """Adds the methods of a table that `reconstruction.inpaint` fills, and their evaluations."""
    settings = plan.settings[table]
    for method, told in settings["methods"].items():
        plan.add(
            f"{table}_{method}",
            "reconstruction.inpaint",
            [
                *settings["overrides"],
                *_method(plan, method),
                *record_overrides("dataset.n_records", told),
                *plan.on_device(),
            ],
            key="inpaint.results_path",
            reads=["prepare_ptbxl", *_weights(plan, method)],
            done=RECONSTRUCTED,
        )
    for n_records, methods in levels(settings["methods"]).items():
        runs = [f"{table}_{method}" for method in methods]
        name = f"evaluate_{table}_{n_records}"
        plan.add(
            name,
            "evaluation.evaluate_reconstruction",
            [plan.runs(runs), *plan.resamples()],
            reads=["prepare_ptbxl", *runs],
            done=EVALUATED,
            is_derived=True,
        )
        pictures = ("*/median.png", "*/coverage.png", "*/amplitude.png") if len(plan.sections[table]) == 0 else ()
        plan.show(table, "reconstruction", f"{title}: {told_records(n_records)}", name, *pictures)


def denoising(plan: Plan) -> None:
    """Adds denoising: each noise and level by each method, evaluated by number of records."""
    settings = plan.settings["denoising"]
    for condition, noise in settings["conditions"].items():
        for method, told in settings["methods"].items():
            plan.add(
                f"denoising_{condition}_{method}",
                "reconstruction.denoise",
                [*noise, *settings["overrides"], *_method(plan, method), *record_overrides("dataset.n_records", told)]
                + plan.on_device(),
                key="denoise.results_path",
                reads=["prepare_ptbxl", "prepare_nstdb", *_weights(plan, method)],
                done=RECONSTRUCTED,
            )
    for n_records, methods in levels(settings["methods"]).items():
        runs = [f"denoising_{condition}_{method}" for condition in settings["conditions"] for method in methods]
        name = plan.add(
            f"evaluate_denoising_{n_records}",
            "evaluation.evaluate_denoising",
            [plan.runs(runs), f"evaluate.n_validation={settings['n_validation']}", *plan.resamples()],
            reads=["prepare_ptbxl", "prepare_nstdb", *runs],
            done=EVALUATED,
            is_derived=True,
        )
        pictures = ("snr.png", "*/*/median.png") if len(plan.sections["denoising"]) == 0 else ()
        plan.show("denoising", "denoising", f"NSTDB's noises: {told_records(n_records)}", name, *pictures)


def generation(plan: Plan) -> None:
    """Adds synthetic twins, how good they are, and classifiers trained on real and on generated ECGs."""
    settings = plan.settings["generation"]
    twins = [
        plan.add(
            f"generated_{split}",
            "diffusion_prior.generate",
            [f"dataset.training_class={split}", *settings["twins"], *_checkpoint(plan)],
            key="generate.results_path",
            reads=["prepare_ptbxl", *_prior(plan)],
            done=["store/manifest.json", "ecg.png"],
        )
        for split in SPLITS
    ]
    if settings["quality"] is not None:
        name = plan.add(
            "evaluate_generation",
            "evaluation.evaluate_generation",
            [plan.runs(["generated_test"]), *settings["quality"], *plan.resamples()],
            reads=["prepare_ptbxl", "generated_test"],
            done=EVALUATED,
            is_derived=True,
        )
        plan.show("generation", "quality", "generated against real ECGs", name, "*.png")
    classifiers(plan, dict(zip(SPLITS, twins, strict=True)))


def classifiers(plan: Plan, twins: Mapping[str, str]) -> None:
    """Adds classifiers, of real or of generated ECGs, and what they make of real, generated and rebuilt ones.

    The one called "generated" is trained on twins, the one called "lead_i" reads lead I alone and no rebuilt ECGs.
    """
    settings = plan.settings["generation"]
    script, key = "evaluation.downstream_classifier", "evaluate.results_path"
    paths = [f"generated.{split}={plan.folder(name)}" for split, name in twins.items()]
    resamples = plan.resamples()
    rebuilt = [f"lead_i_{method}" for method in settings["reconstructed"]]
    evaluated: dict[str, str] = {}
    for name, overrides in settings["classifiers"].items():
        is_generated = name == "generated"
        trained = plan.add(
            f"classifier_{name}",
            script,
            [*overrides, *settings["training"], *(paths if is_generated else paths[-1:])],
            key=key,
            reads=["prepare_ptbxl", *(twins.values() if is_generated else [twins["test"]])],
            done=[*TRAINED, "scores.csv"],
        )
        sees_all = name != "lead_i"
        given = [f"classifier={plan.folder(trained)}", paths[-1], *resamples]
        if sees_all and rebuilt:
            given.append(f"evaluate.reconstructions=[{','.join(str(plan.folder(run)) for run in rebuilt)}]")
        evaluated[name] = plan.add(
            f"evaluate_classifier_{name}",
            script,
            given,
            key=key,
            reads=["prepare_ptbxl", trained, twins["test"], *(rebuilt if sees_all else [])],
            done=["scores.csv", "scores.md"],
            is_derived=True,
        )
    plan.show("generation", "classification", "classifiers: trained on, and tested on", evaluated, "per_class.png")
    for pair in settings["comparisons"]:
        runs = [evaluated[name] for name in pair]
        compared = plan.add(
            f"compare_classifiers_{'_'.join(pair)}",
            script,
            [f"compare=[{','.join(str(plan.folder(run)) for run in runs)}]", *resamples],
            key=key,
            reads=runs,
            done=["comparison.csv", "comparison.md"],
            is_derived=True,
        )
        title = f"classifiers compared on the same records: {pair[0]} with {pair[-1]}"
        plan.show("generation", "comparison", title, compared)


def levels(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Groups methods by number of records: each number comes with all methods that have at least as many.

    The records of a smaller number are among those of a larger one, so that a group has its number in common.

    Args:
        methods: `n_records` of each; None: all.

    Returns:
        Methods by number ("all" first, then the largest).
    """
    counts = {name: float("inf") if told["n_records"] is None else told["n_records"] for name, told in methods.items()}
    return {
        "all" if count == float("inf") else str(count): [name for name, own in counts.items() if own >= count]
        for count in sorted(set(counts.values()), reverse=True)
    }


def _method(plan: Plan, method: str) -> list[str]:
    """Returns the overrides that choose a posterior sampler or a rival, with its weights."""
    if method in RIVALS:
        return [f"algo={method}", f"algo.weights={plan.folder(f'rival_{method}')}"]
    return [f"algo={method}", *_checkpoint(plan)]


def _weights(plan: Plan, method: str) -> list[str]:
    """Names the stages that train the weights of a method; adds that of a rival."""
    if method not in RIVALS:
        return _prior(plan)
    reads = ["prepare_ptbxl", *([] if method == "unet_regression" else ["prepare_nstdb"]), *plan.settings["extra_data"]]
    overrides = [f"rival={method}", *plan.settings["rivals"][method]]
    script = "reconstruction.train_rival"
    return [plan.add(f"rival_{method}", script, overrides, key="train.results_path", reads=reads, done=TRAINED)]


def _prior(plan: Plan) -> list[str]:
    return ["prior"] if "prior" in plan.stages else []


def _checkpoint(plan: Plan) -> list[str]:
    return [f"checkpoint={plan.folder('prior')}"] if "prior" in plan.stages else []
