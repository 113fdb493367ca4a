"""Images that the scripts measure: made as a run makes them, the cases whose bytes must stay, how near to real ones."""
