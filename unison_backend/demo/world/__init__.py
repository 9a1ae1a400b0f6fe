"""The coloured shapes that the embedded models know: drawn, asked about and read again."""
