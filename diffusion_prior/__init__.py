"""The diffusion prior of ECGs: schedule, denoiser, samplers, network, training, checkpoints, pretrained weights."""
