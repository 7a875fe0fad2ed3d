import assert from 'node:assert/strict';
import { parsePublish } from '../../../../cli/service/spec/ports.ts';
import { PortMode, PortProtocol } from '../../../../proto/index.ts';

const { TCP, UDP } = PortProtocol;
const { INGRESS, HOST } = PortMode;

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
    ['80:80/tcp/udp', /is not PUBLISHED:TARGET/],
    ['published=8080', /names no target/],
    ['published=x,target=80', /"x" is not a port/],
    ['target=80,mode=both', /not a mode/],
    ['target=80,colour=red', /"colour" is not one of/],
    ['target=80,path=kernel', /later version/],
    ['target=80,"mode=host', /quote is not closed/],
  ];
  for (const [text, why] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const problem = parsePublish(text);
      assert.match(typeof problem === 'string' ? problem : '', why);
    });
  }
});
