// What the kernel path tells nft, with programs that answer as they are told. Real rules: test/integration/mesh/kernel.test.ts.
import assert from 'node:assert/strict';
import { ShoalError } from '../../../../lib/errors.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { seededRng } from '../../../../lib/rng.ts';
import { KernelPath, type KernelSystem } from '../../../../mesh/kernel/kernel-path.ts';
import { type Tool } from '../../../../mesh/kernel/tools.ts';
import { fromMessage, type Table } from '../../../../mesh/table/table.ts';
import { DataPath, IngressSettings, PortProtocol, type PortRoute, ProxyProtocol } from '../../../../proto/index.ts';
import { kernelRoute, udpRoute } from '../../../support/kernel-mesh.ts';
import { manualClock } from '../../../support/manual-clock.ts';
import { draining, routeOf, tableOf, targetOf } from '../../../support/routes.ts';
import { until } from '../../../support/until.ts';

const A = targetOf('a', 20_001, { nodeAddress: '10.0.0.1' });
const B = targetOf('b', 20_002, { nodeAddress: '10.0.0.2' });

describe('kernel path of a node', () => {
  let clock: ReturnType<typeof manualClock>;
  /** Transactions that nft has taken. */
  let scripts: string[];
  let fail: (tool: Tool, args: readonly string[], input: string) => ShoalError | undefined;
  let open: Set<string>;
  let obstacle: string | undefined;
  let problem: string | undefined;
  let path: KernelPath;
  let revision = 0;

  const newPath = (nodeId = 'n1'): KernelPath => {
    const system: KernelSystem = {
      run: (tool, args, input = '') => {
        const error = fail(tool, args, input);
        if (error !== undefined) return Promise.reject(error);
        if (args.includes('list')) return Promise.reject(new ShoalError('unavailable', 'nft failed: No such file or directory'));
        if (tool === 'nft') scripts.push(input);
        return Promise.resolve('');
      },
      flows: { busy: () => Promise.resolve(new Set()), forget: () => Promise.resolve() },
      probe: () => Promise.resolve('answered'),
      forwarding: () => ({ prepare: () => Promise.resolve(obstacle) }),
      bridges: () => () => 'docker0',
    };
    const drains = { opened: (taskId: string) => void open.add(taskId), closed: (taskId: string) => void open.delete(taskId) };
    const options = { clock, rng: seededRng(5), log: silentLogger, system, nodeId, listen: [], portOffset: 0, drains };
    return new KernelPath({ ...options, problemOf: () => problem });
  };
  const apply = (...routes: readonly PortRoute[]): Promise<void> => path.apply(fromMessage(tableOf(++revision, routes)) as Table);
  const reasonOf = (route: PortRoute): string => {
    const { path: taken, reason } = path.pathOf(route);
    return `${taken === DataPath.PATH_KERNEL ? 'kernel' : 'proxy'}: ${reason}`;
  };

  beforeEach(() => {
    clock = manualClock();
    scripts = [];
    fail = () => undefined;
    open = new Set();
    obstacle = undefined;
    problem = undefined;
    path = newPath();
  });
  afterEach(async () => {
    await path.stop(false);
  });

  it('touches nothing where no port asks for it', async () => {
    await apply(routeOf(80, [A]), routeOf(81, [A], { settings: IngressSettings.create({ dataPath: DataPath.PATH_PROXY }) }));
    assert.deepEqual(scripts, []);
    assert.equal(clock.waiting, 0);
  });

  it('changes one element for one target, and one port for one port', async () => {
    await apply(kernelRoute(80, [A, B]), kernelRoute(81, [A]));
    await apply(kernelRoute(80, [A, targetOf('c', 20_003, { nodeAddress: '10.0.0.3' })]), kernelRoute(81, [A]));
    assert.equal(
      scripts[1],
      'delete element inet shoal_n1 tcp_80_4 { 1 : 10.0.0.2 . 20002 }\nadd element inet shoal_n1 tcp_80_4 { 1 : 10.0.0.3 . 20003 }\n',
    );
    await apply(kernelRoute(80, [A]));
    assert.doesNotMatch(scripts[2] ?? '', /add table/);
    assert.match(scripts[2] ?? '', /delete chain inet shoal_n1 tcp_81/);
  });

  it('reaches a replica of the node at its container, without masquerading, and leaves clients on its bridge to the proxy', async () => {
    const own = { nodeId: 'n1', nodeAddress: '10.0.0.9', containerAddress: '172.17.0.2', containerPort: 8000 };
    await apply(kernelRoute(80, [targetOf('a', 20_001, own)]));
    assert.match(scripts[0] ?? '', /locals4 { 172\.17\.0\.2 }/);
    assert.match(scripts[0] ?? '', /bridges { "docker0" }/);
    assert.match(scripts[0] ?? '', /tcp_80_4 { 0 : 172\.17\.0\.2 \. 8000 }/);
  });

  it('folds what changes while nft runs into one more transaction', async () => {
    const first = apply(kernelRoute(80, [A]));
    const rest = [1, 2, 3, 4].map((number) =>
      apply(kernelRoute(80, [A, targetOf(`t${String(number)}`, 20_002, { nodeAddress: '10.0.0.2' })])),
    );
    await Promise.all([first, ...rest]);
    assert.ok(scripts.length <= 2);
  });

  it('counts a task as open before it is mapped, and until it has drained', async () => {
    fail = (tool, args, input) => {
      if (input !== '') assert.ok(open.has('a'));
      return undefined;
    };
    await apply(kernelRoute(80, [A]));
    await apply(kernelRoute(80, [draining(A), B]));
    assert.deepEqual([...open].sort(), ['a', 'b']);
    await until(() => {
      clock.advance(300);
      return !open.has('a');
    }, 'it is idle');
    assert.deepEqual([...open], ['b']);
  });

  it('reads what is there and makes it good when a transaction fails', async () => {
    await apply(kernelRoute(80, [A]));
    let failures = 1;
    fail = (_tool, _args, input) =>
      input !== '' && failures-- > 0 ? new ShoalError('unavailable', 'nft failed: No such file or directory') : undefined;
    await apply(kernelRoute(80, [B]));
    assert.match(scripts[1] ?? '', /^add table inet shoal_n1\ndelete table inet shoal_n1\n/);
    assert.equal(reasonOf(kernelRoute(80, [B])), 'kernel: the port asks for it');
  });

  it('unmaps everything and says why when nft keeps failing, and comes back by itself', async () => {
    await apply(kernelRoute(80, [A]));
    fail = (_tool, _args, input) =>
      input.startsWith('flush map') || input === '' ? undefined : new ShoalError('unavailable', 'nft failed: busy');
    await apply(kernelRoute(80, [B]));
    assert.equal(scripts.at(-1), 'flush map inet shoal_n1 ports\n');
    assert.equal(reasonOf(kernelRoute(80, [B])), 'proxy: nft failed: busy');
    fail = () => undefined;
    await until(() => {
      clock.advance(1000);
      return reasonOf(kernelRoute(80, [B])).startsWith('kernel');
    }, 'the kernel is back');
  });

  it('does not hold a table up for a kernel that does not answer', async () => {
    await apply(kernelRoute(80, [A]));
    fail = (_tool, _args, input) => (input === '' ? undefined : new ShoalError('deadline_exceeded', 'nft took longer than 5 s'));
    const applied = apply(kernelRoute(80, [draining(A), B]));
    let done = false;
    void applied.then(() => (done = true));
    await until(() => {
      clock.advance(100);
      return done;
    }, 'the table goes on');
    assert.ok(open.has('a'), 'what may still be mapped is not idle');
  });

  it('says for each port why the proxy serves it', async () => {
    const settings = (more: Partial<IngressSettings>) => ({
      settings: IngressSettings.create({ dataPath: DataPath.PATH_KERNEL, ...more }),
    });
    assert.equal(reasonOf(routeOf(80, [A])), 'proxy: auto is the proxy');
    assert.match(reasonOf(routeOf(80, [A], settings({ maxConnections: 5 }))), /^proxy: .*max-connections/);
    assert.match(reasonOf(routeOf(80, [A], settings({ proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V1 }))), /^proxy: .*PROXY headers/);
    assert.match(reasonOf(routeOf(80, [A], { ...settings({}), protocol: PortProtocol.HTTP })), /^proxy: .*requests/);
    const loopback = kernelRoute(82, [targetOf('l', 20_001, { nodeAddress: '127.0.0.1' })]);
    await apply(loopback);
    assert.match(reasonOf(loopback), /^proxy: .*loopback/);
    const paused = kernelRoute(82, [A], { paused: true });
    await apply(paused);
    assert.match(reasonOf(paused), /^kernel: .*paused/);
    problem = 'port 80 is taken by another program';
    path.listenersChanged();
    await until(() => reasonOf(paused).includes('taken by another program'), 'the reason');
  });

  it('names a missing program, a missing right, and what forwarding lacks', async () => {
    const route = kernelRoute(80, [A]);
    fail = () => new ShoalError('unimplemented', 'nft is not installed on this node (package nftables)');
    await apply(route);
    assert.equal(reasonOf(route), 'proxy: nft is not installed on this node (package nftables)');
    fail = (tool) => (tool === 'conntrack' ? new ShoalError('unimplemented', 'conntrack is not installed on this node') : undefined);
    path = newPath();
    await apply(udpRoute(53, [A]), route);
    assert.match(reasonOf(udpRoute(53, [A])), /^proxy: flows of a replica that is gone could not be moved: conntrack is not installed/);
    assert.match(reasonOf(route), /^kernel/);
    obstacle = 'this node does not forward packets';
    path = newPath();
    await apply(route);
    assert.equal(reasonOf(route), 'proxy: this node does not forward packets');
    path = newPath('');
    await apply(route);
    assert.match(reasonOf(route), /^proxy: .*which node/);
  });

  it('is left to a successor as it is: nothing is written any more, and nothing counts as open here', async () => {
    await apply(kernelRoute(80, [A]));
    assert.deepEqual([scripts.length, [...open]], [1, ['a']]);
    await path.handOver();
    await apply(kernelRoute(80, [A, B]));
    assert.deepEqual([scripts.length, [...open]], [1, []]);
  });

  it('is read again after a predecessor', async () => {
    await apply(kernelRoute(80, [A]));
    path.tookOver();
    await until(() => scripts.length === 2, 'what is there is made good');
  });
});
