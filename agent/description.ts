// What this node says of itself: host, engine, addresses.
import { arch, availableParallelism, hostname, totalmem } from 'node:os';
import { EngineDescription, type EngineTrouble, type GenericResource, type NodeDescription, type Resources } from '../proto/index.ts';
import { VERSION } from '../lib/version.ts';

export interface DescriptionOptions {
  /** Empty: the host's own. */
  readonly hostname: string;
  readonly dataAddress: string;
  /** None: all addresses. */
  readonly meshAddresses: readonly string[];
  /** What to offer in place of what the engine says; undefined: what it says. */
  readonly nanoCpus: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly genericResources: readonly GenericResource[];
}

export interface EngineFacts {
  readonly engine: EngineDescription;
  readonly resources: Resources;
}

/** Stands in until the engine has answered: the host's own size, an engine without a version. */
export function unknownEngine(runtime: string): EngineFacts {
  return {
    engine: EngineDescription.create({ runtime }),
    resources: { nanoCpus: availableParallelism() * 1e9, memoryBytes: totalmem(), pids: 0 },
  };
}

/** `trouble`: why no tasks can be started here now; undefined: they can. */
export function describeNode(options: DescriptionOptions, facts: EngineFacts, trouble: EngineTrouble | undefined): NodeDescription {
  return {
    hostname: options.hostname === '' ? hostname() : options.hostname,
    platform: { os: process.platform, arch: machine() },
    resources: {
      nanoCpus: options.nanoCpus ?? facts.resources.nanoCpus,
      memoryBytes: options.memoryBytes ?? facts.resources.memoryBytes,
      pids: facts.resources.pids,
    },
    engine: { ...facts.engine, trouble },
    dataAddress: options.dataAddress,
    meshAddresses: options.meshAddresses,
    shoalVersion: VERSION,
    genericResources: options.genericResources,
  };
}

/** As `uname -m` and Docker's node descriptions have it: x86_64, aarch64. */
function machine(): string {
  const names: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686', arm: 'armv7l' };
  return names[arch()] ?? arch();
}
