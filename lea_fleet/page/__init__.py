"""The operator's page: what a browser loads. It holds no data, and asks the API."""

from .routes import page_blueprint, refuse_taken_address, register_page

__all__ = ["page_blueprint", "refuse_taken_address", "register_page"]
