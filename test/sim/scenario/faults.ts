// Everything that goes wrong in a simulated cluster. A fault strikes, lasts, and is put right again; each has a name under which the coverage counts it.
import { type Rng, randomInt } from '../../../lib/rng.ts';
import type { SimProcess } from '../core/process.ts';
import { between, chance, pick, pickOrNone } from '../core/random.ts';
import type { SimNode } from '../parts/node.ts';
import { managerCrash, leaderCrash, agentCrash, meshCrash, hostOff, managerHostOff } from './crashes.ts';
import { type Fault, type FaultWorld, lasting, leaderOf, type Maker } from './fault.ts';
import { EVERYWHERE, type Truth } from '../truth/truth.ts';

function cut(truth: Truth, pairs: readonly (readonly [string, string])[]): () => void {
  const heals = pairs.map(([from, to]) => truth.world.network.cut(from, to));
  return () => {
    for (const heal of heals) heal();
  };
}

function both(one: string, other: string): readonly (readonly [string, string])[] {
  return [
    [one, other],
    [other, one],
  ];
}

const storeCut: Maker = ({ truth, rng }) => {
  const manager = pick(rng, truth.world.managers);
  const heal = cut(truth, both(manager.name, 'store'));
  return { name: 'manager cut off store', target: manager.name, touches: [manager.name], lastsMs: lasting(rng), heal };
};
const storeCutOneWay: Maker = ({ truth, rng }) => {
  const manager = pick(rng, truth.world.managers);
  const heal = cut(truth, [chance(rng, 0.5) ? [manager.name, 'store'] : ['store', manager.name]]);
  return { name: 'manager cut off store one way', target: manager.name, touches: [manager.name], lastsMs: lasting(rng), heal };
};
const nodeCut: Maker = ({ truth, rng }) => {
  const node = pick(rng, truth.world.nodes);
  const heal = cut(
    truth,
    truth.world.managers.flatMap((manager) => both(node.name, manager.name)),
  );
  return { name: 'node cut off', target: node.name, touches: [node.name], lastsMs: lasting(rng), heal };
};
const nodeCutOneWay: Maker = ({ truth, rng }) => {
  const node = pick(rng, truth.world.nodes);
  const up = chance(rng, 0.5);
  const heal = cut(
    truth,
    truth.world.managers.map(({ name }) => (up ? [node.name, name] : [name, node.name])),
  );
  return { name: 'node cut off one way', target: node.name, touches: [node.name], lastsMs: lasting(rng), heal };
};
const massCut: Maker = ({ truth, rng }) => {
  const { nodes, managers } = truth.world;
  const spared = randomInt(rng, 2);
  const lost = nodes.filter((_node, at) => at >= spared);
  const heal = cut(
    truth,
    lost.flatMap((node) => managers.flatMap((manager) => both(node.name, manager.name))),
  );
  return {
    name: 'most nodes cut off',
    target: lost.map(({ name }) => name).join(' '),
    touches: lost.map(({ name }) => name),
    lastsMs: between(rng, 4000, 25_000),
    heal,
  };
};
const linkCut: Maker = ({ truth, rng }) => {
  const node = pick(rng, truth.world.nodes);
  const manager = pick(rng, truth.world.managers);
  const heal = cut(truth, both(node.name, manager.name));
  return { name: 'link cut', target: `${node.name} ${manager.name}`, touches: [node.name, manager.name], lastsMs: lasting(rng), heal };
};
const managerCut: Maker = ({ truth, rng }) => {
  const manager = pick(rng, truth.world.managers);
  const others = [...truth.world.nodes.map(({ name }) => name), ...truth.world.managers.map(({ name }) => name), 'store'].filter(
    (name) => name !== manager.name,
  );
  const heal = cut(
    truth,
    others.flatMap((name) => both(manager.name, name)),
  );
  return { name: 'manager cut off', target: manager.name, touches: [manager.name], lastsMs: lasting(rng), heal };
};
const reset: Maker = ({ truth, rng }) => {
  const node = pick(rng, truth.world.nodes);
  for (const manager of truth.world.managers) truth.world.network.reset(node.name, manager.name);
  return { name: 'connections reset', target: node.name, touches: [node.name], lastsMs: 0, heal: () => undefined };
};
const slowNetwork: Maker = ({ truth, rng }) => {
  truth.world.network.slowness = between(rng, 5, 60);
  return {
    name: 'slow network',
    target: `x${truth.world.network.slowness.toFixed(0)}`,
    touches: [EVERYWHERE],
    lastsMs: lasting(rng),
    heal: () => {
      truth.world.network.slowness = 1;
    },
  };
};

