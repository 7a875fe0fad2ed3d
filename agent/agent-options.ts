// What an agent is made from, and what it is to the process that runs it.
import type { Clock } from '../lib/clock.ts';
import type { Disk } from '../lib/durable-file.ts';
import type { Logger } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { RpcTransport } from '../lib/rpc/index.ts';
import type { DescriptionOptions } from './description.ts';
import type { TryConnect } from './endpoints/endpoints.ts';
import type { AskerOf } from './health/ask.ts';
import type { HousekeepingCounts } from './housekeeping/housekeeper.ts';
import type { HousekeepingSettings } from './housekeeping/settings.ts';
import type { MeshLauncher } from './mesh/mesh-process.ts';
import type { meshSupervisor } from './mesh/mesh-supervisor.ts';
import type { CanBind } from './ports/port-leases.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { IdentityFile } from './session/node-identity.ts';

export interface AgentOptions {
  readonly dataDir: string;
  /** host:port; may be empty where managers are known from before. */
  readonly managers: readonly string[];
  readonly description: DescriptionOptions;
  readonly labels: Readonly<Record<string, string>>;
  readonly identity: IdentityFile;
  readonly runtime: Runtime;
  /** Unless given, only finished containers go, beyond the usual number. */
  readonly housekeeping?: HousekeepingSettings;
  /** How the mesh of this node is started; undefined: no mesh. */
  readonly launchMesh: ((nodeId: string) => MeshLauncher) | undefined;
  readonly nonce: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** gRPC without encryption unless given. */
  readonly transport?: RpcTransport;
  /** The host's own unless given, as the five below. */
  readonly disk?: Disk;
  readonly bootId?: string;
  readonly canBind?: CanBind;
  readonly tryConnect?: TryConnect;
  readonly askerOf?: AskerOf;
  readonly superviseMesh?: typeof meshSupervisor;
}

export interface Agent {
  start(): Promise<void>;
  /** Why the agent is not ready, or undefined. */
  trouble(): string | undefined;
  taskCount(): number;
  registered(): boolean;
  streamCount(): number;
  /** Undefined where there is no housekeeping, or not yet. */
  housekeeping(): HousekeepingCounts | undefined;
  /** Lets go: tasks and mesh go on. */
  stop(): Promise<void>;
  /** Stops and removes this node's tasks and its mesh, for a node that is not meant to last; then as stop. */
  drainAndStop(): Promise<void>;
}
