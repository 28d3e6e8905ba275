"""The processes of a training that may run on several."""

import os

import torch

from einthoven.extras import extra

with extra("train"):
    from accelerate import PartialState
    from accelerate.utils import get_int_from_env, parse_flag_from_env

_SIZES = ["WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"]


def join_processes() -> PartialState:
    """Joins the processes that torchrun, accelerate or MPI started, once; a process of its own stays alone.

    On a machine without GPUs accelerate joins processes only where this is asked for, as here: otherwise each process
    would train a model of its own, and all would write into one folder.

    Returns:
        What accelerate knows of them.

    Raises:
        ValueError: If several processes were asked for and this one is alone.
    """
    n_processes = get_int_from_env(_SIZES, 1)
    state = PartialState(
        cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or (n_processes > 1 and not torch.accelerator.is_available())
    )
    # accelerate launch without --multi_gpu starts a single process, whatever --num_processes says, and hints at more.
    hinted = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    if state.num_processes == 1 and (n_processes > 1 or hinted):
        raise ValueError(
            "several processes were asked for, but this one is alone: start them by "
            "accelerate launch --multi_gpu --num_processes <n> -m <script>, which serves for CPUs too, "
            "or by torchrun --nproc_per_node <n> -m <script>"
        )
    return state
