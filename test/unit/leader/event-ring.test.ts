import assert from 'node:assert/strict';
import { EventRing } from '../../../manager/leader/event-ring.ts';
import { Event, EventFloor } from '../../../proto/index.ts';
import { row, type RowWrite } from '../../support/state-rows.ts';
import { type StateWorld, stateWorld } from '../../support/state-world.ts';

const event = (id: number, message = ''): RowWrite =>
  row('events', String(id).padStart(6, '0'), { tasks: [], events: [Event.create({ message })] });

describe('the ring of events', () => {
  let world: StateWorld;
  beforeEach(() => {
    world = stateWorld();
  });

  function ringOf(maxRows?: number): EventRing {
    const ring = new EventRing(world.state, maxRows);
    world.state.subscribe((changes) => ring.note(changes));
    return ring;
  }
  /** Ids that the transaction deletes; it compares each. */
  function trimmed(ring: EventRing): readonly string[] | undefined {
    const builder = ring.trim();
    if (builder === undefined) return undefined;
    const { compare, ops } = builder.build();
    const deleted = ops.filter(({ type }) => type === 'delete').map(({ key }) => key);
    assert.deepEqual(
      ops.filter(({ type }) => type === 'put').map(({ key }) => key),
      ['event-floor'],
    );
    assert.deepEqual(compare.map(({ key }) => key).sort(), [...deleted].sort());
    return deleted.map((key) => key.slice('events/'.length)).sort();
  }

  it('is left alone while there is room', () => {
    const ring = ringOf(50);
    world.change(Array.from({ length: 149 }, (_, i) => event(i)));
    assert.equal(trimmed(ring), undefined);
  });

  it('loses its oldest rows, many at once, when there are too many', () => {
    // Not in the order of their ids: by revision, as they are read.
    world.change(Array.from({ length: 100 }, (_, i) => event(100 + i)));
    const ring = ringOf(50);
    world.change(Array.from({ length: 50 }, (_, i) => event(i)));
    const oldest = Array.from({ length: 100 }, (_, i) => String(100 + i).padStart(6, '0'));
    assert.deepEqual(trimmed(ring), oldest);
    world.change(
      [],
      oldest.map((id) => ['events', id]),
    );
    assert.equal(trimmed(ring), undefined);
    assert.equal(world.state.count('events'), 50);
  });

  it('notes up to where they are gone, with the transaction that deletes them', () => {
    for (let i = 0; i < 150; i++) world.change([event(i)]);
    const put = ringOf(50)
      .trim()
      ?.build()
      .ops.find(({ key }) => key === 'event-floor');
    assert.ok(put?.type === 'put');
    assert.equal(EventFloor.decode(put.value).revision, world.state.get('events', '000099')?.createRevision);
  });

  it('loses its oldest rows when they are too large together', () => {
    const ring = ringOf();
    const megabyte = 'x'.repeat(1024 * 1024);
    world.change(Array.from({ length: 7 }, (_, i) => event(i, megabyte)));
    assert.equal(trimmed(ring), undefined);
    world.change([event(7, megabyte)]);
    assert.ok(trimmed(ring)?.includes('000000'));
    world.change(
      [],
      Array.from({ length: 4 }, (_, i) => ['events', String(i).padStart(6, '0')] as const),
    );
    assert.equal(trimmed(ring), undefined);
  });

  it('counts a row once that is rewritten', () => {
    const ring = ringOf(50);
    for (let i = 0; i < 200; i++) world.change([event(1)]);
    assert.equal(trimmed(ring), undefined);
  });
});
