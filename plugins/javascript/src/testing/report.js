// Tells the host of tests.
import testing from 'infinity:agent/testing@0.1.0';

export function begin(name) {
  testing.begin(name.toWellFormed());
}

const text = (value) => (value === null || value === undefined ? null : String(value).toWellFormed());

export function end({ name, outcome, message, details, output, path, line }) {
  testing.end({
    name: name.toWellFormed(),
    outcome,
    message: text(message)?.replace(/\s*\n\s*/g, ' ') ?? null,
    details: text(details),
    output: text(output),
    path: text(path),
    line: line ?? null,
  });
}
