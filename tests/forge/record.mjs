// What was asked and answered, for tests to look at.

export class Record {
  constructor() {
    this.clear();
  }

  clear() {
    Object.assign(this, { requests: [], violations: [], git: [] });
  }

  /** Something that is not as GitHub describes it. */
  violation(where, operation, errors, more = {}) {
    if (errors.length === 0) return;
    this.violations.push({ where, operation, errors, ...more });
    console.error(`${where} of ${operation} is not as described: ${errors.join('; ')}`);
  }
}
