"""Tests in one instance, the code that they test in another.

The instances hand messages to each other in turn: a question, then its answer, or
first a question back. The tests' side believes nothing that it is told; all that
the code's side does may be under the control of the code.
"""

import ast
import builtins
import io
import math
import operator
import os
import sys
import traceback
import types
import unittest
import unittest.mock

from runner import blind, collect, failure, fixtures, proxies, pytest_api, streams, submission, values
from runner.values import Malformed

HANDLES = 100_000
CLASSES = 2_000
NESTED = 100
ENDED = "the code's instance ended"
_NAME = 200


class Ended(BaseException):
    """The other instance is gone or makes no sense any more; nothing that tests catch."""


_HIDDEN = (types.ModuleType, types.FrameType, types.TracebackType, types.CodeType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, unittest.TestCase, unittest.TestResult)  # fmt: skip
_MOCK_OWN = {"configure_mock", "reset_mock", "mock_add_spec", "attach_mock"}
_OUTCOMES = (pytest_api.OutcomeException, unittest.SkipTest, fixtures.Broken, KeyboardInterrupt, SystemExit, GeneratorExit)


class Link:
    """One side of the conversation."""

    def __init__(self, exchange, files=None):
        self._exchange = exchange
        self.files = files
        self.trusted = files is None
        self.session = None
        self.broken = None
        self.depth = 0
        self.objects = {}
        self.numbers = {}
        self.last = 0
        self.seen = {}
        self.freed = set()
        self.infos = {}
        self.told = set()
        self.handed = set()
        self.pending = []
        self.printed = None
        self.moves = 0

    # Talking

    def ask(self, operation, *operands):
        """Puts a question to the other side and waits for its answer."""
        if self.broken is not None:
            raise Ended(self.broken)
        if self.depth >= NESTED:
            raise RecursionError("tests and code call each other too deeply")
        if operation not in _LOOKS and (operation != "op" or operands[0] not in _STILL):
            self.moves += 1
        encoder = values.Encoder(self)
        question = {"q": operation, "a": [encoder.put(operand) for operand in operands]}
        self.depth += 1
        try:
            answer = self.send(question)
            while "q" in answer:
                answer = self.send(self.answer(answer))
        finally:
            self.depth -= 1
        decoder = values.Decoder(self, encoder.containers)
        result, error = self.guarded(self.read_answer, decoder, answer)
        self.guarded(self.forget_all, answer)
        if error is None:
            return result
        try:
            raise error
        finally:
            error = None

    def read_answer(self, decoder, answer):
        result = error = None
        if "r" in answer:
            error = decoder.take(answer["r"])
            if not isinstance(error, BaseException) or not issubclass(type(error), BaseException):
                raise Malformed("what was raised is no exception")
            error = self.harmless(error)
            said = answer.get("t")
            if self.trusted and type(said) is str and said:
                note = "In the code's instance:\n" + said[:20_000]
                try:
                    BaseException.__setattr__(error, "__notes__", [note])
                except Exception:
                    pass
        else:
            result = decoder.take(answer["v"])
        for change in answer.get("c", ()):
            number, content = change
            if type(number) is not int or not 0 <= number < len(decoder.question):
                raise Malformed("a container changed that was not handed over")
            values.refill(decoder.question[number], decoder.take(content))
        return result, error

    def harmless(self, error):
        """An exception of the tests that the code raises again must fail a test, whatever it is."""
        kind = type(error)
        if not self.trusted or type(kind) is proxies.Meta or kind in values.ERRORS.values():
            return error
        if issubclass(kind, _OUTCOMES) and not issubclass(kind, pytest_api.Failed) or kind.__module__ == "unittest.case":
            return AssertionError(f"the code raised `{failure.type_name(error)}` of the tests: {error}")
        return error

    def guarded(self, function, *arguments):
        """On the tests' side, whatever goes wrong with a message ends the conversation."""
        if not self.trusted:
            return function(*arguments)
        try:
            return function(*arguments)
        except Ended:
            raise
        except Exception as problem:
            said = str(problem) if isinstance(problem, Malformed) else f"it cannot be read ({failure.type_name(problem)})"
            self.end(f"the code's instance sent a message that no runner sends: {said}")

    def end(self, why):
        self.broken = why
        if self.session is not None:
            self.session.broken = why
        raise Ended(why)

    def send(self, message):
        """Hands over a message and gives back the next one."""
        if self.pending:
            message["k"], self.pending = self.pending, []
        if self.freed:
            message["f"], self.freed = list(self.freed), set()
        if self.printed is not None and self.printed.parts:
            message["p"] = self.printed.take()
        data = values.dump(message)
        if len(data) > values.LIMIT:
            if "q" in message:
                self.put_back(message)
                raise ValueError(f"the values are too large to cross: {len(data)} bytes")
            short = ["e", "ValueError", ["t", f"the values are too large to cross: {len(data)} bytes"], None]
            kept = {key: message[key] for key in "kfp" if key in message}
            data = values.dump({"r": short, **kept})
        if self.broken is not None:
            raise Ended(self.broken)
        said = self._exchange(data)
        if said is None:
            self.end(ENDED)
        return self.guarded(self.receive, said)

    def put_back(self, message):
        self.pending = message.get("k", [])
        self.freed.update(message.get("f", ()))

    def receive(self, data):
        message = values.load(bytes(data))
        if ("q" in message) + ("v" in message) + ("r" in message) != 1:
            raise Malformed("it neither asks nor answers")
        for told in message.get("k", ()):
            self.learn(*told)
        for one in message.get("p", ()) if self.trusted else ():
            which, text = one
            if type(text) is not str or which not in (1, 2):
                raise Malformed("it prints no text")
            stream = sys.stdout if which == 1 else sys.stderr
            if stream is not None:
                stream.write(text)
        return message

    # Own objects, which the other side refers to

    def hand_out(self, value):
        """The number of an object of this side."""
        number = self.numbers.get(id(value))
        if number is None:
            if len(self.objects) >= HANDLES:
                raise RuntimeError(f"more than {HANDLES} objects are shared between tests and code")
            self.last = number = self.last + 1
            self.objects[number] = value
            self.numbers[id(value)] = number
        return number

    def forget_all(self, message):
        """Lets go of what the other side has no use for, once the message is read, which may still name it."""
        for number in message.get("f", ()):
            self.forget_own(number)

    def forget_own(self, number):
        if type(number) is not int:
            raise Malformed("a number is none")
        self.handed.discard(number)
        if number in self.told:
            return
        value = self.objects.pop(number, self)
        if value is not self:
            self.numbers.pop(id(value), None)

    def own(self, number):
        if number not in self.objects:
            raise Malformed("it refers to an object that was not handed over")
        return self.objects[number]

    def own_method(self, number, name):
        if self.trusted:
            raise Malformed("it refers to a method")
        return getattr(self.own(number), name)

    def refer(self, value, encoder, depth):
        """How an object crosses that has no value of its own."""
        if type(value) is proxies.Method:
            me = proxies._GET(value._owner)
            if me.link is self:
                return ["g", me.number, value._name]
        me = proxies.held(value)
        if me is not None and me.link is self:
            return ["o", me.number]
        if isinstance(value, type):
            number = self.describe(value)
            self.handed.add(number)
            return ["c", number]
        kind = self.describe(type(value))
        number = self.hand_out(value)
        self.handed.add(number)
        if issubclass(type(value), BaseException):
            try:
                said = str(value)
            except Exception:
                said = "<its text could not be made>"
            args = value.args if type(value.args) is tuple else ()
            try:
                args = encoder.put(args, depth + 1)
            except RecursionError:
                args = ["t"]
            return ["x", number, kind, args, said if type(said) is str else str.__str__(said)]
        base = None if self.trusted else values.base_of(type(value))
        if base in values.FIXED:
            return ["w", number, kind, encoder.put(values.value_of(value, base), depth + 1)]
        return ["h", number, kind]

    def describe(self, kind):
        """The number of a class, which the other side learns of first."""
        number = self.hand_out(kind)
        if number in self.told:
            return number
        self.told.add(number)
        bases = []
        for base in kind.__bases__:
            if base in values.ERRORS.values():
                bases.append(values._ERROR_NAMES[base])
            elif base is not object and (base.__module__ != "builtins" or not self.trusted):
                bases.append(self.describe(base))
        offered = proxies.OPERATIONS if not self.trusted else proxies.RESTRICTED
        found = {}
        for base in reversed(kind.__mro__):
            found.update(vars(base))
        flags = [name for name in offered if found.get(name) is not None]
        if kind.__hash__ is None:
            flags.append("__nohash__")
        for name, plain in (("__eq__", object.__eq__), ("__hash__", object.__hash__)):
            if name in flags and getattr(kind, name) is plain:
                flags.remove(name)
        methods = []
        builtin = next((base.__name__ for base in kind.__mro__ if base.__module__ == "builtins"), "")
        if not self.trusted:
            for base in kind.__mro__:
                methods += [name for name, one in vars(base).items() if type(one) is types.FunctionType and not name.startswith("__")]
        shown = kind.__qualname__, kind.__module__
        told = [number, *[str(part)[:_NAME] for part in shown], bases, flags, methods[:500], builtin]
        value = None if self.trusted else values.base_of(kind)
        if value is not None:
            # What is not the built-in type's own: operators, and names that would be found in that type here.
            own = {name for name, one in found.items() if name not in vars(value) or vars(value)[name] is not one}
            told += [value.__name__, [name for name in own if name in offered and name in flags or not name.startswith("__") and hasattr(value, name)]]
        self.pending.append(told)
        return number

    # Objects of the other side

    def learn(self, number, name, module, bases, flags, methods, builtin, value="", own=()):
        """What is told of a class."""
        values._index(number)
        for part in (name, module, builtin, value, *flags, *methods, *own):
            if type(part) is not str or "\0" in part or len(part) > _NAME:
                raise Malformed("a class has an odd name")
        name.encode("utf-8"), module.encode("utf-8")
        if number in self.infos or len(self.infos) >= CLASSES or len(bases) > 100:
            raise Malformed("a class is told of twice, or there are too many")
        found = []
        for base in bases:
            if type(base) is str:
                found.append(values.ERRORS[base])
            else:
                found.append(self.foreign_class(values._index(base)))
        offered = proxies.OPERATIONS if self.trusted else proxies.RESTRICTED
        known = {flag for flag in flags if flag in offered or flag == "__nohash__"}
        info = proxies.Info(name, module, known, frozenset(methods), builtin)
        info.value = values.BASES[value] if value else None
        info.own = frozenset(own)
        for base in found:
            above = proxies.held(base)
            info.above |= {above.info, *above.info.above} if above is not None else set()
        info.made = proxies.build(self, number, info, found)
        self.infos[number] = info

    def foreign_class(self, number):
        if number not in self.infos:
            raise Malformed("it refers to a class that it has not told of")
        return self.infos[number].made

    def foreign(self, number, kind):
        made = self.seen.get(number)
        made = made() if made is not None else None
        cls = self.foreign_class(kind)
        if made is not None:
            if type(made) is not cls:
                raise Malformed("an object became one of another class")
            return made
        if issubclass(cls, (BaseException, proxies.ProxyValue)):
            raise Malformed("an exception or a value came as something else")
        self.room(number)
        made = proxies.make(self, number, cls)
        proxies.remember(made, self.seen, number, self.forget)
        return made

    def foreign_value(self, number, kind, value):
        made = self.seen.get(number)
        me = made() if made is not None else None
        cls = self.foreign_class(kind)
        if not issubclass(cls, proxies.ProxyValue) or type(value) is not proxies.held(cls).info.value:
            raise Malformed("something came as a value")
        if me is not None:
            # What it was when it came first is what it stays.
            if type(me) is not proxies.Held or type(me.value) is not cls:
                raise Malformed("an object became one of another class")
            return me.value
        self.room(number)
        made = proxies.make_value(self, number, cls, value)
        # Not every built-in type has room for a weak reference.
        proxies.remember(proxies.held(made), self.seen, number, self.forget)
        return made

    def foreign_error(self, number, kind, args, said):
        made = self.seen.get(number)
        made = made() if made is not None else None
        cls = self.foreign_class(kind)
        if not issubclass(cls, BaseException):
            raise Malformed("something came as an exception")
        if made is not None:
            if type(made) is not cls:
                raise Malformed("an object became one of another class")
            return made
        self.room(number)
        made = proxies.make_error(self, number, cls, args, said)
        proxies.remember(made, self.seen, number, self.forget)
        return made

    def room(self, number):
        if number in self.infos or len(self.seen) >= HANDLES:
            raise Malformed("there are too many objects")
        self.freed.discard(number)

    def forget(self, number):
        if self.seen.pop(number, None) is not None:
            self.freed.add(number)

    # Comparing

    def compare(self, one, name, other):
        """What a comparison gives whose left side is an object of the code. Values of the tests are compared here."""
        me = proxies.held(one)
        if not self.trusted:
            return NotImplemented if name == "eq" else self.ask("op", name, one, other)
        them = proxies.held(other)
        if them is not None and them.link is self:
            return self.same(one, other) if name == "eq" else self.ask("op", name, one, other)
        if other is None and name == "eq":
            # Nothing is given away, and nothing but None should equal it.
            if self.same(one, other):
                raise self.refusal(me, "eq", other)
            return False
        if type(other) not in values.COMPARED:
            return NotImplemented  # objects of the tests decide for themselves
        if me.swayed and self.reduced(other):
            raise self.refusal(me, name, other)
        said = self.snapshot(one, me) if me.info.value is not None else self.stands_for(one, me, name, False, other)
        if said is NotImplemented:
            return NotImplemented
        if len(said) == 0:
            return False
        return _OPERATE[name](said[0], other)

    def stands_for(self, one, me, name, reflected, other):
        """In a tuple, the value that an object puts beside one of the tests, which it does not get to see."""
        kind = type(other)
        said = self.ask("blind", one, name, reflected, kind.__name__)
        word, value = said if type(said) is tuple and len(said) == 2 else (None, None)
        if word == "unsupported":
            return NotImplemented
        if word == "no bool":
            raise TypeError("the code's object compares with something that is no bool")
        if word == "anything":
            how = "equal to anything" if name == "eq" else f"`{_SIGNS[name]}` anything"
            raise AssertionError(f"an object of the code of type `{me.info.name}` compares {how}")
        if word == "nothing" and name == "eq":
            return ()
        if word == "unknown":
            return None
        if word != "value" or not values.crosses(value) and not isinstance(value, proxies.ProxyValue):
            raise self.refusal(me, name, other)
        return self.constant(me, "number" if kind in _NUMBERS else kind.__name__, value)

    def constant(self, me, family, value):
        """An object stands for one value until something is done with the code."""
        before = me.said.get(family)
        if before is not None and before[0] == self.moves and not (before[1] is value or before[1] == value or value != value):
            raise AssertionError(f"an object of the code of type `{me.info.name}` is now {value!r}, and was {before[1]!r}")
        me.said[family] = self.moves, value
        return (value,)

    def snapshot(self, one, me):
        """What an object of a class that refines a built-in type holds, of exactly that type."""
        value = self.ask("value", one)
        if type(value) is not me.info.value:
            raise TypeError("the code's object is not of the type that it has")
        return self.constant(me, "", value)

    def reduced(self, value):
        """Whether computing with what is expected can end in a value, whatever that was: 0, 1, nothing."""
        return type(value) in _NUMBERS or not value

    def refusal(self, me, name, other=None):
        """What is raised where an object could answer as it likes, because it knows what is expected."""
        what = f"`{_SIGNS.get(name, name)}` of `{me.info.name}`"
        if me.swayed:
            why = "that came of a value of the tests, by an operator, could be made to fit"
        else:
            why = f"could see the {failure.type_name(other)} of the tests and answer as it likes"
        return AssertionError(f'{what} {why}: compare its attributes, or with another object of the code, or use isolation = "shared"')

    def same(self, one, other):
        """Whether an object of the code equals another. Some that nothing equals go along."""
        asked = [other, object(), "\x00nothing", -(1 << 59) + 7]
        answers = self.ask("equal", one, asked)
        if type(answers) is not list or len(answers) != len(asked):
            raise TypeError("the code's object did not say whether it is equal")
        own = answers[0]
        if isinstance(own, BaseException):
            raise self.harmless(own)
        if type(own) is not bool:
            raise TypeError(f"the code's object compares with a {failure.type_name(own)}, not with a bool")
        if own and any(answer is not False and not isinstance(answer, BaseException) for answer in answers[1:]):
            raise AssertionError(f"an object of the code of type `{proxies.held(one).info.name}` compares equal to anything")
        return own

    def contains(self, one, item):
        """Whether an object of the code contains something. What a built-in type would find is found here."""
        me = proxies.held(one)
        them = proxies.held(item)
        if self.trusted and me.info.value is not None and (them is None or them.link is not self):
            return item in self.snapshot(one, me)[0]
        return self.ask("op", "contains", one, item)

    def operate(self, one, name, left, right, *rest):
        """What comes of computing with an object of the code. A number that it says must not follow from one that it saw."""
        other = right if one is left else left
        me, them = proxies.held(one), proxies.held(other)
        if not self.trusted or them is None and not values.crosses(other):
            return self.ask("op", name, left, right, *rest)
        swayed = me.swayed or them is not None and them.swayed
        seen = them is None and other is not None
        plain = ()
        if seen and not rest and name in _OPERATE and not name.startswith("i"):
            if me.info.value is not None:
                value = proxies.bare(one, me) if isinstance(one, proxies.ProxyValue) else self.snapshot(one, me)[0]
                try:
                    plain = (_OPERATE[name](*((value, other) if one is left else (other, value))),)
                except TypeError:
                    pass
                if plain and f"__{name}__" not in me.info.own and f"__r{name}__" not in me.info.own:
                    return self.unswayed(me, name, other, plain[0])
            elif type(other) in values.COMPARED:
                said = self.stands_for(one, me, name, one is right, other)
                if said is NotImplemented:
                    return NotImplemented
                if said is not None:
                    return self.unswayed(me, name, other, _OPERATE[name](*((said[0], other) if one is left else (other, said[0]))))
        result = self.ask("op", name, left, right, *rest)
        if result is NotImplemented:
            return result
        if plain and _is(result, plain[0]):
            return self.unswayed(me, name, other, result)
        came = proxies.held(result)
        if came is me and me.info.value in values.CHANGING:
            return result  # it was changed, as a list is by `+=`
        if came is not None and came.info.value not in _NUMBERS:
            came.swayed = came.swayed or swayed or seen
        elif swayed or seen:
            raise self.refusal(me, name, other)
        return result

    def unswayed(self, me, name, other, result):
        if me.swayed:
            raise self.refusal(me, name, other)
        return result

    def never_hidden(self, error):
        """Whether an exception must come through, though a context manager of the code would hide it."""
        return self.trusted and isinstance(error, (AssertionError, *_OUTCOMES)) and type(type(error)) is not proxies.Meta

    def public_names(self, module):
        try:
            return self.ask("get", module, "__all__")
        except AttributeError:
            return [name for name in dir(module) if not name.startswith("_")]

    # Answering

    def answer(self, message):
        """The answer to a question."""
        decoder = values.Decoder(self)
        operation, operands = self.guarded(self.read_question, decoder, message)
        self.guarded(self.forget_all, message)
        before = values.snapshot(decoder.containers)
        made = {}
        try:
            result = (self.restricted if self.trusted else self.perform)(operation, operands)
            encoder = values.Encoder(self, decoder.containers)
            made["v"] = encoder.put(result)
        except Ended:
            raise
        except BaseException as problem:
            made.pop("v", None)
            encoder = values.Encoder(self, decoder.containers)
            self.raised(problem, encoder, made)
        try:
            changes = [[at, encoder.refilled(decoder.containers[at])] for at in values.changed(decoder.containers, before)]
            if changes:
                made["c"] = changes
        except Ended:
            raise
        except BaseException as problem:
            made = {}
            self.raised(problem, values.Encoder(self), made)
        return made

    def raised(self, problem, encoder, made):
        try:
            made["r"] = encoder.put(problem)
        except Ended:
            raise
        except BaseException:
            made["r"] = ["e", "RuntimeError", ["t", f"{failure.type_name(problem)}, which cannot cross"], None]
        if not self.trusted:
            made["t"] = _where(problem)

    def read_question(self, decoder, message):
        operation, operands = message["q"], message.get("a")
        if type(operation) is not str or type(operands) is not list or len(operands) > 10:
            raise Malformed("its question is none")
        return operation, [decoder.take(operand) for operand in operands]

    def restricted(self, operation, operands):
        """What the code may do with objects of the tests: those that it was handed, and little."""
        allowed = self.guarded(self.check_question, operation, operands)
        target = operands[0] if operation != "op" else operands[1]
        if operation == "call":
            return target(*operands[1], **operands[2])
        if operation == "get":
            name = operands[1]
            if name.startswith("_") or issubclass(type(target), _HIDDEN) or str(type(target).__module__).startswith("runner"):
                raise AttributeError(f"the code may not look at `{name}` of this object of the tests")
            if name in _MOCK_OWN and issubclass(type(target), unittest.mock.NonCallableMock):
                raise AttributeError(f"the code may not use `{name}` of a mock of the tests")
            if issubclass(type(target), str) and name in ("format", "format_map"):
                raise AttributeError(f"the code may not use `{name}` of a text of the tests")
            if issubclass(type(target), type) and str(target.__module__).startswith(("runner", "unittest.case")):
                raise AttributeError(f"the code may not look at `{name}` of this class")
            return getattr(target, name)
        if allowed is None:
            raise AttributeError(
                f"the code may not do `{operands[0] if operation == 'op' else operation}` with an object of the tests "
                'while they are in two instances: the tests need `isolation = "shared"`'
            )
        return allowed(*operands[1:])

    def check_question(self, operation, operands):
        target = operands[1] if operation == "op" and len(operands) > 1 else operands[0]
        if operation in ("set", "del", "method", "import", "equal", "blind", "value"):
            return None
        if operation == "op":
            if type(operands[0]) is not str or not 2 <= len(operands) <= 4:
                raise Malformed("its question is none")
        elif operation == "get":
            if len(operands) != 2 or type(operands[1]) is not str:
                raise Malformed("its question is none")
        elif operation == "call":
            if len(operands) != 3 or type(operands[1]) is not tuple or type(operands[2]) is not dict:
                raise Malformed("its question is none")
            if any(type(name) is not str for name in operands[2]):
                raise Malformed("its question is none")
        else:
            raise Malformed("its question is none")
        if self.numbers.get(id(target)) not in self.handed:
            raise Malformed("it asks for something that was not handed over")
        if operation == "op":
            count, function = _TESTS_ALLOW.get(operands[0], (0, None))
            if function is not None and len(operands) - 1 != count:
                raise Malformed("its question is none")
            return function
        return None

    def perform(self, operation, operands):
        """What the tests may do with the code: everything."""
        if operation == "get":
            return getattr(*operands)
        if operation == "call":
            return operands[0](*operands[1], **operands[2])
        if operation == "method":
            target, name, args, named = operands
            return getattr(target, name)(*args, **named)
        if operation == "set":
            return setattr(*operands)
        if operation == "del":
            return delattr(*operands)
        if operation == "equal":
            return [_equal(operands[0], other) for other in operands[1]]
        if operation == "blind":
            one, name, reflected, kind = operands
            return blind.answer(one, name, reflected, values.COMPARED_NAMES[kind])
        if operation == "value":
            return values.value_of(operands[0], values.base_of(type(operands[0])))
        if operation == "import":
            return self.module(*operands)
        return _OPERATE[operands[0]](*operands[1:])

    def module(self, name, path):
        __import__(name)
        module = sys.modules[name]
        if getattr(module, "__file__", None) != path:
            module = self.files.load(path)
        return module


