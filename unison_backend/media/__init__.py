"""Pictures and videos: files to pixels and back."""
