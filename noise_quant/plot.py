"""Draws signal, scalogram, reconstruction and PSNR of a recording's leads, side by side.

python -m noise_quant.plot record=my_record lead=II
python -m noise_quant.plot                             # the bundled ECG
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("plot")
def main(config: dict[str, Any]) -> Outcome:
    """Scores one WFDB record, or the bundled ECG, and draws its windows."""
    import torch

    from einthoven.ecg.reading import read
    from einthoven.run.progress import show_progress
    from einthoven.run.weights_cache import hash_weights
    from noise_quant.model.checkpoint import find_model, load_model
    from noise_quant.model.reverse_process import ReverseProcess
    from noise_quant.scalogram.image import WINDOW_S
    from noise_quant.scoring.recording_report import report_recording
    from noise_quant.scoring.rules.judge import find_judge
    from noise_quant.scoring.scorer import Scorer

    plot, seed, device = config["plot"], config["seed"], config["device"]
    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    folder = run_path(config)
    recording = read(config["record"], leads=config["lead"])
    process = ReverseProcess(config["timestep"], config["step_interval"], config["noise_scheduler_type"])
    model = load_model(config["checkpoint"]).to(device)
    images = {"keep_images": True, "most_images": plot["max_windows"]}
    scorer = Scorer(model, process, seed, config["batch_size"], config["discretization"], **images)
    files = {"model": hash_weights(find_model(config["checkpoint"]))}
    run = RunFolder.create(folder, config, seed=seed, device=device, files=files)
    judge = find_judge(model, process)
    duration = recording.signal.shape[-1] / recording.sampling_rate
    with show_progress(round(duration), "second", shown=duration > WINDOW_S) as bar:
        settings = judge, plot["max_windows"], plot["dpi"], bar.update
        report = report_recording(recording, run.path, scorer, *settings)
    restore = [f"data.path={config['record']}" if config["record"] else "data.path=RECORD", "denoising.noise_type=auto"]
    made = [*report.pictures, folder / "scores.csv"]
    text = "\n".join([report.describe(), *recording.notes])
    return Outcome(text, made, ["denoise", "data=file", *restore])


if __name__ == "__main__":
    main()
