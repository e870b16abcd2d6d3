"""The operator's page: static files that load all data from the API."""

from .routes import page_blueprint, refuse_taken_address, register_page

__all__ = ["page_blueprint", "refuse_taken_address", "register_page"]
