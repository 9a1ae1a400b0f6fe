"""A vision-language model from a folder, in this process."""
