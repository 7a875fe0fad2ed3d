import assert from 'node:assert/strict';
import { nodeFormat, sortNodes } from '../../../../cli/format/node.ts';
import { renderList } from '../../../../cli/format/resource.ts';
import { formatPorts } from '../../../../cli/format/ports.ts';
import { serviceFormat } from '../../../../cli/format/service.ts';
import { sortTasks, taskFormat } from '../../../../cli/format/task.ts';
import {
  Availability,
  EngineDescription,
  NodeDescription,
  NodeState,
  PortMode,
  PortProtocol,
  PortSpec,
  ServiceMode,
  TaskState,
} from '../../../../proto/index.ts';
import { NOW_UNIX_MS } from '../../../support/captured-shell.ts';
import { httpPort } from '../../../support/service-specs.ts';
import { nodeView, serviceView, taskSpec, taskView } from '../../../support/cli-fixtures.ts';

function port(publishedPort: number, targetPort: number, more: Partial<PortSpec> = {}): PortSpec {
  return PortSpec.create({ publishedPort, targetPort, ...more });
}

const SERVICES = [
  serviceView(
    'agent',
    { mode: ServiceMode.GLOBAL, replicas: 0, task: taskSpec('ghcr.io/acme/agent:2@sha256:0123') },
    { runningTasks: 2, desiredTasks: 3 },
  ),
  serviceView(
    'web',
    {
      replicas: 3,
      ports: [
        port(8082, 82),
        port(8080, 80),
        port(8081, 81),
        port(9000, 80),
        port(53, 53, { protocol: PortProtocol.UDP }),
        port(22, 22, { mode: PortMode.HOST }),
      ],
      labels: { tier: 'front' },
    },
    { runningTasks: 3, desiredTasks: 3 },
  ),
];

describe('service ls', () => {
  it('shows the rules of HTTP ports, each on its own', () => {
    const ports = [
      httpPort(81, 3001),
      httpPort(80, 3000, 'app.example.com', '/api'),
      httpPort(80, 3000, '', '/static'),
      httpPort(82, 3002, '*.example.com'),
    ];
    assert.equal(
      formatPorts(ports),
      '*:80->3000/http app.example.com/api, *:80->3000/http /static, *:81->3001/http, *:82->3002/http *.example.com',
    );
  });

  it('shows Docker’s columns, with neighbouring ports as a range', () => {
    assert.equal(
      renderList(serviceFormat, SERVICES, {}, NOW_UNIX_MS),
      `ID             NAME      MODE         REPLICAS   IMAGE                  PORTS
agent0000000   agent     global       2/3        ghcr.io/acme/agent:2   
web000000000   web       replicated   3/3        nginx:1.25             *:8080-8082->80-82/tcp, *:9000->80/tcp, *:53->53/udp
`,
    );
  });

  it('shows a header alone where there is nothing', () => {
    assert.equal(renderList(serviceFormat, [], {}, NOW_UNIX_MS), 'ID        NAME      MODE      REPLICAS   IMAGE     PORTS\n');
  });

  it('shows only ids with -q, in full with --no-trunc', () => {
    assert.equal(renderList(serviceFormat, SERVICES, { quiet: true }, NOW_UNIX_MS), 'agent0000000\nweb000000000\n');
    assert.match(renderList(serviceFormat, SERVICES, { quiet: true, trunc: false }, NOW_UNIX_MS), /^agent0{20}\nweb0{22}\n$/);
  });

  it('takes templates, table templates and json', () => {
    assert.equal(renderList(serviceFormat, SERVICES, { format: '{{.Name}}\\t{{.Replicas}}' }, NOW_UNIX_MS), 'agent\t2/3\nweb\t3/3\n');
    assert.equal(
      renderList(serviceFormat, SERVICES, { format: 'table {{.Name}}\\t{{.Labels.tier}}' }, NOW_UNIX_MS).split('\n')[2],
      'web       front',
    );
    const [line = ''] = renderList(serviceFormat, SERVICES, { format: 'json' }, NOW_UNIX_MS).split('\n');
    assert.deepEqual(JSON.parse(line), {
      ID: 'agent0000000',
      Name: 'agent',
      Mode: 'global',
      Replicas: '2/3',
      Image: 'ghcr.io/acme/agent:2',
      Ports: '',
      Labels: {},
      NextRun: '',
    });
  });

  it('refuses a placeholder that is not there, naming those that are', () => {
    assert.throws(() => renderList(serviceFormat, SERVICES, { format: '{{.Nodes}}' }, NOW_UNIX_MS), /known: \.ID, \.Name, \.Mode/);
  });
});

