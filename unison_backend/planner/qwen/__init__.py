"""Planning and answering by Qwen2.5-VL with a planning LoRA."""
