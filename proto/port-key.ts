// How a published port is named in route tables, by managers and meshes alike. HTTP services share a port: there the rule is part of the name.
import { type PortKey, PortProtocol, type PortRoute } from './gen/messages.ts';

/** "0/8080" for TCP, "2/8080/app.example.com/api" for HTTP. */
export function portKeyOf(key: PortKey): string {
  const port = `${String(key.protocol)}/${String(key.publishedPort)}`;
  return key.protocol === PortProtocol.HTTP ? `${port}/${key.host}${key.path}` : port;
}

export function keyOfRoute({ protocol, publishedPort, settings }: PortRoute): PortKey {
  return { protocol, publishedPort, host: settings?.http?.host ?? '', path: settings?.http?.path ?? '' };
}

/** By number, then protocol, then rule. */
export function comparePortKeys(a: PortKey, b: PortKey): number {
  return a.publishedPort - b.publishedPort || a.protocol - b.protocol || compareText(a.host, b.host) || compareText(a.path, b.path);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
