"""What is said of RhythmDiff's checkpoints: in a line for the screen, and on a page beside the converted weights."""

from pathlib import Path

from diffusion_prior.model.epsilon import EpsilonDenoiser


def describe_network(denoiser: EpsilonDenoiser) -> str:
    """Says how large a SaShiMi is, and how it was decided which of two networks its weights are."""
    backbone, facts = denoiser.spec["backbone"], denoiser.facts
    n_parameters = sum(parameter.numel() for parameter in denoiser.backbone.parameters())
    labels = f"{denoiser.n_labels} labels" if denoiser.n_labels else "no labels"
    pairs = "both states of each conjugate pair" if backbone["conjugate_pairs"] else "one state of each conjugate pair"
    why = "as asked for"
    if losses := facts.get("denoising_losses"):
        why = f"loss on simulated ECGs {losses['conjugate_pairs']:.4f} with both, {losses['without']:.4f} with one"
    sizes = ", ".join(f"{name} {backbone[name]}" for name in "d_model n_layers pool expand ff unet L".split())
    return (
        f"SaShiMi, {n_parameters:,} parameters: {sizes}; {len(denoiser.leads)} leads, {labels}\n"
        f"kernels sum {pairs} ({why})"
    )


def rhythmdiff_card(denoiser: EpsilonDenoiser, source: Path, digest: str) -> str:
    """Returns the page of converted weights, Markdown; the digest is the checkpoint's SHA-256."""
    backbone, schedule = denoiser.spec["backbone"], denoiser.spec["schedule"]
    sizes = ", ".join(f"{name} {value}" for name, value in backbone.items() if name not in ("name", "conjugate_pairs"))
    n_parameters = sum(parameter.numel() for parameter in denoiser.backbone.parameters())
    pairs = describe_network(denoiser).split("\n")[1]
    betas = f"beta from {schedule['beta_min']:g} to {schedule['beta_max']:g}"
    shown = denoiser.record_length or denoiser.segment_length
    labels = (
        "71 SCP statements; the embedding's rows were put from the published, alphabetical order into that of "
        "`einthoven.ecg.statements`"
        if denoiser.n_labels
        else "none: it draws ECGs of all kinds"
    )
    return f"""# {source.name}, converted

A diffusion prior of resting ECGs, trained by RhythmDiff's code (LisaBedin/Bayesian_ECG): leads
{", ".join(denoiser.leads)} at {denoiser.sampling_rate:g} Hz, in mV, {shown} samples. **Not a medical device.**
It invents what was not measured: what it returns is a sample of what might have been, not a finding.

| | |
|---|---|
| network | SaShiMi, {n_parameters:,} parameters: {sizes} |
| kernels | {pairs.removeprefix("kernels sum ")} |
| labels | {labels} |
| noise | {schedule["n_steps"]} steps, {betas}: as published, the file does not say |
| source | `{source.name}`, SHA-256 {digest} |

## What is known of its training

From the paper and its code: Bedin et al., Phil. Trans. R. Soc. A 383, 20240330 (2025). PTB-XL, folds 1-8, filtered at
0.6 Hz and at the mains, 100 Hz, ten seconds with zeros behind them up to 1024 samples (or pieces of 2.5 s); Adam 2e-4,
batch 256, mean squared error of the noise, labels never hidden, no moving average.

## What is not known

Which data these very weights have seen, for how long, and how good they are: the file does not say. RhythmDiff's
weights were not at hand when this was written. Test on records that the training cannot have seen (PTB-XL fold 10).

## How to use it

    python -m diffusion_prior.generate checkpoint=<this folder>
    python -m reconstruction.inpaint checkpoint=<this folder> algo=mgps

`published_offset=true` takes the noise level one step behind the network's, as RhythmDiff's posterior samplers do. It
cannot be told measured samples: methods that need the prior alone take it.

## Intended use

Research on reconstruction, denoising and generation of ECGs; teaching. Not for diagnosis, monitoring or triage; not for
recordings other than resting ECGs of adults with the usual electrode places. Its licence is its authors' to give: their
repository carries none.
"""
