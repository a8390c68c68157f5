"""Rewrites `assert` so that a failure shows the values of both sides.

Operands are bound with `:=` where they stand, so each is evaluated once, in order,
and only as far as Python would have evaluated it.
"""

import ast
import sys

from runner import proxies

_LIMIT = 300
_UNSET = type("Unset", (), {"__slots__": ()})()
_EXPLAIN = "@explain"
_CLEAR = "@unset"
_OPERATORS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


def compile_file(source, path):
    """A drop-in for `compile`."""
    tree = compile(source, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    if "assert" in source:
        first = tree.body[0] if tree.body else None
        if not (isinstance(first, ast.Expr) and _is_text(first.value) and "PYTEST_DONT_REWRITE" in first.value.value):
            tree = _Rewriter().visit(tree)
    return compile(tree, path, "exec", dont_inherit=True)


def names():
    """What a rewritten module finds among its globals."""
    return {_EXPLAIN: explain, _CLEAR: _UNSET}


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


class _Rewriter(ast.NodeTransformer):
    def __init__(self):
        self.count = 0

    def bind(self, node):
        if isinstance(node, (ast.Constant, ast.Starred, ast.NamedExpr)):
            return node
        self.count += 1
        name = f"@{self.count}"
        self.used.append(name)
        return ast.copy_location(ast.NamedExpr(ast.copy_location(ast.Name(name, ast.Store()), node), node), node)

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Tuple):
            return node
        self.used = []
        test = node.test
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        inner = test.operand if negated else test
        described = _Description(ast.unparse(test), negated)
        if isinstance(inner, ast.Compare):
            sides = [inner.left, *inner.comparators]
            described.operators = [_OPERATORS[type(op)] for op in inner.ops]
            described.sides = [ast.unparse(side) for side in sides]
            described.plain = [isinstance(side, ast.Constant) for side in sides]
            bound = [self.bind(side) for side in sides]
            described.names = [side.target.id if isinstance(side, ast.NamedExpr) else None for side in bound]
            described.constants = [side.value if isinstance(side, ast.Constant) else None for side in bound]
            inner = ast.copy_location(ast.Compare(bound[0], inner.ops, bound[1:]), inner)
        elif isinstance(inner, ast.Call):
            described.call = ast.unparse(inner)
            for at, argument in enumerate(inner.args):
                if not isinstance(argument, (ast.Constant, ast.Starred, ast.GeneratorExp)):
                    source = ast.unparse(argument)
                    inner.args[at] = self.bind(argument)
                    if isinstance(inner.args[at], ast.NamedExpr) and inner.args[at].value is argument:
                        described.arguments.append((source, inner.args[at].target.id))
            inner = self.bind(inner)
            described.result = inner.target.id
        elif not isinstance(inner, (ast.BoolOp, ast.IfExp)):
            inner = self.bind(inner)
            described.result = inner.target.id if isinstance(inner, ast.NamedExpr) else None
            described.call = ast.unparse(test.operand if negated else test)
        if negated:
            inner = ast.UnaryOp(ast.Not(), inner)
        held = ast.Constant(described.pack())
        arguments = [held] if node.msg is None else [held, node.msg]
        said = ast.Call(ast.Name(_EXPLAIN, ast.Load()), arguments, [])
        check = ast.If(ast.UnaryOp(ast.Not(), inner), [ast.Raise(said)], [])
        clear = []
        if self.used:
            targets = [ast.Name(name, ast.Store()) for name in self.used]
            clear = [ast.Assign(targets, ast.Name(_CLEAR, ast.Load()))]
        for new in (check, *clear):
            _locate(new, node)
        return [check, *clear]


def _locate(new, node):
    """Gives the place of the statement to every node that has none."""
    for child in ast.walk(new):
        if "lineno" in child._attributes and not hasattr(child, "lineno"):
            ast.copy_location(child, node)


class _Description:
    """What is known of an assertion when it is compiled."""

    def __init__(self, source, negated):
        self.source = source
        self.negated = negated
        self.operators = ()
        self.sides = self.plain = self.names = self.constants = ()
        self.arguments = []
        self.call = self.result = None

    def pack(self):
        """As a constant, which is all that code can hold."""
        return (
            self.source, self.negated, tuple(self.operators), tuple(self.sides), tuple(self.names),
            tuple(self.constants), tuple(self.arguments), self.call, self.result,
        )  # fmt: skip


