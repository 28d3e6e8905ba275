"""What each table is made of. Every function adds stages and sections to a plan, from the settings of its size."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.reproduction.noise import noise_models, noise_scores
from evaluation.reproduction.plan import Plan, describe_records, record_overrides

RIVALS = ("unet_regression", "descod", "unet_denoiser")


@dataclass(frozen=True)
class RecordSet:
    """Records that restorations are tested on.

    Attributes:
        name: Begins the names of its stages; empty for PTB-XL's fold 10.
        title: Begins the titles of its sections.
        store: Folder of its store, where it is not PTB-XL's.
        baselines: Folder of PTB-XL's store, which the baselines are fitted on.
    """

    name: str = ""
    title: str = ""
    store: Path | None = None
    baselines: Path | None = None

    def stage(self, name: str) -> str:
        """Names a stage of this set."""
        return f"{self.name}_{name}" if self.name else name

    def runs(self) -> list[str]:
        """Returns the overrides of a run on these records."""
        return [] if self.store is None else [f"dataset.store={self.store}"]

    def evaluations(self) -> list[str]:
        """Returns the overrides of an evaluation of such runs."""
        return [] if self.baselines is None else [f"evaluate.store={self.baselines}"]

    def reads(self) -> list[str]:
        """Names the stage that prepares the records, where they are not PTB-XL's."""
        return [f"prepare_{self.name}"] if self.name else []


OWN = RecordSet()
RESTORATIONS: dict[str, str] = {
    "lead_i": "nine leads from lead I",
    "missing_block": "half of 2.5 s missing in all leads",
    "denoising": "NSTDB's noises",
}
"""Tables of restored ECGs, and the titles of their sections."""


def make_plan(root: Path, paths: Mapping[str, str], settings: Mapping[str, Any], device: str = "cpu") -> Plan:
    """Makes the plan of all tables; `paths` has the folders `data`, `runs` and `stores`, the rest is as in `Plan`."""
    plan = Plan(root, settings, _own_paths(paths), device)
    _data_sets(plan, Path(paths["stores"]))
    if (prior := settings["priors"]["prior"]) is not None:
        plan.train("prior", "diffusion_prior.train", prior, ["prepare_ptbxl", "prepare_nstdb", *settings["extra_data"]])
    sets = [(OWN, {table: settings[table]["methods"] for table in RESTORATIONS})]
    if (external := settings["external"]) is not None:
        sets.append((_other_hospitals(plan, paths, external), external["methods"]))
    for record_set, methods in sets:
        for table, title in RESTORATIONS.items():
            restore = _denoising if table == "denoising" else _reconstructions
            restore(plan, table, record_set.title + title, methods.get(table, {}), record_set)
    _generation(plan)
    noise_models(plan)
    noise_scores(plan)
    return plan


def _own_paths(paths: Mapping[str, str]) -> tuple[str, ...]:
    """Returns overrides for the folders that are not those that the environment gives, see `configs/paths`."""
    runs = os.environ.get("ECG_RUNS", "runs")
    usual = {"data": os.environ.get("ECG_DATA", "data"), "runs": runs, "stores": f"{paths['runs']}/stores"}
    return tuple(f"paths.{name}={path}" for name, path in paths.items() if path != usual[name])


def _data_sets(plan: Plan, stores: Path) -> None:
    """Adds the preparation of the data sets; one that is prepared already is taken as it is."""
    n_workers = f"dataset.n_workers={plan.settings['n_workers'] or 'null'}"
    for name in ("ptbxl", "nstdb", "cinc2011", "ptbxl_unfiltered", "cinc2011_unfiltered"):
        data_set, _, form = name.partition("_")
        # Stores of other settings than the default ones have these behind their name.
        store = f"{data_set}_100Hz{form and '-filtered_false'}"
        overrides = ["dataset.filtered=false"] * bool(form) + [n_workers] * (name != "nstdb")
        made = (stores / store / "manifest.json").absolute()
        plan.add(f"prepare_{name}", f"preprocessing.prepare_{data_set}", overrides, made)


def _other_hospitals(plan: Plan, paths: Mapping[str, str], external: Mapping[str, Any]) -> RecordSet:
    """Adds the preparation of records of other hospitals; returns them as a test set."""
    stores = Path(paths["stores"]).absolute()
    # Stores of other settings than the default ones have these behind their name.
    store = stores / "challenge-name_external-is_test_true"
    overrides = ["dataset.name=challenge", f"dataset.raw_path={paths['data']}/{external['folder']}"]
    overrides.append("dataset.settings={archive: external, is_test: true}")
    plan.add("prepare_external", "preprocessing.prepare", overrides, store / "manifest.json")
    return RecordSet("external", "other hospitals: ", store, stores / "ptbxl_100Hz")


def _reconstructions(
    plan: Plan, table: str, title: str, methods: Mapping[str, Mapping[str, Any]], record_set: RecordSet
) -> None:
    """Adds the methods of a table that `reconstruction.inpaint` fills, and an evaluation a number of records."""
    for method, chosen in methods.items():
        _restore(plan, record_set, f"{table}_{method}", "inpaint", method, chosen, plan.settings[table]["overrides"])
    for n_records, named in by_record_count(methods).items():
        runs = [record_set.stage(f"{table}_{method}") for method in named]
        script, stage = "evaluation.evaluate_reconstruction", record_set.stage(f"evaluate_{table}_{n_records}")
        name = plan.evaluate(stage, script, runs, record_set.evaluations(), ["prepare_ptbxl", *record_set.reads()])
        pictures = () if plan.sections[table] else ("*/median.png", "*/coverage.png", "*/amplitude.png")
        plan.show(table, "reconstruction", f"{title}: {describe_records(n_records)}", name, *pictures)


