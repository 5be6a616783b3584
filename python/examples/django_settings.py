"""A Django project's settings that come from keyfs: what differs between environments is a key.

Before the first start, as somebody whose group runs the server:

    dt kv put -s django/secret_key -g web:r         (and type it)
    dt kv put django/allowed_hosts example.com,www.example.com -g web:r
    dt kv put -s django/db_password -g web:r
"""

import keyfs

SECRET_KEY = keyfs.kv.get("django/secret_key", secure=True)
DEBUG = keyfs.kv.get("django/debug", default="no") == "yes"
ALLOWED_HOSTS = keyfs.kv.get("django/allowed_hosts").split(",")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": keyfs.kv.get("django/db_host", default="localhost"),
        "NAME": "app",
        "USER": "app",
        # In a unit with LoadCredential=db_password that one, elsewhere the secret.
        "PASSWORD": keyfs.credential("db_password", "django/db_password"),
    }
}
