"""A stranger's container under the clock: engine, limits, guard, and its images copied out after its death."""
