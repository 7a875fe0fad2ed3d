// Rolling updates of an HTTP service under constant load of every kind: no request may fail, no upgraded connection may break before it is ended.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { type RouteTarget } from '../../../proto/index.ts';
import { draining, targetOf } from '../../support/routes.ts';
import { ask, type HttpMesh, type HttpReplica, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { until } from '../../support/until.ts';

const REPLICAS = 3;
const UPDATES = 4;
const UPLOAD = 'x'.repeat(300_000);

describe('an HTTP service that is updated under load', function () {
  this.timeout(60_000);
  let mesh: HttpMesh;
  const running = new Map<string, HttpReplica>();
  let made = 0;
  const startTask = async (): Promise<RouteTarget> => {
    const taskId = `task-${made++}`;
    const replica = await startHttpReplica((req, res) => {
      let bytes = 0;
      req.on('data', (piece: Buffer) => (bytes += piece.length));
      req.on('end', () => {
        res.writeHead(200, { 'Content-Type': 'text/plain' });
        res.write(`${bytes}`);
        setImmediate(() => res.end(' bytes'));
      });
    });
    running.set(taskId, replica);
    return targetOf(taskId, replica.port);
  };

  afterEach(async () => {
    await mesh.stop();
    for (const replica of running.values()) await replica.stop();
    running.clear();
  });

  it('fails no request: keep-alive, new connections, uploads', async () => {
    mesh = await startHttpMesh();
    let targets = await Promise.all(Array.from({ length: REPLICAS }, startTask));
    await mesh.apply(mesh.route(targets));
    const failures: unknown[] = [];
    let answered = 0;
    let over = false;
    const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })];
    const clients = [
      ...agents.map((agent) => ({ agent })),
      { agent: false as const },
      { agent: agents[0], method: 'POST', body: UPLOAD },
      { agent: false as const, method: 'POST', body: UPLOAD },
    ].map(async (options) => {
      while (!over) {
        try {
          const answer = await ask({ host: mesh.address, port: mesh.port, ...options });
          assert.equal(`${answer.status} ${answer.body}`, `200 ${'body' in options ? UPLOAD.length : 0} bytes`);
          answered++;
        } catch (error) {
          failures.push(error);
        }
      }
    });
    for (let update = 0; update < UPDATES; update++) {
      for (const old of targets) {
        const young = await startTask();
        const others = [...targets.filter((target) => target !== old), young];
        await mesh.apply(mesh.route([...others, draining(old)]));
        await until(() => mesh.ports.idle().includes(old.taskId), 'the old one is idle');
        // As a plain server that exits at once on SIGTERM.
        await running.get(old.taskId)?.stop();
        running.delete(old.taskId);
        const before: number = answered;
        targets = others;
        await mesh.apply(mesh.route(targets));
        await until(() => answered > before + 20, 'the load goes on');
      }
    }
    over = true;
    await Promise.all(clients);
    for (const agent of agents) agent.destroy();
    assert.deepEqual(failures, []);
    await until(() => mesh.counters().open === 0, 'nothing stays open');
    assert.equal(mesh.counters().byClass[2], answered);
  });
});