def _is(result, value):
    """Whether what the code made is what the built-in type makes."""
    kind = type(value)
    return isinstance(result, kind) and (value != value or kind.__eq__(value, result) is True)


def _equal(one, other):
    try:
        return one == other
    except BaseException as problem:
        return problem


def _where(problem):
    """The traceback in the code, which the tests can only show."""
    try:
        failure.trim(problem)
        lines = traceback.format_tb(problem.__traceback__)
    except BaseException:
        return ""
    if len(lines) > 20:
        lines = [*lines[:10], "  …\n", *lines[-10:]]
    return "".join(lines).rstrip("\n")


# Questions that change nothing, as far as anybody can tell from their names.
_LOOKS = {"get", "equal", "blind", "value"}
_STILL = {
    "eq", "lt", "le", "gt", "ge", "len", "contains", "hash", "str", "repr", "bool", "int", "float", "index", "complex", "abs", "neg", "pos",
    "round", "trunc", "floor", "ceil", "format", "dir", "bytes", *"add sub mul matmul truediv floordiv mod pow lshift rshift and or xor divmod".split(),
}  # fmt: skip
_NUMBERS = {int, bool, float, complex, values.decimal.Decimal, values.fractions.Fraction}
_SIGNS = {
    "eq": "==", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
    "pow": "**", "matmul": "@", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
}  # fmt: skip
_TESTS_ALLOW = {"getitem": (2, operator.getitem), "len": (1, len), "iter": (1, iter), "next": (1, next)}