def _denoising(
    plan: Plan, table: str, title: str, methods: Mapping[str, Mapping[str, Any]], record_set: RecordSet
) -> None:
    """Adds denoising: each noise and level by each method, evaluated by number of records."""
    settings = plan.settings[table]
    for condition, noise in settings["conditions"].items():
        for method, chosen in methods.items():
            overrides = [*noise, *settings["overrides"]]
            _restore(plan, record_set, f"{table}_{condition}_{method}", "denoise", method, chosen, overrides)
    for n_records, named in by_record_count(methods).items():
        names = [f"{table}_{condition}_{method}" for condition in settings["conditions"] for method in named]
        runs = [record_set.stage(name) for name in names]
        given = [f"evaluate.n_validation={settings['n_validation']}", *record_set.evaluations()]
        script, stage = "evaluation.evaluate_denoising", record_set.stage(f"evaluate_{table}_{n_records}")
        reads = ["prepare_ptbxl", "prepare_nstdb", *record_set.reads()]
        name = plan.evaluate(stage, script, runs, given, reads)
        pictures = () if plan.sections[table] else ("snr.png", "*/*/median.png")
        plan.show(table, "denoising", f"{title}: {describe_records(n_records)}", name, *pictures)


def _generation(plan: Plan) -> None:
    """Adds synthetic twins, how good they are, and classifiers trained on real and on generated ECGs."""
    settings = plan.settings["generation"]
    twins, script, made = {}, "diffusion_prior.generate", "store/manifest.json"
    reads, key = ["prepare_ptbxl", *_prior(plan)], "generate.results_path"
    for split in ("train", "val", "test"):
        given = [f"dataset.training_class={split}", *settings["twins"], *_checkpoint(plan)]
        twins[split] = plan.add(f"generated_{split}", script, given, made, reads, key=key)
    if settings["quality"] is not None:
        script = "evaluation.evaluate_generation"
        name = plan.evaluate("evaluate_generation", script, [twins["test"]], settings["quality"], ["prepare_ptbxl"])
        plan.show("generation", "quality", "generated against real ECGs", name, "*.png")
    _classifiers(plan, twins)


def _classifiers(plan: Plan, twins: Mapping[str, str]) -> None:
    """Adds classifiers, of real or of generated ECGs, and what they make of real, generated and rebuilt ones.

    The one called "generated" is trained on `twins`, stages that generate, by split; the one called "lead_i" reads lead
    I alone and no rebuilt ECGs.
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
        stage = f"evaluate_classifier_{name}"
        evaluated[name] = plan.add(stage, script, given, "scores.csv", reads, key=key, is_derived=True)
    plan.show("generation", "classification", "classifiers: trained on, and tested on", evaluated, "per_class.png")
    for names in settings["comparisons"]:
        runs = [evaluated[name] for name in names]
        given = [plan.folders("compare", runs), *plan.resamples()]
        stage = f"compare_classifiers_{'_'.join(names)}"
        compared = plan.add(stage, script, given, "comparison.csv", runs, key=key, is_derived=True)
        title = f"classifiers compared on the same records: {names[0]} with {names[-1]}"
        plan.show("generation", "comparison", title, compared)


def by_record_count(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Groups methods by number of records: each number comes with all methods that have at least as many.

    The records of a smaller number are among those of a larger one, so that a group has its number in common: "all"
    first, where `n_records` is None, then the largest.
    """
    counts = {name: chosen["n_records"] or float("inf") for name, chosen in methods.items()}
    return {
        "all" if count == float("inf") else str(count): [name for name, own in counts.items() if own >= count]
        for count in sorted(set(counts.values()), reverse=True)
    }


def _restore(
    plan: Plan,
    record_set: RecordSet,
    name: str,
    job: str,
    method: str,
    chosen: Mapping[str, Any],
    overrides: Sequence[str],
) -> None:
    """Adds a run of `reconstruction.inpaint` or `.denoise` by a sampler, or by a rival that is trained here."""
    if method in RIVALS:
        data = ["prepare_ptbxl", *([] if method == "unet_regression" else ["prepare_nstdb"])]
        training = [f"rival={method}", *plan.settings["rivals"][method]]
        script = "reconstruction.train_rival"
        weights = [plan.train(f"rival_{method}", script, training, [*data, *plan.settings["extra_data"]])]
        algo = [f"algo={method}", f"algo.weights={plan.folder(weights[0])}"]
    else:
        weights, algo = _prior(plan), [f"algo={method}", *_checkpoint(plan)]
    records = [*record_set.runs(), *record_overrides("dataset.n_records", chosen)]
    given = [*overrides, *algo, *records, *plan.on_device()]
    reads = ["prepare_ptbxl", *(["prepare_nstdb"] if job == "denoise" else []), *record_set.reads(), *weights]
    plan.add(
        record_set.stage(name), f"reconstruction.{job}", given, "records.parquet", reads, key=f"{job}.results_path"
    )


def _prior(plan: Plan) -> list[str]:
    return ["prior"] if "prior" in plan.stages else []


def _checkpoint(plan: Plan) -> list[str]:
    return [f"checkpoint={plan.folder('prior')}"] if "prior" in plan.stages else []
