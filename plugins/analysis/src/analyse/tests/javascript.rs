//! JavaScript and TypeScript, one construct at a time.

use super::{expect, rules_of, table};

#[test]
fn syntax() {
    table(
        "a.js",
        &[
            ("console.log(1)\n", ""),
            ("", ""),
            ("let x = ;\n", "syntax:1"),
            ("console.log(1\n", "syntax:2"),
            ("let x = 1\nlet x = 2\n", "syntax:1"),
            ("const x\n", "syntax:1"),
            ("break\n", "syntax:1"),
            ("console.log(/(/)\n", "syntax:1"),
            ("return 1\n", ""),
            ("await 1\nexport {}\n", ""),
            ("with (console) log(1)\n", "dangerous-call:1"),
            ("import 'fs'\nwith (console) log(1)\n", "syntax:2"),
            ("'use strict'\nwith (console) log(1)\n", "syntax:2"),
            ("class A { #a; #a }\n", "syntax:1"),
            ("super.a\n", "syntax:1"),
            ("console.log(<p>a</p>)\n", ""),
        ],
    );
    table(
        "a.mjs",
        &[
            ("return 1\n", "syntax:1"),
            ("export const a = await 1\n", ""),
        ],
    );
    table(
        "a.ts",
        &[
            ("export const x: number = 1\n", ""),
            ("export const x: = 1\n", "syntax:1"),
            ("export const x = <p>a</p>\n", "syntax:1 syntax:1"),
            ("export abstract class A { abstract f(): void }\n", ""),
        ],
    );
}

#[test]
fn names_without_a_meaning() {
    table(
        "a.js",
        &[
            ("missing()\n", "undefined-name:1"),
            ("console.log(f)\nfunction f() {}\n", ""),
            ("typeof missing\n", ""),
            ("if (typeof missing !== 'undefined') missing()\n", ""),
            (
                "console.log(process, Buffer, require, module, exports, __dirname)\n",
                "",
            ),
            (
                "console.log(window, document, fetch, URL, setTimeout, structuredClone)\n",
                "",
            ),
            (
                "describe('a', () => { it('b', () => expect(1).toBe(1)) })\n",
                "",
            ),
            ("implicit = 1\nconsole.log(implicit)\n", ""),
            (
                "'use strict'\nimplicit = 1\nconsole.log(implicit)\n",
                "undefined-name:2 undefined-name:3",
            ),
            ("export const x = implicit = 1\n", "undefined-name:1"),
            ("/* global $, jQuery:readonly */\n$(jQuery)\n", ""),
            (
                "{ let inner = 1; console.log(inner) }\nconsole.log(inner)\n",
                "undefined-name:2",
            ),
            (
                "function f({ a, ...b }, [c], d = a) { return [a, b, c, d, arguments] }\nf()\n",
                "",
            ),
            ("console.log({ missing })\n", "undefined-name:1"),
            ("console.log(`${missing}`)\n", "undefined-name:1"),
            ("console.log(<Missing />)\n", "undefined-name:1"),
            (
                "console.log(Math.max(), new HTMLDivElement(), new CustomEvent('a'))\n",
                "",
            ),
        ],
    );
    table(
        "a.ts",
        &[
            ("export const x: Missing = 1\n", ""),
            ("declare const given: number\nconsole.log(given)\n", ""),
            ("export type A = typeof missing\n", ""),
            ("enum A { B = 1, C = B }\nconsole.log(A.C)\n", ""),
            ("console.log(missing as string)\n", "undefined-name:1"),
        ],
    );
    expect("a.d.ts", "export declare const x: Missing\n", "");
}

#[test]
fn names_without_a_use() {
    table(
        "a.mjs",
        &[
            ("const x = 1\n", "unused-variable:1"),
            ("function f() {}\n", "unused-variable:1"),
            ("const _x = 1\n", ""),
            ("export const x = 1\n", ""),
            ("export function f(unused) {}\n", ""),
            ("export default function f() {}\n", ""),
            ("const x = 1\nexport { x }\n", ""),
            ("let x = 1\nx = 2\n", "unused-variable:1"),
            ("const { a, b } = process\n", ""),
            ("for (const x of []) ;\n", ""),
            ("try { console.log(1) } catch (e) {}\n", ""),
            ("import fs from 'fs'\n", "unused-import:1"),
            (
                "import { readFile as read, rm } from 'fs'\nread()\n",
                "unused-import:1",
            ),
            ("import 'fs'\n", ""),
            ("const f = function g() {}\nf()\n", ""),
            (
                "import React from './r.mjs'\nexport const a = <p />\n",
                "import-missing:1",
            ),
        ],
    );
    expect("a.js", "function forTheBrowser() {}\n", "");
    expect("a.js", "const fs = require('fs')\n", "unused-variable:1");
    expect(
        "a.ts",
        "import { Stats } from 'fs'\nexport let x: Stats\n",
        "",
    );
}

