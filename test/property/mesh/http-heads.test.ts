// The mesh's own reading of HTTP against Node's strict parser as the oracle: whatever the mesh accepts, Node accepts, and means the same by it; and it does not
// matter in which pieces it comes. Messages are put together of good and bad parts, and then spoilt.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Body } from '../../../mesh/http/body.ts';
import { BAD_BODY, type BodySink } from '../../../mesh/http/chunks.ts';
import { answerFraming } from '../../../mesh/http/framing.ts';
import { type AnswerHead, type Fields, readAnswerHead, readRequestHead, type RequestHead, valueAt } from '../../../mesh/http/head.ts';
import { HeadReader } from '../../../mesh/http/head-reader.ts';
import { trailerLines } from '../../../mesh/http/request-head.ts';
import { visitOf } from '../../../mesh/http/visit.ts';
import { answerByNode, type Message, requestsByNode } from '../../support/http-oracle.ts';

const ENDS = { client: '127.0.0.1', proto: 'http', ownAuthority: 'a' } as const;

/** Reads as the mesh's connections do. `passedOn`: the bytes of the bodies as they go on. */
function readAll(
  pieces: readonly Buffer[],
  headOf: (bytes: Buffer, from: number) => { message: Message; body: Body; rest: number; last: boolean } | 'more' | 'bad',
  only = Infinity,
): { readonly messages: Message[]; readonly passedOn: string[] } {
  const messages: Message[] = [];
  const passedOn: string[] = [];
  let body: Body | undefined;
  const sink: BodySink = {
    pass: (bytes, from, to) => {
      passedOn.push((passedOn.pop() ?? '') + bytes.toString('latin1', from, to));
    },
    trailers: (fields) => {
      passedOn.push((passedOn.pop() ?? '') + trailerLines(fields));
    },
  };
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      if (body === undefined) {
        if (messages.length >= only) return { messages, passedOn };
        const read = headOf(piece, at);
        if (read === 'bad') return { messages, passedOn };
        if (read === 'more') break;
        messages.push(read.message);
        passedOn.push('');
        at = read.rest;
        body = read.body;
        if (read.last) only = messages.length;
      } else at = body.take(piece, at, piece.length, sink);
      if (at === BAD_BODY) return { messages, passedOn };
      if (body.done) {
        const last = messages.at(-1);
        if (last !== undefined) last.whole = true;
        body = undefined;
      }
    }
  }
  const last = messages.at(-1);
  if (body?.untilClose === true && last !== undefined) last.whole = true;
  return { messages, passedOn };
}

function fieldsOf(fields: Fields): string[] {
  return fields.names.flatMap((name, at) => [name, valueAt(fields, at)]);
}

function requestsByMesh(pieces: readonly Buffer[]): ReturnType<typeof readAll> {
  const heads = new HeadReader<RequestHead>(readRequestHead);
  return readAll(pieces, (bytes, from) => {
    const head = heads.read(bytes, from, bytes.length);
    if (head === undefined) return 'more';
    if (!('text' in head)) return 'bad';
    const visit = visitOf(head, ENDS, 0);
    if ('why' in visit) return 'bad';
    const start = `${head.method} ${head.target} ${String(head.minor)}`;
    return {
      message: { start, fields: fieldsOf(head), body: '', trailers: [], whole: false },
      body: new Body(visit.framing, true),
      rest: heads.rest,
      last: !visit.keepAlive,
    };
  });
}

function answerByMesh(method: string, pieces: readonly Buffer[]): ReturnType<typeof readAll> {
  const heads = new HeadReader<AnswerHead>(readAnswerHead);
  return readAll(
    pieces,
    (bytes, from) => {
      const head = heads.read(bytes, from, bytes.length);
      if (head === undefined) return 'more';
      if (!('text' in head) || head.status < 200) return 'bad';
      const framing = answerFraming(head, method === 'HEAD');
      if (typeof framing === 'object') return 'bad';
      const start = `${String(head.status)} ${head.reason} ${String(head.minor)}`;
      const message = { start, fields: fieldsOf(head), body: '', trailers: [], whole: false };
      return { message, body: new Body(framing, true), rest: heads.rest, last: true };
    },
    1,
  );
}

