// Published ports of one spec: ranges, repeats, and what the mesh is told of each (ingress.ts). Collisions with other services are services/held-ports.ts'.
import { PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { describeRule, isHttp, ruleOf, sameRule, sharesPort } from './http-rule.ts';
import { checkIngress } from './ingress.ts';
import { checkEnum, checkListLength, checkText, type Report } from './report.ts';

/** So that an update that replaces all of them fits into one transaction: one compare and one write for each port, old and new. */
const MAX_PORTS = 50;
const MAX_PORT = 65_535;

export function checkPorts(ports: readonly PortSpec[], report: Report): void {
  checkListLength('ports', ports, MAX_PORTS, report);
  const before = new Map<string, (readonly [path: string, port: PortSpec])[]>();
  ports.slice(0, MAX_PORTS).forEach((port, index) => {
    const path = `ports[${index}]`;
    checkText(`${path}.name`, port.name, 63, report);
    checkEnum(`${path}.mode`, port.mode, PortMode, report);
    checkEnum(`${path}.protocol`, port.protocol, PortProtocol, report);
    checkIngress(path, port, report);
    checkRange(`${path}.targetPort`, port.targetPort, 1, report);
    checkRange(`${path}.publishedPort`, port.publishedPort, 0, report);
    if (port.publishedPort === 0) return;
    const key = describePort(port.protocol, port.publishedPort);
    const others = before.get(key) ?? [];
    const clash = others.find(([, other]) => !sharesPort(other, port));
    if (clash !== undefined) report(...clashOf(key, path, port, ...clash));
    before.set(key, [...others, [path, port]]);
  });
}

/** "8080/tcp". HTTP ports are TCP ports of the host. */
export function describePort(protocol: PortProtocol, port: number): string {
  return `${port}/${protocol === PortProtocol.UDP ? 'udp' : 'tcp'}`;
}

function clashOf(key: string, path: string, port: PortSpec, otherPath: string, other: PortSpec): readonly [path: string, message: string] {
  if (!isHttp(port) || !isHttp(other)) return [`${path}.publishedPort`, `port ${key} is published twice, by ${otherPath} too`];
  if (sameRule(port, other))
    return [`${path}.ingress.http`, `${describeRule(ruleOf(port))} on port ${key} is published twice, by ${otherPath} too`];
  return [`${path}.ingress.tls`, `port ${key} is asked for with TLS and, by ${otherPath}, without: all who share a port must agree`];
}

function checkRange(path: string, port: number, min: number, report: Report): void {
  if (!Number.isSafeInteger(port) || port < min || port > MAX_PORT) report(path, `${port} is not a port: ${min} to ${MAX_PORT}`);
}