describe('service ps', () => {
  const tasks = [
    taskView('web.2', {
      id: 'pending00000000000000000a',
      state: TaskState.PENDING,
      nodeId: '',
      nodeHostname: '',
      message: 'no suitable node (insufficient resources on 3 nodes)',
      sinceUnixMs: NOW_UNIX_MS - 500,
    }),
    taskView('web.1', {
      id: 'old0000000000000000000000',
      desired: TaskState.SHUTDOWN,
      state: TaskState.FAILED,
      error: 'task: non-zero exit (137): killed for memory, limit 64MiB',
      sinceUnixMs: NOW_UNIX_MS - 7_200_000,
      createdUnixMs: NOW_UNIX_MS - 9_000_000,
    }),
    taskView('web.1', { ports: [port(22, 22, { mode: PortMode.HOST })] }),
    taskView('web.10', { lost: true }),
  ];

  it('shows slots in order, their history below them, and why one waits', () => {
    assert.equal(
      renderList(taskFormat, sortTasks(tasks), {}, NOW_UNIX_MS),
      `ID             NAME        IMAGE        NODE      DESIRED STATE   CURRENT STATE                       ERROR                              PORTS
web100000000   web.1       nginx:1.25   host1     Running         Running 3 minutes ago                                                  *:22->22/tcp
old000000000    \\_ web.1   nginx:1.25   host1     Shutdown        Failed 2 hours ago                  "task: non-zero exit (137): ki…"   
pending00000   web.2       nginx:1.25             Running         Pending less than a second ago      "no suitable node (insufficien…"   
web100000000   web.10      nginx:1.25   host1     Running         Running 3 minutes ago (node down)                                      
`,
    );
  });

  it('shows errors in full with --no-trunc', () => {
    assert.match(
      renderList(taskFormat, tasks, { trunc: false }, NOW_UNIX_MS),
      /"task: non-zero exit \(137\): killed for memory, limit 64MiB"/,
    );
  });

  it('does not draw branches outside of tables', () => {
    assert.equal(
      renderList(taskFormat, sortTasks(tasks), { format: '{{.Name}} {{.DesiredState}}' }, NOW_UNIX_MS).split('\n')[1],
      'web.1 Shutdown',
    );
  });
});

describe('node ls', () => {
  it('says that an engine does not answer', () => {
    const description = NodeDescription.create({
      hostname: 'host1',
      engine: EngineDescription.create({ runtime: 'docker', version: '28.2.2', trouble: { reason: 'it hangs', sinceUnixMs: NOW_UNIX_MS } }),
    });
    assert.match(
      renderList(nodeFormat(''), [nodeView('host1', {}, { meshUnready: true, description })], {}, NOW_UNIX_MS),
      / Ready \(mesh unready, engine does not answer\) .* 28\.2\.2/,
    );
  });

  it('shows the node of the answering manager with a star, and what is wrong with a node', () => {
    const nodes = [
      nodeView('host2', { spec: { role: 0, availability: Availability.DRAIN, labels: {} } }, { state: NodeState.NODE_DOWN }),
      nodeView('host1', { managerStatus: 'leader' }, { meshUnready: true }),
    ];
    assert.equal(
      renderList(nodeFormat(nodes[1]?.id ?? ''), sortNodes(nodes), {}, NOW_UNIX_MS),
      `ID                            HOSTNAME   STATUS                 AVAILABILITY   MANAGER STATUS   ENGINE VERSION
host100000000000000000000 *   host1      Ready (mesh unready)   Active         Leader           28.2.2
host200000000000000000000     host2      Down                   Drain                           28.2.2
`,
    );
  });
});
