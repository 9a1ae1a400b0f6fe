"""A model that says what a test writes for it, and values that a schema allows."""

from dataclasses import dataclass, field

from unison_backend.planner.prompt.model import Reply


@dataclass
class Scripted:
    """A `ChatModel` whose answers are known before. turns: what it was told, call by call."""

    answers: list
    name: str = "Scripted"
    sees: bool = True
    turns: list = field(default_factory=list)
    forms: list = field(default_factory=list)
    settings: list = field(default_factory=list)

    def chat(self, turns, settings, form=None, *, stream, progress, cancel):
        self.turns.append(tuple(turns))
        self.forms.append(form)
        self.settings.append(settings)
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        reply = said if isinstance(said, Reply) else Reply(said)
        for start in range(0, len(reply.text), 7):
            stream(reply.text[start : start + 7])
        return reply


def value_of(schema, draw):
    """A value that fits a schema of the dialect used here, by a `random.Random`."""
    if "anyOf" in schema:
        return value_of(draw.choice(schema["anyOf"]), draw)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw.choice(schema["enum"])
    return _MADE[schema["type"]](schema, draw)


def _list_of(schema, draw):
    count = draw.randint(schema.get("minItems", 0), schema["maxItems"])
    return [value_of(schema["items"], draw) for _ in range(count)]


_MADE = {
    "null": lambda schema, draw: None,
    "boolean": lambda schema, draw: draw.random() < 0.5,
    "integer": lambda schema, draw: draw.choice([schema["minimum"], schema["maximum"], draw.randint(1, 99) + 15]),
    "string": lambda schema, draw: "".join(
        draw.choice('ab "\\\n{}') for _ in range(draw.randint(schema["minLength"], min(schema["maxLength"], 30)))
    ),
    "array": _list_of,
    "object": lambda schema, draw: {name: value_of(part, draw) for name, part in schema["properties"].items()},
}
