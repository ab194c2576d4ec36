"""The page Connect: a topic, what is proposed for it, what would come of that, and the mapping file."""
