"""Writes RhythmDiff's checkpoint as a run folder of ours.

python -m diffusion_prior.convert checkpoint=checkpoint.pkl out=folder
"""

from pathlib import Path
from typing import Any, cast

from einthoven.command.ending import Outcome
from einthoven.run.files import write_text
from einthoven.run.hashing import hash_file
from einthoven.run.launch import script
from einthoven.run.run_folder import RunFolder


@script("convert")
def main(config: dict[str, Any]) -> Outcome:
    """Reads the checkpoint, says what it is, writes the folder; its weights last."""
    from diffusion_prior.checkpoint import load_denoiser, save_denoiser
    from diffusion_prior.model.epsilon import EpsilonDenoiser
    from diffusion_prior.model_card import describe_network, rhythmdiff_card
    from diffusion_prior.rhythmdiff_checkpoint import CHECKPOINTS
    from einthoven.run.weights_file import WEIGHTS, find_weights

    out, source = Path(config["out"]), find_weights(config["checkpoint"], (*CHECKPOINTS, WEIGHTS))
    denoiser = cast(EpsilonDenoiser, load_denoiser(source, conjugate_pairs=config["conjugate_pairs"]))
    if not denoiser.facts.get("published") or "sha256" in denoiser.facts:
        raise ValueError(f"{source} is in our form already: use it as it is")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "config.yaml").is_file())):
        raise ValueError(f"{out} holds something else: choose another folder")
    digest = hash_file(source)
    run = RunFolder.create(out, {**config, "sha256": digest}, seed=config["seed"], device="cpu")
    write_text(run.path / "README.md", rhythmdiff_card(denoiser, source, digest))
    save_denoiser(run.path / WEIGHTS, denoiser, {**denoiser.facts, "source": source.name, "sha256": digest})
    made = [run.path / WEIGHTS, run.path / "README.md"]
    return Outcome(describe_network(denoiser), made, ["inpaint", "algo=mgps", f"checkpoint={run.path}"])


if __name__ == "__main__":
    main()
