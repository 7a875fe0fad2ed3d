import assert from 'node:assert/strict';
import { toJson } from '../../../cli/format/go-template/index.ts';
import { nodeStruct, renderNodePretty } from '../../../cli/inspect/node.ts';
import { serviceStruct } from '../../../cli/inspect/service.ts';
import { renderServicePretty } from '../../../cli/inspect/service-pretty.ts';
import { createSpec } from '../../support/flag-specs.ts';
import { EngineDescription, NodeDescription, PortProtocol, ServiceStatus, UpdateState, UpdateStatus } from '../../../proto/index.ts';
import { NOW_UNIX_MS } from '../../support/captured-shell.ts';
import { idOf, nodeView, serviceView } from '../../support/cli-fixtures.ts';

const SERVICE = serviceView(
  'web',
  createSpec(
    'nginx:1.25',
    ['serve', '--fast'],
    {
      name: 'web',
      replicas: '3',
      publish: ['8080:80'],
      env: ['A=1'],
      label: ['tier=front'],
      mount: ['type=bind,source=/srv,target=/data,ro'],
      constraint: ['node.role==worker'],
      limitMemory: '64m',
      reserveCpu: '0.5',
      restartDelay: '5s',
      healthCmd: 'true',
      healthInterval: '10s',
      stopGracePeriod: '30s',
    },
    { env: {}, cwd: '/' },
    () => '',
  ),
  {
    runningTasks: 2,
    desiredTasks: 3,
    status: ServiceStatus.create({
      serviceId: idOf('web'),
      activeSpecNumber: 1,
      update: UpdateStatus.create({
        state: UpdateState.UPDATE_COMPLETED,
        message: 'update completed',
        startedUnixMs: NOW_UNIX_MS - 60_000,
        completedUnixMs: NOW_UNIX_MS - 50_000,
      }),
    }),
    portProblems: [
      { nodeId: idOf('host2'), hostname: 'host2', problem: { protocol: PortProtocol.TCP, publishedPort: 8080, message: 'held by pid 12' } },
    ],
  },
);

describe('service inspect', () => {
  it('prints Docker’s names', () => {
    assert.equal(
      `${toJson(serviceStruct(SERVICE), 2)}\n`,
      `{
  "ID": "web0000000000000000000000",
  "Version": {
    "Index": 10
  },
  "CreatedAt": "2026-01-02T11:00:00.000Z",
  "UpdatedAt": "2026-01-02T11:59:00.000Z",
  "Spec": {
    "Name": "web",
    "Labels": {
      "tier": "front"
    },
    "TaskTemplate": {
      "ContainerSpec": {
        "Image": "nginx:1.25",
        "Args": [
          "serve",
          "--fast"
        ],
        "Env": [
          "A=1"
        ],
        "Mounts": [
          {
            "Type": "bind",
            "Source": "/srv",
            "Target": "/data",
            "ReadOnly": true
          }
        ],
        "StopGracePeriod": 30000000000,
        "Healthcheck": {
          "Test": [
            "CMD-SHELL",
            "true"
          ],
          "Interval": 10000000000
        },
        "DNSConfig": {}
      },
      "Resources": {
        "Limits": {
          "MemoryBytes": 67108864
        },
        "Reservations": {
          "NanoCPUs": 500000000
        }
      },
      "RestartPolicy": {
        "Condition": "any",
        "Delay": 5000000000,
        "MaxAttempts": 0
      },
      "Placement": {
        "Constraints": [
          "node.role==worker"
        ]
      },
      "ForceUpdate": 0,
      "PortCheck": true
    },
    "Mode": {
      "Replicated": {
        "Replicas": 3
      }
    },
    "UpdateConfig": {
      "Parallelism": 1,
      "Delay": 0,
      "FailureAction": "pause",
      "Monitor": 5000000000,
      "MaxFailureRatio": 0,
      "Order": "auto"
    },
    "RollbackConfig": {
      "Parallelism": 1,
      "Delay": 0,
      "FailureAction": "pause",
      "Monitor": 5000000000,
      "MaxFailureRatio": 0,
      "Order": "auto"
    },
    "EndpointSpec": {
      "Ports": [
        {
          "Protocol": "tcp",
          "TargetPort": 80,
          "PublishedPort": 8080,
          "PublishMode": "ingress"
        }
      ]
    },
    "DrainPeriod": 10000000000
  },
  "Endpoint": {
    "Spec": {
      "Ports": [
        {
          "Protocol": "tcp",
          "TargetPort": 80,
          "PublishedPort": 8080,
          "PublishMode": "ingress"
        }
      ]
    },
    "Ports": [
      {
        "Protocol": "tcp",
        "TargetPort": 80,
        "PublishedPort": 8080,
        "PublishMode": "ingress"
      }
    ]
  },
  "UpdateStatus": {
    "State": "completed",
    "StartedAt": "2026-01-02T11:59:00.000Z",
    "CompletedAt": "2026-01-02T11:59:10.000Z",
    "Message": "update completed"
  },
  "ServiceStatus": {
    "RunningTasks": 2,
    "DesiredTasks": 3
  },
  "PortProblems": [
    {
      "NodeID": "host200000000000000000000",
      "Hostname": "host2",
      "PublishedPort": 8080,
      "Protocol": "tcp",
      "Message": "held by pid 12"
    }
  ]
}
`,
    );
  });

  it('prints what matters for people', () => {
    assert.equal(
      renderServicePretty(SERVICE, NOW_UNIX_MS),
      `ID:              web0000000000000000000000
Name:            web
Labels:
 tier:           front
Service Mode:    Replicated
 Replicas:       2/3 running
UpdateStatus:
 State:          completed
 Started:        About a minute ago
 Completed:      50 seconds ago
 Message:        update completed
Placement:
 Constraints:    node.role==worker
UpdateConfig:
 Parallelism:    1
 Delay:          0s
 On failure:     pause
 Monitor:        5s
 Max failures:   0
 Order:          auto
RollbackConfig:
 Parallelism:    1
 Delay:          0s
 On failure:     pause
 Monitor:        5s
 Max failures:   0
 Order:          auto
ContainerSpec:
 Image:          nginx:1.25
 Args:           serve --fast
 Env:            A=1
 Stop grace:     30s
 Mount:          /data <- bind /srv (read-only)
Healthcheck:
 Test:           CMD-SHELL true
 Interval:       10s
Reservations:
 CPU:            0.5
Limits:
 Memory:         64MiB
RestartPolicy:
 Condition:      any
 Delay:          5s
Drain Period:    10s
Ports:
 8080:           -> 80/tcp, ingress
Ports that could not be opened:
 host2:8080:     held by pid 12
`,
    );
  });
});

