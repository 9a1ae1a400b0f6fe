"""diffusers' own scheduler, set up as the reference: what the engine's sampler is held against."""

import numpy as np
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from unison_backend.engine.unipc import SIGMA_MAX, TRAIN_TIMESTEPS


def make_scheduler(steps: int, shift: float) -> UniPCMultistepScheduler:
    """Flow UniPC on the reference's sigmas: u = 0.999 (1 - k/steps), sigma = shift u / (1 + (shift - 1) u), then 0."""
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        num_train_timesteps=TRAIN_TIMESTEPS,
        flow_shift=shift,
        solver_order=2,
        solver_type="bh2",
    )
    scheduler.set_timesteps(sigmas=np.linspace(SIGMA_MAX, 0, steps + 1)[:steps])
    return scheduler
