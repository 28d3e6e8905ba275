"""Trains a classifier on real or generated ECGs and tests it on real, generated and reconstructed ones.

python -m evaluation.downstream_classifier evaluate.train_downstream=real
python -m evaluation.downstream_classifier classifier=<its run folder> evaluate.reconstructions=[<run of inpaint>]
python -m evaluation.downstream_classifier compare=[<run folder>,<run folder of the reference>]
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("downstream_classifier")
def main(config: dict[str, Any]) -> Outcome:
    """Trains or loads a classifier, reads the data sets with it, writes and prints the scores; or compares two runs."""
    import torch

    from diffusion_prior.training.settings import TrainerSettings
    from diffusion_prior.training.training_run import run_training
    from einthoven.ecg.leads import LEADS
    from einthoven.run.weights_cache import hash_weights
    from einthoven.run.weights_file import find_weights
    from evaluation.classification.classifier import check_classifier, load_classifier
    from evaluation.classification.data import ClassificationObjective, new_classifier
    from evaluation.classification.data_sets import TRAINED_ON, DataSets
    from evaluation.classification.report import compare_runs, write_report

    evaluate, seed = config["evaluate"], config["seed"]
    classes, leads, kind = evaluate["classes"], evaluate["leads"], evaluate["train_downstream"]
    folder, settings = run_path(config), TrainerSettings(**config["train"], seed=seed)
    draws = {"n_resamples": evaluate["n_resamples"], "seed": seed}
    if config["compare"]:
        path = RunFolder.create(folder, config, seed=seed, device="cpu").path
        then = ["downstream_classifier", f"compare=[{config['compare'][0]},OTHER_RUN]"]
        return Outcome(compare_runs(config["compare"], path, **draws), [path], then)
    runs = (config["generated"], evaluate["reconstructions"])
    data_sets = DataSets.open(config["dataset"]["database_path"], *runs, evaluate["split"])
    origin: dict[str, Any] = {"data_manifest_hash": data_sets.real.manifest_hash, "files": {}}
    if config["classifier"]:
        classifier = check_classifier(load_classifier(config["classifier"]), classes, leads)
        data_sets.check(classifier)
        origin["files"]["classifier"] = hash_weights(find_weights(config["classifier"]))
        run = RunFolder.create(folder, config, seed=seed, device="cpu", **origin)
    else:
        stores = data_sets.to_train(kind)
        torch.manual_seed(seed)
        spec = {**config["model"], "classes": classes or "statements", "leads": leads or LEADS}
        untrained, data = new_classifier(*stores, {**spec, "trained_on": TRAINED_ON[kind]})
        data_sets.check(untrained)
        objective = ClassificationObjective(untrained)
        run = run_training(objective, data, settings, folder, config, origin=origin).run
        classifier = load_classifier(run.path)
    text = write_report(classifier, data_sets.predict(classifier), run.path, **draws)
    return Outcome(text, [run.path], ["downstream_classifier", f"compare=[{run.path},REFERENCE_RUN]"])


if __name__ == "__main__":
    main()
