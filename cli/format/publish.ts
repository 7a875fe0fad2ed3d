// A published port in the words that --publish takes, the inverse of the reader in service/spec: what is shown can be given again.
import { formatDurationMs } from '../../lib/units.ts';
import { DataPath, enumName, type IngressSettings, PortMode, type PortSpec, ProxyProtocol } from '../../proto/index.ts';
import { protocolName } from './ports.ts';

type Word = readonly [key: string, value: string];

/** "published=80,target=3000,protocol=http,host=app.example.com,path=/api": what is not given is left out. */
export function publishText(port: PortSpec): string {
  const words: readonly Word[] = [
    ['published', port.publishedPort === 0 ? '' : String(port.publishedPort)],
    ['target', String(port.targetPort)],
    ['protocol', protocolName(port.protocol)],
    ['mode', port.mode === PortMode.INGRESS ? '' : enumName(PortMode, port.mode).toLowerCase()],
    ['name', port.name],
    ...ingressWords(port.ingress),
  ];
  return words.flatMap(([key, value]) => (value === '' ? [] : [csvField(`${key}=${value}`)])).join(',');
}

/** Of each setting that is given, its word and value. */
export function ingressWords(ingress: IngressSettings | undefined): readonly Word[] {
  if (ingress === undefined) return [];
  const words: readonly Word[] = [
    ['host', ingress.http?.host ?? ''],
    ['path', ingress.http === undefined || ingress.http.path === '/' ? '' : ingress.http.path],
    ['path', ingress.dataPath === DataPath.PATH_AUTO ? '' : word(DataPath, ingress.dataPath, 'PATH_')],
    [
      'proxy-protocol',
      ingress.proxyProtocol === ProxyProtocol.PROXY_PROTOCOL_NONE ? '' : word(ProxyProtocol, ingress.proxyProtocol, 'PROXY_PROTOCOL_'),
    ],
    ['trusted', ingress.trustedSources.join(';')],
    ['max-connections', number(ingress.maxConnections)],
    ['connect-timeout', duration(ingress.connectTimeoutMs)],
    ['idle-timeout', duration(ingress.idleTimeoutMs)],
    ['request-timeout', duration(ingress.requestTimeoutMs)],
    ['response-timeout', duration(ingress.responseTimeoutMs)],
    ['sticky', ingress.stickyCookie],
    ['tls', ingress.tls ? 'on' : ''],
    ['access-log', ingress.accessLogPermille === 0 ? '' : `${String(ingress.accessLogPermille / 10)}%`],
    ['hold', duration(ingress.holdMs)],
    ['max-held', number(ingress.maxHeld)],
  ];
  return words.filter(([, value]) => value !== '');
}

function word(names: Readonly<Record<string, number>>, value: number, prefix: string): string {
  return enumName(names, value).replace(prefix, '').toLowerCase();
}

function number(value: number | undefined): string {
  return value === undefined ? '' : String(value);
}

function duration(valueMs: number | undefined): string {
  return valueMs === undefined ? '' : formatDurationMs(valueMs);
}

function csvField(text: string): string {
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
