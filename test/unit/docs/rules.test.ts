// docs/rules.md names the tests that prove each rule: they are there, every rule has one that is a transcript or a property, and every transcript is named.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, it } from 'mocha';

const ROOT = join(import.meta.dirname, '../../..');
const SCENARIOS = join(ROOT, 'test/scenarios');
const TEXT = readFileSync(join(ROOT, 'docs/rules.md'), 'utf8');
const KINDS = ['property', 'unit', 'integration', 'e2e'];
const NAIVE = 'naive';

interface Rule {
  readonly rule: string;
  readonly proof: string;
}

interface Proof {
  /** "transcript", or one of KINDS. */
  readonly kind: string;
  readonly file: string;
  /** The beginning of one of its titles. */
  readonly title: string | undefined;
}

/** A bar within code does not end a cell. */
function rules(): readonly Rule[] {
  return TEXT.split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| rule |'))
    .map((line) => {
      const cut = line.lastIndexOf(' | ');
      return { rule: line.slice(2, cut), proof: line.slice(cut + 3, -2) };
    });
}

/** "`a`, `b`; property `c/d`: title; unit `e/f`, `g/h`": what stands before a name holds for those that follow it, up to the next semicolon. */
function proofs({ proof }: Rule): readonly Proof[] {
  return proof.split(';').flatMap((part) => {
    const kind = KINDS.find((word) => part.trim().startsWith(`${word} `)) ?? 'transcript';
    const title = /`: (.+)$/.exec(part)?.[1];
    const names = [...part.replace(/\(.*?\)/g, '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    return names.map((name) => ({
      kind,
      file: kind === 'transcript' ? join(SCENARIOS, `${name}.txt`) : join(ROOT, 'test', kind, `${name}.test.ts`),
      title,
    }));
  });
}

describe('the table of rules', () => {
  it('names tests and titles that are there', () => {
    const missing = rules().flatMap((rule) =>
      proofs(rule).flatMap(({ file, title }) => {
        if (!existsSync(file)) return [`${relative(ROOT, file)}, of "${rule.rule}"`];
        return title === undefined || readFileSync(file, 'utf8').includes(title) ? [] : [`"${title}" in ${relative(ROOT, file)}`];
      }),
    );
    assert.deepEqual(missing, []);
  });

  it('proves every rule by a transcript or a property', () => {
    const weak = rules().filter(
      (rule) => !rule.proof.includes(NAIVE) && !proofs(rule).some(({ kind }) => kind === 'transcript' || kind === 'property'),
    );
    assert.ok(rules().length > 80, `${rules().length} rules were read`);
    assert.deepEqual(
      weak.map(({ rule }) => rule),
      [],
    );
  });

  it('leaves no transcript out', () => {
    const named = new Set(rules().flatMap((rule) => proofs(rule).map(({ file }) => file)));
    const there = readdirSync(SCENARIOS, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.txt'));
    assert.deepEqual(
      there.filter((name) => !named.has(join(SCENARIOS, name))),
      [],
    );
  });
});
