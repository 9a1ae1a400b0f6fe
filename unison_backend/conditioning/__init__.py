"""What the transformer reads as text: T5 rows and projected tokens."""
