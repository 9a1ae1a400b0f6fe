"""One instruction from words to a file: plan, sources, text context, engine, file.

Models come from `Stages`, which loads one when a stage asks for it; the stage lets it go before the next one, so that
the text encoder and the transformer are never in memory together (`batch.resident` keeps them where they fit).
Everything that can be refused is refused before a model is loaded.
"""
