// One filter of the scheduler that refuses a node: the reason, and the change that gets past it.
import type { SmallestChange } from '../../proto/index.ts';
import type { Hypothesis } from './hypothesis.ts';
import type { NodeTenants } from './node-tenants.ts';

export interface RemedyContext {
  readonly serviceName: string;
  readonly wallMs: number;
  readonly tenants: NodeTenants;
}

/** What one refusal comes down to. */
export interface Step {
  readonly reason: string;
  /** Undefined: nothing is known that would help here. */
  readonly remedy: { readonly change: SmallestChange; readonly next: Hypothesis } | undefined;
}

export function nameOf({ entry }: Pick<Hypothesis, 'entry'>): string {
  return entry.status?.description?.hostname || entry.id;
}
