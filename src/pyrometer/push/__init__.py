"""Ways for metrics to leave a program that nobody scrapes."""

from pyrometer.push.textfile import write_to_textfile

__all__ = ["write_to_textfile"]