#[test]
fn imports() {
    table(
        "a.mjs",
        &[
            ("import 'nothing'\n", "import-missing:1"),
            ("import './nothing.mjs'\n", "import-missing:1"),
            ("import '../nothing.mjs'\n", "import-missing:1"),
            ("export * from './nothing.mjs'\n", "import-missing:1"),
            ("export { x } from './nothing.mjs'\n", "import-missing:1"),
            ("await import('./nothing.mjs')\n", "import-missing:1"),
            ("import 'node:nothing'\n", "import-missing:1"),
            (
                "import 'node:test'\nimport 'fs/promises'\nimport 'node:fs'\n",
                "",
            ),
            (
                "try { await import('nothing') } catch {}\n",
                "import-missing:1",
            ),
        ],
    );
    table(
        "a.js",
        &[
            ("require('nothing')\n", "import-missing:1"),
            ("require('./nothing')\n", "import-missing:1"),
            ("require(process.argv[2])\n", ""),
            ("function f(require) { require('nothing') }\nf()\n", ""),
        ],
    );
    for (path, text, local) in [
        ("a.js", "require('./b')\n", "b.js"),
        ("a.js", "require('./b')\n", "b/index.js"),
        ("a.js", "require('./b')\n", "b.json"),
        ("src/a.ts", "import './b.js'\n", "src/b.ts"),
        ("src/a.ts", "import '../b'\n", "b.tsx"),
        (
            "src/a.mjs",
            "import 'left-pad'\n",
            "node_modules/left-pad/package.json",
        ),
    ] {
        assert_eq!(rules_of(path, text, &[local]), [], "{text}");
    }
}

#[test]
fn dangers() {
    table(
        "a.js",
        &[
            ("eval('1')\n", "dangerous-call:1"),
            ("new Function('a', 'return a')\n", "dangerous-call:1"),
            ("function f(eval) { return eval(1) }\nf()\n", ""),
            (
                "setTimeout('a()', 1)\nsetTimeout(() => 1, 1)\n",
                "dangerous-call:1",
            ),
            ("require('child_process').exec('ls')\n", "dangerous-call:1"),
            (
                "const { exec } = require('node:child_process')\nexec('ls')\n",
                "dangerous-call:1",
            ),
            (
                "import vm from 'vm'\nvm.runInThisContext('1')\n",
                "dangerous-call:1",
            ),
            ("process.binding('fs')\n", "dangerous-call:1"),
            (
                "const fs = require('fs')\nfs.writeFileSync('a', 'b')\nfs.readFileSync('a')\n",
                "dangerous-call:2",
            ),
            (
                "import { promises as fs, unlink } from 'fs'\nfs.rm('a')\nunlink('a')\n",
                "dangerous-call:2 dangerous-call:3",
            ),
            (
                "import fs from 'fs/promises'\nawait fs.mkdir('a')\n",
                "dangerous-call:2",
            ),
            ("require('fs').promises.rmdir('a')\n", ""),
            ("({}).__proto__ = null\n", "dangerous-call:1"),
            ("console.log({ __proto__: null })\n", ""),
        ],
    );
}

#[test]
fn habits() {
    table(
        "a.js",
        &[
            (
                "function f() { return 1\n console.log(2) }\nf()\n",
                "unreachable:2",
            ),
            ("function f() { return g()\n function g() {} }\nf()\n", ""),
            ("function f() { return x\n var x }\nf()\n", ""),
            ("for (;;) { break\n console.log(1) }\n", "unreachable:2"),
            ("switch (1) { case 1: throw 1; break }\n", ""),
            ("function f() { if (f) return 1\n return 2 }\nf()\n", ""),
            ("console.log({ a: 1, 'a': 2 })\n", "duplicate-key:1"),
            ("console.log({ get a() { return 1 }, set a(x) {} })\n", ""),
            (
                "let a = 1\nconsole.log(a === a, a.b != a.b, a < this)\n",
                "comparison-with-itself:2 comparison-with-itself:2",
            ),
            (
                "let a = 1\nif (a = 2) console.log(a)\n",
                "assignment-in-condition:2",
            ),
            ("let a = 1\nif ((a = 2)) console.log(a)\n", ""),
            (
                "let a = 1\nwhile (a = a.next) console.log(a)\n",
                "assignment-in-condition:2",
            ),
            (
                "console.log(9007199254740993, 12345678901234567890)\n",
                "loss-of-precision:1 loss-of-precision:1",
            ),
            (
                "console.log(9007199254740992, 1e30, 0.1, 1_000_000, 0xffffffffffffffff, 10n ** 30n)\n",
                "",
            ),
        ],
    );
}
