"""What processor and collector do alike as consumers: the session, its partitions, its reports."""
