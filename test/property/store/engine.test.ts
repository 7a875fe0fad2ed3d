// Any sequence of requests: what was published can be replayed from its changes and read back from its image, byte for byte.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeChanges,
  decodeImageHead,
  decodeItems,
  encodeChanges,
  encodeImageHead,
  encodeItems,
} from '../../../manager/store/embedded/codec.ts';
import type { Change, EngineImage } from '../../../manager/store/engine/change.ts';
import { Engine, type Stage } from '../../../manager/store/engine/engine.ts';
import { ShoalError } from '../../../lib/errors.ts';
import type { Op } from '../../../manager/store/store.ts';

type Request =
  | { readonly type: 'commit'; readonly compare: readonly { key: string; modRevision: number }[]; readonly ops: readonly Op[] }
  | { readonly type: 'grant' }
  | { readonly type: 'end'; readonly leaseId: string };

const key = fc.constantFrom('a', 'b', 'c', 'd', 'ключ');
const leaseId = fc.constantFrom('1', '2', '3');
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), key, value: fc.uint8Array({ maxLength: 5 }) }),
  fc.record({ type: fc.constant('put' as const), key, value: fc.uint8Array({ maxLength: 5 }), leaseId }),
  fc.record({ type: fc.constant('delete' as const), key }),
);
const request: fc.Arbitrary<Request> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('commit' as const),
      compare: fc.array(fc.record({ key, modRevision: fc.integer({ min: 0, max: 6 }) }), { maxLength: 1 }),
      ops: fc.uniqueArray(op, { selector: (entry) => entry.key, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('grant' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('end' as const), leaseId }) },
);
/** Groups of requests; a group that is not kept is dropped as a failed write to disk would drop it. */
const groups = fc.array(fc.record({ kept: fc.boolean(), requests: fc.array(request, { maxLength: 5 }) }), { maxLength: 12 });

describe('the engine', () => {
  it('comes to the same state by replay, and by its image', () => {
    fc.assert(
      fc.property(groups, (all) => {
        const engine = new Engine();
        const replayed = new Engine();
        for (const group of all) {
          const before = engine.image();
          const changes = evaluate(engine.stage(), group.requests);
          assert.deepEqual(engine.image(), before, 'a stage leaves no trace by itself');
          if (!group.kept) continue;
          for (const change of changes) engine.apply(change);
          for (const change of decodeChanges(encodeChanges(changes))) replayed.apply(change);
        }
        assert.deepEqual(comparable(replayed.image()), comparable(engine.image()));
        assert.deepEqual(comparable(new Engine(throughBytes(engine.image())).image()), comparable(engine.image()));
      }),
    );
  });

  it('answers in a stage as it would if every request had been published before the next', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 15 }), (requests) => {
        const together = new Engine();
        const one = new Engine();
        const stage = together.stage();
        for (const entry of requests) {
          const single = one.stage();
          assert.deepEqual(answer(stage, entry), answer(single, entry));
          for (const change of single.changes) one.apply(change);
        }
        for (const change of stage.changes) together.apply(change);
        assert.deepEqual(comparable(together.image()), comparable(one.image()));
      }),
    );
  });
});

function evaluate(stage: Stage, requests: readonly Request[]): readonly Change[] {
  for (const entry of requests) answer(stage, entry);
  return stage.changes;
}

function answer(stage: Stage, entry: Request): unknown {
  try {
    switch (entry.type) {
      case 'commit':
        return stage.commit(entry);
      case 'grant':
        return stage.grant(1000);
      case 'end':
        return stage.end(entry.leaseId);
    }
  } catch (error) {
    assert.ok(error instanceof ShoalError && error.code === 'failed_precondition');
    return error.message;
  }
}

function throughBytes(image: EngineImage): EngineImage {
  return { ...decodeImageHead(encodeImageHead(image)).head, items: decodeItems(encodeItems(image.items)) };
}

/** Bytes are Buffers after they were read back. */
function comparable(image: EngineImage): unknown {
  const items = image.items.map((item) => ({ ...item, value: Buffer.from(item.value).toString('hex') }));
  return { ...image, items: items.sort((left, right) => (left.key < right.key ? -1 : 1)) };
}
