// What several routes share.

import { Refusal, field, missing } from '../refusal.mjs';

const PER_PAGE = 30;
const PER_PAGE_MAX = 100;

/** Which part of a list is asked for. */
export function window(query, perPage = PER_PAGE) {
  const natural = (name, other) => Math.max(Number(query.get(name) ?? other) || other, 1);
  const size = Math.min(natural('per_page', perPage), Math.max(PER_PAGE_MAX, perPage));
  const page = natural('page', 1);
  return { size, page, skip: (page - 1) * size };
}

/** An answer that is a part of a list; `total` where the part was already taken. */
export function paged(query, list, show = (one) => one, { wrap = (body) => body, perPage } = {}) {
  const { size, page, skip } = window(query, perPage);
  return Promise.all(list.slice(skip, skip + size).map(show)).then((body) => ({ body: wrap(body), page, pages: Math.max(Math.ceil(list.length / size), 1) }));
}

/** A list by its newest or oldest. */
export function sorted(query, list, key, standard = 'desc') {
  const upwards = (query.get('direction') ?? standard) === 'asc';
  const ordered = [...list].sort((one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : one.id - other.id));
  return upwards ? ordered : ordered.reverse();
}

export async function demandCommits(git) {
  if (await git.isEmpty()) throw new Refusal(409, 'Git Repository is empty.');
}

export function threadOf(repository, number) {
  const found = repository.threads.find((one) => one.number === Number(number));
  if (!found) throw missing();
  return found;
}

export function pullOf(repository, number) {
  const found = threadOf(repository, number);
  if (!found.pull) throw missing();
  return found;
}

/** A person for a commit, from what a request says of them. */
export function personFor(given, standard, resource) {
  if (!given) return standard;
  const { name = standard.name, email = standard.email, date = standard.date } = given;
  if ([name, email].some((text) => text.trim() === '' || /[<>\n\0]/.test(text))) throw field(resource, 'author');
  return { name, email, date };
}
