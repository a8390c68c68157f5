// What ES modules need before they become CommonJS. Every line stays where it is.
import { parse } from 'acorn';

// What the text becomes uses these names itself; the text has them only if it says so.
const HIDDEN = /\b(require|exports)\b/;
const HIDDEN_NAME = /^(require|exports)$/;

const parseModule = (text) => parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });

function apply(text, edits) {
  edits.sort((a, b) => a.start - b.start);
  let out = '';
  let last = 0;
  for (const { start, end, insert } of edits) {
    out += text.slice(last, start) + insert;
    last = end;
  }
  return out + text.slice(last);
}

/// Gives `require` and `exports` names under which there is nothing unless the module declares it.
export function hideNames(text) {
  if (!HIDDEN.test(text)) return text;
  const edits = [];
  const hidden = (name) => `$${name}__`;
  const visit = (node, parent, key) => {
    if (node.type === 'Identifier') {
      if (!HIDDEN_NAME.test(node.name)) return;
      const isName = !parent.computed && ((parent.type === 'MemberExpression' && key === 'property') || (key === 'key' && !parent.shorthand));
      if (!isName) edits.push({ start: node.start, end: node.end, insert: parent.type === 'Property' && parent.shorthand ? `${node.name}: ${hidden(node.name)}` : hidden(node.name) });
      return;
    }
    if (node.type === 'ImportSpecifier' || node.type === 'ExportSpecifier') {
      const [outside, inside] = node.type === 'ImportSpecifier' ? [node.imported, node.local] : [node.exported, node.local];
      if (parent.source && node.type === 'ExportSpecifier') return;
      if (!HIDDEN_NAME.test(inside.name)) return;
      const name = text.slice(outside.start, outside.end);
      edits.push({ start: node.start, end: node.end, insert: node.type === 'ImportSpecifier' ? `${name} as ${hidden(inside.name)}` : `${hidden(inside.name)} as ${name}` });
      return;
    }
    for (const name in node) {
      // Of `{ a }` and `{ a = 1 }` the key is a part of the value.
      if (node.type === 'Property' && node.shorthand) {
        if (name === 'key') continue;
        if (name === 'value' && node.value.type === 'AssignmentPattern') {
          visit(node.value.left, node, 'value');
          visit(node.value.right, node.value, 'right');
          continue;
        }
      }
      const value = node[name];
      if (Array.isArray(value)) {
        for (const item of value) if (item && typeof item.type === 'string') visit(item, node, name);
      } else if (value && typeof value.type === 'string') {
        visit(value, node, name);
      }
    }
  };
  try {
    visit(parseModule(text), { type: '' }, '');
  } catch (error) {
    // Whoever compiles it has words for that.
    if (error instanceof SyntaxError) return text;
    throw error;
  }
  return apply(text, edits);
}

const IMPORT = /^[ \t]*import\s*(?:[\w$*{}\s,]+from\s*)?(?:"[^"\n]*"|'[^'\n]*')[ \t]*;?/gm;

/// Moves imports that follow other code before it, since they come first whatever their place.
export function hoistImports(text) {
  const last = [...text.matchAll(IMPORT)].at(-1);
  if (last === undefined) return text;
  const before = text.slice(0, last.index).replace(IMPORT, '').replace(/\/\*[^]*?\*\/|\/\/.*/g, '').replace(/^\s*(['"])use strict\1;?/, '');
  if (before.trim() === '') return text;
  let body;
  try {
    ({ body } = parseModule(text));
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
  let head = '';
  const edits = [];
  let leading = true;
  for (const node of body) {
    if (node.type !== 'ImportDeclaration') leading = false;
    else if (!leading) {
      const statement = text.slice(node.start, node.end);
      head += `${statement.replace(/\/\/.*/g, '').replace(/\s*\n\s*/g, ' ').replace(/;?$/, ';')} `;
      edits.push({ start: node.start, end: node.end, insert: statement.replace(/[^\n]/g, '') });
    }
  }
  if (edits.length === 0) return text;
  return apply(text, [{ start: body[0].start, end: body[0].start, insert: head }, ...edits]);
}
