"""Stage one: an instruction in, a plan out."""
