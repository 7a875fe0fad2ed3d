// Published ports of one spec: ranges, repeats, and the protocols that are not built yet. Collisions with other services are services/ports.ts'.
import { PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { checkEnum, checkListLength, checkText, type Report } from './report.ts';

/** So that an update that replaces all of them fits into one transaction: one compare and one write for each port, old and new. */
export const MAX_PORTS = 50;
const MAX_PORT = 65_535;

export function checkPorts(ports: readonly PortSpec[], report: Report): void {
  checkListLength('ports', ports, MAX_PORTS, report);
  const taken = new Map<string, string>();
  ports.slice(0, MAX_PORTS).forEach((port, index) => {
    const path = `ports[${index}]`;
    checkText(`${path}.name`, port.name, 63, report);
    checkEnum(`${path}.mode`, port.mode, PortMode, report);
    checkProtocol(`${path}.protocol`, port.protocol, report);
    checkRange(`${path}.targetPort`, port.targetPort, 1, report);
    checkRange(`${path}.publishedPort`, port.publishedPort, 0, report);
    if (port.publishedPort === 0) return;
    const key = describePort(port.protocol, port.publishedPort);
    const other = taken.get(key);
    if (other === undefined) taken.set(key, path);
    else report(`${path}.publishedPort`, `port ${key} is published twice, by ${other} too`);
  });
}

/** "8080/tcp". HTTP ports are TCP ports of the host. */
export function describePort(protocol: PortProtocol, port: number): string {
  return `${port}/${protocol === PortProtocol.UDP ? 'udp' : 'tcp'}`;
}

function checkProtocol(path: string, protocol: PortProtocol, report: Report): void {
  switch (protocol) {
    case PortProtocol.TCP:
      return;
    case PortProtocol.UDP:
      report(path, 'publishing UDP ports is not built yet and comes with a later release; only tcp can be published');
      return;
    case PortProtocol.HTTP:
      report(path, 'publishing ports as HTTP is not built yet and comes with a later release; only tcp can be published');
      return;
    default:
      checkEnum(path, protocol, PortProtocol, report);
  }
}

function checkRange(path: string, port: number, min: number, report: Report): void {
  if (!Number.isSafeInteger(port) || port < min || port > MAX_PORT) report(path, `${port} is not a port: ${min} to ${MAX_PORT}`);
}
