"""What each table is made of. Every function adds stages and sections to a plan, from the settings of its size."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.reproduction.noise import noise_models, noise_scores
from evaluation.reproduction.plan import Plan, describe_records, record_overrides

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
    for name, script, store, *overrides in (
        ("prepare_ptbxl", "prepare_ptbxl", "ptbxl_100Hz"),
        ("prepare_nstdb", "prepare_nstdb", "nstdb_100Hz"),
        ("prepare_cinc2011", "prepare_cinc2011", "cinc2011_100Hz"),
        ("prepare_ptbxl_unfiltered", "prepare_ptbxl", "ptbxl_100Hz-filtered_false", "dataset.filtered=false"),
        ("prepare_cinc2011_unfiltered", "prepare_cinc2011", "cinc2011_100Hz-filtered_false", "dataset.filtered=false"),
    ):
        n_workers = [f"dataset.n_workers={plan.settings['n_workers'] or 'null'}"] if name != "prepare_nstdb" else []
        made = (stores / store / "manifest.json").absolute()
        plan.add(name, f"preprocessing.{script}", [*overrides, *n_workers], made)


def priors(plan: Plan) -> None:
    """Adds the training of the prior, where it is not the bundled one."""
    overrides = plan.settings["priors"]["prior"]
    if overrides is not None:
        reads = ["prepare_ptbxl", "prepare_nstdb", *plan.settings["extra_data"]]
        plan.train("prior", "diffusion_prior.train", overrides, reads)


def lead_i(plan: Plan) -> None:
    """Adds twelve leads from lead I: one evaluation for each number of records, of the methods that have as many."""
    reconstructions(plan, "lead_i", "nine leads from lead I")


def missing_block(plan: Plan) -> None:
    """Adds a block missing in all leads."""
    reconstructions(plan, "missing_block", "half of 2.5 s missing in all leads")


def reconstructions(plan: Plan, table: str, title: str) -> None:
    """Adds the methods of a table that `reconstruction.inpaint` fills, and their evaluations."""
    settings = plan.settings[table]
    for method, chosen in settings["methods"].items():
        _restore(plan, f"{table}_{method}", "inpaint", method, chosen, settings["overrides"], [])
    for n_records, methods in by_record_count(settings["methods"]).items():
        runs = [f"{table}_{method}" for method in methods]
        script = "evaluation.evaluate_reconstruction"
        name = plan.evaluate(f"evaluate_{table}_{n_records}", script, runs, reads=["prepare_ptbxl"])
        pictures = () if plan.sections[table] else ("*/median.png", "*/coverage.png", "*/amplitude.png")
        plan.show(table, "reconstruction", f"{title}: {describe_records(n_records)}", name, *pictures)


def denoising(plan: Plan) -> None:
    """Adds denoising: each noise and level by each method, evaluated by number of records."""
    settings = plan.settings["denoising"]
    for condition, noise in settings["conditions"].items():
        for method, chosen in settings["methods"].items():
            overrides = [*noise, *settings["overrides"]]
            _restore(plan, f"denoising_{condition}_{method}", "denoise", method, chosen, overrides, ["prepare_nstdb"])
    for n_records, methods in by_record_count(settings["methods"]).items():
        runs = [f"denoising_{condition}_{method}" for condition in settings["conditions"] for method in methods]
        name = plan.evaluate(
            f"evaluate_denoising_{n_records}",
            "evaluation.evaluate_denoising",
            runs,
            [f"evaluate.n_validation={settings['n_validation']}"],
            ["prepare_ptbxl", "prepare_nstdb"],
        )
        pictures = () if plan.sections["denoising"] else ("snr.png", "*/*/median.png")
        plan.show("denoising", "denoising", f"NSTDB's noises: {describe_records(n_records)}", name, *pictures)


def generation(plan: Plan) -> None:
    """Adds synthetic twins, how good they are, and classifiers trained on real and on generated ECGs."""
    settings = plan.settings["generation"]
    twins = {
        split: plan.add(
            f"generated_{split}",
            "diffusion_prior.generate",
            [f"dataset.training_class={split}", *settings["twins"], *_checkpoint(plan)],
            "store/manifest.json",
            ["prepare_ptbxl", *_prior(plan)],
            key="generate.results_path",
        )
        for split in SPLITS
    }
    if settings["quality"] is not None:
        script = "evaluation.evaluate_generation"
        name = plan.evaluate("evaluate_generation", script, [twins["test"]], settings["quality"], ["prepare_ptbxl"])
        plan.show("generation", "quality", "generated against real ECGs", name, "*.png")
    classifiers(plan, twins)


def classifiers(plan: Plan, twins: Mapping[str, str]) -> None:
    """Adds classifiers, of real or of generated ECGs, and what they make of real, generated and rebuilt ones.

    The one called "generated" is trained on twins, the one called "lead_i" reads lead I alone and no rebuilt ECGs.

    Args:
        plan: The plan.
        twins: Stages that generate, by split.
    """
    settings, key = plan.settings["generation"], "evaluate.results_path"
    script, data = "evaluation.downstream_classifier", "prepare_ptbxl"
    paths = [f"generated.{split}={plan.folder(name)}" for split, name in twins.items()]
    rebuilt = [f"lead_i_{method}" for method in settings["reconstructed"]]
    evaluated: dict[str, str] = {}
    for name, overrides in settings["classifiers"].items():
        on_twins = name == "generated"
        given = [*overrides, *settings["training"], *(paths if on_twins else paths[-1:])]
        reads = [data, *(twins.values() if on_twins else [twins["test"]])]
        trained = plan.add(f"classifier_{name}", script, given, "scores.csv", reads, key=key)
        given, reads = [f"classifier={plan.folder(trained)}", paths[-1]], [data, trained, twins["test"]]
        given += plan.resamples()
        if name != "lead_i" and rebuilt:
            given.append(plan.folders("evaluate.reconstructions", rebuilt))
            reads += rebuilt
        evaluated[name] = plan.add(
            f"evaluate_classifier_{name}", script, given, "scores.csv", reads, key=key, is_derived=True
        )
    plan.show("generation", "classification", "classifiers: trained on, and tested on", evaluated, "per_class.png")
    for names in settings["comparisons"]:
        runs = [evaluated[name] for name in names]
        given = [plan.folders("compare", runs), *plan.resamples()]
        compared = plan.add(
            f"compare_classifiers_{'_'.join(names)}", script, given, "comparison.csv", runs, key=key, is_derived=True
        )
        title = f"classifiers compared on the same records: {names[0]} with {names[-1]}"
        plan.show("generation", "comparison", title, compared)


def by_record_count(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Groups methods by number of records: each number comes with all methods that have at least as many.

    The records of a smaller number are among those of a larger one, so that a group has its number in common.

    Args:
        methods: `n_records` of each; None: all.

    Returns:
        Methods by number ("all" first, then the largest).
    """
    counts = {name: chosen["n_records"] or float("inf") for name, chosen in methods.items()}
    return {
        "all" if count == float("inf") else str(count): [name for name, own in counts.items() if own >= count]
        for count in sorted(set(counts.values()), reverse=True)
    }


