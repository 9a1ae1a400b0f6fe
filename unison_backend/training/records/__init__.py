"""Planning records by the half million: written sentences with other things and numbers, and a grammar of orders."""
