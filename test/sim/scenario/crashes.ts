// Faults that end processes and switch hosts off.
import type { Seam, SimProcess } from '../core/process.ts';
import { between, pick } from '../core/random.ts';
import { type Fault, type FaultWorld, lasting, leaderOf, type Maker } from './fault.ts';

const SEAMS: Readonly<Record<'manager' | 'agent' | 'mesh', readonly Seam[]>> = {
  manager: ['store', 'store', 'network', 'clock'],
  agent: ['network', 'runtime', 'runtime', 'disk', 'disk', 'clock'],
  mesh: ['disk', 'clock'],
};
const MOST_CALLS = 30;

/** Crashes at a call where one comes in time, else at once when its time is over. */
function crash(
  { traps, rng }: FaultWorld,
  role: 'manager' | 'agent' | 'mesh',
  name: string,
  process: () => SimProcess | undefined,
  start: () => void,
): Fault {
  const seam = pick(rng, SEAMS[role]);
  const fault = {
    name: `${role} crash`,
    target: `${name} at ${seam}`,
    touches: [name.slice(name.indexOf('@') + 1)],
    lastsMs: lasting(rng),
  };
  const dead = (): void => {
    traps.disarm(name);
    start();
  };
  traps.arm(name, seam, 1 + Math.floor(rng.next() * MOST_CALLS), () => undefined);
  return {
    ...fault,
    heal: () => {
      if (traps.disarm(name)) process()?.kill('crash');
      dead();
    },
  };
}

export const managerCrash: Maker = (world) => {
  const manager = pick(world.rng, world.truth.world.managers);
  return crash(
    world,
    'manager',
    manager.name,
    () => manager.process,
    () => manager.start(),
  );
};
export const leaderCrash: Maker = (world) => {
  const manager = leaderOf(world);
  return crash(
    world,
    'manager',
    manager.name,
    () => manager.process,
    () => manager.start(),
  );
};
export const agentCrash: Maker = (world) => {
  const node = pick(world.rng, world.truth.world.nodes);
  return crash(
    world,
    'agent',
    `agent@${node.name}`,
    () => node.agentProcess,
    () => node.startAgent(),
  );
};
export const meshCrash: Maker = (world) => {
  const node = pick(world.rng, world.truth.world.nodes);
  return crash(
    world,
    'mesh',
    `mesh@${node.name}`,
    () => node.mesh?.process,
    () => undefined,
  );
};

export const hostOff: Maker = ({ truth, rng }) => {
  const node = pick(rng, truth.world.nodes);
  node.powerOff();
  return { name: 'host off', target: node.name, touches: [node.name], lastsMs: between(rng, 1000, 25_000), heal: () => node.powerOn() };
};
export const managerHostOff: Maker = ({ truth, rng }) => {
  const manager = pick(rng, truth.world.managers);
  manager.powerOff();
  return {
    name: 'manager host off',
    target: manager.name,
    touches: [manager.name],
    lastsMs: between(rng, 1000, 15_000),
    heal: () => manager.powerOn(),
  };
};
