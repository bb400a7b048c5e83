"""Training examples: a query, its positive and others, with the teacher's scores."""
