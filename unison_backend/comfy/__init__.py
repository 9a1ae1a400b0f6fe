"""A ComfyUI server makes what was planned here: through its own API, with this pack's nodes on it."""
