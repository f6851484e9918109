"""64-bit arithmetic for every test, and compiled code kept between runs."""

from designtools import precision

precision.enable()
