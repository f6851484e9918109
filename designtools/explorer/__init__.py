"""A page, served to this machine only, on which a person turns a finished design."""

from designtools.explorer.design import Unreadable
from designtools.explorer.server import Explorer

__all__ = ["Explorer", "Unreadable"]
