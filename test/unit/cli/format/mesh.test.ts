import assert from 'node:assert/strict';
import { Epoch, MeshPort, MeshRoute, MeshRouteView, MeshSums, NodeMesh, PortProtocol, TargetState } from '../../../../proto/index.ts';
import { type CliResult, shoal } from '../../../support/captured-shell.ts';
import { idOf } from '../../../support/cli-fixtures.ts';
import { type FakeControl, startFakeControl } from '../../../support/fake-control.ts';

const PORTS = [
  MeshPort.create({
    protocol: PortProtocol.TCP,
    publishedPort: 5432,
    dataPath: 1,
    dataPathReason: 'no other',
    problem: 'port 5432 is taken',
    routes: [MeshRoute.create({ serviceName: 'db', activeTargets: 1, paused: true })],
  }),
  MeshPort.create({
    protocol: PortProtocol.HTTP,
    publishedPort: 80,
    dataPath: 1,
    routes: [
      MeshRoute.create({ serviceName: 'web', host: 'a.example', path: '/', activeTargets: 3, drainingTargets: 1, open: 12, total: 4000 }),
      MeshRoute.create({ serviceName: 'api', host: '', path: '/api', activeTargets: 2, targetsOut: 1, replicaFailures: 5, refused: 2 }),
    ],
  }),
];
const ALPHA = NodeMesh.create({
  nodeId: idOf('alpha'),
  hostname: 'alpha',
  version: '0.1.0',
  uptimeMs: 3 * 3_600_000,
  epoch: Epoch.create({ revision: 120 }),
  lag: { sentRevision: 131, waitingMs: 2500 },
  sums: MeshSums.create({ ports: 2, problems: 1, open: 12, total: 4000, replicaFailures: 5, turnedAway: 2 }),
  ports: PORTS,
});
const BETA = NodeMesh.create({ nodeId: idOf('beta'), hostname: 'beta', error: 'node beta does not answer' });

describe('mesh verbs', () => {
  let fake: FakeControl | undefined;
  afterEach(() => fake?.stop());

  const run = async (...args: readonly string[]): Promise<CliResult> => {
    await fake?.stop();
    fake = await startFakeControl({
      getMeshStatus: ({ nodeRefs }) => Promise.resolve({ nodes: nodeRefs.length === 0 ? [ALPHA, BETA] : [ALPHA], revision: 1 }),
      listMeshRoutes: () =>
        Promise.resolve({
          routes: [
            MeshRouteView.create({
              ...{ protocol: PortProtocol.TCP, publishedPort: 5432, serviceName: 'db', taskId: idOf('db.1'), taskName: 'db.1' },
              ...{ nodeHostname: 'alpha', address: '10.0.0.1:20000', canary: true, canaryPermille: 100, open: 7, meshes: 3, meshesOut: 1 },
            }),
            MeshRouteView.create({ publishedPort: 5432, taskId: idOf('old'), nodeId: 'gone', state: TargetState.TARGET_DRAINING }),
          ],
          unasked: [BETA],
          revision: 1,
        }),
    });
    return shoal(['mesh', ...args], { manager: fake.address });
  };

  it('status shows each mesh, whether it lags, and why one cannot be asked', async () => {
    const { stdout, exitCode } = await run('status');
    assert.equal(
      stdout,
      `NODE      STATUS       TABLE                        PORTS              OPEN      TOTAL     FAILURES   TURNED AWAY   ERROR
alpha     Up 3 hours   120 (2 seconds behind 131)   2 (1 not served)   12        4000      5          2             
beta      Unknown                                                                                                   node beta does not answer
`,
    );
    assert.equal(exitCode, 0);
  });

  it('status NODE shows its ports: path, targets, problems', async () => {
    const { stdout } = await run('status', 'alpha');
    assert.equal(
      stdout,
      `NODE      PORT       RULE        SERVICE   PATH      TARGETS          OPEN      TOTAL     FAILURES   TURNED AWAY   PROBLEM
alpha     5432/tcp               db        proxy     1 (paused)       0         0         0          0             port 5432 is taken
alpha     80/http    a.example   web       proxy     3 (1 draining)   12        4000      0          0             
alpha     80/http    /api        api       proxy     2 (1 out)        0         0         5          2             
`,
    );
    assert.match((await run('status', 'alpha', '--format', 'json')).stdout, /"PathReason":"no other"/);
  });

  it('routes shows each replica, and says whose meshes are missing', async () => {
    const { stdout, stderr, exitCode } = await run('routes');
    assert.equal(
      stdout,
      `PORT       RULE      SERVICE   TASK           NODE      ADDRESS          STATE                                      OPEN
5432/tcp             db        db.1           alpha     10.0.0.1:20000   Active (canary 10%, out on 1 of 3 nodes)   7
5432/tcp                       old000000000   gone                       Draining                                   0
`,
    );
    assert.equal(stderr, 'shoal: without the mesh of node beta: node beta does not answer\n');
    assert.equal(exitCode, 0);
    assert.equal((await run('routes', 'alpha')).exitCode, 1);
    assert.equal((await run('routes', '-q')).stdout, `${idOf('db.1').slice(0, 12)}\nold000000000\n`);
  });
});
