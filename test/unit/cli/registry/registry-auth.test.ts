import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { registryOf } from '../../../../cli/registry/image-reference.ts';
import { registryAuthFor } from '../../../../cli/registry/registry-auth.ts';
import type { CreateServiceRequest } from '../../../../proto/index.ts';
import { capturedShell, shoal } from '../../../support/captured-shell.ts';
import { serviceView } from '../../../support/cli-fixtures.ts';
import { startFakeControl } from '../../../support/fake-control.ts';

describe('the login for a registry', () => {
  let home = '';
  let path: string | undefined;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'shoal-auth-'));
    mkdirSync(join(home, '.docker'));
    path = process.env['PATH'];
    process.env['PATH'] = `${home}${delimiter}${path ?? ''}`;
  });
  afterEach(() => {
    process.env['PATH'] = path;
    rmSync(home, { recursive: true });
  });
  const configure = (config: unknown): void => {
    writeFileSync(join(home, '.docker/config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  };
  const helper = (name: string, script: string): void => {
    writeFileSync(join(home, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
    chmodSync(join(home, `docker-credential-${name}`), 0o755);
  };
  const login = async (image: string): Promise<unknown> => {
    const { shell } = capturedShell({ home });
    const encoded = await registryAuthFor(image, shell, new AbortController().signal);
    return encoded === '' ? undefined : JSON.parse(Buffer.from(encoded, 'base64url').toString());
  };
  const basic = (text: string): { readonly auth: string } => ({ auth: Buffer.from(text).toString('base64') });

  it('is chosen by Docker’s rule for image names', () => {
    assert.equal(registryOf('nginx'), 'docker.io');
    assert.equal(registryOf('library/nginx:1.25'), 'docker.io');
    assert.equal(registryOf('ghcr.io/acme/web@sha256:1'), 'ghcr.io');
    assert.equal(registryOf('localhost/web'), 'localhost');
    assert.equal(registryOf('registry:5000/web'), 'registry:5000');
  });

  it('comes from the file, under any of the spellings of the registry', async () => {
    configure({ auths: { 'https://index.docker.io/v1/': basic('me:pa:ss'), 'https://ghcr.io/v1/': basic('you:secret'), 'empty.io': {} } });
    assert.deepEqual(await login('nginx'), { username: 'me', password: 'pa:ss', serveraddress: 'https://index.docker.io/v1/' });
    assert.deepEqual(await login('ghcr.io/acme/web'), { username: 'you', password: 'secret', serveraddress: 'ghcr.io' });
    assert.equal(await login('empty.io/web'), undefined);
    assert.equal(await login('other.io/web'), undefined);
  });

  it('is padded, in the alphabet for URLs: an engine takes anything else for no login', async () => {
    for (const password of ['p', 'pp', 'ppp', '\u{10ffff}?>~\u00ff']) {
      configure({ auths: { 'r.io': basic(`u:${password}`) } });
      const encoded = await registryAuthFor('r.io/web', capturedShell({ home }).shell, new AbortController().signal);
      assert.match(encoded, /^[\w-]+={0,2}$/);
      assert.equal(encoded.length % 4, 0);
      assert.deepEqual(await login('r.io/web'), { username: 'u', password, serveraddress: 'r.io' });
    }
  });

  it('is nothing where Docker was never configured', async () => {
    assert.equal(await login('nginx'), undefined);
  });

  it('comes from the helper of the registry, else from the common one', async () => {
    helper('special', 'read server; echo "{\\"Username\\":\\"special\\",\\"Secret\\":\\"for $server\\"}"');
    helper('common', 'echo \'{"Username":"<token>","Secret":"tok"}\'');
    configure({ credHelpers: { 'ghcr.io': 'special' }, credsStore: 'common' });
    assert.deepEqual(await login('ghcr.io/a/b'), { username: 'special', password: 'for ghcr.io', serveraddress: 'ghcr.io' });
    assert.deepEqual(await login('quay.io/a/b'), { identitytoken: 'tok', serveraddress: 'quay.io' });
  });

  it('comes from the file where the helper knows none', async () => {
    helper('none', 'echo "credentials not found in native keychain"; exit 1');
    configure({ credsStore: 'none', auths: { 'ghcr.io': basic('you:secret') } });
    assert.deepEqual(await login('ghcr.io/a/b'), { username: 'you', password: 'secret', serveraddress: 'ghcr.io' });
  });

  it('fails with the reason where the helper or the file is broken', async () => {
    configure({ credsStore: 'missing' });
    await assert.rejects(login('nginx'), { code: 'failed_precondition', message: /cannot run docker-credential-missing/ });
    helper('broken', 'echo oops');
    configure({ credsStore: 'broken' });
    await assert.rejects(login('nginx'), /the answer of docker-credential-broken is not JSON/);
    helper('locked', 'echo "keychain is locked"; exit 2');
    configure({ credsStore: 'locked' });
    await assert.rejects(login('nginx'), /gives no login for .*: keychain is locked/);
    configure('{');
    await assert.rejects(login('nginx'), /cannot read Docker's configuration/);
  });

  it('leaves this machine only with --with-registry-auth', async () => {
    configure({ auths: { 'ghcr.io': basic('you:secret') } });
    const requests: CreateServiceRequest[] = [];
    const fake = await startFakeControl({
      createService: (request) => {
        requests.push(request);
        return Promise.resolve({ service: serviceView('web'), revision: 1, warnings: [], specNumber: 1 });
      },
    });
    try {
      await shoal(['service', 'create', '-d', 'ghcr.io/a/b'], { manager: fake.address, home });
      await shoal(['service', 'create', '-d', '--with-registry-auth', 'ghcr.io/a/b'], { manager: fake.address, home });
    } finally {
      await fake.stop();
    }
    const sent = requests.map(({ registryAuth, spec }) => [registryAuth === '', spec?.task?.container?.registryAuth === registryAuth]);
    assert.deepEqual(sent, [
      [true, true],
      [false, true],
    ]);
  });
});
