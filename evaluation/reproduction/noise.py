"""What the table of noise scores is made of: models, scores on each source, the grid of models, the refinement."""

from collections.abc import Sequence

from evaluation.reproduction.plan import EVALUATED, TRAINED, Plan, record_overrides, told_records


def noise_models(plan: Plan) -> None:
    """Adds the training of the noise models, where they are not the bundled ones."""
    told = plan.settings["priors"]
    data = ("prepare_ptbxl_unfiltered", "prepare_cinc2011_unfiltered")
    key = "train.results_path"
    if told["autoencoder"] is not None:
        script = "noise_quant.train_autoencoder"
        plan.add("noise_autoencoder", script, told["autoencoder"], key=key, reads=data, done=TRAINED)
    if told["latent"] is not None:
        plan.add(
            "noise_latent",
            "noise_quant.train_latent_diffusion",
            [*told["latent"], f"autoencoder={plan.folder('noise_autoencoder')}"],
            key=key,
            reads=[*data, "noise_autoencoder"],
            done=TRAINED,
        )
    if told["pixel"] is not None:
        script = "noise_quant.train_pixel_diffusion"
        plan.add("noise_pixel", script, told["pixel"], key=key, reads=data, done=TRAINED)


def noise_scores(plan: Plan) -> None:
    """Adds noise scores: the models and the plain baseline on each source, the grid of models, and the refinement."""
    settings = plan.settings["noise"]
    models = {"latent": ["experiment=score_noise_latent_ddim"], "plain": ["method=baseline"]}
    if plan.settings["priors"]["pixel"] is not None:
        models["pixel"] = ["experiment=score_noise_pixel_ddim", f"timestep={settings['pixel_timestep']}"]
    runs = []
    for source, told in settings["sources"].items():
        for model, overrides in models.items():
            given = [f"source={source}", *overrides, *record_overrides("n_records", told)]
            runs.append(_score(plan, f"noise_{source}_{model}", model, given))
    refined = refinement(plan)
    name = _evaluate_noise(plan, "evaluate_noise", [*runs, *refined])
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
        name = _evaluate_noise(plan, "evaluate_noise_grid", runs)
        plan.show("noise", "noise", f"the grid of models: {told_records(grid['n_records'])} of PTB-XL", name)


def refinement(plan: Plan) -> list[str]:
    """Adds training on the leads that two models find cleanest, as published; returns the runs that score with it."""
    settings, priors_told = plan.settings["noise"], plan.settings["priors"]
    if settings["refinement"] is None or any(priors_told[name] is None for name in ("autoencoder", "latent", "pixel")):
        return []
    runs = {"static": ("pixel", "score_noise_pixel_ddpm"), "burst": ("latent", "score_noise_latent_ddpm")}
    for kind, (model, experiment) in runs.items():
        overrides = [f"experiment={experiment}", "include_all_folds=true", *settings["ranking"]]
        _score(plan, f"noise_rank_{kind}", model, overrides)
    ranked = [f"noise_rank_{kind}" for kind in runs]
    plan.add(
        "noise_refinement",
        "noise_quant.refine",
        ["experiment=refine_published", *(f"{kind}_run={plan.folder(f'noise_rank_{kind}')}" for kind in runs)],
        key="refine.results_path",
        reads=ranked,
        done=["selection.parquet"],
    )
    selection = f"dataset.selection={plan.folder('noise_refinement') / 'selection.parquet'}"
    plan.add(
        "noise_autoencoder_refined",
        "noise_quant.train_autoencoder",
        [*priors_told["autoencoder"], *settings["refinement"], selection],
        key="train.results_path",
        reads=["noise_refinement"],
        done=TRAINED,
    )
    plan.add(
        "noise_latent_refined",
        "noise_quant.train_latent_diffusion",
        [*priors_told["latent"], *settings["refinement"], selection]
        + [f"autoencoder={plan.folder('noise_autoencoder_refined')}"],
        key="train.results_path",
        reads=["noise_refinement", "noise_autoencoder_refined"],
        done=TRAINED,
    )
    overrides = ["source=ptbxl", "experiment=score_noise_latent_ddim"]
    overrides += record_overrides("n_records", settings["sources"]["ptbxl"])
    return [_score(plan, "noise_ptbxl_latent_refined", "latent_refined", overrides)]


def _score(plan: Plan, name: str, model: str, overrides: Sequence[str]) -> str:
    """Adds a run of `noise_quant.score_noise` by a model that a stage trains, or by the bundled one."""
    trained = [f"noise_{model}"] if f"noise_{model}" in plan.stages else []
    checkpoint = [f"checkpoint={plan.folder(stage)}" for stage in trained]
    return plan.add(
        name,
        "noise_quant.score_noise",
        [*overrides, *checkpoint, *plan.settings["noise"]["overrides"], *plan.on_device()],
        key="score.results_path",
        reads=trained,
        done=["scores.parquet"],
    )


def _evaluate_noise(plan: Plan, name: str, runs: Sequence[str]) -> str:
    given = [plan.runs(runs), *plan.resamples()]
    return plan.add(name, "evaluation.evaluate_noise", given, reads=runs, done=EVALUATED, is_derived=True)