_OPERATE = {
    "truediv": operator.truediv, "floordiv": operator.floordiv, "and": operator.and_, "or": operator.or_,
    "divmod": divmod, "pow": pow, "abs": abs, "trunc": math.trunc, "floor": math.floor, "ceil": math.ceil,
    "iter": iter, "next": next, "len": len, "reversed": reversed, "int": int, "float": float, "complex": complex,
    "index": operator.index, "round": round, "hash": hash, "str": str, "repr": repr, "bytes": bytes, "dir": dir,
    "bool": bool, "format": format, "fspath": os.fspath, "length_hint": operator.length_hint,
    "contains": operator.contains, "getitem": operator.getitem, "setitem": operator.setitem,
    "delitem": operator.delitem, "iand": operator.iand, "ior": operator.ior,
}  # fmt: skip
for _name in "add sub mul matmul mod lshift rshift xor eq neg pos invert lt le gt ge".split():
    _OPERATE[_name] = getattr(operator, _name)
for _name in "add sub mul matmul mod lshift rshift xor truediv floordiv pow".split():
    _OPERATE["i" + _name] = getattr(operator, "i" + _name)


class Printed:
    """What the code prints, until it is told to the tests."""

    def __init__(self):
        self.parts = []
        self.size = 0
        self.streams = [io.TextIOWrapper(_Told(self, which), "utf-8", "backslashreplace", newline="", write_through=True) for which in (1, 2)]

    def add(self, which, data):
        data = data[: max(streams.LIMIT + 1 - self.size, 0)]
        if data:
            self.size += len(data)
            if self.parts and self.parts[-1][0] == which:
                self.parts[-1][1] += data
            else:
                self.parts.append([which, data])

    def take(self):
        parts, self.parts, self.size = self.parts, [], 0
        return [[which, data.decode("utf-8", "replace")] for which, data in parts]


