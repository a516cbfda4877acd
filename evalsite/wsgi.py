"""The door for WSGI servers: `gunicorn evalsite.wsgi`."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")

application = get_wsgi_application()

# Everything that answers requests is loaded before the first one comes, and never looked through again for what may be
# forgotten: that takes a tenth of a second, in the middle of somebody's vote.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
