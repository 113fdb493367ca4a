"""The real data sets: where they lie, how they are read, and how they are downloaded."""
