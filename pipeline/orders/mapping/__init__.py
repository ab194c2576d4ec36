"""What in the records of a topic is an order: paths, conditions, units, and how they are applied."""
