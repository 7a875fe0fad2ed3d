// Which published ports of a spec others hold, and who: refused by name.
import { type FieldProblem, ShoalError } from '../../../lib/errors.ts';
import { type HttpClaim, type PortClaim, PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { portId, type StateView } from '../../state/index.ts';
import { describeRule, ruleOf } from '../validate/http-rule.ts';
import { describePort } from '../validate/ports.ts';

const MAX_NAMES = 5;

/** Throws one `conflict` with all of them. */
export function refuseHeldPorts(state: StateView, serviceId: string, ports: readonly PortSpec[]): void {
  const problems = heldPorts(state, serviceId, ports);
  if (problems.length > 0) throw new ShoalError('conflict', problems.map((problem) => problem.message).join('; '), { fields: problems });
}

/** Each port that others hold, once, and who. `serviceId`: who wants them; empty: a new service. */
export function heldPorts(state: StateView, serviceId: string, ports: readonly PortSpec[]): FieldProblem[] {
  const problems = new Map<string, FieldProblem>();
  ports.forEach((port, index) => {
    const claim = port.publishedPort === 0 ? undefined : state.get('byPort', portId(port.protocol, port.publishedPort))?.value;
    const problem = claim && holding(state, ofOthers(claim, serviceId), port, `ports[${index}]`);
    if (problem !== undefined && !problems.has(problem.message)) problems.set(problem.message, problem);
  });
  return [...problems.values()];
}

function ofOthers(claim: PortClaim, serviceId: string): PortClaim {
  return {
    objectId: claim.objectId === serviceId ? '' : claim.objectId,
    hostServiceIds: claim.hostServiceIds.filter((id) => id !== serviceId),
    http: claim.http.filter((other) => other.serviceId !== serviceId),
  };
}

/** What of the others' use is in the way of `port`. */
function holding(state: StateView, { objectId, hostServiceIds, http }: PortClaim, port: PortSpec, at: string): FieldProblem | undefined {
  const path = `${at}.publishedPort`;
  const name = describePort(port.protocol, port.publishedPort);
  if (objectId !== '') return { path, message: `port ${name} is already published by service ${namesOf(state, [objectId])}` };
  if (port.mode === PortMode.INGRESS && hostServiceIds.length > 0)
    return { path, message: `port ${name} is already used in host mode by service ${namesOf(state, hostServiceIds)}` };
  if (http.length === 0) return undefined;
  if (port.mode === PortMode.INGRESS && port.protocol === PortProtocol.HTTP) return heldRule(state, http, port, at);
  const names = namesOf(
    state,
    http.map((claim) => claim.serviceId),
  );
  return { path, message: `port ${name} is already published by service ${names}, as http: only with protocol http can it be shared` };
}

function heldRule(state: StateView, http: readonly HttpClaim[], port: PortSpec, at: string): FieldProblem | undefined {
  const name = describePort(port.protocol, port.publishedPort);
  const { host, path } = ruleOf(port);
  const holder = http.find((claim) => claim.host === host && claim.path === path);
  if (holder !== undefined) {
    const message = `${describeRule({ host, path })} on port ${name} is already published by service ${namesOf(state, [holder.serviceId])}`;
    return { path: `${at}.ingress.http`, message };
  }
  const tls = port.ingress?.tls ?? false;
  const other = http.find((claim) => claim.tls !== tls);
  if (other === undefined) return undefined;
  const [own, theirs] = tls ? ['with', 'without'] : ['without', 'with'];
  const message = `port ${name} is asked for ${own} TLS, but service ${namesOf(state, [other.serviceId])} has it ${theirs}: all who share a port must agree`;
  return { path: `${at}.ingress.tls`, message };
}

/** The first few of them. */
function namesOf(state: StateView, ids: readonly string[]): string {
  const names = [...new Set(ids)].map((id) => state.get('services', id)?.value.name ?? id).sort();
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return `${names.slice(0, MAX_NAMES).join(', ')}${more}`;
}
