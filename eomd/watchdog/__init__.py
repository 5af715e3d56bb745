"""Staying up: the small companion process. It must never import numpy, SQLAlchemy or handlers."""
