import assert from 'node:assert/strict';
import { formatDurationMs, formatSizeBytes, parseDurationMs, parseSizeBytes } from '../../../lib/units.ts';

describe('durations', () => {
  for (const [text, durationMs] of [
    ['0', 0],
    ['500ms', 500],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
  ] as const) {
    it(`reads ${text}`, () => {
      assert.equal(parseDurationMs(text), durationMs);
    });
  }

  for (const text of ['', '10', '-5s', '5 s', 's', '1h30', '1d']) {
    it(`refuses "${text}"`, () => {
      assert.equal(parseDurationMs(text), undefined);
    });
  }

  it('prints as Go does', () => {
    assert.deepEqual([0, 250, 1000, 90_000, 3_600_000, 3_661_500].map(formatDurationMs), [
      '0s',
      '250ms',
      '1s',
      '1m30s',
      '1h0m0s',
      '1h1m1.5s',
    ]);
  });
});

describe('sizes', () => {
  for (const [text, sizeBytes] of [
    ['64', 64],
    ['64b', 64],
    ['64k', 65_536],
    ['64MB', 67_108_864],
    ['64MiB', 67_108_864],
    ['1.5g', 1_610_612_736],
  ] as const) {
    it(`reads ${text}`, () => {
      assert.equal(parseSizeBytes(text), sizeBytes);
    });
  }

  for (const text of ['', '-1m', '1x', 'm', '1e3']) {
    it(`refuses "${text}"`, () => {
      assert.equal(parseSizeBytes(text), undefined);
    });
  }

  it('prints in powers of 1024', () => {
    assert.deepEqual([0, 512, 67_108_864, 1_610_612_736].map(formatSizeBytes), ['0B', '512B', '64MiB', '1.5GiB']);
  });
});