def shown(value, limit=_LIMIT):
    """A short `repr`, whatever it does."""
    try:
        said = repr(value)
        if type(said) is not str:
            said = str.__str__(said)
    except Exception as problem:
        return f"<{type(value).__name__} whose repr raises {type(problem).__name__}>"
    if len(said) > limit:
        said = said[: limit // 2] + "…" + said[-limit // 2 :]
    return said


def explain(described, *message):
    """The exception of an assertion that did not hold."""
    source, negated, operators, sides, names, constants, arguments, call, result = described
    values = sys._getframe(1).f_locals
    lines = []
    if operators:
        operands = []
        for name, constant, side in zip(names, constants, sides):
            value = constant if name is None else values.get(name, _UNSET)
            operands.append((value, side))
        texts = [side if value is _UNSET else shown(value) for value, side in operands]
        said = texts[0]
        for operator, text in zip(operators, texts[1:]):
            said += f" {operator} {text}"
        lines.append(f"assert not {said}" if negated else f"assert {said}")
        for (value, side), name, text in zip(operands, names, texts):
            if name is not None and value is not _UNSET and "(" in side and side != text:
                lines.append(f" +  where {text} = {side}")
        for operator, (left, _), (right, _) in zip(operators, operands, operands[1:]):
            lines.extend(_not_asked(operator, left) or _not_asked(operator, right))
        if operators == ("==",) and not negated:
            lines.extend(_difference(operands[0][0], operands[1][0]))
    elif result is not None and (value := values.get(result, _UNSET)) is not _UNSET:
        text = shown(value)
        lines.append(f"assert not {text}" if negated else f"assert {text}")
        if call != text:
            lines.append(f" +  where {text} = {call}")
        for side, name in arguments:
            if (value := values.get(name, _UNSET)) is not _UNSET and shown(value) != side:
                lines.append(f" +    with {shown(value)} = {side}")
    else:
        lines.append(f"assert {source}")
    text = "\n".join(lines)
    if message:
        first = message[0] if type(message[0]) is str else shown(message[0])
        text = f"{first}\n{text}"
    return AssertionError(text)


_SPECIAL = {"==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__", "in": "__contains__", "not in": "__contains__"}


def _not_asked(operator, value):
    """That a class has an operator of its own, which has no say where tests and code are in two instances."""
    me = proxies.held(value)
    if me is None or me.info is None or me.info.value is None or not {_SPECIAL.get(operator), "__eq__"} & me.info.own:
        return []
    base = me.info.value.__name__
    return [f"  with values of the tests, `{me.info.name}` is compared by its value as `{base}`, whatever it defines; isolation = \"shared\" lets it decide"]


def _difference(left, right):
    kind = type(left)
    if kind is not type(right):
        return []
    if kind is list or kind is tuple:
        for at, (one, other) in enumerate(zip(left, right)):
            try:
                same = one is other or one == other
            except Exception:
                return []
            if not same:
                return [f"  At index {at} diff: {shown(one)} != {shown(other)}"]
        if len(left) != len(right):
            longer = left if len(left) > len(right) else right
            which = "Left" if longer is left else "Right"
            at = min(len(left), len(right))
            more = abs(len(left) - len(right))
            return [f"  {which} contains {more} more item{'s' * (more > 1)}, first extra item: {shown(longer[at])}"]
    if kind is dict:
        lines = []
        try:
            for key in left:
                if key not in right:
                    lines.append(f"  Left contains {shown(key)}: {shown(left[key])}")
                elif left[key] != right[key]:
                    lines.append(f"  At {shown(key)} diff: {shown(left[key])} != {shown(right[key])}")
            lines.extend(f"  Right contains {shown(key)}: {shown(right[key])}" for key in right if key not in left)
        except Exception:
            return []
        return lines[:5]
    if kind is set or kind is frozenset:
        lines = []
        if extra := left - right:
            lines.append(f"  Extra items in the left set: {shown(extra)}")
        if extra := right - left:
            lines.append(f"  Extra items in the right set: {shown(extra)}")
        return lines
    if kind is str and max(len(left), len(right)) > 40:
        at = next((i for i, (one, other) in enumerate(zip(left, right)) if one != other), min(len(left), len(right)))
        start = max(at - 20, 0)
        return [f"  First difference at {at}: {left[start : at + 20]!r} != {right[start : at + 20]!r}"]
    return []
