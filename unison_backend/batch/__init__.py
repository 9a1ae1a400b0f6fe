"""Many instructions with models that stay loaded: lines, their rows, and who makes them (this process, or Ray)."""
