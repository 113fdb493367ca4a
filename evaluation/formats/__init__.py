"""File formats that images come in, each read without trusting the file."""
