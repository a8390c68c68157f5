// What the agent does, apart from the host: so it can be tested without one.

/** A summary, and what is wrong if something is. */
export function greet(name) {
  if (name.trim() === '') {
    return { summary: 'there is nobody to greet', problem: 'the name is empty' };
  }
  return { summary: `hello ${name}` };
}
