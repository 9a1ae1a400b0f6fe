"""The embedded models: tiny, trained on coloured shapes, of the same architectures as the real ones."""
