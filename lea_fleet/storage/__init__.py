"""All SQL about the fleet, one module for each table or question.

The modules here import no database driver; only the engines' sub-packages do.
"""
