"""How gunicorn serves the shop: gunicorn --config examples/shop/gunicorn.conf.py"""

from pathlib import Path

wsgi_app = "app:app"
chdir = str(Path(__file__).resolve().parent)
bind = "127.0.0.1:8000"
workers = 4  # and nothing else: /metrics from any of them has the totals of all
worker_class = "gthread"
threads = 8
keepalive = 75  # seconds: longer than any shopper waits between two requests
control_socket_disable = True  # two shops on one machine would fight for the one socket in the home directory
