import assert from 'node:assert/strict';
import { type SeenPort } from '../../../mesh/ports.ts';
import { pageOf } from '../../../mesh/status.ts';
import { DataPath, type PortKey, PortProtocol } from '../../../proto/index.ts';
import { routeOf, targetOf } from '../../support/routes.ts';

function seenPort(publishedPort: number, targets: number, protocol: PortProtocol = PortProtocol.TCP): SeenPort {
  const route = routeOf(
    publishedPort,
    Array.from({ length: targets }, (_, index) => targetOf(`t${index}`, 1000 + index)),
    { protocol },
  );
  return { protocol, publishedPort, problem: undefined, routes: [route], look: () => undefined };
}

function pages(seen: readonly SeenPort[], targets: boolean): number[][] {
  const found: number[][] = [];
  let after: PortKey | undefined;
  do {
    const { ports, next } = pageOf(seen, { after, targets }, 0, proxy);
    found.push(ports.map((port) => port.publishedPort));
    after = next;
  } while (after !== undefined);
  return found;
}

const proxy = () => ({ path: DataPath.PATH_PROXY, reason: 'it is asked for' });

describe('status of the mesh', () => {
  it('comes in pages of about 2,000 targets, each port once and in order', () => {
    const seen = [5, 3, 4, 1, 2].map((number) => seenPort(number, 1500));
    assert.deepEqual(pages(seen, true), [[1, 2], [3, 4], [5]]);
    assert.deepEqual(pages(seen, false), [[1, 2, 3, 4, 5]]);
  });

  it('tells ports of one number apart', () => {
    assert.deepEqual(pages([seenPort(53, 2500, PortProtocol.UDP), seenPort(53, 2500)], true), [[53], [53]]);
  });

  it('is one empty page where there is no port', () => {
    assert.deepEqual(pages([], true), [[]]);
  });

  it('counts the targets of a port that cannot be served, too', () => {
    const [port] = pageOf([{ ...seenPort(80, 2), problem: 'taken' }], { after: undefined, targets: false }, 0, proxy).ports;
    assert.deepEqual([port?.dataPath, port?.dataPathReason], [DataPath.PATH_PROXY, 'it is asked for']);
    assert.deepEqual([port?.problem, port?.routes[0]?.activeTargets, port?.routes[0]?.targets], ['taken', 2, []]);
  });
});
