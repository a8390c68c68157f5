"""Log lines on a stream of the program's choice."""
import io, logging, sys
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s")
log = logging.getLogger("app.part"); log.info("hello %s %d", "x", 5); log.debug("hidden"); log.warning("careful"); log.error("bad %r", "v")
try: 1 / 0
except ZeroDivisionError: log.critical("with error", exc_info=False)
h = logging.StreamHandler(b := io.StringIO()); h.setFormatter(logging.Formatter("{levelname[0]}|{message}", style="{")); log.addHandler(h); log.propagate = False; log.info("to buffer"); print(repr(b.getvalue()), log.level, log.getEffectiveLevel(), logging.getLevelName(30), log.parent.name, log.isEnabledFor(10))
