import assert from 'node:assert/strict';
import { publishText } from '../../../../cli/format/publish.ts';
import { parsePublish } from '../../../../cli/service/spec/ports.ts';
import { DataPath, IngressSettings, PortMode, PortProtocol, type PortSpec, ProxyProtocol } from '../../../../proto/index.ts';

const { TCP, UDP } = PortProtocol;
const { INGRESS, HOST } = PortMode;

const EVERYTHING =
  'published=80,target=3000,protocol=http,name=api,host=app.example.com,path=/api,path=proxy,proxy-protocol=v2,trusted=10.0.0.0/8;fd00::/8,' +
  'max-connections=1000,connect-timeout=300ms,idle-timeout=1m0s,request-timeout=10s,response-timeout=30s,sticky=session,tls=on,' +
  'access-log=0.5%,hold=10s,max-held=50';

describe('--publish of what the mesh is told', () => {
  const one = (text: string): PortSpec => {
    const ports = parsePublish(text);
    assert.ok(typeof ports !== 'string');
    return ports[0] ?? assert.fail();
  };

  it('takes every setting, and shows it in the words that it takes', () => {
    const port = one(EVERYTHING);
    assert.deepEqual(port.ingress, {
      http: { host: 'app.example.com', path: '/api' },
      dataPath: DataPath.PATH_PROXY,
      proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V2,
      trustedSources: ['10.0.0.0/8', 'fd00::/8'],
      maxConnections: 1000,
      connectTimeoutMs: 300,
      idleTimeoutMs: 60_000,
      requestTimeoutMs: 10_000,
      responseTimeoutMs: 30_000,
      stickyCookie: 'session',
      tls: true,
      accessLogPermille: 5,
      holdMs: 10_000,
      maxHeld: 50,
    });
    assert.equal(publishText(port), EVERYTHING);
  });

  it('leaves what is not given to the mesh', () => {
    assert.equal(one('published=80,target=80').ingress, undefined);
    assert.deepEqual(one('target=80,idle-timeout=1s').ingress, IngressSettings.create({ idleTimeoutMs: 1000 }));
  });

  it('means all requests by http without host and path, also in the short form', () => {
    const all = IngressSettings.create({ http: { host: '', path: '/' } });
    assert.deepEqual(one('80:3000/http').ingress, all);
    assert.deepEqual(one('published=80,target=3000,protocol=http'), one('80:3000/http'));
    assert.deepEqual(one('target=3000,path=/api,protocol=http').ingress?.http, { host: '', path: '/api' });
  });

  it('writes a rule in one way', () => {
    assert.deepEqual(one('target=80,protocol=http,host=App.Example.COM,path=/api/').ingress?.http, {
      host: 'app.example.com',
      path: '/api',
    });
    assert.deepEqual(one('target=80,protocol=http,path=/').ingress?.http, { host: '', path: '/' });
  });

  it('takes trusted sources one by one, and addresses alone', () => {
    assert.deepEqual(one('target=80,trusted=10.0.0.0/8,trusted=192.0.2.1; fd00::1').ingress?.trustedSources, [
      '10.0.0.0/8',
      '192.0.2.1/32',
      'fd00::1/128',
    ]);
  });
});

describe('--publish', () => {
  const good: readonly (readonly [text: string, ports: readonly (readonly [number, number, PortProtocol, PortMode])[]])[] = [
    ['8080:80', [[8080, 80, TCP, INGRESS]]],
    ['80', [[0, 80, TCP, INGRESS]]],
    ['0:80', [[0, 80, TCP, INGRESS]]],
    ['53:53/udp', [[53, 53, UDP, INGRESS]]],
    ['8080:80/TCP', [[8080, 80, TCP, INGRESS]]],
    [
      '8080-8082:80-82',
      [
        [8080, 80, TCP, INGRESS],
        [8081, 81, TCP, INGRESS],
        [8082, 82, TCP, INGRESS],
      ],
    ],
    [
      '80-81',
      [
        [0, 80, TCP, INGRESS],
        [0, 81, TCP, INGRESS],
      ],
    ],
    ['published=8080,target=80', [[8080, 80, TCP, INGRESS]]],
    ['target=80,mode=host,published=8080,protocol=udp', [[8080, 80, UDP, HOST]]],
    ['target=80', [[0, 80, TCP, INGRESS]]],
  ];
  for (const [text, ports] of good) {
    it(`takes ${text}`, () => {
      const parsed = parsePublish(text);
      assert.ok(typeof parsed !== 'string');
      assert.deepEqual(
        parsed.map((port) => [port.publishedPort, port.targetPort, port.protocol, port.mode]),
        ports,
      );
    });
  }

  const bad: readonly (readonly [text: string, why: RegExp])[] = [
    ['x', /is not PUBLISHED:TARGET/],
    ['', /is not PUBLISHED:TARGET/],
    [':80', /is not PUBLISHED:TARGET/],
    ['80:', /is not PUBLISHED:TARGET/],
    ['80:80:80', /is not PUBLISHED:TARGET/],
    ['127.0.0.1:80:80', /is not PUBLISHED:TARGET/],
    ['70000:80', /port 70000 is not between 1 and 65535/],
    ['80:70000', /port 70000/],
    ['80:0', /port 0/],
    ['8080-8082:80', /different lengths/],
    ['8082-8080:80-82', /runs backwards/],
    ['1-65535', /more than 1000 ports/],
    ['80:80/sctp', /"sctp" is not a protocol/],
    ['70000:80/sctp', /^port 70000 is not between 1 and 65535; "sctp" is not a protocol/],
    ['a:80000/sctp', /is not PUBLISHED:TARGET.*; "sctp" is not a protocol/],
    ['80000:70000', /^port 80000 .*; port 70000 /],
    [
      '80:80/sctp,foo=bar,mode=both',
      /^"[^"]*": "both" is not a mode.*; names no target port.*; "80:80\/sctp", "foo" are not one of published, target/,
    ],
    ['published=x,target=y,tls=maybe', /"x" is not a port; "y" is not a port; "maybe" is not a switch/],
    ['80:80/tcp/udp', /is not PUBLISHED:TARGET/],
    ['published=8080', /names no target/],
    ['published=x,target=80', /"x" is not a port/],
    ['target=80,mode=both', /not a mode/],
    ['target=80,colour=red', /"colour" is not one of/],
    ['target=80,path=fast', /"fast" is not a data path, nor a path of requests, which begins with "\/": auto, proxy or kernel/],
    ['target=80,protocol=sctp', /"sctp" is not a protocol: tcp, udp or http/],
    ['target=80,proxy-protocol=v3', /"v3" is not a version of the PROXY protocol: none, v1 or v2/],
    ['target=80,tls=maybe', /"maybe" is not a switch/],
    ['target=80,access-log=1', /"1" is not a share of the requests/],
    ['target=80,access-log=101%', /not a share/],
    ['target=80,access-log=0.05%', /not a share/],
    ['target=80,max-connections=many', /"many" is not a number/],
    ['target=80,idle-timeout=10', /"10" is not a duration/],
    ['target=80,hold=60d', /not a duration/],
    ['target=80,host=a,host=b', /host is given twice/],
    ['target=80,path=/a,path=/b', /path is given twice/],
    ['target=80,"mode=host', /quote is not closed/],
  ];
  for (const [text, why] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const problem = parsePublish(text);
      assert.match(typeof problem === 'string' ? problem : '', why);
    });
  }
});
