// One try of one probe: which check asks what where.
import type { Probe } from '../../proto/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { execCheck } from './exec-check.ts';
import { grpcCheck } from './grpc-check.ts';
import { httpCheck } from './http-check.ts';
import { addressOf, type ProbeTarget } from './target.ts';
import { tcpCheck } from './tcp-check.ts';
import type { Answer } from './verdict.ts';

/** Never rejects; answers soon after the signal aborts. */
export type Ask = (signal: AbortSignal) => Promise<Answer>;

/** What asks for one probe of one task, until `lifetime` aborts. A double in tests and simulations. */
export type AskerOf = (probe: Probe, target: ProbeTarget, lifetime: AbortSignal) => Ask;

export function askerOf(runtime: Runtime): AskerOf {
  return (probe, target, lifetime) => {
    const { check } = probe;
    switch (check?.case) {
      case 'tcp':
        return (signal) => tcpCheck(addressOf(target, check.value.port), signal);
      case 'http':
        return (signal) => httpCheck(check.value, addressOf(target, check.value.port), signal);
      case 'grpc':
        return (signal) => grpcCheck(check.value, addressOf(target, check.value.port), signal);
      case 'exec':
        return execCheck(runtime, target.taskId, check.value.command, lifetime);
      case undefined:
        return () => Promise.resolve({ kind: 'unknown', reason: 'this version does not know this kind of probe; update the node' });
    }
  };
}

/** The port that the probe shows to be answered; undefined: none. */
export function askedPort(probe: Probe): number | undefined {
  return probe.check === undefined || probe.check.case === 'exec' ? undefined : probe.check.value.port;
}
