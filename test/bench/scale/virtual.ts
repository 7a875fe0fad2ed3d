// A big cluster in virtual time: what joining, creating, losing hosts, updating and standing idle cost in processor time and memory. Everything runs in this
// one process: three managers, and on each host an agent and a mesh, over the simulated store, network, engine and disk.
//   node --import tsx test/bench/scale/virtual.ts [--nodes 5000] [--tasks 100000] [--seed 1]
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Fleet, type ServicePlan } from './fleet.ts';
import type { Cost } from './meter.ts';

const STEPS = 10;
const HEAP_MB = 12_000;
/** All these processes' short-lived objects in one. */
const YOUNG_MB = 128;
const MANAGERS = ['m1', 'm2', 'm3'];
const LOST_SHARE = 0.05;
const IDLE_MS = 60_000;
/** Answered by the mesh of every node, so its table goes to all of them. */
const PUBLISHED = { name: 'published', replicas: 20, port: 8080, parallelism: 10 };

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '5000' },
    tasks: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    child: { type: 'boolean', default: false },
  },
});

/** Big ones, middling ones and small ones; the last step is one service, which is updated later. */
function plansOf(step: number, tasks: number): readonly ServicePlan[] {
  const plan = (name: string, replicas: number): ServicePlan => ({ name, replicas, parallelism: Math.max(1, Math.round(replicas / 20)) });
  if (step === STEPS - 1) return [plan('big', tasks)];
  return [
    plan(`s${step}-0`, tasks / 2),
    ...Array.from({ length: 4 }, (_, at) => plan(`s${step}-${at + 1}`, tasks / 10)),
    ...Array.from({ length: 10 }, (_, at) => plan(`s${step}-${at + 5}`, tasks / 100)),
  ];
}

function say(what: string, cost: Cost, tasks: number | undefined): void {
  const parts = [...cost.partsS].sort(([, one], [, other]) => other - one).map(([part, s]) => `${part} ${s.toFixed(1)}`);
  const perTask = (s: number): string => (tasks === undefined ? '' : `${((s * 1000) / tasks).toFixed(2)} ms/task`);
  const managersS = MANAGERS.reduce((sum, part) => sum + (cost.partsS.get(part) ?? 0), 0);
  const columns = [
    what.padEnd(34),
    `${cost.cpuS.toFixed(1)} s`.padStart(9),
    perTask(cost.cpuS).padStart(14),
    `managers ${managersS.toFixed(1)} s`.padStart(16),
    perTask(managersS).padStart(14),
    `${cost.virtualS.toFixed(1)} s virtual`.padStart(16),
    `${cost.events} events`.padStart(15),
    `${Math.round(cost.rssMb)} MB`.padStart(8),
    `gc ${(cost.gcShare * 100).toFixed(0)} %`.padStart(8),
    ` longest ${cost.longestMs.toFixed(0)} ms (${cost.longestPart})`,
    ` ${parts.join(', ')}`,
  ];
  process.stdout.write(`${columns.join(' ')}\n`);
}

async function run(nodes: number, tasks: number, seed: number): Promise<void> {
  const fleet = new Fleet(nodes, seed);
  say(`${nodes} nodes join`, await fleet.join(), undefined);
  const each = tasks / STEPS;
  for (let step = 0; step < STEPS; step++) {
    say(`${each} tasks beside ${step * each}`, await fleet.create(plansOf(step, each)), each);
  }
  say('idle for a minute', await fleet.meter.pass(IDLE_MS), undefined);
  const { lost, nodes: gone, cost } = await fleet.lose(LOST_SHARE);
  say(`${gone} nodes, ${lost} tasks lost`, cost, lost);
  say(`update of ${each}`, await fleet.roll('big'), each);
  const { name, replicas } = PUBLISHED;
  say(`${replicas} published`, await fleet.create([PUBLISHED]), replicas);
  say(`update of ${replicas} published`, await fleet.roll(name), replicas);
  const { largest, messages, meter, tally } = fleet;
  process.stdout.write(
    `peak ${Math.round(meter.peakRssMb)} MB; ${messages} messages, largest ${largest.bytes} bytes (${largest.path}); store revision ${tally.revision}\n`,
  );
}

if (values.child) {
  await run(Number(values.nodes), Number(values.tasks), Number(values.seed));
  process.exit(0);
} else {
  // The heap is bounded only where a process starts.
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--child'], {
    execArgv: ['--import', 'tsx', `--max-old-space-size=${HEAP_MB}`, `--max-semi-space-size=${YOUNG_MB}`],
  });
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
