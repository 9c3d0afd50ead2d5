"""The store: the journal that makes facts durable, and the history that tells them."""

from smsroute.store.sqlite import open_reader, open_store

__all__ = ["open_reader", "open_store"]
