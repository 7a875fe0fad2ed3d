// A system on which the kernel path finds no program, for tests of a mesh without it.
import { ShoalError } from '../../lib/errors.ts';
import { type KernelSystem } from '../../mesh/kernel/kernel-path.ts';

export const noKernel: KernelSystem = {
  run: (tool) => Promise.reject(new ShoalError('unimplemented', `${tool} is not installed on this node`)),
  flows: { busy: () => Promise.resolve(new Set()), forget: () => Promise.resolve() },
  probe: () => Promise.resolve('unknown'),
  forwarding: () => ({ prepare: () => Promise.resolve(undefined) }),
  bridges: () => () => undefined,
};
