"""How good denoised ECGs are."""
