# Made from aio/api/__init__.py by `make sdk`: change it there.
"""The client's methods, by what they are about."""
