"""A Flask application whose configuration is a directory of variables, and whose secret is one of keyfs.

dt kv put flask/GREETING hello
dt kv put -s flask/secret_key                   (and type it)
flask --app examples/flask_app.py run
"""

from flask import Flask

import keyfs


def create_app() -> Flask:
    app = Flask(__name__)
    # flask/GREETING becomes app.config["GREETING"]; as always, Flask takes names in capitals alone.
    app.config.from_mapping(keyfs.kv.view("flask/"))
    app.config["SECRET_KEY"] = keyfs.kv.get("flask/secret_key", secure=True)

    @app.get("/")
    def greeting() -> str:
        # Asked anew for each request, so a change is seen without a restart.
        return keyfs.kv.get("flask/GREETING")

    return app
