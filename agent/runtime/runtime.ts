// The narrow interface between the agent's workers and whatever runs a task. Implementations: docker/, process/, and scripted ones in test/.
// A runtime keeps no state of its own that a restart would lose: what it needs is found again with `list`.
import type { Readable, Writable } from 'node:stream';
import type { Assignment, EngineDescription, LogsRequest, OutputSource, Resources } from '../../proto/index.ts';

/** Port leased on the node for one target port of a task, before the task starts. */
export interface LeasedPort {
  readonly protocol: 'tcp' | 'udp';
  readonly targetPort: number;
  /** On the node's data address. */
  readonly nodePort: number;
  /** A host-mode port is bound where the node answers published ports instead: on all addresses, unless it was told which. */
  readonly host: boolean;
}

export interface TaskContext {
  readonly assignment: Assignment;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly dataAddress: string;
  readonly ports: readonly LeasedPort[];
}

/** What stands on the host for one task. */
export interface Instance {
  readonly taskId: string;
  /** Container id, or the supervisor's pid for processes. */
  readonly containerId: string;
  readonly state: 'created' | 'running' | 'exited';
  /** 0 where it does not run, and from `list` of an engine that does not say: `inspect` has it. */
  readonly pid: number;
  /** Only when running and the engine gives one: for the mesh of the same node. */
  readonly address: string | undefined;
  readonly ports: readonly LeasedPort[];
  /** Set for `exited`. From `list` the reason may be missing: `inspect` and `wait` have it. */
  readonly exit: Exit | undefined;
}

export interface OtherInstance {
  readonly nodeId: string;
  readonly taskId: string;
}

export interface Exit {
  readonly exitCode: number;
  /** Plain words: "killed for memory (limit 64MiB)"; empty for an ordinary exit. */
  readonly reason: string;
}

export type Health = 'none' | 'starting' | 'healthy' | 'unhealthy';

export interface LogLine {
  readonly source: OutputSource;
  /** One line, ended by a newline. One above 256 KiB comes in pieces, each ended by a newline. */
  readonly data: Uint8Array;
  /** Unix milliseconds, 0 where the runtime does not know. */
  readonly timeUnixMs: number;
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly env: readonly string[];
  readonly user: string;
  readonly workdir: string;
  readonly rows: number;
  readonly columns: number;
}

export interface ExecSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty when tty is set: all comes on stdout. */
  readonly stderr: Readable;
  resize(rows: number, columns: number): Promise<void>;
  /** Resolves to the exit code. */
  readonly ended: Promise<number>;
  kill(): void;
}

/** How much may stay though no task uses it; Infinity: any. */
export interface UnusedLimits {
  readonly bytes: number;
  readonly ageMs: number;
}

export interface CleanUp {
  /** What was removed, by the names that users know. */
  readonly removed: readonly string[];
  readonly freedBytes: number;
  /** What stays though nothing uses it. */
  readonly unusedBytes: number;
}

/**
 * Every call has a deadline of its own and ends on `signal`. Errors are ShoalError: `failed_precondition` where the task can never run
 * here (bad image name, not supported by this runtime: REJECTED), `not_found` for an unknown instance or image, `unavailable` where the
 * engine does not answer and `deadline_exceeded` where it takes too long (both tried again by the worker), `cancelled` when `signal` aborts.
 * A pull that the registry or the network refuses is `not_found` or `failed_precondition` with their words: the task ends, and its
 * replacement tries again after the restart delay.
 */
export interface Runtime {
  readonly name: 'docker' | 'podman' | 'process';
  /** Why nothing can be run here now, or undefined. */
  check(signal: AbortSignal): Promise<string | undefined>;
  describe(signal: AbortSignal): Promise<{ readonly engine: EngineDescription; readonly resources: Resources }>;
  /** Pulls the image and creates the instance without starting it; a name conflict means that it stands already: adopt it. Repeatable. */
  prepare(task: TaskContext, signal: AbortSignal): Promise<Instance>;
  /** Starting a started instance is no error. */
  start(taskId: string, signal: AbortSignal): Promise<Instance>;
  /** Resolves when the instance has exited; at once if it has. `not_found` when somebody removed it. Outlives a restart of the engine. */
  wait(taskId: string, signal: AbortSignal): Promise<Exit>;
  /** Calls back with the present health and at each change, while it starts also with what each failing check says; until the signal aborts. */
  watchHealth(taskId: string, onChange: (health: Health, detail: string) => void, signal: AbortSignal): void;
  /**
   * Stop signal, then kill after the grace period of the task's spec. Resolves when it has exited; one that never ran counts as exit 0
   * with a reason. `not_found` for a missing one.
   */
  stop(taskId: string, signal: AbortSignal): Promise<Exit>;
  /** Removes whatever is left; a missing instance is no error. */
  remove(taskId: string, signal: AbortSignal): Promise<void>;
  /** All instances of this node and cluster, running or not. */
  list(signal: AbortSignal): Promise<readonly Instance[]>;
  /** Those of other nodes of this cluster that the same engine has, running or not. */
  listOthers(signal: AbortSignal): Promise<readonly OtherInstance[]>;
  inspect(taskId: string, signal: AbortSignal): Promise<Instance | undefined>;
  logs(request: LogsRequest, signal: AbortSignal): AsyncIterable<LogLine>;
  exec(taskId: string, options: ExecOptions, signal: AbortSignal): Promise<ExecSession>;
  /**
   * Removes what Shoal brought to this host and nothing uses any more, least recently used first, down to `limits`; never anything of others.
   * Instances are not its business. Called now and then, one call at a time; undefined: nothing is ever left.
   */
  readonly cleanUp?: (limits: UnusedLimits, signal: AbortSignal) => Promise<CleanUp>;
}
