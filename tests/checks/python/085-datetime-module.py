"""Dates, times, differences, zones, formats and parsing."""
from datetime import *
d = date(2024, 2, 29); print(d, repr(d), d.weekday(), d.isocalendar(), d + timedelta(366), d.replace(year=2023, day=1), d.toordinal(), d.strftime("%a %d %b %Y %j %U %%"), date.fromisoformat("2000-12-31") - d, d.isoweekday(), date.max, d.timetuple().tm_yday)
t = datetime(2023, 12, 31, 23, 59, 59, 999999); print(t + timedelta(microseconds=1), t.isoformat(), t.isoformat(" ", "minutes"), t.strftime("%Y-%m-%dT%H:%M:%S.%f %I %p %y"), repr(t), t.date(), t.time(), t.replace(microsecond=0), datetime.strptime("5 Mar 2021 14:05", "%d %b %Y %H:%M"), datetime.fromisoformat("2024-01-01T10:00:00+02:00"))
z = timezone(timedelta(hours=-5, minutes=-30), "ODD"); a = datetime(2024, 1, 1, 12, tzinfo=timezone.utc); print(a, a.astimezone(z), a.astimezone(z).tzname(), a == a.astimezone(z), a.timestamp(), datetime.fromtimestamp(0, timezone.utc), datetime.fromtimestamp(1.5, z).isoformat(), z, timezone.utc, a.utcoffset())
x = timedelta(days=1, hours=-30, milliseconds=5); print(x, repr(x), x.total_seconds(), -x, abs(x), x * 3, x / 2, x // timedelta(hours=1), divmod(timedelta(9), timedelta(2)), timedelta(weeks=2), timedelta(0.5), timedelta.max.days, time(5, 6), time(1, 2, 3, 4).isoformat(), bool(timedelta()), sorted([date(2024, 1, 2), date(2023, 1, 1)]))
for f in (lambda: date(2023, 2, 29), lambda: datetime(2024, 1, 1, 25), lambda: a < t, lambda: datetime.strptime("x", "%Y"), lambda: date.fromisoformat("2024-13-01"), lambda: date.max + timedelta(1), lambda: d - 5, lambda: d < 5):
    try: print(f())
    except Exception as e: print(type(e).__name__)
