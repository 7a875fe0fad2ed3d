// The kernel path's hands: this machine's programs, conntrack and network.
import { type Clock } from '../../lib/clock.ts';
import { bridgesOfHost } from './bridges.ts';
import { systemFlows } from './flows.ts';
import { systemForwarding } from './forwarding.ts';
import { type KernelSystem } from './kernel-path.ts';
import { systemProbe } from './probe.ts';
import { systemTools } from './tools.ts';

export function kernelSystem(clock: Clock): KernelSystem {
  const run = systemTools(clock);
  return {
    run,
    flows: systemFlows(run),
    probe: systemProbe(clock),
    forwarding: (table) => systemForwarding(table, run),
    bridges: bridgesOfHost,
  };
}