/** Mostly the first ones. */
const mostly = <T>(good: readonly T[], odd: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const lineEnd = fc.oneof(
  { weight: 60, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\r\n', '\n\r') },
);
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8}$/);
const text = fc.stringMatching(/^[!-~\x80-\xff][ -~\t\x80-\xff]{0,12}$/);
const length = mostly(['3', '0', '5', '12'], ['+3', '-3', '0x3', '3, 3', '', '03', '3 ', '3;', '1e1', '99999999999999999999', '3\v', '٣']);
const coding = mostly(
  ['chunked'],
  ['Chunked', 'chunked, chunked', 'gzip, chunked', 'chunked, gzip', 'identity', 'xchunked', 'chunked;q=1', '"chunked"', '\x0bchunked', ''],
);
const special = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('Content-Length', 'content-length'), length) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('Transfer-Encoding', 'TRANSFER-ENCODING'), coding) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      mostly(['Connection'], ['Connection ', 'Proxy-Connection']),
      fc.constantFrom('close', 'keep-alive', 'Upgrade', 'x, close'),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('Upgrade', 'Expect', 'Trailer', 'Host', ' folded', ''), text) },
);
const field = fc
  .tuple(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.tuple(
          token,
          fc.oneof({ weight: 20, arbitrary: text }, { weight: 1, arbitrary: fc.constantFrom('', 'a\0b', 'a\x7fb') }),
        ),
      },
      { weight: 2, arbitrary: special },
    ),
    mostly([': ', ':'], [' : ', ':\t', '', ' ', ':  ']),
    lineEnd,
  )
  .map(([[name, value], colon, end]) => `${name}${colon}${value}${end}`);
const chunk = fc
  .tuple(
    fc.stringMatching(/^[ -~]{1,9}$/),
    mostly([''], [';a', ';a=b', ';a="b c"', ' ;a', ';', ';a=', ' ', ';a;b=1', '\t']),
    fc.boolean(),
    lineEnd,
    lineEnd,
  )
  .map(([data, extension, padded, one, two]) => `${padded ? '0' : ''}${data.length.toString(16)}${extension}${one}${data}${two}`);
const chunks = fc
  .tuple(
    fc.array(chunk, { maxLength: 3 }),
    mostly(['0', '000'], ['', '0;a', '-0', '0x0', 'g']),
    lineEnd,
    fc.array(field, { maxLength: 2 }),
    lineEnd,
  )
  .map(([all, last, one, trailers, end]) => `${all.join('')}${last}${one}${trailers.join('')}${end}`);
const body = fc.oneof({ weight: 2, arbitrary: fc.constantFrom('', 'abc', 'abcde') }, { weight: 3, arbitrary: chunks });
const requestText = fc
  .tuple(
    mostly(['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS'], ['get', 'FOO', 'M-SEARCH', 'CONNECT', 'PRI', 'SOURCE', '']),
    mostly([' '], ['  ', '\t', '']),
    mostly(
      ['/', '/a/../b?c=d', '*', 'http://b/c'],
      ['/a#b', '/é', '//x', 'a:80', 'ftp://x/', 'http://a@b/', '', '/a b', 'http:///x', '/\x7f'],
    ),
    mostly([' HTTP/1.1'], [' HTTP/1.0', ' HTTP/2.0', ' HTTP/1.2', ' http/1.1', ' HTTP/1.1 ', ' HTTP/11', '', ' HTTP/0.9']),
    lineEnd,
    mostly(['Host: a\r\n'], ['', 'Host: a\r\nHost: b\r\n', 'Host: a b\r\n', 'Host:\r\n', 'Host : a\r\n']),
    fc.array(field, { maxLength: 4 }),
    lineEnd,
    body,
  )
  .map((parts) => parts.flat().join(''));
const answerText = fc
  .tuple(
    mostly(['HTTP/1.1', 'HTTP/1.0'], ['HTTP/2', 'http/1.1', 'ICY']),
    mostly([' 200', ' 404', ' 204', ' 304', ' 500'], [' 20', ' 2000', ' 099', ' 999', '  200', ' 2x0', '']),
    mostly([' OK', ' Not Found', ' ', ''], [' a\tb', '  x', ' é', ' \x01', 'OK']),
    lineEnd,
    fc.array(field, { maxLength: 4 }),
    lineEnd,
    body,
  )
  .map((parts) => parts.flat().join(''));