function storeFault(
  name: string,
  set: (faults: Truth['world']['store']['faults'], rng: Rng) => void,
  unset: (faults: Truth['world']['store']['faults']) => void,
): Maker {
  return ({ truth, rng }) => {
    const { faults } = truth.world.store;
    set(faults, rng);
    return { name, target: 'store', touches: ['store'], lastsMs: lasting(rng), heal: () => unset(faults) };
  };
}
const storeDown = storeFault(
  'store down',
  (faults) => (faults.down = true),
  (faults) => (faults.down = false),
);
const storeFailing = storeFault(
  'store failing',
  (faults, rng) => (faults.failing = between(rng, 0.05, 0.7)),
  (faults) => (faults.failing = 0),
);
const answersLost = storeFault(
  'store answers lost',
  (faults, rng) => (faults.losing = between(rng, 0.1, 0.8)),
  (faults) => (faults.losing = 0),
);
const storeFull = storeFault(
  'store full',
  (faults) => (faults.full = true),
  (faults) => (faults.full = false),
);

const compaction: Maker = ({ truth, rng }) => {
  const manager = pick(rng, truth.world.managers);
  const heal = cut(truth, both(manager.name, 'store'));
  return {
    name: 'compaction behind a watch',
    target: manager.name,
    touches: [manager.name],
    lastsMs: between(rng, 1500, 9000),
    heal: () => {
      truth.world.store.compact();
      heal();
    },
  };
};
function revokeLease(truth: Truth, managerId: string): boolean {
  const { server } = truth.world.store;
  const { leaseId } = server.engine.item(`managers/${managerId}`) ?? {};
  if (leaseId === undefined) return false;
  void server.revoke(leaseId).catch(() => undefined);
  return true;
}
/** At any time, or just as the leader is about to write. */
const leaseLost: Maker = (world) => {
  const { truth, rng, traps } = world;
  const leader = leaderOf(world);
  const fault = { name: 'lease lost', target: leader.name, touches: ['store'] };
  if (chance(rng, 0.5)) {
    const isLost = revokeLease(truth, leader.id);
    return isLost ? { ...fault, lastsMs: 0, heal: () => undefined } : undefined;
  }
  return { ...fault, lastsMs: lasting(rng), heal: traps.trip(leader.name, 'commit', () => revokeLease(truth, leader.id)) };
};
/** Agents come over meanwhile: what they are told is not to be older than what they have. A leader may lose its lease meanwhile, and not see who leads now. */
const lateWatch: Maker = (world) => {
  const { truth, rng } = world;
  const { managers, nodes, network, store } = truth.world;
  const leader = leaderOf(world);
  const isLeader = chance(rng, 0.4);
  const manager = isLeader ? leader : pick(rng, managers);
  if (isLeader) truth.later(between(rng, 50, 1500), () => revokeLease(truth, leader.id));
  store.faults.lateWatches.add(manager.name);
  truth.later(between(rng, 50, 1500), () => {
    for (const node of nodes) for (const { name } of managers) if (name !== manager.name) network.reset(node.name, name);
  });
  return {
    name: 'late watch',
    target: manager.name,
    touches: [manager.name, ...nodes.map(({ name }) => name)],
    lastsMs: lasting(rng),
    heal: () => store.faults.lateWatches.delete(manager.name),
  };
};

function stall(name: string, process: SimProcess | undefined, { truth, rng }: FaultWorld): Fault | undefined {
  if (process?.alive !== true) return undefined;
  const lastsMs = chance(rng, 0.5) ? between(rng, 300, 3000) : between(rng, 4000, 9000);
  process.stalledUntilMs = truth.nowMs + lastsMs;
  return { name, target: process.name, touches: [process.host.name], lastsMs, heal: () => undefined };
}
const managerStall: Maker = (world) => stall('manager stands still', pick(world.rng, world.truth.world.managers).process, world);
const leaderStall: Maker = (world) => stall('leader stands still', leaderOf(world).process, world);
const agentStall: Maker = (world) => stall('agent stands still', pick(world.rng, world.truth.world.nodes).agentProcess, world);
const meshStall: Maker = (world) => stall('mesh stands still', pick(world.rng, world.truth.world.nodes).mesh?.process, world);