def _restore(
    plan: Plan,
    name: str,
    job: str,
    method: str,
    chosen: Mapping[str, Any],
    overrides: Sequence[str],
    reads: Sequence[str],
) -> None:
    """Adds a run of `reconstruction.inpaint` or `.denoise` by a posterior sampler, or by a rival that is trained here.

    Args:
        plan: The plan.
        name: Name of the stage.
        job: "inpaint" or "denoise".
        method: The sampler or rival.
        chosen: Its records and overrides, as `record_overrides` takes them.
        overrides: Overrides of the table.
        reads: What it reads beside PTB-XL and the weights.
    """
    if method in RIVALS:
        data = ["prepare_ptbxl", *([] if method == "unet_regression" else ["prepare_nstdb"])]
        training = [f"rival={method}", *plan.settings["rivals"][method]]
        script = "reconstruction.train_rival"
        weights = [plan.train(f"rival_{method}", script, training, [*data, *plan.settings["extra_data"]])]
        algo = [f"algo={method}", f"algo.weights={plan.folder(weights[0])}"]
    else:
        weights, algo = _prior(plan), [f"algo={method}", *_checkpoint(plan)]
    given = [*overrides, *algo, *record_overrides("dataset.n_records", chosen), *plan.on_device()]
    reads = ["prepare_ptbxl", *reads, *weights]
    plan.add(name, f"reconstruction.{job}", given, "records.parquet", reads, key=f"{job}.results_path")


def _prior(plan: Plan) -> list[str]:
    return ["prior"] if "prior" in plan.stages else []


def _checkpoint(plan: Plan) -> list[str]:
    return [f"checkpoint={plan.folder('prior')}"] if "prior" in plan.stages else []
