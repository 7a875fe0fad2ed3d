// What the ends of simulated calls share: who listens where, and what a service is made of once its types are left aside.
import type { Logger } from '../../../lib/log.ts';
import type { MethodShape } from '../../../lib/rpc/types.ts';
import type { Network } from './network.ts';
import type { SimProcess } from './process.ts';

export type AnyMethod = MethodShape<unknown, unknown, boolean, boolean>;
export type AnyHandler = (...args: never[]) => unknown;

export interface Served {
  readonly process: SimProcess;
  readonly log: Logger;
  readonly methods: Map<string, { readonly method: AnyMethod; readonly handler: AnyHandler }>;
}

/** Sees every message where it arrives, decoded: for what must hold of all that is told. */
export type MessageTap = (from: SimProcess, to: SimProcess, path: string, bytes: Buffer) => void;

/** All addresses of a world. */
export class Addresses {
  readonly served = new Map<string, Served>();
}

export interface TransportOptions {
  readonly network: Network;
  readonly addresses: Addresses;
  /** Stands for "whatever is at that host": refuses where nobody listens. */
  readonly hostOf: (address: string) => SimProcess;
  readonly tap: MessageTap;
}