const wallJump: Maker = ({ truth, rng }) => {
  const hosts = [...truth.world.nodes.map(({ power }) => power), ...truth.world.managers.map(({ power }) => power)];
  const host = pick(rng, hosts);
  const before = host.wallOffsetMs;
  truth.wallJumpMs = truth.nowMs;
  host.wallOffsetMs += chance(rng, 0.5) ? 3_600_000 : -3_600_000;
  return {
    name: 'wall clock jump',
    target: host.name,
    touches: [],
    lastsMs: lasting(rng),
    heal: () => {
      truth.wallJumpMs = truth.nowMs;
      host.wallOffsetMs = before;
    },
  };
};

function nodeFault(name: string, set: (node: SimNode, rng: Rng) => void, unset: (node: SimNode) => void): Maker {
  return ({ truth, rng }) => {
    const node = pick(rng, truth.world.nodes);
    set(node, rng);
    return { name, target: node.name, touches: [node.name], lastsMs: lasting(rng), heal: () => unset(node) };
  };
}
const diskFull = nodeFault(
  'disk full',
  ({ disk }) => (disk.full = true),
  ({ disk }) => (disk.full = false),
);
const diskSlow = nodeFault(
  'slow disk',
  ({ disk }, rng) => (disk.slowness = between(rng, 10, 200)),
  ({ disk }) => (disk.slowness = 1),
);
const pullsFail = nodeFault(
  'failing pulls',
  ({ engine }) => (engine.pullsFail = true),
  ({ engine }) => (engine.pullsFail = false),
);
const engineFailing = nodeFault(
  'failing engine',
  ({ engine }, rng) => (engine.failing = between(rng, 0.1, 0.6)),
  ({ engine }) => (engine.failing = 0),
);
const engineSlow = nodeFault(
  'slow engine',
  ({ engine }, rng) => (engine.slowness = between(rng, 5, 30)),
  ({ engine }) => (engine.slowness = 1),
);
const engineHangs = nodeFault(
  'hanging engine',
  ({ engine }) => (engine.hangs = true),
  ({ engine }) => (engine.hangs = false),
);

const containerKilled: Maker = ({ truth, rng }) => {
  const container = pickOrNone(
    rng,
    [...truth.containers()].filter(({ state }) => state === 'running'),
  );
  if (container === undefined) return undefined;
  truth.nodeOf(container.host).node.engine.kill(container.taskId, { exitCode: 137, reason: 'killed for memory' });
  return { name: 'container killed', target: container.taskId.slice(0, 6), touches: [], lastsMs: 0, heal: () => undefined };
};

const probesFail: Maker = ({ truth, rng }) => {
  const probed = [...truth.containers()].filter((one) => one.state === 'running' && truth.specOf(one)?.task?.probes !== undefined);
  const container = pickOrNone(rng, probed);
  if (container === undefined) return undefined;
  container.probes = 'failed';
  // A failing readiness probe ends nothing.
  const { liveness, startup } = truth.specOf(container)?.task?.probes ?? {};
  if (liveness !== undefined || startup !== undefined) container.wasSick = true;
  return {
    name: 'failing probes',
    target: `${container.taskId.slice(0, 6)} on ${container.host}`,
    touches: [],
    lastsMs: lasting(rng),
    heal: () => {
      container.probes = 'answered';
    },
  };
};

/** Crashes and cuts come more often than what strikes less deep. */
const MAKERS: readonly Maker[] = [
  ...[managerCrash, leaderCrash, leaderCrash, agentCrash, agentCrash, meshCrash, hostOff, hostOff, managerHostOff],
  ...[storeCut, storeCutOneWay, nodeCut, nodeCut, nodeCutOneWay, massCut, linkCut, managerCut, reset, slowNetwork],
  ...[storeDown, storeFailing, answersLost, storeFull, compaction, compaction, lateWatch, leaseLost],
  ...[managerStall, leaderStall, agentStall, meshStall, wallJump],
  ...[diskFull, diskSlow, pullsFail, engineFailing, engineSlow, engineHangs, containerKilled, probesFail, probesFail],
];

/** Undefined: it found nothing to strike. `kind` says which one it is; by chance unless given. */
export function strike(world: FaultWorld, kind?: number): Fault | undefined {
  return (kind === undefined ? pick(world.rng, MAKERS) : MAKERS[kind])?.(world);
}

export const FAULT_KINDS: number = MAKERS.length;
