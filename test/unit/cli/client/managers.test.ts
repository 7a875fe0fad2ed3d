import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findManagers } from '../../../../cli/client/managers.ts';

describe('where the managers are', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-managers-'));
    mkdirSync(join(folder, 'a/b'), { recursive: true });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const writeCluster = (text: string): void => {
    mkdirSync(join(folder, '.shoal/dev'), { recursive: true });
    writeFileSync(join(folder, '.shoal/dev/cluster.json'), text);
  };
  const find = (flags: readonly string[] = [], env = {}): readonly string[] => findManagers(flags, { env, cwd: join(folder, 'a/b') });

  it('is the default port of this machine unless something says otherwise', () => {
    assert.deepEqual(find(), ['127.0.0.1:7420']);
  });

  it('is what shoal dev wrote in this folder or one above', () => {
    writeCluster('{"managers":["127.0.0.1:7430"],"other":1}');
    assert.deepEqual(find(), ['127.0.0.1:7430']);
  });

  it('goes by the flag, then the environment, then shoal dev', () => {
    writeCluster('{"managers":["127.0.0.1:7430"]}');
    assert.deepEqual(find([], { SHOAL_HOST: 'm1:1, m2' }), ['m1:1', 'm2:7420']);
    assert.deepEqual(find(['a:1,[::1]:2', 'tcp://b', 'a:1'], { SHOAL_HOST: 'm1:1' }), ['a:1', '[::1]:2', 'b:7420']);
  });

  it('names every malformed address', () => {
    assert.throws(() => find(['a:99999', 'http://x', 'ok:1']), /"a:99999" is not HOST:PORT.*"http:\/\/x" is not/);
    assert.throws(() => find([], { SHOAL_HOST: 'a b' }), /SHOAL_HOST/);
  });

  it('says what to do about a broken file of shoal dev', () => {
    writeCluster('{');
    assert.throws(() => find(), { code: 'failed_precondition', message: /is not JSON: remove it/ });
    writeCluster('{"managers":[]}');
    assert.throws(() => find(), /names no managers/);
  });
});
