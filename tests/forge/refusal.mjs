/** An answer that is a refusal: thrown from wherever it is found out. */
export class Refusal extends Error {
  constructor(status, message, { errors, headers = {} } = {}) {
    super(message);
    Object.assign(this, { status, errors, headers });
  }
}

export const missing = (message = 'Not Found') => new Refusal(404, message);
export const invalid = (message, errors) => new Refusal(422, message, { errors });

/** A refusal of GitHub's validation, about one field. */
export const field = (resource, name, code = 'invalid', message) =>
  invalid('Validation Failed', [{ resource, ...(name ? { field: name } : {}), code, ...(message ? { message } : {}) }]);
