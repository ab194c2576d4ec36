"""Groups of dead letters: what people say of them, which fingerprints are one group, and how many failed when."""
