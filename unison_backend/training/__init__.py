"""Training: the planning LoRA, the projector, and the demo models from nothing."""
