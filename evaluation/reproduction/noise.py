"""What the table of noise scores is made of: models, scores on each source, the grid of models, the refinement."""

from collections.abc import Sequence

from evaluation.reproduction.plan import Plan, describe_records, record_overrides


def noise_models(plan: Plan) -> None:
    """Adds the training of the noise models, where they are not the bundled ones."""
    priors, data = plan.settings["priors"], ["prepare_ptbxl_unfiltered", "prepare_cinc2011_unfiltered"]
    if priors["autoencoder"] is not None:
        plan.train("noise_autoencoder", "noise_quant.train_autoencoder", priors["autoencoder"], data)
    if priors["latent"] is not None:
        _train_latent(plan, "noise_latent", priors["latent"], "noise_autoencoder", data)
    if priors["pixel"] is not None:
        plan.train("noise_pixel", "noise_quant.train_pixel_diffusion", priors["pixel"], data)


def noise_scores(plan: Plan) -> None:
    """Adds noise scores: the models and the plain baseline on each source, the grid of models, and the refinement."""
    settings = plan.settings["noise"]
    models = {"latent": ["experiment=score_noise_latent_ddim"], "plain": ["method=baseline"]}
    if plan.settings["priors"]["pixel"] is not None:
        models["pixel"] = ["experiment=score_noise_pixel_ddim", f"timestep={settings['pixel_timestep']}"]
    runs = []
    for source, chosen in settings["sources"].items():
        for model, overrides in models.items():
            given = [f"source={source}", *overrides, *record_overrides("n_records", chosen)]
            runs.append(_score(plan, f"noise_{source}_{model}", model, given))
    refined = _refinement(plan)
    name = plan.evaluate("evaluate_noise", "evaluation.evaluate_noise", [*runs, *refined])
    plan.show("noise", "noise", "noise scores against labels", name, "*.png")
    grid = settings["grid"]
    runs = []
    for model_and_scheduler, timesteps in grid["timesteps"].items():
        model = model_and_scheduler.split("_")[0]
        if model in models:
            for timestep in timesteps:
                given = [f"experiment=score_noise_{model_and_scheduler}", f"timestep={timestep}"]
                given += ["step_interval=1"] if timestep < 10 else []
                given += [*grid["overrides"], *record_overrides("n_records", grid)]
                runs.append(_score(plan, f"noise_grid_{model_and_scheduler}_{timestep}", model, given))
    if runs:
        name = plan.evaluate("evaluate_noise_grid", "evaluation.evaluate_noise", runs)
        plan.show("noise", "noise", f"the grid of models: {describe_records(grid['n_records'])} of PTB-XL", name)


def _refinement(plan: Plan) -> list[str]:
    """Adds training on the leads that two models find cleanest, as published; returns the runs that score with it."""
    settings, priors = plan.settings["noise"], plan.settings["priors"]
    if settings["refinement"] is None or any(priors[name] is None for name in ("autoencoder", "latent", "pixel")):
        return []
    ranked, given = [], ["experiment=refine_published"]
    for kind, model in (("static", "pixel"), ("burst", "latent")):
        ranking = [f"experiment=score_noise_{model}_ddpm", "include_all_folds=true", *settings["ranking"]]
        ranked.append(_score(plan, f"noise_rank_{kind}", model, ranking))
        given.append(f"{kind}_run={plan.folder(ranked[-1])}")
    name, script, key = "noise_refinement", "noise_quant.refine", "refine.results_path"
    chosen = plan.add(name, script, given, "selection.parquet", ranked, key=key)
    more = [*settings["refinement"], f"dataset.selection={plan.folder(chosen) / 'selection.parquet'}"]
    autoencoder = "noise_autoencoder_refined"
    plan.train(autoencoder, "noise_quant.train_autoencoder", [*priors["autoencoder"], *more], [chosen])
    _train_latent(plan, "noise_latent_refined", [*priors["latent"], *more], autoencoder, [chosen])
    overrides = ["source=ptbxl", "experiment=score_noise_latent_ddim"]
    overrides += record_overrides("n_records", settings["sources"]["ptbxl"])
    return [_score(plan, "noise_ptbxl_latent_refined", "latent_refined", overrides)]


def _train_latent(plan: Plan, name: str, overrides: Sequence[str], autoencoder: str, reads: Sequence[str]) -> None:
    """Adds the training of a latent model on the codes of an autoencoder that a stage trains."""
    given = [*overrides, f"autoencoder={plan.folder(autoencoder)}"]
    plan.train(name, "noise_quant.train_latent_diffusion", given, [*reads, autoencoder])


def _score(plan: Plan, name: str, model: str, overrides: Sequence[str]) -> str:
    """Adds a run of `noise_quant.score_noise` by a model that a stage trains, or by the bundled one."""
    trained = [f"noise_{model}"] if f"noise_{model}" in plan.stages else []
    checkpoint = [f"checkpoint={plan.folder(stage)}" for stage in trained]
    given = [*overrides, *checkpoint, *plan.settings["noise"]["overrides"], *plan.on_device()]
    return plan.add(name, "noise_quant.score_noise", given, "scores.parquet", trained, key="score.results_path")
