"""A model behind a server that speaks the OpenAI dialect of chat completions."""
