"""What the check of electrodes was fitted on, and is judged on: recordings with swaps made on purpose."""
