"""Runs plain-SQL PostgreSQL migrations by yoyo, on any server or on an embedded one."""

__version__ = "0.1.0"
