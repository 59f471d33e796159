"""entityflow: grows an image-text training set from a knowledge graph and trains CLIP on it, without end."""

__version__ = "0.1.0"
