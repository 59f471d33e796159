"""Domain files that ship with the project: what to harvest, with limits."""
