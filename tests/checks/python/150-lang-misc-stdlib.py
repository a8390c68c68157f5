"""Small parts of the library: calendar, shlex, html, urllib, uuid, configparser, tomllib, colorsys, keyword, operator."""
import array, calendar, cmath, colorsys, configparser, html, keyword, operator, shlex, tomllib, types, urllib.parse as up, uuid, xml.etree.ElementTree as ET
print(calendar.month(2024, 2), calendar.monthrange(2023, 2)[1], calendar.isleap(1900), calendar.day_name[0], [*calendar.Calendar(6).itermonthdays(2024, 9)][:9])
print(shlex.split("a 'b c' \"d\\\"e\" f#g"), shlex.quote("it's"), html.escape("<a href='x'>&"), html.unescape("&lt;&eacute;&#65;"), up.quote("a b/é?"), up.unquote("%C3%A9+"), up.urlencode({"q": "x y", "l": [1, 2]}, doseq=True), up.parse_qs("a=1&a=2&b="), up.urlparse("http://u@h:80/p;x?q=1#f").port, up.urljoin("http://a/b/c", "../d"))
print(uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"), uuid.UUID(int=5), colorsys.rgb_to_hsv(1, .5, 0)[1], keyword.iskeyword("match"), keyword.iskeyword("async"), operator.itemgetter(1, 0)("ab"), operator.attrgetter("a.b")(types.SimpleNamespace(a=types.SimpleNamespace(b=5))), operator.methodcaller("upper")("x"), types.SimpleNamespace(z=1, a=2), array.array("h", [1, -2]), array.array("d", [1.5]).tobytes().hex(), cmath.polar(1j)[0])
c = configparser.ConfigParser(); c.read_string("[a]\nx = 1\ny: %(x)s2\n[b]\nflag = yes\n"); print(c.sections(), c["a"]["y"], c.getboolean("b", "flag"), c.get("b", "no", fallback="fb"), c.getint("a", "x"))
print(tomllib.loads('t = "x"\nd = 2024-01-02\n[a.b]\nn = [1, 2.5, true]\n')); r = ET.fromstring("<r a='1'><c>t</c><c b='é'/>tail</r>"); print([(e.tag, e.text, e.attrib) for e in r.iter()], ET.tostring(r, encoding="unicode"), r.find("c").text, len(r))
for f in (lambda: tomllib.loads("a = "), lambda: ET.fromstring("<a>"), lambda: c["zz"], lambda: shlex.split("'open"), lambda: uuid.UUID("x")):
    try: f()
    except Exception as e: print(type(e).__name__)
