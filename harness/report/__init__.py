"""What people see: the report pages, their charts and sentences, and the terminal."""
