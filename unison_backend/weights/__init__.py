"""Model files: where they lie, what they hold, and getting them into models."""
