import assert from 'node:assert/strict';
import { readManagerMessage } from '../../../agent/session/manager-message.ts';
import { type Epoch, ManagerMessage, PortRoute, RouteTable, RouteTableDelta } from '../../../proto/index.ts';

const epoch = (revision: number): Epoch => ({ clusterId: 'c', incarnation: 'i', incarnationNumber: 1, revision });
const table: RouteTable = {
  epoch: epoch(7),
  ports: Array.from({ length: 50 }, (_, index) => PortRoute.create({ publishedPort: index + 1, serviceName: 'web' })),
};

describe('messages of a manager', () => {
  it('leave a route table as bytes and read its epoch', () => {
    const down = readManagerMessage(ManagerMessage.encode({ message: { case: 'routes', value: table } }));
    assert.ok(down.kind === 'table');
    assert.deepEqual(down.epoch, table.epoch);
    assert.deepEqual(RouteTable.decode(down.bytes), table);
  });

  it('leave an increment as bytes and read its epochs', () => {
    const delta = RouteTableDelta.create({
      base: epoch(7),
      result: epoch(9),
      removedPorts: [{ protocol: 0, publishedPort: 1, host: '', path: '' }],
    });
    const down = readManagerMessage(ManagerMessage.encode({ message: { case: 'routeDelta', value: delta } }));
    assert.ok(down.kind === 'delta');
    assert.deepEqual([down.base, down.result], [epoch(7), epoch(9)]);
    assert.deepEqual(RouteTableDelta.decode(down.bytes), delta);
  });

  it('are read as they are otherwise', () => {
    const message = { case: 'restartMesh', value: { reason: 'x' } } as const;
    assert.deepEqual(readManagerMessage(ManagerMessage.encode({ message })), { kind: 'message', message });
    assert.deepEqual(readManagerMessage(ManagerMessage.encode({ message: undefined })), { kind: 'unknown' });
  });

  it('that are cut or not messages at all are refused', () => {
    const bytes = ManagerMessage.encode({ message: { case: 'routes', value: table } });
    assert.throws(() => readManagerMessage(bytes.subarray(0, bytes.length - 3)));
    assert.throws(() => readManagerMessage(Buffer.from([0x0a, 0xff])));
  });
});
