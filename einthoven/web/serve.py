"""Shows recordings in the browser: drop a file, see it on ECG paper, repair it, take it home.

python -m einthoven.web.serve
python -m einthoven.web.serve port=8800 open=true
"""

from typing import Any

from einthoven.extras import extra
from einthoven.run.launch import script


@script("serve")
def main(config: dict[str, Any]) -> str:
    """Serves the page until it is asked to end."""
    with extra("web"):
        from einthoven.web.app import Limits
        from einthoven.web.server import Listening, run_server

    for name in ("max_upload_mb", "max_decoded_mb", "keep_minutes"):
        if not config[name] > 0:
            raise ValueError(f"{name}={config[name]}: give a number above 0")
    token = None if config["token"] is None else str(config["token"])
    listening = Listening(str(config["host"]), int(config["port"]), token, tuple(config["names"]))
    limits = Limits(
        int(config["max_upload_mb"] * 1e6), int(config["max_decoded_mb"] * 1e6), config["keep_minutes"] * 60.0
    )
    run_server(listening, limits, open_browser=config["open"])
    return "ended; everything that was uploaded is removed"


if __name__ == "__main__":
    main()
