"""The papers' tables with one command."""
