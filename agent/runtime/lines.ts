// Output cut into whole lines, for logs.

/** A line longer than this comes in pieces: one line must not fill the memory, nor a message of the session. */
export const MAX_LINE_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Each call answers the lines that `chunk` completes, every one ended by a newline. `rest` is the one that is not complete yet. */
export interface LineCutter {
  push(chunk: Uint8Array): Buffer[];
  /** What is left at the end, with a newline added; or undefined. */
  end(): Buffer | undefined;
  readonly pending: boolean;
}

export function lineCutter(maxBytes = MAX_LINE_BYTES): LineCutter {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const take = (last: Uint8Array): Buffer => {
    const line = Buffer.concat([...held, last]);
    held = [];
    heldBytes = 0;
    return line;
  };
  const hold = (bytes: Uint8Array, lines: Buffer[]): void => {
    let rest = bytes;
    while (heldBytes + rest.length > maxBytes) {
      const room = maxBytes - heldBytes;
      lines.push(Buffer.concat([take(rest.subarray(0, room)), Buffer.from('\n')]));
      rest = rest.subarray(room);
    }
    if (rest.length === 0) return;
    held.push(rest);
    heldBytes += rest.length;
  };
  return {
    get pending() {
      return heldBytes > 0;
    },
    push(chunk) {
      const lines: Buffer[] = [];
      let start = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
        hold(chunk.subarray(start, at), lines);
        lines.push(take(chunk.subarray(at, at + 1)));
        start = at + 1;
      }
      hold(chunk.subarray(start), lines);
      return lines;
    },
    end() {
      return heldBytes === 0 ? undefined : take(Buffer.from('\n'));
    },
  };
}
