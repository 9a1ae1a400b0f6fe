"""The embedded models from nothing, stage by stage."""
