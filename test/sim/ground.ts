// What every part of a simulated world stands on.
import type { Network } from './core/network.ts';
import type { ProcessWatch } from './core/process.ts';
import type { Scheduler } from './core/scheduler.ts';
import type { Trace } from './core/trace.ts';
import type { TransportOptions } from './core/addresses.ts';
import type { SimStore } from './parts/store.ts';

export interface Ground {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly trace: Trace;
  readonly watch: ProcessWatch;
  readonly rpc: TransportOptions;
  readonly store: SimStore;
  /** Of all hosts' wall clocks at first: where in a minute a seed begins. */
  readonly wallOffsetMs: number;
  readonly managerAddresses: readonly string[];
}
