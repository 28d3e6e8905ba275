"""Swapped electrodes and wrong labels: which linear map of the leads the prior believes least."""
