import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { type OpenSocket, SocketBook } from '../../../mesh/sockets/book.ts';
import { passingOn, takeInheritance } from '../../../mesh/sockets/passing.ts';

const SOCKETS: readonly OpenSocket[] = [
  { kind: 'tcp', address: '*', port: 80, fd: 21 },
  { kind: 'tcp', address: '192.0.2.1', port: 8080, fd: 17 },
  { kind: 'udp', address: 'fe80::1%eth0', port: 53, fd: 30 },
];

describe('sockets of the mesh', () => {
  it('pass to the next process in order, by name', () => {
    const { fds, env } = passingOn(SOCKETS, true);
    assert.deepEqual(fds, [21, 17, 30]);
    const given = { ...env, PATH: '/bin' };
    const inheritance = takeInheritance(given);
    assert.equal(inheritance.fromLiving, true);
    assert.deepEqual(
      inheritance.sockets,
      SOCKETS.map((socket, index) => ({ ...socket, fd: 4 + index })),
    );
    assert.deepEqual(given, { PATH: '/bin' });
  });

  it('are none in a process that was given none', () => {
    assert.deepEqual(takeInheritance({ PATH: '/bin' }), { sockets: [], fromLiving: false });
    assert.deepEqual(takeInheritance({ ...passingOn([], false).env }), { sockets: [], fromLiving: false });
  });

  it('pass in any number, though the system takes 128 KiB for one variable', () => {
    const many = Array.from({ length: 20_000 }, (_, index): OpenSocket => ({
      kind: 'tcp',
      address: '2001:db8::1',
      port: index,
      fd: index,
    }));
    const { env } = passingOn(many, false);
    assert.ok(Object.values(env).every((text) => text.length < 131_000) && Object.keys(env).length > 1);
    const { sockets } = takeInheritance({ ...env });
    assert.deepEqual([sockets.length, sockets.at(-1)], [20_000, { ...many.at(-1), fd: 20_003 }]);
  });

  it('are taken once; what nobody takes is closed', () => {
    const [taken, left] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
    const book = new SocketBook([
      { kind: 'tcp', address: '*', port: 80, fd: taken },
      { kind: 'udp', address: '*', port: 80, fd: left },
    ]);
    assert.equal(book.take({ kind: 'tcp', address: '*', port: 80 }), taken);
    assert.equal(book.take({ kind: 'tcp', address: '*', port: 80 }), undefined);
    book.closeUntaken();
    assert.throws(() => fstatSync(left));
    closeSync(taken);
  });

  it('are known while they are open', () => {
    const changes: string[] = [];
    const book = new SocketBook();
    book.onChange = (change) => changes.push(change);
    for (const socket of SOCKETS) book.opened(socket, socket.fd);
    book.opened({ kind: 'tcp', address: '*', port: 81 }, undefined);
    book.closed({ kind: 'tcp', address: '*', port: 80 });
    book.closed({ kind: 'tcp', address: '*', port: 80 });
    assert.deepEqual(book.all(), SOCKETS.slice(1));
    assert.deepEqual(changes, ['opened', 'opened', 'opened', 'closed']);
  });
});
