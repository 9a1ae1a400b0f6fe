"""Control maps, one file a kind, and what tells whether footage is one already."""