/** In pieces, after some changes of single bytes. */
const spoilt = (whole: fc.Arbitrary<string>): fc.Arbitrary<Buffer[]> =>
  fc
    .tuple(
      whole,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom('', '\r', '\n', ' ', '\t', ':', '0', ',', ';', '\0', 'é'), fc.nat(1)), { maxLength: 1 }),
      fc.array(fc.nat(), { maxLength: 4 }),
    )
    .map(([string, changes, cuts]) => {
      let changed = string;
      for (const [where, sign, drop] of changes) {
        const at = where % (changed.length + 1);
        changed = changed.slice(0, at) + sign + changed.slice(at + drop);
      }
      return cutAt(Buffer.from(changed, 'latin1'), cuts);
    });

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  return ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

/** What went on must be to Node what it was to the mesh: a body of the same message. */
async function sameBody(headLine: string, passedOn: string, expected: Message): Promise<void> {
  const again = await requestsByNode([Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${headLine}\r\n\r\n${passedOn}`, 'latin1')]);
  assert.equal(again.length, 1);
  assert.equal(again[0]?.body, expected.body);
  assert.equal(again[0].whole, true);
}

function isChunked({ fields }: Message): boolean {
  return fields.some((name, at) => at % 2 === 0 && name === 'transfer-encoding');
}

const accepted = { requests: 0, answers: 0 };

describe('reading HTTP', function () {
  this.timeout(120_000);

  it('accepts no request that Node refuses, nor means another thing by it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .array(requestText, { minLength: 1, maxLength: 2 })
          .map((all) => all.join(''))
          .chain((all) => spoilt(fc.constant(all))),
        async (pieces) => {
          const ours = requestsByMesh(pieces);
          const theirs = await requestsByNode(pieces);
          for (const [at, message] of ours.messages.entries()) {
            const their = theirs[at];
            assert.ok(their, `Node does not have request ${at}`);
            assert.equal(message.start, their.start);
            assert.deepEqual(message.fields, their.fields);
            if (!message.whole) continue;
            accepted.requests++;
            assert.equal(their.whole, true, 'its end');
            if (isChunked(message)) await sameBody('Transfer-Encoding: chunked', ours.passedOn[at] ?? '', their);
            else assert.equal(ours.passedOn[at], their.body);
          }
        },
      ),
      { numRuns: 3000 },
    );
    assert.ok(accepted.requests > 300, `only ${accepted.requests} were good`);
  });

  it('accepts no answer that Node refuses, nor means another thing by it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('GET', 'GET', 'HEAD'), spoilt(answerText), async (method, pieces) => {
        const ours = answerByMesh(method, pieces);
        const [message] = ours.messages;
        if (message === undefined) return;
        const their = await answerByNode(method, pieces);
        assert.ok(their, 'Node has no answer');
        assert.equal(message.start.replace(/ +/g, ' '), their.start.replace(/ +/g, ' '));
        assert.deepEqual(message.fields, their.fields);
        if (!message.whole) return;
        accepted.answers++;
        assert.equal(their.whole, true, 'its end');
        if (ours.passedOn[0] !== '' && isChunked(message)) await sameBody('Transfer-Encoding: chunked', ours.passedOn[0] ?? '', their);
        else assert.equal(ours.passedOn[0], their.body);
      }),
      { numRuns: 3000 },
    );
    assert.ok(accepted.answers > 300, `only ${accepted.answers} were good`);
  });

  it('does not depend on the pieces in which it comes', () => {
    fc.assert(
      fc.property(spoilt(requestText), (pieces) => {
        const whole = Buffer.concat(pieces);
        const bytes = [...whole].map((byte) => Buffer.from([byte]));
        const read = [pieces, bytes, [whole]].map((each) => {
          const { messages, passedOn } = requestsByMesh(each);
          // Of a body that turns out to be none more or less may have gone on.
          return messages.map((message, at) => [message, message.whole ? passedOn[at] : '']);
        });
        assert.deepEqual(read[0], read[2]);
        assert.deepEqual(read[1], read[2]);
      }),
      { numRuns: 1000 },
    );
  });
});
