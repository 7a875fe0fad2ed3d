import assert from 'node:assert/strict';
import fc from 'fast-check';
import { goTemplate, mapOf } from '../../../cli/format/go-template/index.ts';
import { formatPorts } from '../../../cli/format/ports.ts';
import { publishText } from '../../../cli/format/publish.ts';
import { parseCsv } from '../../../cli/service/spec/csv.ts';
import { parseMount, parseTmpfs } from '../../../cli/service/spec/mounts.ts';
import { parsePublish } from '../../../cli/service/spec/ports.ts';
import { shellWords } from '../../../cli/service/spec/shell-words.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { PortProtocol, PortSpec } from '../../../proto/index.ts';

/** Texts made of what the grammar knows: far more telling than random characters. */
function textOf(...parts: readonly string[]): fc.Arbitrary<string> {
  return fc.array(fc.oneof(fc.constantFrom(...parts), fc.string({ maxLength: 3 })), { maxLength: 12 }).map((list) => list.join(''));
}

describe('what users type', () => {
  it('a template renders or is refused as wrong, whatever it is', () => {
    const data = { ID: 'x', Tags: ['a'], Labels: mapOf({ k: 'v' }), Gone: undefined };
    const parts = ['{{', '}}', '{{- ', ' -}}', '.ID', '.Tags', '.Labels', '.', '$', '$x', ':=', '|', '(', ')', '"s"', '1', ' '];
    const words = ['if ', 'else', 'end', 'range ', 'with ', 'json ', 'index ', 'printf ', 'eq ', 'len ', 'and ', '{{end}}', '{{if .ID}}'];
    fc.assert(
      fc.property(textOf(...parts, ...words), (template) => {
        try {
          assert.equal(typeof goTemplate(template)(data), 'string');
        } catch (error) {
          assert.ok(error instanceof ShoalError && error.code === 'invalid_argument', String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('a published port within the limits is taken and shown again', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    fc.assert(
      fc.property(port, port, fc.constantFrom('tcp', 'udp'), (published, target, protocol) => {
        const parsed = parsePublish(`${published}:${target}/${protocol}`);
        assert.ok(typeof parsed !== 'string');
        assert.equal(formatPorts(parsed), `*:${published}->${target}/${protocol}`);
        assert.deepEqual(parsePublish(`published=${published},target=${target},protocol=${protocol}`), parsed);
      }),
    );
  });

  it('a port with settings of the mesh is shown in words that mean the same port', () => {
    const ms = fc.option(fc.integer({ min: 0, max: 600_000_000 }), { nil: undefined });
    const count = fc.option(fc.nat(1_000_000), { nil: undefined });
    const settings = fc.record({
      http: fc.record({ host: fc.constantFrom('', 'a.example.com', '*.b'), path: fc.constantFrom('/', '/api', '/a,b"c') }),
      dataPath: fc.constantFrom(0 as const, 1 as const),
      proxyProtocol: fc.constantFrom(0 as const, 1 as const, 2 as const),
      trustedSources: fc.subarray(['10.0.0.0/8', 'fd00::/8', '192.0.2.1/32']),
      ...{
        maxConnections: count,
        maxHeld: count,
        connectTimeoutMs: ms,
        idleTimeoutMs: ms,
        requestTimeoutMs: ms,
        responseTimeoutMs: ms,
        holdMs: ms,
      },
      stickyCookie: fc.constantFrom('', 'sid'),
      tls: fc.boolean(),
      accessLogPermille: fc.integer({ min: 0, max: 1000 }),
    });
    fc.assert(
      fc.property(settings, fc.constantFrom('', 'api', 'a,b'), (ingress, name) => {
        const port = PortSpec.create({
          targetPort: 80,
          protocol: PortProtocol.HTTP,
          name,
          ingress: { ...ingress, http: { ...ingress.http } },
        });
        assert.deepEqual(parsePublish(publishText(port)), [port]);
      }),
    );
  });

  it('ports, mounts and tmpfs are taken or refused in words, whatever they are', () => {
    const parts = [
      'type=',
      'bind',
      'tmpfs',
      'source=',
      'target=',
      '/a',
      ',',
      '"',
      ':',
      '-',
      '/',
      'tcp',
      '80',
      '70000',
      'published=',
      'host=',
      'path=',
      'trusted=',
      'hold=',
      'access-log=',
      'size=',
      'ro',
    ];
    fc.assert(
      fc.property(textOf(...parts), (text) => {
        for (const parse of [parsePublish, parseMount, parseTmpfs]) {
          const result = parse(text);
          assert.notEqual(result, '');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('words quoted for a shell come out as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        assert.deepEqual(shellWords(words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')), words);
        const doubled = words.map((word) => `"${word.replaceAll(/["\\$`]/g, '\\$&')}"`);
        assert.deepEqual(shellWords(doubled.join('  ')), words);
      }),
    );
  });

  it('fields quoted for CSV come out as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
        assert.deepEqual(parseCsv(fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(',')), fields);
      }),
    );
  });
});
