"""Self-supervised learning on images, from two CPU cores up."""

__version__ = "0.1.0"