class _Told(io.RawIOBase):
    def __init__(self, printed, which):
        self.printed = printed
        self.which = which

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        self.printed.add(self.which, data)
        return len(data)

    def close(self):
        """The streams outlive a program that closes them."""


_STANDARD = {*sys.stdlib_module_names, "pytest"}


class Far(submission.Files):
    """The files of the tests, and the names of those of the code."""

    def __init__(self, paths, tests, link):
        # A file of the code that is named like a standard module hides it from the code alone.
        own = [path for path in paths if path.partition("/")[0].removesuffix(".py") not in _STANDARD]
        super().__init__({**dict.fromkeys(own, ""), **tests})
        self.tests = tests
        self.link = link

    def spec(self, name, path):
        spec = super().spec(name, path)
        if path not in self.tests:
            spec.loader = FarLoader(self, path)
        return spec


class FarLoader(submission.Loader):
    """Puts a stand-in in the place of a module of the code."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        made = self.files.link.ask("import", name, self.path)
        me = proxies.held(made)
        if me is None:
            sys.modules[name] = made
            return
        me.local = {
            key: getattr(module, key, None) for key in ("__spec__", "__name__", "__loader__", "__package__", "__file__")
        }
        if hasattr(module, "__path__"):
            me.local["__path__"] = module.__path__
        sys.modules[name] = made


def _imported(text):
    """The first parts of the names of modules that a text imports."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _clear(paths, tests):
    """Refuses tests of which nobody can say whether they mean the code or the standard library."""
    for path in paths:
        name = path.partition("/")[0].removesuffix(".py")
        if name in _STANDARD and any(name in _imported(text) for text in tests.values()):
            raise submission.Senseless(
                f"the tests import `{name}`, and `{path}` of the code is named like that standard module; "
                'rename it, or use isolation = "shared"'
            )


def run(paths, tests, begin, end, exchange):
    """Runs tests whose code is in the other instance; gives back the parts of an answer."""
    _clear(paths, tests)
    link = Link(exchange)
    session = collect.Session(Far(paths, tests, link), tests, begin, end)
    link.session = session
    session.run()
    return 0, None, None, None


def serve(texts, exchange):
    """Answers the tests until they have ended."""
    files = submission.Files(texts).install()
    link = Link(exchange, files)
    link.printed = Printed()
    sys.stdout, sys.stderr = link.printed.streams
    sys.__stdout__, sys.__stderr__ = link.printed.streams
    said = exchange(None)
    try:
        if said is not None:
            message = link.receive(said)
            while True:
                message = link.send(link.answer(message))
    except Ended:
        pass
    return 0, None, None, None
