import assert from 'node:assert/strict';
import { parseImageReference, pinned } from '../../../manager/api/registry/image-reference.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

function parse(image: string): readonly (string | undefined)[] {
  const result = parseImageReference(image);
  if (!result.ok) assert.fail(`${image}: ${result.reason}`);
  const { domain, repository, tag, digest } = result.reference;
  return [domain, repository, tag, digest];
}

describe('image reference', () => {
  it("fills in Docker Hub's defaults", () => {
    assert.deepEqual(parse('nginx'), ['docker.io', 'library/nginx', 'latest', undefined]);
    assert.deepEqual(parse('team/app:1.0'), ['docker.io', 'team/app', '1.0', undefined]);
    assert.deepEqual(parse('docker.io/nginx'), ['docker.io', 'library/nginx', 'latest', undefined]);
  });

  it('tells a registry from a path, and its port from a tag', () => {
    assert.deepEqual(parse('localhost/app'), ['localhost', 'app', 'latest', undefined]);
    assert.deepEqual(parse('127.0.0.1:5000/a/b:c'), ['127.0.0.1:5000', 'a/b', 'c', undefined]);
    assert.deepEqual(parse('registry.example.com:5000/app'), ['registry.example.com:5000', 'app', 'latest', undefined]);
    assert.deepEqual(parse('[::1]:5000/app:2'), ['[::1]:5000', 'app', '2', undefined]);
  });

  it('takes a digest with and without a tag', () => {
    assert.deepEqual(parse(`nginx@${DIGEST}`), ['docker.io', 'library/nginx', undefined, DIGEST]);
    assert.deepEqual(parse(`nginx:1.27@${DIGEST}`), ['docker.io', 'library/nginx', '1.27', DIGEST]);
  });

  it('pins a name as its user wrote it', () => {
    const result = parseImageReference('team/app');
    assert.ok(result.ok);
    assert.equal(pinned(result.reference, DIGEST), `team/app:latest@${DIGEST}`);
  });

  for (const image of [
    '',
    'a b',
    'App',
    'a//b',
    'a:',
    'a@sha256:12',
    'a@b@c',
    '-a',
    'a/-b',
    'x'.repeat(300),
    '0'.repeat(64),
    'ho_st.x/a',
  ]) {
    it(`refuses "${image.slice(0, 40)}"`, () => {
      assert.equal(parseImageReference(image).ok, false);
    });
  }
});