describe('node inspect', () => {
  it('prints Docker’s names', () => {
    assert.deepEqual(JSON.parse(toJson(nodeStruct(nodeView('host1', { managerStatus: 'leader', runningTasks: 2 })))), {
      ID: idOf('host1'),
      Version: { Index: 4 },
      CreatedAt: '2026-01-01T12:00:00.000Z',
      Spec: { Labels: {}, Role: 'worker', Availability: 'active' },
      Description: {
        Hostname: 'host1',
        Platform: { Architecture: 'x86_64', OS: 'linux' },
        Resources: { NanoCPUs: 2e9, MemoryBytes: 2147483648 },
        Engine: { EngineVersion: '28.2.2', Runtime: 'docker', Labels: {}, Plugins: [{ Type: 'volume', Name: 'local' }] },
        DataAddress: '10.0.0.1',
        MeshAddresses: [],
        ShoalVersion: '0.1.0',
      },
      Status: { State: 'ready', Addr: '10.0.0.1' },
      ManagerStatus: { Leader: true, Reachability: 'reachable' },
      RunningTasks: 2,
    });
  });

  it('says why an engine does not answer, and since when', () => {
    const trouble = { reason: 'it hangs', sinceUnixMs: NOW_UNIX_MS - 60_000 };
    const node = nodeView('host1', {}, { description: NodeDescription.create({ engine: EngineDescription.create({ trouble }) }) });
    assert.match(renderNodePretty(node), /Trouble: +it hangs \(since 2026-01-02T11:59:00\.000Z\)/);
    assert.match(toJson(nodeStruct(node)), /"Trouble":\{"Reason":"it hangs","Since":"2026-01-02T11:59:00\.000Z"\}/);
  });

  it('prints what matters for people', () => {
    assert.equal(
      renderNodePretty(nodeView('host1')),
      `ID:              host100000000000000000000
Hostname:        host1
Joined at:       2026-01-01T12:00:00.000Z
Status:
 State:          Ready
 Availability:   active
 Address:        10.0.0.1
 Running tasks:  0
Role:            worker
Platform:
 System:         linux
 Architecture:   x86_64
Resources:
 CPUs:           2
 Memory:         2GiB
Engine:
 Runtime:        docker
 Version:        28.2.2
Shoal Version:   0.1.0
`,
    );
  });
});
