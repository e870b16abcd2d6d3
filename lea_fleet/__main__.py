"""``lea-fleet`` and ``python -m lea_fleet``: ``flask --app lea_fleet fleet`` for short.

The application is the one that serves only the fleet. Settings come from the
environment, and from ``.env`` and ``.flaskenv`` as for ``flask``. Only a command that
needs the application makes it, so that ``lea-fleet -h`` needs no setting.
"""

from __future__ import annotations

from flask.cli import ScriptInfo, load_dotenv
from flask.helpers import get_load_dotenv

from .api.routes import blueprint
from .extension import create_app


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    if get_load_dotenv():
        load_dotenv()
    blueprint.cli.main(obj=ScriptInfo(create_app=create_app))


if __name__ == "__main__":
    main()
