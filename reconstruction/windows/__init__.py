"""Windows over a long recording: how they lie, how one is restored, and where their results are kept."""
