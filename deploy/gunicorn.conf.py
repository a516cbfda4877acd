"""How gunicorn serves evalsite: `gunicorn evalsite.wsgi --config deploy/gunicorn.conf.py` (docs/operations.md).

Anything here can be overridden: `GUNICORN_CMD_ARGS="--workers 8 --bind unix:/run/evalsite/web.sock"`.
"""

import multiprocessing

bind = "127.0.0.1:8000"
workers = 2 * multiprocessing.cpu_count()
threads = 4  # a thread waits for the database or a slow network while the others of its process go on
worker_class = "gthread"
timeout = 60  # seconds without a sign of life after which a process is replaced
graceful_timeout = 30  # seconds that requests may take to end when the site is stopped
keepalive = 75  # seconds that a connection may be idle, more than a proxy keeps its own: the proxy closes first
max_requests = 50_000  # a process is replaced after so many, in case it grows
max_requests_jitter = 5_000  # not all of them at once
accesslog = None  # it would write addresses; the site writes a line for each request, without any
control_socket_disable = True  # nothing steers the server but signals
