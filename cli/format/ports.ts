// Published ports as Docker shows them: "*:8080->80/tcp", runs of neighbours as "*:8080-8082->80-82/tcp"; HTTP ones with their rule,
// "*:80->3000/http app.example.com/api".
import { enumName, type HttpRule, PortMode, PortProtocol, type PortSpec } from '../../proto/index.ts';

/** Ports of one mode, comma-separated, sorted by protocol and published port. */
export function formatPorts(ports: readonly PortSpec[], mode: PortMode = PortMode.INGRESS): string {
  const sorted = ports
    .filter((port) => port.mode === mode)
    .sort((a, b) => a.protocol - b.protocol || a.publishedPort - b.publishedPort || a.targetPort - b.targetPort);
  const runs: { first: PortSpec; length: number }[] = [];
  for (const port of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && continues(run, port)) run.length++;
    else runs.push({ first: port, length: 1 });
  }
  return runs.map(runText).join(', ');
}

function runText({ first, length }: { readonly first: PortSpec; readonly length: number }): string {
  const text = `*:${range(first.publishedPort, length)}->${range(first.targetPort, length)}/${protocolName(first.protocol)}`;
  const rule = ruleText(first.ingress?.http);
  return rule === '' ? text : `${text} ${rule}`;
}

function continues(run: { readonly first: PortSpec; readonly length: number }, port: PortSpec): boolean {
  const { first, length } = run;
  return (
    port.protocol === first.protocol &&
    port.publishedPort === first.publishedPort + length &&
    port.targetPort === first.targetPort + length &&
    ruleText(port.ingress?.http) === ruleText(first.ingress?.http)
  );
}

function range(first: number, length: number): string {
  return length === 1 ? String(first) : `${String(first)}-${String(first + length - 1)}`;
}

export function protocolName(protocol: PortProtocol): string {
  return enumName(PortProtocol, protocol).toLowerCase();
}

/** "app.example.com/api", "app.example.com", "/api"; empty where all requests are meant. */
export function ruleText(rule: HttpRule | undefined): string {
  if (rule === undefined) return '';
  return rule.path === '/' ? rule.host : rule.host + rule.path;
}
