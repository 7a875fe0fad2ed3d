import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImageLedger, type PulledImages } from '../../../agent/runtime/docker/image-ledger.ts';
import { type ListedImage, planImages, withPulled } from '../../../agent/runtime/docker/image-plan.ts';
import { silentLogger } from '../../../lib/log.ts';

const HOUR = 3_600_000;
const image = (id: string, sizeBytes = 100, names: readonly string[] = [`${id}@sha256:1`]): ListedImage => ({ id, names, sizeBytes });
const pulled = (...entries: readonly (readonly [string, number])[]): PulledImages =>
  new Map(entries.map(([id, idleMs]) => [id, { names: [`${id}@sha256:1`], idleMs }]));
const plan = (
  ledger: PulledImages,
  listed: readonly ListedImage[],
  { used = [], passed = {}, bytes = Infinity, ageMs = Infinity }: Partial<Plan> = {},
) => {
  const made = planImages(ledger, listed, new Set(used), new Map(Object.entries(passed)), { bytes, ageMs });
  return { ...made, removed: made.remove.map(({ id }) => id) };
};
interface Plan {
  readonly used: readonly string[];
  readonly passed: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly ageMs: number;
}

describe('which images go', () => {
  it('beyond a size the longest unused first, and no more than must', () => {
    const ledger = pulled(['a', HOUR], ['b', 3 * HOUR], ['c', 2 * HOUR]);
    const made = plan(ledger, [image('a'), image('b'), image('c')], { bytes: 150 });
    assert.deepEqual(made.removed, ['b', 'c']);
    assert.equal(made.keptUnusedBytes, 100);
  });

  it('beyond an age whatever their size; used ones never, and their age begins anew', () => {
    const ledger = pulled(['a', 5 * HOUR], ['b', 5 * HOUR], ['c', 4 * HOUR]);
    const made = plan(ledger, [image('a'), image('b'), image('c')], { used: ['a'], passed: { c: HOUR }, ageMs: 5 * HOUR, bytes: 0 });
    assert.deepEqual(made.removed, ['b', 'c']);
    assert.equal(made.ledger.get('a')?.idleMs, 0);
    assert.equal(made.ledger.get('c')?.idleMs, 5 * HOUR);
  });

  it('none for its size that is seen unused for the first time', () => {
    assert.deepEqual(plan(pulled(['a', 0]), [image('a')], { bytes: 0 }).removed, []);
    assert.deepEqual(plan(pulled(['a', 0]), [image('a')], { bytes: 0, passed: { a: 1 } }).removed, ['a']);
  });

  it('none that Shoal did not pull, or that somebody has given a name since: that one is theirs from then on', () => {
    const ledger = pulled(['a', 9 * HOUR]);
    const made = plan(ledger, [image('a', 100, ['a@sha256:1', 'mine:1']), image('theirs')], { bytes: 0, ageMs: HOUR });
    assert.deepEqual(made.removed, []);
    assert.deepEqual([...made.ledger.keys()], []);
    assert.equal(made.keptUnusedBytes, 0);
  });

  it('an image that is gone is forgotten', () => {
    assert.equal(plan(pulled(['a', HOUR]), []).ledger.size, 0);
  });
});

describe('what counts as pulled by Shoal', () => {
  const after = (ledger: PulledImages, reference: string, names: readonly string[]) => withPulled(ledger, 'a', reference, names).get('a');
  const NONE: PulledImages = new Map();

  it('an image with the names of the pull, and of later pulls', () => {
    assert.deepEqual(after(NONE, 'web@sha256:1', ['web@sha256:1']), { names: ['web@sha256:1'], idleMs: 0 });
    assert.deepEqual(after(NONE, 'web:1', ['web:1', 'web@sha256:1'])?.names, ['web:1', 'web@sha256:1']);
    const both = ['web@sha256:1', 'other@sha256:1'];
    assert.deepEqual(after(withPulled(NONE, 'a', 'web@sha256:1', ['web@sha256:1']), 'other@sha256:1', both)?.names, both);
  });

  it('not one that had another name already', () => {
    assert.equal(after(NONE, 'web@sha256:1', ['web:1', 'web@sha256:1']), undefined);
    assert.equal(after(NONE, 'web:1', ['mine:1', 'web:1', 'web@sha256:1']), undefined);
    assert.equal(after(NONE, 'web:1', ['web:1', 'web@sha256:1', 'mine@sha256:1']), undefined);
    const known = withPulled(NONE, 'a', 'web@sha256:1', ['web@sha256:1']);
    assert.equal(after(known, 'other@sha256:1', ['web@sha256:1', 'mine:1', 'other@sha256:1']), undefined);
  });

  it('is known again after a restart; a damaged record means that nothing is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-ledger-'));
    try {
      const path = join(folder, 'images.json');
      await openImageLedger(path, silentLogger).replace(pulled(['a', HOUR]));
      assert.deepEqual(openImageLedger(path, silentLogger).images(), pulled(['a', HOUR]));
      writeFileSync(path, '{"a":{"names":"x"},"b":nu');
      assert.equal(openImageLedger(path, silentLogger).images().size, 0);
      writeFileSync(path, '{"a":{"names":"x"},"b":null,"c":{"names":["c@1"],"idleMs":1}}');
      assert.deepEqual([...openImageLedger(path, silentLogger).images().keys()], ['c']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
