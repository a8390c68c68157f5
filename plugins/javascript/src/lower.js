// Rewrites what would end in the engine's own job queue: `async` functions become generators, and
// `import()` and `import.meta` become calls. Only text is inserted, so every line stays where it is.
import { parse } from 'acorn';

/// The name under which lowered code finds the functions of async.js.
export const HELPER = '$run__';
const ARGUMENTS = '$args__';
const SUPER = '$super__';

// The engine spreads no text in an object; looking for all that could be one would cost too much.
const NEEDED = /\basync\b|\bawait\b|\bimport\s*(\(|\.)|\.\.\.\s*['"`]/;

// What may turn out to be a text, beside names and literals.
const SPREADABLE = ['MemberExpression', 'CallExpression', 'ConditionalExpression', 'LogicalExpression', 'AwaitExpression', 'ChainExpression'];

/// Whether a text has anything to rewrite.
export function needsLowering(text) {
  return NEEDED.test(text);
}

/// Gives back the rewritten text and whether it awaits at its top level.
export function lower(text, { module = false } = {}) {
  const tree = parse(text, {
    ecmaVersion: 'latest',
    sourceType: 'script',
    allowAwaitOutsideFunction: module,
    allowReturnOutsideFunction: true,
    allowImportExportEverywhere: true,
    allowHashBang: true,
    allowSuperOutsideMethod: true,
  });
  return new Lowering(text).run(tree);
}

class Lowering {
  constructor(text) {
    this.text = text;
    this.edits = [];
    this.loops = 0;
    this.topLevelAwait = false;
  }

  run(tree) {
    this.visit(tree, { kind: 'top', arrow: null, inAsync: null });
    this.edits.sort((a, b) => a.at - b.at || a.order - b.order);
    let out = '';
    let last = 0;
    for (const { at, end, insert } of this.edits) {
      out += this.text.slice(last, at) + insert;
      last = Math.max(last, end);
    }
    return { text: out + this.text.slice(last), topLevelAwait: this.topLevelAwait };
  }

  // Edits at one place apply in the order of `order`: what closes inner nodes before what closes outer ones.
  insert(at, insert, order = 0) {
    this.edits.push({ at, end: at, insert, order: order + this.edits.length / 1e9 });
  }

  replace(at, end, insert) {
    // Line breaks inside of what goes are kept.
    const breaks = this.text.slice(at, end).replace(/[^\n]/g, '');
    this.edits.push({ at, end, insert: insert + breaks, order: this.edits.length / 1e9 });
  }

  children(node, scope) {
    for (const key in node) {
      if (key === 'type' || key === 'start' || key === 'end') continue;
      const value = node[key];
      if (Array.isArray(value)) {
        for (const item of value) if (item && typeof item.type === 'string') this.visit(item, scope);
      } else if (value && typeof value.type === 'string') {
        this.visit(value, scope);
      }
    }
  }

  visit(node, scope) {
    switch (node.type) {
      case 'FunctionDeclaration':
      case 'FunctionExpression':
        return this.visitFunction(node, scope, node.start);
      case 'ArrowFunctionExpression':
        return this.visitArrow(node, scope);
      case 'MethodDefinition':
      case 'Property':
        if (node.value?.type === 'FunctionExpression' && (node.method || node.type === 'MethodDefinition')) {
          if (node.computed) this.visit(node.key, scope);
          return this.visitMethod(node, scope);
        }
        // `{ arguments }` names a property as well as a variable.
        if (node.shorthand && node.value.type === 'Identifier') {
          const name = this.argumentsName(node.value, scope);
          if (name) this.insert(node.end, `: ${name}`);
          return undefined;
        }
        if (node.computed) this.visit(node.key, scope);
        return node.value && this.visit(node.value, scope);
      case 'ObjectExpression':
        for (const { type, argument } of node.properties) {
          if (type !== 'SpreadElement' || argument.type.endsWith('Expression') && !SPREADABLE.includes(argument.type)) continue;
          this.insert(argument.start, `${HELPER}.object(`, -3);
          this.insert(argument.end, ')', 1);
        }
        return this.children(node, scope);
      case 'PropertyDefinition':
        if (node.computed) this.visit(node.key, scope);
        return node.value && this.visit(node.value, { kind: 'field', arrow: null, inAsync: null });
      case 'StaticBlock':
        return this.children(node, { kind: 'field', arrow: null, inAsync: null });
      case 'MemberExpression':
        if (node.object.type === 'Super') return this.visitSuper(node, scope, false);
        this.visit(node.object, scope);
        return node.computed ? this.visit(node.property, scope) : undefined;
      case 'CallExpression':
        if (node.callee.type === 'MemberExpression' && node.callee.object.type === 'Super' && scope.superUsed) {
          this.visitSuper(node.callee, scope, true);
          const open = this.text.indexOf('(', node.callee.end);
          this.insert(open + 1, node.arguments.length ? 'this,' : 'this');
          for (const argument of node.arguments) this.visit(argument, scope);
          return undefined;
        }
        return this.children(node, scope);
      case 'Identifier': {
        const name = this.argumentsName(node, scope);
        if (name) this.replace(node.start, node.end, name);
        return undefined;
      }
      case 'ExpressionStatement':
        return this.visitStatement(node, scope);
      case 'AwaitExpression':
        return this.visitAwait(node, scope, false);
      case 'YieldExpression':
        return this.visitYield(node, scope);
      case 'ForOfStatement':
        if (node.await) return this.visitForAwait(node, scope);
        return this.children(node, scope);
      case 'ImportExpression':
        this.replace(node.start, node.start + 6, `${HELPER}.load`);
        return this.children(node, scope);
      case 'MetaProperty':
        if (node.meta.name === 'import') this.replace(node.start, node.end, `${HELPER}.meta`);
        return undefined;
      default:
        return this.children(node, scope);
    }
  }

  argumentsName(node, scope) {
    if (node.name !== 'arguments' || !scope.arrow) return null;
    scope.arrow.usesArguments = true;
    return ARGUMENTS;
  }

  // How many parameters the function reports, under names that nothing else has.
  dummies(params) {
    const names = [];
    for (const param of params) {
      if (param.type === 'AssignmentPattern' || param.type === 'RestElement') break;
      names.push(`$p${names.length}__`);
    }
    return names;
  }

  visitFunction(node, scope, start) {
    const inner = { kind: 'function', arrow: null, inAsync: node.async ? node : null };
    if (!node.async) return this.children({ params: node.params, body: node.body }, inner);
    this.dropAsync(start);
    if (node.generator) this.dropStar(start, node.id ? node.id.start : node.body.start);
    const open = this.openParenthesis(node.id ? node.id.end : start, node);
    this.wrap(node, open, `(${this.dummies(node.params).join()}){`, 'arguments', inner);
    return undefined;
  }

  visitMethod(node, scope) {
    const fn = node.value;
    const inner = { kind: 'method', arrow: null, inAsync: fn.async ? fn : null, superUsed: null };
    if (!fn.async) return this.children({ params: fn.params, body: fn.body }, inner);
    // `async` may follow `static`.
    const from = node.static ? node.start + 6 : node.start;
    this.dropAsync(from);
    const keyStart = node.computed ? this.text.lastIndexOf('[', node.key.start) : node.key.start;
    if (fn.generator) this.dropStar(from, keyStart);
    const holder = (inner.superUsed = { used: false });
    const at = this.edits.length;
    this.wrap(fn, fn.start, `(${this.dummies(fn.params).join()}){`, 'arguments', inner);
    if (holder.used) this.edits[at].insert = this.edits[at].insert.replace('{return ', `{const ${SUPER}=($k)=>super[$k];return `);
    return undefined;
  }

  wrap(fn, open, head, args, inner) {
    const helper = fn.generator ? 'generate' : 'run';
    this.insert(open, `${head}return ${HELPER}.${helper}(this,${args},function*`);
    for (const param of fn.params) this.visit(param, { ...inner, inAsync: null });
    this.visit(fn.body, inner);
    this.insert(fn.body.end, ')}', 1);
  }

  visitArrow(node, scope) {
    if (!node.async) {
      return this.children({ params: node.params, body: node.body }, { ...scope, inAsync: null });
    }
    const arrow = { usesArguments: false };
    const superUsed = { used: false };
    const inner = { kind: 'arrow', arrow, inAsync: node, superUsed };
    this.dropAsync(node.start);
    const names = this.dummies(node.params);
    const parameters = `(${[...names, '...$rest__'].join()})=>`;
    const args = `[${[...names, '...$rest__'].join()}]`;
    // `x => …` and `(x) => …` both become the parameters of the generator.
    const arrowAt = this.arrowToken(node);
    const first = node.start + 5;
    const open = this.skip(first);
    const index = this.edits.length;
    this.insert(open, '');
    const bare = this.text[open] !== '(';
    if (bare) {
      this.insert(open, '(');
      this.insert(node.params[0].end, ')');
    }
    for (const param of node.params) this.visit(param, { ...inner, inAsync: null });
    this.replace(arrowAt, arrowAt + 2, ' ');
    let close = ')';
    if (node.body.type === 'BlockStatement') {
      this.visit(node.body, inner);
      this.insert(node.body.end, ')', 1);
    } else {
      const bodyStart = this.skip(arrowAt + 2);
      this.insert(bodyStart, '{return (', -1);
      this.visit(node.body, inner);
      this.insert(node.end, ')})', 1);
    }
    let before = `${parameters}`;
    const call = `${HELPER}.run(this,${args},function*`;
    if (arrow.usesArguments || superUsed.used) {
      // The outer scope may itself be a lowered arrow function.
      let consts = '';
      if (arrow.usesArguments) consts += `const ${ARGUMENTS}=${this.argumentsName({ name: 'arguments' }, scope) ?? 'arguments'};`;
      if (superUsed.used) {
        if (scope.superUsed) {
          scope.superUsed.used = true;
        } else {
          consts += `const ${SUPER}=($k)=>super[$k];`;
        }
      }
      before += `{${consts}return `;
      close = '}';
      this.insert(node.end, close, 1);
    }
    this.edits[index].insert = before + call;
    return undefined;
  }

  visitSuper(node, scope, called) {
    if (!scope.superUsed) {
      if (node.computed) this.visit(node.property, scope);
      return;
    }
    scope.superUsed.used = true;
    const close = called ? '.call' : '';
    if (node.computed) {
      const open = this.text.indexOf('[', node.object.end);
      this.replace(node.object.start, open + 1, `${SUPER}(`);
      this.visit(node.property, scope);
      this.replace(node.end - 1, node.end, `)${close}`);
    } else {
      this.replace(node.object.start, node.end, `${SUPER}("${node.property.name}")${close}`);
    }
  }

  visitStatement(node, scope) {
    const { expression } = node;
    if (expression.type === 'AwaitExpression' && expression.start === node.start) {
      return this.visitAwait(expression, scope, true);
    }
    // A statement that begins with a parenthesis would go on from the line before.
    if (this.text.startsWith('await', node.start) && this.beginsWithAwait(expression)) this.insert(node.start, 'void 0,', -2);
    return this.visit(expression, scope);
  }

  beginsWithAwait(node) {
    const at = node.start;
    for (let inner = node; inner; ) {
      if (inner.type === 'AwaitExpression') return true;
      inner = [inner.left, inner.test, inner.object, inner.callee, inner.tag, inner.expressions?.[0], inner.argument].find(
        (child) => child && child.start === at,
      );
    }
    return false;
  }

  awaitHead(scope) {
    if (scope.inAsync === null) this.topLevelAwait = true;
    return scope.inAsync?.generator ? `yield ${HELPER}.wait(` : 'yield ';
  }

  visitAwait(node, scope, statement) {
    const head = this.awaitHead(scope);
    const tail = head.endsWith('(') ? ')' : '';
    this.replace(node.start, node.start + 5, statement ? head : `(${head}`);
    this.visit(node.argument, scope);
    this.insert(node.end, statement ? tail : `${tail})`, 1);
  }

  visitYield(node, scope) {
    if (node.delegate && scope.inAsync?.generator) {
      this.visit(node.argument, scope);
      this.insert(node.argument.start, `${HELPER}.delegate(`, -3);
      this.insert(node.end, ')', 1);
      return undefined;
    }
    return node.argument ? this.visit(node.argument, scope) : undefined;
  }

  visitForAwait(node, scope) {
    const name = `$loop${this.loops++}__`;
    const awaiting = this.text.indexOf('await', node.start);
    this.replace(awaiting, awaiting + 5, '');
    const left = this.text.slice(node.left.start, node.left.end);
    this.replace(node.left.start, node.left.end, `const ${name}`);
    this.insert(node.right.start, `${HELPER}.steps(`, -3);
    this.visit(node.right, scope);
    this.insert(node.right.end, ')', 1);
    const head = this.awaitHead(scope);
    const tail = head.endsWith('(') ? ')' : '';
    this.insert(node.body.start, `{${head}${name}.next()${tail};if(${name}.done)break;${left}=${name}.value;`, -3);
    this.visit(node.body, scope);
    this.insert(node.body.end, '}', 2);
  }

  skip(at) {
    for (;;) {
      const rest = /^(\s+|\/\*[^]*?\*\/|\/\/[^\n]*)/.exec(this.text.slice(at, at + 2000));
      if (!rest) return at;
      at += rest[0].length;
    }
  }

  dropAsync(from) {
    const at = this.skip(from);
    this.replace(at, at + 5, '');
  }

  dropStar(from, to) {
    const at = this.text.lastIndexOf('*', to);
    if (at > from) this.replace(at, at + 1, '');
  }

  openParenthesis(from, node) {
    let at = from;
    if (!node.id) at = this.skip(this.skip(this.skip(at) + 5) + 8);
    if (!node.id && node.generator) at = this.skip(this.text.indexOf('*', at) + 1);
    return this.text.indexOf('(', at);
  }

  arrowToken(node) {
    let at = node.params.length ? node.params.at(-1).end : node.start + 5;
    at = this.text.indexOf('=>', at);
    return at;
  }
}
