// Where things are in etcd: data below `<prefix>d/`, the driver's own bookkeeping below `<prefix>o/`.

export interface KeySpace {
  /** All keys of this store. */
  readonly all: Buffer;
  readonly dataPrefix: string;
  data(key: string): Buffer;
  /** Undefined for a key that is not data. */
  dataKey(bytes: Buffer): string | undefined;
  lane(client: string, lane: number): Buffer;
}

export function keySpace(prefix: string): KeySpace {
  const dataPrefix = `${prefix}d/`;
  const dataBytes = Buffer.from(dataPrefix);
  return {
    all: Buffer.from(prefix),
    dataPrefix,
    data: (key) => Buffer.from(dataPrefix + key),
    dataKey: (bytes) => (bytes.subarray(0, dataBytes.length).equals(dataBytes) ? bytes.toString('utf8', dataBytes.length) : undefined),
    lane: (client, lane) => Buffer.from(`${prefix}o/${client}/${lane}`),
  };
}

/** End of the range of all keys that begin with `prefix`. */
export function rangeEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] ?? 0xff;
    if (byte === 0xff) continue;
    end[i] = byte + 1;
    return end.subarray(0, i + 1);
  }
  return Buffer.from([0]);
}

/** The first key behind this one. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}
