// The key by which GitHub signs what it commits itself, and its judgement of signatures: git's own, with the keys that people registered.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run, settings, withFolder } from './git.mjs';

/** Who commits what is done through the API. */
export const WEB_FLOW = { login: 'web-flow', id: 19864447, type: 'User', name: 'GitHub', email: 'noreply@github.com' };

export class Signing {
  constructor(folder) {
    this.key = path.join(folder, 'web-flow');
  }

  async begin() {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', WEB_FLOW.login, '-f', this.key]);
    this.public = (await readFile(`${this.key}.pub`, 'utf8')).trim();
  }

  /** A signature as git makes it. */
  sign(text) {
    return withFolder(async (folder) => {
      const file = path.join(folder, 'commit');
      await writeFile(file, text);
      const said = await run('ssh-keygen', ['-Y', 'sign', '-n', 'git', '-f', this.key, file]);
      if (said.code !== 0) throw new Error(`ssh-keygen: ${said.error}`);
      return readFile(`${file}.sig`, 'utf8');
    });
  }

  /** What GitHub shows of a commit's signature. `keys` are those of people: each with `user` and `key`. */
  async verification(git, commit, keys) {
    const shown = (reason) => ({
      verified: reason === 'valid',
      reason,
      signature: commit.signature,
      payload: commit.signature ? commit.payload : null,
      verified_at: reason === 'valid' ? commit.committer.date : null,
    });
    if (!commit.signature) return shown('unsigned');
    if (/^-----BEGIN PGP /.test(commit.signature)) return shown('unknown_key');
    if (!commit.signature.startsWith('-----BEGIN SSH SIGNATURE-----')) return shown('unknown_signature_type');
    const signers = [{ user: WEB_FLOW, key: this.public }, ...keys];
    const said = await withFolder(async (folder) => {
      const allowed = path.join(folder, 'allowed');
      await writeFile(allowed, signers.map(({ user, key }) => `${user.email} namespaces="git" ${key}\n`).join(''));
      const env = settings([['gpg.format', 'ssh'], ['gpg.ssh.allowedSignersFile', allowed], ['safe.directory', '*']]);
      return git.git(['verify-commit', '--raw', commit.sha], { env });
    });
    const principal = /^Good "git" signature for (\S+) with/m.exec(said.error + said.text)?.[1];
    if (said.code !== 0 || !principal) return shown(/^Good "git" signature with/m.test(said.error + said.text) ? 'unknown_key' : 'invalid');
    const { user } = signers.find((one) => one.user.email === principal);
    const addresses = [user.email, user.private_email].filter(Boolean).map((one) => one.toLowerCase());
    return shown(addresses.includes(commit.committer.email.toLowerCase()) ? 'valid' : 'bad_email');
  }
}
