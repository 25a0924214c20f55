"""Channels: which ones clients may subscribe to, and how a notification reaches its subscribers."""
