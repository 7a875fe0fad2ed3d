// What the mesh may be told of a published port, as a table: each wrong setting by its path, with the value and the rule.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { checkPorts } from '../../../manager/api/validate/ports.ts';
import { DataPath, IngressSettings, PortMode, PortProtocol, type PortSpec, ProxyProtocol } from '../../../proto/index.ts';
import { httpPort, publish } from '../../support/service-specs.ts';

const { UDP } = PortProtocol;

function tcp(settings: Partial<IngressSettings>, more: Partial<PortSpec> = {}): PortSpec {
  return publish(80, 3000, { ingress: IngressSettings.create(settings), ...more });
}

function http(settings: Partial<IngressSettings>): PortSpec {
  return httpPort(80, 3000, '', '/', settings);
}

function problems(...ports: readonly PortSpec[]): readonly string[] {
  const found: string[] = [];
  checkPorts(ports, (path, message) => found.push(`${path}: ${message}`));
  return found;
}

describe('settings of a published port', () => {
  const good: readonly (readonly [what: string, ports: readonly PortSpec[]])[] = [
    ['UDP', [publish(53, 53, { protocol: UDP })]],
    ['UDP beside TCP of one number', [publish(53, 53, { protocol: UDP }), publish(53, 53)]],
    ['UDP in host mode', [publish(53, 53, { protocol: UDP, mode: PortMode.HOST })]],
    ['UDP with an idle timeout by the kernel', [tcp({ idleTimeoutMs: 500, dataPath: DataPath.PATH_KERNEL }, { protocol: UDP })]],
    ['TCP with PROXY headers', [tcp({ proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V2, trustedSources: ['10.0.0.0/8', '::/0'] })]],
    ['no holding at all', [tcp({ holdMs: 0, maxHeld: 0 })]],
    ['rules that share a port', [httpPort(80, 1, 'a'), httpPort(80, 2, 'a', '/api'), httpPort(80, 3, '*.a'), httpPort(80, 4)]],
    ['rules with one number that nobody chose', [httpPort(0, 1), httpPort(0, 1)]],
    ['hosts of all kinds', ['localhost', 'xn--bcher-kva.example', '10.0.0.1', '_dmarc.a', '*.b'].map((host) => httpPort(80, 1, host))],
    ['paths of all kinds', ['/a.b', '/a/b-c', '/%20', '/~user', "/a@b:c;d=e,(f)!*'+$&"].map((path) => httpPort(80, 1, '', path))],
  ];
  for (const [what, ports] of good) {
    it(`take ${what}`, () => {
      assert.deepEqual(problems(...ports), []);
    });
  }

  const bad: readonly (readonly [what: string, ports: readonly PortSpec[], problems: readonly string[]])[] = [
    [
      'a host and a path with TCP',
      [tcp({ http: { host: 'a', path: '/' } })],
      ['ports[0].ingress.http: a host or path of requests is not taken with protocol tcp, only with http'],
    ],
    [
      'what only HTTP has, with TCP',
      [tcp({ tls: true, stickyCookie: 's', requestTimeoutMs: 1000, responseTimeoutMs: 2000, accessLogPermille: 10 })],
      [
        'ports[0].ingress.requestTimeoutMs: 1000 is not taken with protocol tcp, only with http',
        'ports[0].ingress.responseTimeoutMs: 2000 is not taken with protocol tcp, only with http',
        'ports[0].ingress.stickyCookie: "s" is not taken with protocol tcp, only with http',
        'ports[0].ingress.tls: true is not taken with protocol tcp, only with http',
        'ports[0].ingress.accessLogPermille: 10 is not taken with protocol tcp, only with http',
      ],
    ],
    [
      'what only connections have, with UDP',
      [tcp({ proxyProtocol: 1, trustedSources: ['::/0'], connectTimeoutMs: 300, holdMs: 0, maxHeld: 1 }, { protocol: UDP })],
      [
        'ports[0].ingress.proxyProtocol: v1 is not taken with protocol udp, only with tcp',
        'ports[0].ingress.trustedSources: ["::/0"] is not taken with protocol udp, only with tcp or http',
        'ports[0].ingress.connectTimeoutMs: 300 is not taken with protocol udp, only with tcp or http',
        'ports[0].ingress.holdMs: 0 is not taken with protocol udp, only with tcp or http',
        'ports[0].ingress.maxHeld: 1 is not taken with protocol udp, only with tcp or http',
      ],
    ],
    [
      'PROXY headers with HTTP',
      [http({ proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V2 })],
      ['ports[0].ingress.proxyProtocol: v2 is not taken with protocol http, only with tcp'],
    ],
    [
      'HTTP by the kernel',
      [http({ dataPath: DataPath.PATH_KERNEL })],
      ['ports[0].ingress.dataPath: kernel is not taken with protocol http, only with tcp or udp: the kernel reads no requests'],
    ],
    [
      'PROXY headers by the kernel',
      [tcp({ dataPath: DataPath.PATH_KERNEL, proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V1 })],
      [
        'ports[0].ingress.dataPath: kernel is not taken together with PROXY headers, which the kernel neither writes nor reads: use proxy or auto',
      ],
    ],
    [
      'a limit of connections by the kernel',
      [tcp({ dataPath: DataPath.PATH_KERNEL, maxConnections: 5 })],
      ['ports[0].ingress.dataPath: kernel is not taken together with max-connections, which the kernel does not count: use proxy or auto'],
    ],
    [
      'host mode',
      [
        tcp({ idleTimeoutMs: 1000 }, { mode: PortMode.HOST }),
        httpPort(81, 1),
        { ...httpPort(82, 1), mode: PortMode.HOST, ingress: undefined },
      ],
      [
        'ports[0].ingress: settings of the mesh are not taken in host mode, which leads past it',
        'ports[2].protocol: http is not taken in host mode, where no mesh reads the requests: use tcp',
      ],
    ],
    [
      'numbers out of range',
      [
        tcp({ maxConnections: 0, connectTimeoutMs: 70_000, idleTimeoutMs: 5, holdMs: 600_001, maxHeld: 100_001 }),
        http({ accessLogPermille: 1001 }),
      ],
      [
        'ports[0].ingress.maxConnections: 0 is not between 1 and 1000000',
        'ports[0].ingress.connectTimeoutMs: 70000 is not between 10 and 60000 ms',
        'ports[0].ingress.idleTimeoutMs: 5 is not between 100 and 604800000 ms',
        'ports[0].ingress.holdMs: 600001 is not between 0 and 600000 ms',
        'ports[0].ingress.maxHeld: 100001 is not between 0 and 100000',
        'ports[1].ingress.accessLogPermille: 1001 is not between 0 and 1000',
        'ports[1].publishedPort: port 80/tcp is published twice, by ports[0] too',
      ],
    ],
    [
      'ranges of addresses that are none',
      [tcp({ trustedSources: ['10.0.0.0', '10.0.0.0/33', 'a/8', '', '::/129', '::1%eth0/64', '10.0.0.0/8/8'] })],
      ['10.0.0.0', '10.0.0.0/33', 'a/8', '', '::/129', '::1%eth0/64', '10.0.0.0/8/8'].map(
        (range, index) =>
          `ports[0].ingress.trustedSources[${index}]: "${range}" is not a range of addresses such as 10.0.0.0/8 or fd00::/8`,
      ),
    ],
    [
      'a cookie with a blank',
      [http({ stickyCookie: 'a b' })],
      ['ports[0].ingress.stickyCookie: "a b" is not the name of a cookie: letters, digits and !#$%&\'*+.^_`|~- up to 64'],
    ],
    [
      'the same rule twice',
      [httpPort(80, 1, 'a', '/b'), httpPort(80, 2, 'a', '/b')],
      ['ports[1].ingress.http: a/b on port 80/tcp is published twice, by ports[0] too'],
    ],
    [
      'a rule with TLS and one without on one port',
      [httpPort(80, 1, 'a'), httpPort(80, 1, 'b', '/', { tls: true })],
      ['ports[1].ingress.tls: port 80/tcp is asked for with TLS and, by ports[0], without: all who share a port must agree'],
    ],
    [
      'HTTP and TCP on one port',
      [httpPort(80, 1), publish(80, 1)],
      ['ports[1].publishedPort: port 80/tcp is published twice, by ports[0] too'],
    ],
  ];
  for (const [what, ports, expected] of bad) {
    it(`refuse ${what}`, () => {
      assert.deepEqual(problems(...ports), expected);
    });
  }

  const hosts: readonly (readonly [host: string, why: RegExp])[] = [
    ['App.example.com', /lower case/],
    ['a:8080', /names a port/],
    ['[::1]', /not a host/],
    ['a..b', /not a host/],
    ['a.b.', /not a host/],
    ['-a', /not a host/],
    ['*', /not a host/],
    ['a.*.b', /not a host/],
    ['*a.b', /not a host/],
    ['bücher.example', /xn--/],
    ['http://a', /not a host/],
    [`${'a.'.repeat(127)}a`, /longer than 253/],
  ];
  for (const [host, why] of hosts) {
    it(`refuse the host ${host.slice(0, 20)}`, () => {
      const [problem = '', ...more] = problems(httpPort(80, 1, host));
      assert.ok(problem.startsWith(`ports[0].ingress.http.host: ${JSON.stringify(host).slice(0, 40)}`), problem);
      assert.match(problem, why);
      assert.deepEqual(more, []);
    });
  }

  const paths: readonly (readonly [path: string, why: RegExp])[] = [
    ['', /must begin with "\/"/],
    ['api', /must begin with "\/"/],
    ['/api/', /must not end with "\/"/],
    ['/a//b', /empty segments/],
    ['/a/../b', /"\." or "\.\."/],
    ['/a?b', /no query/],
    ['/a b', /encoded, as %20/],
    ['/%zz', /encoded/],
    ['/ä', /encoded/],
    [`/${'a'.repeat(1024)}`, /longer than 1024/],
  ];
  for (const [path, why] of paths) {
    it(`refuse the path ${JSON.stringify(path.slice(0, 20))}`, () => {
      const [problem = '', ...more] = problems(httpPort(80, 1, '', path));
      assert.ok(problem.startsWith(`ports[0].ingress.http.path: ${JSON.stringify(path).slice(0, 40)}`.slice(0, 45)), problem);
      assert.match(problem, why);
      assert.deepEqual(more, []);
    });
  }
});
