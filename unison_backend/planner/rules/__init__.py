"""Planning by rules: no weights, milliseconds, English and Chinese."""
