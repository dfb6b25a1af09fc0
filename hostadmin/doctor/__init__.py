"""`hostadmin doctor`: is everything as it should be, and is there room for a class? Looks, never mends."""

from hostadmin.doctor.checks import examine
from hostadmin.doctor.finding import FAIL, Finding, Forecast
from hostadmin.doctor.look import forecast

__all__ = ["FAIL", "Finding", "Forecast", "examine", "forecast"]
