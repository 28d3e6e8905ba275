"""How good reconstructions of missing leads and samples are."""
