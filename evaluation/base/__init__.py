"""What the whole judge stands on: challenges, labelled images, careful file reading, exit codes, the machine."""
